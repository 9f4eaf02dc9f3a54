"""Tests of crops of JPEG files against decoding the whole and slicing."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import jpegs, photos
from tests.support import tfds_imagenet


def gradient(height, width):
    """A JPEG file whose red is the row and whose green is the column."""
    rows, columns = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3))
    image[..., 0] = 255 * (rows + 0.5) / height
    image[..., 1] = 255 * (columns + 0.5) / width
    return tfds_imagenet.jpeg(np.rint(image).astype(np.uint8))


def numbers(count):
    drawn = np.random.default_rng(0).random((4, count))
    return tf.constant(drawn, tf.float32)


def boxes_of(crops):
    """Measures top, left, bottom, right from the edges of gradients."""
    crops = crops.astype(np.float64) / 255
    size = crops.shape[1]
    half_row = (crops[:, -1, :, 0] - crops[:, 0, :, 0]).mean(1) / (size - 1) / 2
    half_column = (crops[:, :, -1, 1] - crops[:, :, 0, 1]).mean(1)
    half_column = half_column / (size - 1) / 2
    return np.stack(
        [
            crops[:, 0, :, 0].mean(1) - half_row,
            crops[:, :, 0, 1].mean(1) - half_column,
            crops[:, -1, :, 0].mean(1) + half_row,
            crops[:, :, -1, 1].mean(1) + half_column,
        ],
        axis=1,
    )


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(200, 300, 96), (200, 300, 24), (300, 120, 48), (40, 40, 64)],
)
def test_crops_follow_the_law_in_the_files_own_size(height, width, size):
    """At every reduction that libjpeg makes, and enlarged."""
    drawn = numbers(24)
    encoded = tf.constant([gradient(height, width)] * 24)
    crops = jpegs.random_crops(encoded, drawn, size, 0.2)
    assert (crops.dtype, crops.shape) == (tf.uint8, (24, size, size, 3))
    expected = photos.crop_boxes(drawn, height, width, 0.2)
    found = boxes_of(crops.numpy())
    # A box ends between pixels, and enlarging repeats those at its border.
    atol = 0.02 + 0.75 / min(height, width)
    np.testing.assert_allclose(found, expected, atol=atol)
    bias = np.abs(found.mean(axis=0) - expected.numpy().mean(axis=0))
    assert bias.max() < atol / 2


def test_a_crop_is_that_of_the_whole_image():
    """But for colours at its border, which libjpeg interpolates."""
    contents = tfds_imagenet.smooth_jpeg(0)  # 96x64
    drawn = tf.constant([[0.2], [0.5], [0.4], [0.6]])
    (crop,) = jpegs.random_crops(tf.constant([contents]), drawn, 48, 0.3)
    (box,) = photos.crop_boxes(drawn, 64.0, 96.0, 0.3).numpy()
    top, left, bottom, right = np.rint(box * [64, 96, 64, 96]).astype(int)
    assert 0 < top < bottom < 64
    assert 0 < left < right < 96
    whole = tf.image.decode_jpeg(contents, channels=3)
    window = whole[top:bottom, left:right]
    resized = tf.round(tf.image.resize(window, (48, 48)))
    differences = np.abs(crop.numpy() - resized)
    assert differences.max() <= 2
    assert not differences[:-1, :-1].any()


@pytest.mark.parametrize(("height", "width"), [(256, 400), (400, 256)])
@pytest.mark.parametrize("size", [224, 56, 20])
def test_the_centre_is_224_of_256_pixels(height, width, size):
    encoded = tf.constant([gradient(height, width)])
    crop = jpegs.center_crops(encoded, size)
    assert (crop.dtype, crop.shape) == (tf.uint8, (1, size, size, 3))
    (box,) = boxes_of(crop.numpy())
    half = np.array([112 / height, 112 / width])
    expected = np.concatenate([0.5 - half, 0.5 + half])
    np.testing.assert_allclose(box, expected, atol=0.015)


def test_files_of_any_size_and_colour_make_one_batch():
    encoded = tf.constant([tfds_imagenet.smooth_jpeg(i) for i in range(20)])
    crops = tf.function(jpegs.center_crops)(encoded, 32).numpy()
    assert crops.shape == (20, 32, 32, 3)
    grey = np.ptp(crops[4].astype(int), axis=-1)
    assert grey.max() == 0
    assert np.ptp(crops[0].astype(int), axis=-1).max() > 100


def test_reducing_averages():
    """Noise at an eighth of its size is nearly grey."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (256, 256), dtype=np.uint8)
    encoded = tf.constant([tfds_imagenet.jpeg(noise)])
    crops = jpegs.center_crops(encoded, 28).numpy().astype(float)
    assert crops.std() < 0.25 * noise.std()
