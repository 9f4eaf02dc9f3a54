"""ImageNet (ILSVRC 2012) as `tensorflow-datasets` prepares it.

Images and labels are not held in memory: they are read from the prepared files
when they are needed, and decoded as far as the crop needs.
"""

import numpy as np
import tensorflow as tf
from absl import logging

from entrannas_tf.data import jpegs, records, source

NAME = "imagenet2012"

# DARTS's, of the training images scaled to [0, 1].
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

_IMAGE_SIZE = 224  # pixels, as in section 4.3
_SPLITS = ("train", "validation")


def load(data_dir, image_size=0):
    """Opens ImageNet on disk and indexes its records.

    Args:
        data_dir: Directory in which `tensorflow-datasets` prepared the data
            set; it holds imagenet2012/<version>/.
        image_size: Side S in pixels of the images; 0 for 224.

    Returns:
        (train, validation), two `ImageSource` of image shape (S, S, 3),
        whose labels come with the images. `fetch` returns centre crops,
        `fetch_crops` others.

    Raises:
        ValueError: If the data set is not prepared there, is not in the
            TFRecord format, or has a broken file.
        OSError: If a file cannot be read.
    """
    # Slow to import, and needed for few data sets only.
    import tensorflow_datasets as tfds  # noqa: PLC0415

    builder = tfds.builder(NAME, data_dir=data_dir)
    if not set(_SPLITS) <= set(builder.info.splits):
        found = ", ".join(builder.info.splits)
        raise ValueError(
            f"ImageNet is not prepared: looked for train and validation in "
            f"{builder.data_path} and found {found or 'no data set there'}. "
            "Prepare it from ILSVRC2012_img_train.tar and "
            f"ILSVRC2012_img_val.tar by `tfds build {NAME} "
            f"--data_dir={data_dir} --manual_dir=DIRECTORY_OF_THE_TARS`, or "
            f"name the directory that holds {NAME}/."
        )
    file_format = builder.info.file_format.value
    if file_format != "tfrecord":
        raise ValueError(
            f"ImageNet in {builder.data_path} is in the format {file_format}; "
            "expected tfrecord. Prepare it again with --file_format=tfrecord, "
            "in another --data_dir."
        )
    names = tuple(builder.info.features["label"].names)
    size = image_size or _IMAGE_SIZE
    return tuple(
        _make_source(split, builder.info.splits[split], names, size)
        for split in _SPLITS
    )


def _make_source(split, info, label_names, size):
    """Makes an `ImageSource` of a split, described by a `SplitInfo`."""
    logging.info(
        "data     reading the index of %d images in %d files of %s/%s",
        info.num_examples,
        len(info.filepaths),
        NAME,
        split,
    )
    shards = records.Records(info.filepaths, info.shard_lengths)

    def read(indices):
        encoded, labels = tf.numpy_function(
            shards.read, [indices], (tf.string, tf.int32), stateful=False
        )
        return (
            tf.ensure_shape(encoded, indices.shape),
            tf.ensure_shape(labels, indices.shape),
        )

    def fetch(indices):
        encoded, labels = read(indices)
        return jpegs.center_crops(encoded, size), labels

    def fetch_crops(indices, numbers, min_area):
        encoded, labels = read(indices)
        return jpegs.random_crops(encoded, numbers, size, min_area), labels

    return source.ImageSource(
        name=f"{NAME}/{split}",
        image_shape=(size, size, 3),
        label_names=label_names,
        num_examples=shards.num_records,
        labels=None,
        fetch=fetch,
        fetch_crops=fetch_crops,
        mean=np.asarray(MEAN, np.float32),
        std=np.asarray(STD, np.float32),
    )
