"""Classified photographs in a folder, one sub-folder a class.

The layout is `train/<class>/<image>` and, where there is a validation set,
`val/<class>/<image>`. Number of classes and image size are read from the data.
"""

import os
import pathlib
from concurrent import futures

import numpy as np
import tensorflow as tf
from PIL import Image

from entrannas_tf.data import decoding, source

_LAYOUT = (
    "train/<class>/<image>.jpg for every class and, if there is a validation "
    "set, val/<class>/<image>.jpg"
)
# What file managers leave behind, beside names that begin with a dot.
_CLUTTER = ("thumbs.db", "desktop.ini")
_CHANNELS = 3
_NUM_MEASURED = 1000  # images that mean and standard deviation are taken from
_CHUNK = 1000  # images verified at a time: bounds the memory


def load(directory, image_size=0, *, cache_mib=512, verify=True):
    """Loads a folder of classified images.

    Grey, palette and transparent images become RGB; transparency is dropped.
    Of a moving GIF the first picture counts. Where the decoded images fit
    into `cache_mib` they are decoded once, in parallel, and held as bytes
    (twice that memory while loading); otherwise each batch is decoded when it
    is asked for, which takes milliseconds an image and core.

    Args:
        directory: Path of the folder that holds train/ and perhaps val/.
        image_size: Side S in pixels: the shorter side is resized to it and
            the middle square is cut out. 0 keeps the images as they are,
            which asks that all have one size, square or not.
        cache_mib: Limit in MiB on the decoded images of both sets together.
        verify: Whether images that do not fit into the cache are all decoded
            once at the start, to find a broken one before a training step
            meets it. With False the step that meets it stops and names it.

    Returns:
        (train, val): two `ImageSource` of image shape (S, S, 3); val is None
        without a val/ folder. Both carry mean and standard deviation of up
        to 1,000 training images, evenly chosen.

    Raises:
        ValueError: If the folder is not laid out so, a class has no image,
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
    pool = futures.ThreadPoolExecutor(os.cpu_count() or 1)
    paths = [path for listed in splits.values() for path in listed[0]]
    if image_size:
        shape = (image_size, image_size, _CHANNELS)
    else:
        shape = _common_shape(root, paths, pool)
    cached = len(paths) * np.prod(shape) <= cache_mib * 2**20
    if verify and not cached:
        for start in range(0, len(paths), _CHUNK):
            decoding.decode(paths[start : start + _CHUNK], shape, pool)
    train_paths = splits["train"][0]
    mean, std = source.statistics(
        decoding.decode(_evenly_chosen(train_paths), shape, pool)
    )
    sources = {
        split: _make_source(
            f"{root.name}/{split}", *listed, shape, mean, std, pool, cached
        )
        for split, listed in splits.items()
    }
    return sources["train"], sources.get("val")


def _make_source(name, paths, labels, names, shape, mean, std, pool, cached):
    """Makes an `ImageSource` of files, decoded now or at each fetch."""
    if cached:
        images = decoding.decode(paths, shape, pool)
        return source.from_arrays(name, images, labels, names, mean, std)

    def decode(indices):
        return decoding.decode([paths[index] for index in indices], shape, pool)

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


def _common_shape(root, paths, pool):
    """Reads the images' headers and returns the (H, W, 3) that all have."""
    sizes = [None] * len(paths)

    def read(index):
        with Image.open(paths[index]) as image:
            sizes[index] = image.size

    decoding.for_all(paths, read, pool)
    smallest = min(range(len(paths)), key=lambda index: min(sizes[index]))
    other = next((i for i, s in enumerate(sizes) if s != sizes[smallest]), None)
    if other is not None:
        raise ValueError(
            f"{root}: the images have {len(set(sizes))} different sizes: "
            f"{paths[smallest]} has {_by(sizes[smallest])} and {paths[other]} "
            f"has {_by(sizes[other])} pixels; expected one size where no "
            "image size is given. Give one to resize and crop them to a "
            f"square, such as image_size={min(sizes[smallest])}."
        )
    width, height = sizes[smallest]
    return height, width, _CHANNELS


def _by(size):
    return f"{size[0]}x{size[1]}"


def _evenly_chosen(paths):
    """Returns up to 1,000 paths at equal distances."""
    count = min(len(paths), _NUM_MEASURED)
    chosen = np.linspace(0, len(paths) - 1, count).astype(np.int64)
    return [paths[index] for index in chosen]


def _list_splits(root):
    """Lists train/ and, if it is there, val/: {split: (paths, labels, names)}.

    Raises:
        ValueError: If the folder is not laid out as `load` expects.
    """
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
    nested = [entry.name for entry in entries if entry.is_dir()]
    if nested:
        raise ValueError(
            f"The class folder {folder} holds {len(nested)} further "
            f"folder(s): {decoding.some(nested, ', ')}. Expected {_LAYOUT}. "
            "Move their images up into the class folder."
        )
    unknown = [
        entry.name
        for entry in entries
        if not entry.name.lower().endswith(decoding.SUFFIXES)
    ]
    if unknown:
        raise ValueError(
            f"The class folder {folder} holds {len(unknown)} file(s) that "
            f"cannot be read as images: {decoding.some(unknown, ', ')}. "
            f"Expected names that end in {', '.join(decoding.SUFFIXES)}. "
            "Convert these files or move them away."
        )
    if not entries:
        raise ValueError(
            f"The class folder {folder} has no image; expected at least one "
            f"that ends in {', '.join(decoding.SUFFIXES)}. Add images, or "
            "remove the folder."
        )
    return [entry.path for entry in entries]


def _entries(folder):
    """Returns what lies in a folder by name, without hidden files."""
    with os.scandir(folder) as entries:
        return sorted(
            (
                entry
                for entry in entries
                if not entry.name.startswith(".")
                and entry.name.lower() not in _CLUTTER
            ),
            key=lambda entry: entry.name,
        )
