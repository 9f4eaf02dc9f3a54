"""Tests of the augmentation against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import augment

_MEAN, _STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(1, 256, (32, 8, 10, 3), dtype=np.uint8)


def _seed(number):
    return tf.constant([number, 3], tf.int32)


def _crops(image, padding, flip):
    """All crops that an image may become, as {bytes: (row, column, flip)}."""
    height, width, _ = image.shape
    sides = (padding, padding)
    padded = np.pad(image, (sides, sides, (0, 0)))
    found = {}
    for row in range(2 * padding + 1):
        for column in range(2 * padding + 1):
            crop = padded[row : row + height, column : column + width]
            found[crop.tobytes()] = row, column, False
            if flip:
                found[crop[:, ::-1].tobytes()] = row, column, True
    return found


def test_normalise_is_numpys(images):
    expected = (images / 255.0 - _MEAN) / _STD
    result = augment.normalise(images, _MEAN, _STD)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_crops_are_crops_of_the_padded_image_and_all_occur(images):
    places = []
    for number in range(40):
        cropped = augment.crop_and_flip(
            tf.constant(images), _seed(number), _seed(-number), 2, True
        )
        assert cropped.dtype == tf.uint8
        for image, crop in zip(images, cropped.numpy(), strict=True):
            places.append(_crops(image, 2, True)[crop.tobytes()])
    counts = {place: places.count(place) for place in set(places)}
    assert len(counts) == 5 * 5 * 2
    assert max(counts.values()) < 2 * len(places) / len(counts)


def test_nothing_is_mirrored_without_flip(images):
    cropped = augment.crop_and_flip(
        tf.constant(images), _seed(1), _seed(2), 1, False
    )
    for image, crop in zip(images, cropped.numpy(), strict=True):
        assert crop.tobytes() in _crops(image, 1, False)


@pytest.mark.parametrize("length", [4, 5, 30])
def test_cutout_zeroes_a_clipped_square(length):
    ones = tf.ones([500, 8, 10, 2])
    zeros = augment.cutout(ones, _seed(0), length).numpy() == 0
    np.testing.assert_array_equal(zeros[..., 0], zeros[..., 1])
    heights = zeros[..., 0].any(axis=2).sum(axis=1)
    widths = zeros[..., 0].any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(zeros[..., 0].sum((1, 2)), heights * widths)
    side = length // 2 * 2
    assert heights.max() == min(side, 8)
    assert widths.max() == min(side, 10)
    assert heights.min() == min(side // 2, 8)  # centred on the first row
    assert widths.min() == min(side // 2, 10)


def test_padding_is_black_and_cutout_is_the_mean():
    black = (0.0 - np.float32(_MEAN)) / np.float32(_STD)
    white = (1.0 - np.float32(_MEAN)) / np.float32(_STD)
    images = tf.fill([64, 8, 8, 3], tf.constant(255, tf.uint8))
    result = augment.augment(
        images,
        _seed(5),
        _MEAN,
        _STD,
        augment.Augmentation(3, True, 4),
    )
    pixels = np.unique(result.numpy().reshape(-1, 3).round(4), axis=0)
    expected = np.unique(np.round([black, [0, 0, 0], white], 4), axis=0)
    np.testing.assert_allclose(pixels, expected, atol=2e-4)


def test_the_seed_decides_in_graphs_too(images):
    def run(images, seed):
        return augment.augment(
            images,
            seed,
            _MEAN,
            _STD,
            augment.Augmentation(2, True, 4),
        )

    first = run(images, _seed(1))
    np.testing.assert_array_equal(first, run(images, _seed(1)))
    np.testing.assert_array_equal(
        first, tf.function(run)(tf.constant(images), _seed(1))
    )
    assert np.any(first != run(images, _seed(2)))


def test_all_off_is_normalisation_alone(images):
    result = augment.augment(
        images,
        _seed(1),
        _MEAN,
        _STD,
        augment.Augmentation(0, False, 0),
    )
    np.testing.assert_array_equal(
        result, augment.normalise(images, _MEAN, _STD)
    )
