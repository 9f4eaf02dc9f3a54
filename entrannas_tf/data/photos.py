"""Augmentation of photographs, as for ImageNet (Szegedy et al., 2015).

Pure, stateless, safe in graphs. Images are float32 [B, H, W, C], 0 to 255.
"""

import math

import tensorflow as tf

from entrannas_tf.data import sampling

_MAX_RATIO = 4.0 / 3.0  # of width to height; the least is its inverse
_LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in grey


def resized_crop(images, seed, min_area, share=sampling.WHOLE):
    """Cuts out rectangles, see `crop_boxes`, and enlarges them.

    Args:
        images: float32 [B, H, W, C].
        seed: int32 [2].
        min_area: Least share of the area, above 0, at most 1.
        share: `sampling.Share`: which of the step's images these are.

    Returns:
        float32 [B, H, W, C].
    """
    batch, height, width, _ = images.shape
    numbers = sampling.uniform(4, batch, seed, share)
    boxes = crop_boxes(numbers, height, width, min_area)
    return tf.image.crop_and_resize(
        images, boxes, tf.range(batch), (height, width)
    )


def crop_boxes(numbers, height, width, min_area):
    """Chooses rectangles of random size, shape and place.

    The share of the area is uniform from its least value to 1, the logarithm
    of the aspect ratio uniform between those of 3/4 and 4/3. A rectangle
    longer than the image is cut at its borders.

    Args:
        numbers: float32 [4, ...], random numbers, uniform in [0, 1).
        height: Of the image in pixels, a number or a float32 scalar.
        width: Of the image in pixels.
        min_area: Least share of the area, above 0, at most 1.

    Returns:
        float32 [..., 4]: top, left, bottom and right, relative to the image.
    """
    share, ratio, top, left = tf.unstack(numbers)
    area = height * width * (min_area + (1.0 - min_area) * share)
    ratio = tf.exp(math.log(_MAX_RATIO) * (2.0 * ratio - 1.0))
    rows = tf.minimum(tf.sqrt(area / ratio) / height, 1.0)  # Relative.
    columns = tf.minimum(tf.sqrt(area * ratio) / width, 1.0)
    top, left = top * (1.0 - rows), left * (1.0 - columns)
    return tf.stack([top, left, top + rows, left + columns], axis=-1)


def jitter_colors(images, seed, strength, share=sampling.WHOLE):
    """Changes brightness, contrast, saturation and hue, image by image.

    Args:
        images: float32 [B, H, W, 3].
        seed: int32 [2].
        strength: The first three are scaled by factors between 1 - strength
            and 1 + strength; the hue turns by up to strength / 2 of the circle.
        share: `sampling.Share`: which of the step's images these are.

    Returns:
        float32 [B, H, W, 3], from 0 to 255.
    """
    drawn = sampling.uniform(
        4, images.shape[0], seed, share, -strength, strength
    )
    drawn = drawn[..., None, None, None]  # [4, B, 1, 1, 1]
    brightness, contrast, saturation, turn = tf.unstack(drawn)
    images = _clip(images * (1.0 + brightness))
    luma = tf.constant(_LUMA)[:, None]  # [3, 1]
    mean = tf.reduce_mean(images, axis=[1, 2]) @ luma  # [B, 1]
    mean = mean[:, None, None]  # [B, 1, 1, 1]
    images = _clip(mean + (images - mean) * (1.0 + contrast))
    # grey + (images - grey) * (1 + saturation) as one product: a sum over an
    # innermost axis of 3 is slow.
    saturation = saturation[:, 0]  # [B, 1, 1]
    mix = (1.0 + saturation) * tf.eye(3) - saturation * luma  # [B, 3, 3]
    batch, height, width, _ = images.shape
    pixels = tf.reshape(images, [batch, height * width, 3])
    images = tf.reshape(_clip(pixels @ mix), images.shape)
    hue, *others = tf.unstack(tf.image.rgb_to_hsv(images / 255.0), axis=-1)
    hue += turn[..., 0] / 2.0
    hue -= tf.floor(hue)  # 20 times as fast as tf.math.floormod.
    return tf.image.hsv_to_rgb(tf.stack([hue, *others], axis=-1)) * 255.0


def _clip(images):
    return tf.clip_by_value(images, 0.0, 255.0)
