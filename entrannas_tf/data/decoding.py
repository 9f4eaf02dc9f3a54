"""Image files as arrays, decoded in parallel."""

import os
from concurrent import futures

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

_COLORS = 3  # channels of an image that is not grey
_NUM_NAMED = 5  # files or classes named in one message


def read(paths, shape):
    """Decodes image files.

    Args:
        paths: Sequence of N paths.
        shape: (H, W, C) of the result, C being 3, or 1 for grey: images are
            resized and cropped to it.

    Returns:
        uint8 [N, H, W, C].

    Raises:
        ValueError: If some cannot be decoded; names them.
    """
    pool = futures.ThreadPoolExecutor(os.cpu_count() or 1)
    return decode(paths, shape, pool)


def decode(paths, shape, pool):
    """Decodes files in parallel.

    Args:
        paths: Sequence of N paths.
        shape: (H, W, C) of the result; images are resized and cropped to it.
        pool: Executor whose threads decode. Pillow lets go of Python's lock
            while it decodes, so that they run beside each other.

    Returns:
        uint8 [N, H, W, C].

    Raises:
        ValueError: If some cannot be decoded; names them.
    """
    images = np.empty((len(paths), *shape), np.uint8)

    def read(index):
        images[index] = _decode_image(paths[index], shape)

    for_all(paths, read, pool)
    return images


def for_all(paths, read, pool):
    """Calls read(index) for each path and names the files that fail.

    A damaged file can make Pillow raise nearly anything, so all is caught.

    Args:
        paths: Sequence of N paths.
        read: What reads the file of an index.
        pool: Executor whose threads read.

    Raises:
        ValueError: If some cannot be read; names them.
    """

    def attempt(index):
        try:
            read(index)
        except Exception as error:
            return f"{paths[index]} ({error})"
        return None

    broken = [found for found in pool.map(attempt, range(len(paths))) if found]
    if broken:
        raise ValueError(
            f"{len(broken)} image(s) cannot be decoded: "
            f"{some(broken, '; ')}. Expected whole images in one of the "
            f"formats {', '.join(SUFFIXES)}. Replace or remove them."
        )


def some(items, separator):
    """Joins the first few items and says how many more there are."""
    named = separator.join(items[:_NUM_NAMED])
    rest = len(items) - _NUM_NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def _decode_image(path, shape):
    """Decodes a file to uint8 of this shape, resized and cropped to it."""
    size = (shape[1], shape[0])  # Pillow says width first
    with Image.open(path) as image:
        image.draft(None, size)  # a large JPEG is decoded at a fraction
        if image.mode.startswith("I"):  # 16 bits a pixel; Pillow would clip
            levels = np.asarray(image).astype(np.int64) >> 8
            image = Image.fromarray(levels.astype(np.uint8))
        elif image.mode == "P":  # its transparency needs the longer way
            image = image.convert("RGBA")
        image = image.convert("RGB" if shape[2] == _COLORS else "L")
    image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)
