"""Augmentation of photographs, against other words for the same."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import photos


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return tf.constant(rng.uniform(0, 255, (64, 12, 16, 3)), tf.float32)


def ramp(batch, size):
    """Images whose two channels are the row and the column."""
    rows, columns = np.mgrid[:size, :size]
    ramp = np.stack([rows, columns], axis=-1)
    return tf.constant(np.tile(ramp, (batch, 1, 1, 1)), tf.float32)


def test_crops_have_the_sizes_that_are_asked_for():
    size, batch = 33, 500
    cropped = photos.resized_crop(ramp(batch, size), (1, 2), 0.25).numpy()
    assert cropped.shape == (batch, size, size, 2)
    top, bottom = cropped[:, 0, 0, 0], cropped[:, -1, 0, 0]
    left, right = cropped[:, 0, 0, 1], cropped[:, 0, -1, 1]
    last = size - 1
    height, width = (bottom - top) / last, (right - left) / last
    area, ratio = height * width, width / height
    tolerance = 1e-3
    assert area.min() > 0.25 * (1 - tolerance)
    assert area.max() <= 1 + tolerance
    assert 3 / 4 - tolerance < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 4 / 3 + tolerance
    assert area.min() < 0.3
    for low, high in ((top, bottom), (left, right)):
        assert low.min() >= -tolerance
        assert high.max() <= last + tolerance
        # Places are not all alike.
        assert np.std(low / (last - (high - low) + 1e-6)) > 0.1
    # A crop is enlarged evenly.
    steps = np.diff(cropped[:, :, 0, 0], axis=1)
    np.testing.assert_allclose(steps, steps[:, :1] + 0 * steps, atol=1e-3)


def test_the_whole_area_leaves_squares_alone_but_for_the_ratio():
    image = ramp(8, 9)
    cropped = photos.resized_crop(image, (0, 0), 1.0).numpy()
    whole_rows = cropped[:, -1, 0, 0] - cropped[:, 0, 0, 0]
    whole_columns = cropped[:, 0, -1, 1] - cropped[:, 0, 0, 1]
    np.testing.assert_allclose(np.maximum(whole_rows, whole_columns), 8, 1e-5)


def test_colors_stay_in_range_and_differ_by_image(images):
    jittered = photos.jitter_colors(images, (3, 4), 0.4).numpy()
    assert jittered.min() >= 0
    assert jittered.max() <= 255.001
    changes = np.abs(jittered - images.numpy()).mean(axis=(1, 2, 3))
    assert changes.std() > 1
    again = photos.jitter_colors(images, (3, 4), 0.4).numpy()
    np.testing.assert_array_equal(again, jittered)


def test_no_strength_changes_nothing(images):
    jittered = photos.jitter_colors(images, (3, 4), 0.0).numpy()
    np.testing.assert_allclose(jittered, images, atol=0.01)


def test_jitter_against_the_words_of_its_docstring(images):
    strength, seed = 0.4, (5, 6)
    drawn = tf.random.stateless_uniform(
        [4, 64, 1, 1, 1], seed, -strength, strength
    ).numpy()[..., 0, 0, 0]
    number = int(np.argmin(drawn[0]))  # A darker one: nothing is clipped yet.
    brightness, contrast, saturation, turn = drawn[:, number]
    x = images.numpy()[number] * (1 + brightness)
    luma = np.array([0.299, 0.587, 0.114])
    mean = (x @ luma).mean()
    x = np.clip(mean + (x - mean) * (1 + contrast), 0, 255)
    grey = (x @ luma)[..., None]
    x = np.clip(grey + (x - grey) * (1 + saturation), 0, 255)
    expected = np.empty_like(x)
    for place in np.ndindex(12, 16):
        hue, s, v = colorsys.rgb_to_hsv(*(x[place] / 255))
        expected[place] = colorsys.hsv_to_rgb((hue + turn / 2) % 1, s, v)
    actual = photos.jitter_colors(images, seed, strength).numpy()[number]
    np.testing.assert_allclose(actual, expected * 255, atol=0.05)
