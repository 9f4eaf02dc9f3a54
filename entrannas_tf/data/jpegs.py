"""Crops of JPEG files, decoding no more of a file than its crop needs."""

import os

import tensorflow as tf

from entrannas_tf.data import photos

# Side of the centre crop relative to the shorter side, as for ImageNet since
# Krizhevsky et al. (2012).
_CENTER = 224 / 256

# The factors by which libjpeg can reduce a file while it decodes it.
_RATIOS = (1, 2, 4, 8)


def random_crops(encoded, numbers, size, min_area):
    """Cuts out rectangles as `photos.resized_crop` does.

    Args:
        encoded: string [B], JPEG files.
        numbers: float32 [4, B], random, uniform in [0, 1).
        size: Side S of the result in pixels.
        min_area: Least share of the area, above 0, at most 1.

    Returns:
        uint8 [B, S, S, 3].
    """

    def choose(height, width, numbers):
        return photos.crop_boxes(numbers, height, width, min_area)

    return _map(choose, (encoded, tf.transpose(numbers)), size)


def center_crops(encoded, size):
    """Resizes the shorter side to S * 256 / 224 and cuts out the middle.

    Args:
        encoded: string [B], JPEG files.
        size: Side S of the result in pixels.

    Returns:
        uint8 [B, S, S, 3].
    """

    def choose(height, width):
        half = 0.5 * _CENTER * tf.minimum(height, width)
        half = tf.stack([half / height, half / width])  # Relative.
        return tf.concat([0.5 - half, 0.5 + half], 0)

    return _map(choose, (encoded,), size)


def _map(choose, tensors, size):
    """Crops the files of a batch in parallel: uint8 [B, S, S, 3]."""

    def crop(arguments):
        contents, *numbers = arguments
        shape = tf.image.extract_jpeg_shape(contents)  # [H, W, C]
        height, width, _ = tf.unstack(tf.cast(shape, tf.float32))
        box = choose(height, width, *numbers)
        return _decode(contents, box, height, width, size)

    return tf.map_fn(
        crop,
        tensors,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
        parallel_iterations=os.cpu_count() or 1,
    )


def _decode(contents, box, height, width, size):
    """Decodes a box of a JPEG file and resizes it.

    libjpeg reduces the image as far as the box still has S pixels each way:
    that is faster, and leaves less than a factor of 2, on one axis at least,
    to an interpolation that does not average.

    Args:
        contents: string scalar, the file.
        box: float32 [4]: top, left, bottom, right, relative to the image.
        height, width: float32 scalars, of the image in pixels.
        size: Side S in pixels of the result, uint8 [S, S, 3].
    """
    top, left, bottom, right = tf.unstack(box)
    excess = tf.minimum((bottom - top) * height, (right - left) * width) / size

    def decode_at(ratio):
        start_y, num_rows = _span(top, bottom, tf.math.ceil(height / ratio))
        start_x, num_columns = _span(left, right, tf.math.ceil(width / ratio))
        return tf.image.decode_and_crop_jpeg(
            contents,
            tf.stack([start_y, start_x, num_rows, num_columns]),
            channels=3,
            ratio=ratio,
        )

    chosen = tf.reduce_sum(tf.cast(excess >= _RATIOS[1:], tf.int32))
    image = tf.switch_case(
        chosen, [lambda r=ratio: decode_at(r) for ratio in _RATIOS]
    )
    image = tf.image.resize(image, (size, size))
    return tf.cast(tf.round(image), tf.uint8)


def _span(start, end, length):
    """Returns the first pixel and the number of pixels of a relative span."""
    first = tf.minimum(tf.round(start * length), length - 1.0)
    number = tf.maximum(tf.round(end * length) - first, 1.0)
    return tf.cast(first, tf.int32), tf.cast(number, tf.int32)
