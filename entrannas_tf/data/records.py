"""Classified JPEG files in TFRecord shards, read by number.

A TFRecord file is a chain of records: 8 bytes length, 4 bytes checksum of the
length, the bytes of a `tf.train.Example`, 4 bytes checksum of these. An index
of the records' places is made by reading the headers alone; then each record
takes one read, and none is held in memory. Checksums are not verified: broken
files show by lengths and Examples that do not fit.
"""

import os
import struct
from concurrent import futures

import numpy as np
import tensorflow as tf

_HEADER = struct.Struct("<QI")  # length, its checksum
_FOOTER_BYTES = 4
_JPEG_START = b"\xff\xd8"

# Threads wait for the disk, not for a processor.
_NUM_THREADS = 32


class Records:
    """The records of shards, numbered through.

    Args:
        paths: Sequence of S paths of TFRecord files.
        counts: Sequence of S integers, how many records each should hold.

    Attributes:
        num_records: Number of records N.

    Raises:
        ValueError: If a file is broken or holds another number of records.
        OSError: If a file cannot be read.
    """

    def __init__(self, paths, counts):
        self._paths = [os.fspath(path) for path in paths]
        self._pool = futures.ThreadPoolExecutor(_NUM_THREADS)
        bounds = list(self._pool.map(_find_records, self._paths, counts))
        self._starts = np.concatenate([found[:-1] for found in bounds])
        self._ends = np.concatenate([found[1:] for found in bounds])
        self._shards = np.repeat(np.arange(len(counts)), counts)
        self.num_records = len(self._starts)

    def read(self, indices):
        """Reads records.

        Args:
            indices: int64 [B], from 0 to N - 1.

        Returns:
            (JPEG files: bytes as object [B], labels: int32 [B]).

        Raises:
            ValueError: If a record is no classified JPEG file; names it.
            OSError: If a file cannot be read.
        """
        images = np.empty(len(indices), object)
        labels = np.empty(len(indices), np.int32)

        def read(places):
            for place in places:
                images[place], labels[place] = self._read_one(indices[place])

        parts = np.array_split(np.arange(len(indices)), _NUM_THREADS)
        list(self._pool.map(read, [part for part in parts if len(part)]))
        return images, labels

    def _read_one(self, index):
        """Returns (JPEG file as bytes, label) of a record."""
        start, end = int(self._starts[index]), int(self._ends[index])
        path = self._paths[self._shards[index]]
        with open(path, "rb", buffering=0) as file:
            record = os.pread(file.fileno(), end - start, start)
        try:
            return _parse(record, end - start)
        except Exception as error:  # The parser's own type is not public.
            raise ValueError(
                f"1 image(s) cannot be decoded: {path}, bytes {start} to "
                f"{end} ({error}). Expected a record as tensorflow-datasets "
                "writes it. Prepare the data set again, or copy this file anew."
            ) from error


def _find_records(path, count):
    """Returns where the `count` records of a file start, and the last one ends.

    Returns:
        int64 [count + 1], in bytes.
    """
    starts = [0]
    with open(path, "rb", buffering=0) as opened:
        file = opened.fileno()
        if hasattr(os, "posix_fadvise"):  # Do not read what is skipped.
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
        size = os.fstat(file).st_size
        while starts[-1] < size:
            header = os.pread(file, _HEADER.size, starts[-1])
            end = size + 1  # Of a header that is cut short.
            if len(header) == _HEADER.size:
                length, _ = _HEADER.unpack(header)
                end = starts[-1] + _HEADER.size + length + _FOOTER_BYTES
            if end > size:
                raise ValueError(
                    f"{path} is broken: the record at byte {starts[-1]} would "
                    f"end after the file, which has {size} bytes. Expected "
                    f"{count} whole records. Copy this file anew."
                )
            starts.append(end)
    if len(starts) != count + 1:
        raise ValueError(
            f"{path} holds {len(starts) - 1} records; expected {count}, as "
            "dataset_info.json beside it says. Copy the data set anew."
        )
    return np.asarray(starts, np.int64)


def _parse(record, size):
    """Returns (JPEG file as bytes, label) of a record's bytes."""
    length = size - _HEADER.size - _FOOTER_BYTES
    if len(record) != size or _HEADER.unpack_from(record)[0] != length:
        raise ValueError("not the length that it had at the start")
    data = memoryview(record)[_HEADER.size : -_FOOTER_BYTES]
    features = tf.train.Example.FromString(data).features.feature
    images = features["image"].bytes_list.value
    labels = features["label"].int64_list.value
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(f"{len(images)} images and {len(labels)} labels")
    if not images[0].startswith(_JPEG_START):
        raise ValueError("the image is no JPEG file")
    return images[0], labels[0]
