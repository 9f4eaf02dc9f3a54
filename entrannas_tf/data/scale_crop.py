"""Augmentation of photographs and their masks, as DeepLabV3's.

A photograph and its mask are scaled at random, cropped at a random place,
padded where the scaled photograph is smaller than the crop, and mirrored at
random (Chen et al., 2017, Section 4.1). The random numbers are drawn in the
graph; the pixels are made of them in NumPy and Pillow.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from entrannas_tf.data import augment, sampling

IGNORED = 255  # in a mask: a pixel that is not labelled, or padding


class Augmentation(NamedTuple):
    """How photographs and their masks are augmented for training.

    Attributes:
        crop_size: Side S of the crop in pixels.
        min_scale: Least factor that a photograph is scaled by, above 0.
        max_scale: Largest factor; the factor is uniform between the two.
        flip: Whether half of the crops, at random, are mirrored.
    """

    crop_size: int
    min_scale: float = 0.5
    max_scale: float = 2.0
    flip: bool = True

    def preparer(self, source, num_replicas):
        """Returns the function that makes a training batch of a row.

        Args:
            source: `voc.MaskedPhotos`.
            num_replicas: Number of replicas R that share each batch.

        Returns:
            A function of (chosen int64 [B / R], seed int32 [2], replica int32
            scalar) that works in graphs and returns (images, labels): float32
            [B / R, S, S, 3], normalised, and int32 [B / R, S, S]. Padding is
            the mean colour, so that it is 0 but for the rounding to bytes.
        """
        fill = np.rint(255.0 * source.mean).astype(np.uint8)

        def prepare(chosen, seed, replica):
            share = sampling.Share(replica, num_replicas)
            numbers = sampling.uniform(4, chosen.shape[0], seed, share)
            images, labels = source.fetch_crops(chosen, numbers, self, fill)
            return augment.normalise(images, source.mean, source.std), labels

        return prepare


def crop(image, mask, numbers, settings, fill):
    """Scales, crops, pads and mirrors a photograph and its mask alike.

    Only the region that the crop shows is resized: bilinearly for the
    photograph, to the nearest pixel for the mask. Padding lies at the bottom
    and on the right before the crop is mirrored.

    Args:
        image: uint8 [H, W, 3].
        mask: uint8 [H, W].
        numbers: float [4], uniform in [0, 1): scale, top, left, mirror.
        settings: `Augmentation`.
        fill: uint8 [3], the colour of padding; the mask's is `IGNORED`.

    Returns:
        (uint8 [S, S, 3], uint8 [S, S]).
    """
    number, top, left, mirror = map(float, numbers)
    size = settings.crop_size
    scale = settings.min_scale
    scale += number * (settings.max_scale - settings.min_scale)
    rows, start_y, end_y = _span(mask.shape[0], scale, size, top)
    columns, start_x, end_x = _span(mask.shape[1], scale, size, left)

    def resize(pixels, method):
        box = (start_x, start_y, end_x, end_y)
        return Image.fromarray(pixels).resize((columns, rows), method, box)

    cropped = np.full((size, size, 3), fill, np.uint8)
    cropped[:rows, :columns] = resize(image, Image.Resampling.BILINEAR)
    labels = np.full((size, size), IGNORED, np.uint8)
    labels[:rows, :columns] = resize(mask, Image.Resampling.NEAREST)
    if settings.flip and mirror < 0.5:
        return cropped[:, ::-1], labels[:, ::-1]
    return cropped, labels


def _span(length, scale, crop_size, number):
    """Places a crop along one axis.

    Args:
        length: Of the photograph in pixels.
        scale: Factor that it is scaled by.
        crop_size: Side of the crop in pixels.
        number: Uniform in [0, 1), chooses the place.

    Returns:
        (Pixels of the crop that show the photograph, start and end of what
        they show in pixels of the photograph, which may be fractions).
    """
    scaled = max(1, round(scale * length))
    visible = min(scaled, crop_size)
    first = int(number * (scaled - visible + 1))
    # Multiplied first: the end of the photograph is then exactly its length.
    return visible, first * length / scaled, (first + visible) * length / scaled
