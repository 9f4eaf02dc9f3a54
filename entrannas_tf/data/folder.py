"""Classified photographs in a folder, one sub-folder a class.

The layout is `train/<class>/<image>` and, where there is a validation set,
`val/<class>/<image>`. Number of classes and image size are read from the data.
"""

import os
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from entrannas_tf.data import decoding, source

_LAYOUT = (
    "train/<class>/<image>.jpg for every class and, if there is a validation "
    "set, val/<class>/<image>.jpg"
)
# Files that file managers leave behind, beside names that begin with a dot.
_CLUTTER = ("thumbs.db", "desktop.ini")
_CHANNELS = 3
_NUM_MEASURED = 1000  # images whose mean and standard deviation are measured
_CHUNK = 1000  # images verified at a time: bounds the memory


def load(directory, image_size=0, *, cache_mib=512, verify=True):
    """Loads a folder of classified images.

    Grey, palette and transparent images become RGB, without transparency; an
    animated GIF is its first picture. Images that fit into `cache_mib` are
    decoded once, in parallel, and held as bytes (twice that memory while
    loading); otherwise each batch is decoded when it is needed, which takes
    milliseconds an image and core.

    Args:
        directory: Path of the folder that holds train/ and perhaps val/.
        image_size: Side S in pixels: the shorter side is resized to it and
            the middle square is cut out. 0 keeps the images as they are; all
            must then have one size, square or not.
        cache_mib: Limit in MiB on the decoded images of both sets together.
        verify: Whether images that do not fit into the cache are all decoded
            once at the start, to find broken ones. With False, the training
            step that meets one stops and names it.

    Returns:
        (train, val): two `ImageSource` of image shape (S, S, 3); val is None
        without a val/ folder. Both carry mean and standard deviation of up
        to 1,000 training images, evenly chosen.

    Raises:
        ValueError: If the folder has another layout, a class has no image,
            val/ has other classes than train/, the images differ in size
            while image_size is 0, or an image cannot be decoded (the message
            names it).
    """
    if image_size < 0:
        raise ValueError(
            f"The image size is {image_size}; expected a number of pixels, or "
            "0 to keep the images' own size."
        )
    root = pathlib.Path(directory)
    splits = _list_splits(root)
    paths = [path for listed in splits.values() for path in listed[0]]
    if image_size:
        shape = (image_size, image_size, _CHANNELS)
    else:
        shape = _common_shape(root, paths)
    cached = len(paths) * np.prod(shape) <= cache_mib * 2**20
    if verify and not cached:
        for start in range(0, len(paths), _CHUNK):
            decoding.decode(paths[start : start + _CHUNK], shape)
    train_paths = splits["train"][0]
    count = min(len(train_paths), _NUM_MEASURED)
    chosen = np.linspace(0, len(train_paths) - 1, count).astype(np.int64)
    measured = decoding.decode([train_paths[index] for index in chosen], shape)
    statistics = source.statistics(measured)
    sources = {
        split: _make_source(
            f"{root.name}/{split}", *listed, shape, *statistics, cached
        )
        for split, listed in splits.items()
    }
    return sources["train"], sources.get("val")


def _make_source(name, paths, labels, names, shape, mean, std, cached):
    """Makes an `ImageSource` of files, decoded now or at each fetch."""
    if cached:
        images = decoding.decode(paths, shape)
        return source.from_arrays(name, images, labels, names, mean, std)

    def decode(indices):
        return decoding.decode([paths[index] for index in indices], shape)

    with tf.device("CPU:0"):  # Graphs capture it by reference.
        all_labels = tf.constant(labels)

    def fetch(indices):
        images = tf.numpy_function(decode, [indices], tf.uint8)
        images = tf.ensure_shape(images, [None, *shape])  # [B, H, W, C]
        return images, tf.gather(all_labels, indices)

    return source.ImageSource(
        name=name,
        image_shape=shape,
        label_names=names,
        num_examples=len(paths),
        labels=labels,
        fetch=fetch,
        mean=mean,
        std=std,
    )


def _common_shape(root, paths):
    """Reads the images' headers and returns the (H, W, 3) that all have."""

    def read(path):
        with Image.open(path) as image:
            return image.size

    sizes = decoding.for_all(paths, read)
    width, height = smallest = min(sizes, key=min)
    other = next((size for size in sizes if size != smallest), None)
    if other is not None:
        examples = [
            f"{paths[sizes.index(size)]} has {size[0]}x{size[1]}"
            for size in (smallest, other)
        ]
        raise ValueError(
            f"{root}: the images have {len(set(sizes))} different sizes: "
            f"{' and '.join(examples)} pixels; expected one size where no "
            "image size is given. Give one to resize and crop them to a "
            f"square, such as image_size={min(smallest)}."
        )
    return height, width, _CHANNELS


def _list_splits(root):
    """Lists train/ and perhaps val/: {split: (paths, labels, names)}."""
    if not root.is_dir():
        raise ValueError(
            f"There is no folder {root}. Expected one that holds {_LAYOUT}."
        )
    if not (root / "train").is_dir():
        found = [entry.name for entry in _entries(root)]
        raise ValueError(
            f"{root} has no folder train/; found "
            f"{decoding.some(found, ', ') if found else 'nothing in it'}. "
            f"Expected {_LAYOUT}."
        )
    splits = {"train": _list_classes(root / "train")}
    if (root / "val").is_dir():
        splits["val"] = _list_classes(root / "val")
        train_names, val_names = splits["train"][2], splits["val"][2]
        extra = sorted(set(val_names) - set(train_names))
        missing = sorted(set(train_names) - set(val_names))
        if extra or missing:
            raise ValueError(
                f"{root}: val/ and train/ have different classes; only in "
                f"val/: {decoding.some(extra, ', ') or 'none'}; only in "
                f"train/: {decoding.some(missing, ', ') or 'none'}. Expected "
                "the same class folders in both. Rename or add the folders, or "
                "move val/ away."
            )
    return splits


def _list_classes(folder):
    """Lists the classes of one set: (paths, labels int32 [N], names)."""
    entries = _entries(folder)
    loose = [entry.name for entry in entries if not entry.is_dir()]
    if loose:
        raise ValueError(
            f"{folder} holds {len(loose)} file(s) beside its class folders: "
            f"{decoding.some(loose, ', ')}. Expected {_LAYOUT}. Move each "
            "image into the folder of its class, and other files away."
        )
    if len(entries) < 2:
        found = f"only the class {entries[0].name}" if entries else "no class"
        raise ValueError(
            f"{folder} has {found}; expected at least two classes to tell "
            f"apart: {_LAYOUT}."
        )
    paths, labels = [], []
    for label, entry in enumerate(entries):
        images = _list_images(entry.path)
        paths += images
        labels += [label] * len(images)
    names = tuple(entry.name for entry in entries)
    return paths, np.asarray(labels, np.int32), names


def _list_images(folder):
    """Lists the image files of one class."""
    entries = _entries(folder)
    suffixes = ", ".join(decoding.SUFFIXES)
    nested = [entry.name for entry in entries if entry.is_dir()]
    unknown = [
        entry.name
        for entry in entries
        if not entry.name.lower().endswith(decoding.SUFFIXES)
    ]
    if nested:
        wrong = (
            f"holds {len(nested)} further folder(s): "
            f"{decoding.some(nested, ', ')}. Expected {_LAYOUT}. Move their "
            "images up into the class folder."
        )
    elif unknown:
        wrong = (
            f"holds {len(unknown)} file(s) that cannot be read as images: "
            f"{decoding.some(unknown, ', ')}. Expected names that end in "
            f"{suffixes}. Convert these files or move them away."
        )
    elif not entries:
        wrong = (
            f"has no image; expected at least one that ends in {suffixes}. "
            "Add images, or remove the folder."
        )
    else:
        return [entry.path for entry in entries]
    raise ValueError(f"The class folder {folder} {wrong}")


def _entries(folder):
    """Returns what lies in a folder by name, without hidden files."""
    with os.scandir(folder) as entries:
        kept = [
            entry
            for entry in entries
            if not entry.name.startswith(".")
            and entry.name.lower() not in _CLUTTER
        ]
    return sorted(kept, key=lambda entry: entry.name)
