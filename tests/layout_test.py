"""The folded layout, and convolutions on it."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf import layout
from tests import folding, slow_layout


@pytest.mark.parametrize(
    ("batch_size", "limit", "expected"),
    [
        (64, 64, 64),
        (128, 64, 64),
        (96, 64, 48),
        (100, 64, 50),
        (97, 64, 1),
        (6, 4, 3),
        (8, 1, 1),
        (1, 64, 1),
        (None, 64, 1),
    ],
)
def test_fold_size(batch_size, limit, expected):
    assert layout.fold_size(batch_size, limit) == expected


def test_fold_lays_the_channels_of_an_image_side_by_side():
    images = folding.random(4, 3, 2, 5)
    folded = layout.fold(tf.constant(images), 2).numpy()
    assert folded.shape == (2, 3, 2, 10)
    np.testing.assert_array_equal(folded[0, :, :, :5], images[0])
    np.testing.assert_array_equal(folded[0, :, :, 5:], images[1])
    np.testing.assert_array_equal(folded[1, :, :, :5], images[2])
    np.testing.assert_array_equal(folded[1, :, :, 5:], images[3])


@pytest.mark.parametrize("fold", folding.FOLDS)
def test_unfold_undoes_fold(fold):
    images = folding.random(8, 3, 2, 5)
    folded = layout.fold(tf.constant(images), fold)
    np.testing.assert_array_equal(layout.unfold(folded, 5), images)


@pytest.mark.parametrize("fold", folding.FOLDS)
def test_fold_undoes_unfold(fold):
    folded = folding.random(2, 3, 2, 5 * fold)
    images = layout.unfold(tf.constant(folded), 5)
    np.testing.assert_array_equal(layout.fold(images, fold), folded)


@pytest.mark.parametrize("fold", folding.FOLDS)
def test_split_and_concat_of_unequal_parts(fold):
    images = folding.random(4, 3, 2, 8)
    folded = layout.fold(tf.constant(images), fold)
    parts = layout.split(folded, 8, 2)
    np.testing.assert_array_equal(layout.unfold(parts[0], 2), images[..., :2])
    np.testing.assert_array_equal(layout.unfold(parts[1], 6), images[..., 2:])
    np.testing.assert_array_equal(layout.concat(parts, 2), folded)


@pytest.mark.parametrize("fold", folding.FOLDS)
def test_shuffle(fold):
    images = folding.random(4, 3, 2, 6)
    actual = folding.on_folded(lambda x: layout.shuffle(x, 6, 2), images, fold)
    np.testing.assert_array_equal(actual, images[..., [0, 3, 1, 4, 2, 5]])


@pytest.mark.parametrize("fold", folding.FOLDS)
def test_concat(fold):
    parts = [folding.random(4, 3, 2, 5, seed=s) for s in range(3)]
    folded = [layout.fold(tf.constant(part), fold) for part in parts]
    joined = layout.unfold(layout.concat(folded, 5), 15)
    np.testing.assert_array_equal(joined, np.concatenate(parts, axis=-1))


@pytest.mark.parametrize("channels_out", [2, 3, 7])
def test_pointwise(channels_out):
    kernel = folding.random(3, channels_out, seed=1)
    folding.check_folds(
        lambda x: layout.pointwise(x, tf.constant(kernel)),
        lambda x: np.einsum("bhwi,io->bhwo", x, kernel),
        folding.random(4, 5, 6, 3),
        channels_out,
    )


@pytest.mark.parametrize("size", folding.SIZES)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [3, 5])
def test_depthwise(width, stride, dilation, size):
    kernel = folding.random(width, width, 3, 1, seed=1)
    folding.check_folds(
        lambda x: layout.depthwise(x, tf.constant(kernel), stride, dilation),
        lambda x: slow_layout.depthwise(x, kernel, stride, dilation),
        folding.random(4, *size, 3),
    )


@pytest.mark.parametrize("size", folding.SIZES)
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2), (2, 1)])
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (1, 5), (7, 1)])
def test_convolution(window, strides, size):
    kernel = folding.random(*window, 3, 2, seed=1)
    folding.check_folds(
        lambda x: layout.convolution(x, tf.constant(kernel), strides),
        lambda x: slow_layout.convolution(x, kernel, strides),
        folding.random(4, *size, 3),
        channels_out=2,
    )


@pytest.mark.parametrize("fold", folding.FOLDS)
def test_subsample(fold):
    images = folding.random(4, 5, 6, 3)
    actual = folding.on_folded(layout.subsample, images, fold)
    np.testing.assert_array_equal(actual, images[:, [0, 2, 4]][:, :, [0, 2, 4]])


@pytest.mark.parametrize("fold", folding.FOLDS)
def test_subsample_shifted(fold):
    images = folding.random(4, 6, 4, 3)
    actual = folding.on_folded(layout.subsample_shifted, images, fold)
    np.testing.assert_array_equal(actual, images[:, [1, 3, 5]][:, :, [1, 3]])


def test_subsample_shifted_pads_odd_sizes_with_zeros():
    images = folding.random(2, 5, 3, 3)
    actual = layout.subsample_shifted(tf.constant(images)).numpy()
    assert actual.shape == layout.subsample(tf.constant(images)).shape
    np.testing.assert_array_equal(actual[:, :2, :1], images[:, [1, 3], 1:2])
    np.testing.assert_array_equal(actual[:, 2], 0)
    np.testing.assert_array_equal(actual[:, :, 1], 0)


def test_symmetric_padding_is_not_same_at_stride_2():
    """The trap that the module exists to avoid (DESIGN.md section 3)."""
    images, kernel = (
        folding.random(1, 6, 6, 2),
        folding.random(3, 3, 2, 1, seed=1),
    )
    same = tf.nn.depthwise_conv2d(images, kernel, [1, 2, 2, 1], "SAME")
    ours = layout.depthwise(tf.constant(images), tf.constant(kernel), 2)
    assert same.shape == ours.shape
    assert np.abs(same - ours).max() > 0.1
