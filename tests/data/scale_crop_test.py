"""Tests of crops of photographs with masks, against slices of the whole."""

import numpy as np
import pytest
from PIL import Image

from entrannas_tf.data import scale_crop

FILL = np.array([9, 8, 7], np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (31, 43, 3), np.uint8)
INDICES = np.random.default_rng(1).integers(0, 21, (31, 43), np.uint8)


def number_of(scale, settings):
    """The random number that gives a scale."""
    span = settings.max_scale - settings.min_scale
    return (scale - settings.min_scale) / span


@pytest.mark.parametrize("scale", [0.5, 0.77, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("place", [0.0, 0.4, 1 - 2**-24])
def test_a_crop_is_a_slice_of_the_scaled_photograph(scale, place):
    settings = scale_crop.Augmentation(24, 0.4, 2.5)
    numbers = (number_of(scale, settings), place, 1 - 2**-24, 0.9)
    image, mask = scale_crop.crop(NOISE, INDICES, numbers, settings, FILL)
    height, width = round(31 * scale), round(43 * scale)
    whole = Image.fromarray(NOISE).resize((width, height), 2)
    labels = Image.fromarray(INDICES).resize((width, height), 0)
    rows, columns = min(24, height), min(24, width)
    top = int(place * (height - rows + 1))
    shown = (slice(top, top + rows), slice(width - columns, width))
    differences = np.asarray(whole, int)[shown] - image[:rows, :columns]
    assert np.abs(differences).max() <= 1
    same = np.asarray(labels)[shown] == mask[:rows, :columns]
    assert same.mean() > 0.99  # but for ties between two pixels
    assert (image.dtype, mask.dtype) == (np.uint8, np.uint8)


def test_padding_is_at_the_bottom_and_right_and_ignored():
    settings = scale_crop.Augmentation(64, 1.0, 1.0)
    image, mask = scale_crop.crop(
        NOISE, INDICES, (0.5, 0.5, 0.5, 0.9), settings, FILL
    )
    np.testing.assert_array_equal(image[:31, :43], NOISE)
    np.testing.assert_array_equal(mask[:31, :43], INDICES)
    padding = np.ones((64, 64), bool)
    padding[:31, :43] = False
    assert np.all(image[padding] == FILL)
    assert np.all(mask[padding] == 255)


@pytest.mark.parametrize("crop_size", [16, 64])
def test_half_of_the_crops_are_mirrored(crop_size):
    settings = scale_crop.Augmentation(crop_size)
    plain = scale_crop.crop(
        NOISE, INDICES, (0.3, 0.4, 0.6, 0.5), settings, FILL
    )
    numbers = (0.3, 0.4, 0.6, 0.499)
    mirrored = scale_crop.crop(NOISE, INDICES, numbers, settings, FILL)
    never = settings._replace(flip=False)
    kept = scale_crop.crop(NOISE, INDICES, numbers, never, FILL)
    for index in range(2):
        expected = plain[index]
        np.testing.assert_array_equal(mirrored[index], expected[:, ::-1])
        np.testing.assert_array_equal(kept[index], expected)


def test_scales_are_uniform_between_the_limits():
    """The side that the photograph then has, counted in its mask."""
    settings = scale_crop.Augmentation(200, 0.5, 2.0, flip=False)
    mask = np.zeros((100, 100), np.uint8)
    for number, side in ((0.0, 50), (0.5, 125), (1 - 2**-24, 200)):
        _, labels = scale_crop.crop(
            np.zeros((100, 100, 3), np.uint8),
            mask,
            (number, 0.0, 0.0, 0.0),
            settings,
            FILL,
        )
        assert np.count_nonzero(labels == 0) == side**2


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("low", "high"), [(0.5, 1.0), (1.0, 2.0)])
def test_photograph_and_mask_stay_aligned(axis, low, high):
    """Both are a ramp; a mask's pixel is the nearest to the photograph's."""
    mask = np.indices((31, 43), np.uint8)[axis]
    image = np.repeat(5 * mask[..., None], 3, axis=2)
    settings = scale_crop.Augmentation(20, low, high)
    drawn = np.random.default_rng(0).random((200, 4))
    offsets, mirrored = [], 0
    for numbers in drawn:
        crop, labels = scale_crop.crop(image, mask, numbers, settings, FILL)
        shown = labels != scale_crop.IGNORED
        offsets.append(crop[shown][:, 0] / 5 - labels[shown])
        mirrored += axis == 1 and labels[0, 0] > labels[0, 15]
    offsets = np.concatenate(offsets)
    # Half a pixel, rounding to bytes, and at borders averages of one side.
    assert np.abs(offsets).max() <= 0.5 + 0.1 + (0.25 if low < 1 else 0)
    assert abs(offsets.mean()) < 0.02
    if axis == 1:
        assert 70 < mirrored < 130
