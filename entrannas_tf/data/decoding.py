"""Image files as arrays, decoded in parallel."""

import os
from concurrent import futures

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

_COLORS = 3  # channels of an image that is not grey
_NUM_NAMED = 5  # files or classes named in one message


# Pillow lets go of Python's lock while it decodes.
_POOL = futures.ThreadPoolExecutor(os.cpu_count() or 1)


def decode(paths, shape):
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
    images = for_all(paths, lambda path: _decode_image(path, shape))
    return np.asarray(images, np.uint8).reshape(-1, *shape)


def for_all(paths, read):
    """Returns read(path) of each path, in order, run in parallel.

    Raises:
        ValueError: If some cannot be read; names them.
    """

    def attempt(path):
        try:
            return read(path), None
        except Exception as error:  # Pillow raises nearly anything.
            return None, f"{path} ({error})"

    found = in_parallel(attempt, paths)
    broken = [message for _, message in found if message]
    if broken:
        raise ValueError(
            f"{len(broken)} image(s) cannot be decoded: "
            f"{some(broken, '; ')}. Expected whole images in one of the "
            f"formats {', '.join(SUFFIXES)}. Replace or remove them."
        )
    return [value for value, _ in found]


def in_parallel(function, *sequences):
    """Returns the list of `map`, run in parallel."""
    return list(_POOL.map(function, *sequences))


def read_rgb(path):
    """Returns an image file at its own size: uint8 [H, W, 3]."""
    with Image.open(path) as image:
        return np.asarray(_colored(image, "RGB"))


def some(items, separator):
    """Joins the first few items and says how many more there are."""
    named = separator.join(items[:_NUM_NAMED])
    rest = len(items) - _NUM_NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def _decode_image(path, shape):
    """Returns uint8 of this shape, without a last axis of 1."""
    size = (shape[1], shape[0])  # Pillow says width first
    with Image.open(path) as image:
        image.draft(None, size)  # a large JPEG is decoded at a fraction
        image = _colored(image, "RGB" if shape[2] == _COLORS else "L")
    return np.asarray(ImageOps.fit(image, size, Image.Resampling.BILINEAR))


def _colored(image, mode):
    """Returns a Pillow image as "RGB" or "L"."""
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow would clip
        levels = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(levels.astype(np.uint8))
    elif image.mode == "P":  # its transparency needs the longer way
        image = image.convert("RGBA")
    return image.convert(mode)
