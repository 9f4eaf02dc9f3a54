"""Photographs with a class for each pixel, in Pascal VOC 2012's layout.

The photographs are `JPEGImages/<id>.jpg`, their masks PNG files of class
indices, `SegmentationClass/<id>.png`, or `SegmentationClassAug/<id>.png` for
the additional annotations of Hariharan et al. (2011). The lists
`ImageSets/Segmentation/train.txt` and `val.txt` name one id a line.
"""

import collections
import dataclasses
import os
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from entrannas_tf.data import decoding, scale_crop, source

IGNORED = scale_crop.IGNORED

# Of Pascal VOC 2012, in the order of the indices.
NAMES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

_LAYOUT = (
    "JPEGImages/<id>.jpg, SegmentationClass/<id>.png, and "
    "ImageSets/Segmentation/train.txt and val.txt with one id a line"
)
_ARCHIVE_FOLDERS = ("VOCdevkit/VOC2012", "VOC2012")
_MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClass")
_SUFFIXES = (".jpg", ".jpeg", ".png")  # of photographs, the first one found
_MASK_KINDS = ("PNG of mode P", "PNG of mode L")  # palette and grey
_NUM_LEVELS = 256
_NUM_MEASURED = 1000  # images whose mean and standard deviation are measured


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedPhotos:
    """Photographs of any sizes, each with a mask of class indices.

    No pixel is held in memory: each batch is decoded when it is needed.

    Attributes:
        name: Name of the set in messages and records.
        label_names: Name of each class, in the order of the indices.
        photographs: Paths of the N photographs.
        masks: Paths of their masks.
        sizes: int32 [N, 2], height and width of each in pixels.
        palette: uint8 [num_classes, 3], the colour of each class in pictures.
        pixel_counts: int64 [num_classes], labelled pixels of each class in
            all masks.
        mean: float32 [3], mean of the images scaled to [0, 1].
        std: float32 [3], standard deviation of the same, never 0.
        image_shape: (None, None, 3): the sizes differ.
        labels: None: a photograph has no one class.
    """

    name: str
    label_names: tuple[str, ...]
    photographs: tuple[str, ...]
    masks: tuple[str, ...]
    sizes: np.ndarray
    palette: np.ndarray
    pixel_counts: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    image_shape = (None, None, 3)
    labels = None

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.label_names)

    @property
    def num_examples(self):
        """Number of photographs N."""
        return len(self.photographs)

    def fetch(self, indices):
        """Reads whole photographs of one size, eagerly and in graphs.

        Args:
            indices: int64 [B], from 0 to N - 1.

        Returns:
            (images, masks): uint8 [B, H, W, 3] and int32 [B, H, W], `IGNORED`
            where a pixel is not labelled.
        """

        def read(indices):
            return _stack(*self._read(indices))

        return _call(read, [indices], [*indices.shape, None, None])

    def fetch_crops(self, indices, numbers, settings, fill):
        """Reads photographs and crops them, eagerly and in graphs.

        Args:
            indices: int64 [B], from 0 to N - 1.
            numbers: float32 [4, B], random, uniform in [0, 1).
            settings: `scale_crop.Augmentation`, with crops of side S.
            fill: uint8 [3], the colour of padding.

        Returns:
            (images, masks): uint8 [B, S, S, 3] and int32 [B, S, S], of which
            `scale_crop.crop` makes each.
        """

        def crop(image, mask, numbers):
            return scale_crop.crop(image, mask, numbers, settings, fill)

        def read(indices, numbers):
            crops = decoding.in_parallel(crop, *self._read(indices), numbers.T)
            return _stack(*zip(*crops, strict=True))

        shape = [*indices.shape, settings.crop_size, settings.crop_size]
        return _call(read, [indices, numbers], shape)

    def _read(self, indices):
        """Returns lists of photographs, uint8 [H, W, 3], and masks [H, W]."""
        photographs = [self.photographs[index] for index in indices]
        masks = [self.masks[index] for index in indices]
        return (
            decoding.for_all(photographs, decoding.read_rgb),
            decoding.for_all(masks, _read_mask),
        )


def _stack(images, masks):
    return np.stack(images), np.stack(masks).astype(np.int32)


def _call(read, arguments, shape):
    """Calls a NumPy function that returns images and masks of shape [B, H, W].

    It runs eagerly and in graphs, where the result has this static shape.
    """
    images, masks = tf.numpy_function(read, arguments, (tf.uint8, tf.int32))
    return tf.ensure_shape(images, [*shape, 3]), tf.ensure_shape(masks, shape)


def load(directory, train_list=""):
    """Loads photographs and masks, and decodes all of them once to verify.

    File names are matched exactly. Masks are drawn for the pixels as stored,
    so that the orientation that a camera noted is not applied.

    Args:
        directory: Folder of the layout above, or one that holds it as
            VOCdevkit/VOC2012 or VOC2012.
        train_list: Name of the list to train on, such as "train"; "" for
            "trainaug" where it is there, else "train".

    Returns:
        (train, val): two `MaskedPhotos`. Both carry mean and standard
        deviation of up to 1,000 training images, evenly chosen. The names of
        the classes are the lines of classes.txt, where it is there.

    Raises:
        ValueError: If a folder, list, photograph or mask is missing or broken,
            a list is empty or names an id twice, the lists share an id, a mask
            does not fit its photograph or the classes, or no pixel of a list
            is labelled.
    """
    root = _find_root(pathlib.Path(directory))
    lists = root / "ImageSets" / "Segmentation"
    if not train_list:
        augmented = (lists / "trainaug.txt").is_file()
        train_list = "trainaug" if augmented else "train"
    train_list = train_list.removesuffix(".txt")
    splits = [
        _list_split(root, lists / f"{n}.txt") for n in (train_list, "val")
    ]
    _check_apart(*splits)
    scans = [_scan(split) for split in splits]
    for split, scan in zip(splits, scans, strict=True):
        _check_scan(split, scan)
    palette = _read_palette(splits[0].masks[0])
    names = _name_classes(root, splits, scans, palette)
    counts = [scan.counts.sum(axis=0)[: len(names)] for scan in scans]
    _warn_of_missing(splits[0], names, counts[0])
    mean, std = _measure(splits[0].photographs)
    return tuple(
        MaskedPhotos(
            name=f"{root.name}/{split.path.stem}",
            label_names=names,
            photographs=tuple(split.photographs),
            masks=tuple(split.masks),
            sizes=scan.sizes,
            palette=palette[: len(names)],
            pixel_counts=count,
            mean=mean,
            std=std,
        )
        for split, scan, count in zip(splits, scans, counts, strict=True)
    )


def color_map():
    """Returns Pascal VOC's colour of each index: uint8 [256, 3].

    The bits of an index are dealt to red, green and blue in turn, the lowest
    ones to the highest bits of a colour.
    """
    indices = np.arange(_NUM_LEVELS)
    colors = np.zeros((_NUM_LEVELS, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            value = (indices >> (3 * bit + channel)) & 1
            colors[:, channel] |= (value << (7 - bit)).astype(np.uint8)
    return colors


class _Split(NamedTuple):
    """Files of a list: its own path, ids, and paths of what they name."""

    path: pathlib.Path
    ids: list[str]
    photographs: list[str]
    masks: list[str]


class _Scan(NamedTuple):
    """Sizes, and pixels of each class, in the files of a list.

    Attributes:
        sizes: int32 [N, 2], height and width of each photograph.
        kinds: Format and mode of each mask's file.
        mask_sizes: (height, width) of each mask.
        counts: int64 [N, 256], pixels of each index in each mask.
    """

    sizes: np.ndarray
    kinds: tuple[str, ...]
    mask_sizes: tuple[tuple[int, int], ...]
    counts: np.ndarray


def _find_root(directory):
    """Returns the folder that holds JPEGImages/."""
    if not directory.is_dir():
        raise ValueError(
            f"There is no folder {directory}. Expected one that holds "
            f"{_LAYOUT}."
        )
    for folder in (directory, *(directory / n for n in _ARCHIVE_FOLDERS)):
        if (folder / "JPEGImages").is_dir():
            return folder
    found = sorted(os.listdir(directory))
    raise ValueError(
        f"{directory} has no folder JPEGImages/; found "
        f"{decoding.some(found, ', ') if found else 'nothing in it'}. "
        f"Expected {_LAYOUT}."
    )


def _list_split(root, path):
    """Finds the files that a list names."""
    if not path.is_file():
        found = sorted(entry.name for entry in path.parent.glob("*.txt"))
        raise ValueError(
            f"There is no list {path}; found "
            f"{decoding.some(found, ', ') if found else 'no list there'}. "
            "Expected one id of a photograph a line. Add the list, or choose "
            "another one to train on."
        )
    ids = _read_lines(path)
    photographs = _find_photographs(root / "JPEGImages", path, ids)
    return _Split(path, ids, photographs, _find_masks(root, path, ids))


def _read_lines(path):
    """Returns the lines of a file that are not blank, each there once."""
    text = path.read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{path} is empty; expected one name a line.")
    counts = collections.Counter(lines)
    repeated = [line for line, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(
            f"{path} has {len(repeated)} line(s) more than once: "
            f"{decoding.some(repeated, ', ')}. Expected each name once. Remove "
            "the repetitions."
        )
    return lines


def _find_photographs(folder, path, ids):
    """Returns the path of each photograph."""
    present = set(os.listdir(folder))
    found = [
        next((i + suffix for suffix in _SUFFIXES if i + suffix in present), "")
        for i in ids
    ]
    missing = [i for i, name in zip(ids, found, strict=True) if not name]
    if missing:
        raise ValueError(
            f"{folder} lacks {len(missing)} photograph(s) of the list {path}: "
            f"{decoding.some(missing, ', ')}. Expected <id> and one of "
            f"{', '.join(_SUFFIXES)}, in these letters. Add the photographs, "
            "or remove the ids from the list."
        )
    return [str(folder / name) for name in found]


def _find_masks(root, path, ids):
    """Returns the path of each mask.

    All are in one folder: the one that lacks the fewest, and of two that lack
    none that of the additional annotations.
    """
    missing = {
        root / name: sorted(
            {f"{i}.png" for i in ids} - set(os.listdir(root / name))
        )
        for name in _MASK_FOLDERS
        if (root / name).is_dir()
    }
    if not missing:
        raise ValueError(
            f"{root} has no folder SegmentationClass/ of masks. Expected "
            f"{_LAYOUT}."
        )
    folder = min(missing, key=lambda folder: len(missing[folder]))
    if missing[folder]:
        raise ValueError(
            f"{folder} lacks {len(missing[folder])} mask(s) of the list "
            f"{path}: {decoding.some(missing[folder], ', ')}. Expected "
            "<id>.png for each id. Add the masks, or remove the ids from the "
            "list."
        )
    return [str(folder / f"{i}.png") for i in ids]


def _check_apart(train, val):
    """Raises ValueError if two lists share an id."""
    shared = sorted(set(train.ids) & set(val.ids))
    if shared:
        raise ValueError(
            f"{train.path} and {val.path} share {len(shared)} id(s): "
            f"{decoding.some(shared, ', ')}. Expected none: the scores would "
            "be of photographs that were trained on. Remove them from one of "
            "the lists."
        )


def _scan(split):
    """Decodes all files of a list, and keeps no pixel: `_Scan`."""
    sizes = decoding.for_all(
        split.photographs, lambda path: decoding.read_rgb(path).shape[:2]
    )
    masks = decoding.for_all(split.masks, _scan_mask)
    kinds, mask_sizes, counts = zip(*masks, strict=True)
    return _Scan(
        np.asarray(sizes, np.int32), kinds, mask_sizes, np.stack(counts)
    )


def _scan_mask(path):
    """Returns kind of file, (height, width), and pixels of each index."""
    counts = np.zeros(_NUM_LEVELS, np.int64)
    with Image.open(path) as image:
        kind = f"{image.format} of mode {image.mode}"
        image.load()
        if kind in _MASK_KINDS:
            counts += np.bincount(np.asarray(image).ravel(), minlength=256)
        return kind, (image.height, image.width), counts


def _read_mask(path):
    """Returns the class indices of a mask: uint8 [H, W]."""
    with Image.open(path) as image:
        return np.asarray(image)


def _check_scan(split, scan):
    """Raises ValueError if masks are no masks of their photographs."""
    wrong = [
        f"{path} is a {kind}"
        for path, kind in zip(split.masks, scan.kinds, strict=True)
        if kind not in _MASK_KINDS
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} mask(s) have no class indices: "
            f"{decoding.some(wrong, '; ')}. Expected palette or grey PNG files "
            "of class indices, mode P or L. Convert colours to indices."
        )
    wrong = [
        f"{mask} has {mask_size[1]}x{mask_size[0]} and {photograph} "
        f"{size[1]}x{size[0]} pixels"
        for photograph, mask, size, mask_size in zip(
            split.photographs,
            split.masks,
            scan.sizes.tolist(),
            scan.mask_sizes,
            strict=True,
        )
        if tuple(size) != mask_size
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} mask(s) are of another size than their photograph: "
            f"{decoding.some(wrong, '; ')}. Expected one class index a pixel. "
            "Replace the masks or the photographs."
        )
    if not scan.counts[:, :IGNORED].any():
        raise ValueError(
            f"No pixel of the masks of {split.path} is labelled: all "
            f"{len(split.masks)} are {IGNORED} throughout. Expected class "
            "indices. Choose another list, or label some masks."
        )


def _read_palette(path):
    """Returns the colour of each index in a mask's file: uint8 [256, 3].

    Colours that a palette does not have, or a grey mask, are Pascal VOC's.
    """
    colors = color_map()
    with Image.open(path) as image:
        own = np.reshape(image.getpalette() or [], (-1, 3))
    colors[: len(own)] = own
    return colors


def _name_classes(root, splits, scans, palette):
    """Returns the name of each class.

    Raises:
        ValueError: If a mask has other classes than classes.txt, or there are
            too few of them.
    """
    path = root / "classes.txt"
    if path.is_file():
        names = tuple(_read_lines(path))
        _check_indices(path, len(names), splits, scans)
    else:
        largest = max(_largest(scan.counts).max() for scan in scans)
        names = tuple(f"class {index}" for index in range(largest + 1))
        num_voc = len(NAMES)
        if len(names) == num_voc and np.array_equal(
            palette[:num_voc], color_map()[:num_voc]
        ):
            names = NAMES
    if not 2 <= len(names) <= IGNORED:
        raise ValueError(
            f"{root} has {len(names)} class(es); expected 2 to {IGNORED}. "
            "Label the pixels of further classes, or correct classes.txt."
        )
    return names


def _largest(counts):
    """Returns the largest class index of masks, -1 for none: integers [N]."""
    present = counts[:, :IGNORED] > 0
    return np.where(present, np.arange(IGNORED), -1).max(axis=1)


def _check_indices(path, num_classes, splits, scans):
    """Raises ValueError if a mask has an index beyond classes.txt."""
    wrong = [
        f"{mask} has {largest}"
        for split, scan in zip(splits, scans, strict=True)
        for mask, largest in zip(
            split.masks, _largest(scan.counts), strict=True
        )
        if largest >= num_classes
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} mask(s) have an index beyond the {num_classes} "
            f"classes of {path}: {decoding.some(wrong, '; ')}. Expected 0 to "
            f"{num_classes - 1}, and {IGNORED} where a pixel is not labelled. "
            "Add the class names, or correct the masks."
        )


def _warn_of_missing(split, names, counts):
    """Warns of classes that cannot be learned."""
    missing = [n for n, count in zip(names, counts, strict=True) if not count]
    if missing:
        logging.warning(
            "%d of %d classes have no pixel in the masks of %s and cannot be "
            "learned: %s.",
            len(missing),
            len(names),
            split.path,
            decoding.some(missing, ", "),
        )


def _measure(paths):
    """Returns mean and standard deviation of evenly chosen images."""
    count = min(len(paths), _NUM_MEASURED)
    chosen = np.linspace(0, len(paths) - 1, count).astype(np.int64)
    levels = decoding.for_all(
        [paths[index] for index in chosen],
        lambda path: source.count_levels(decoding.read_rgb(path)[None]),
    )
    return source.level_statistics(sum(levels))
