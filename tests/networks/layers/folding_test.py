"""Folding, and convolutions of folded images."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.layers import folding
from tests.support import folded, slow_layers


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
    assert folding.fold_size(batch_size, limit) == expected


def test_fold_lays_images_side_by_side():
    images = folded.random(4, 3, 2, 5)
    x = folding.fold(tf.constant(images), 2).numpy()
    assert x.shape == (2, 3, 2, 2, 5)
    np.testing.assert_array_equal(x[0, :, :, 0], images[0])
    np.testing.assert_array_equal(x[0, :, :, 1], images[1])
    np.testing.assert_array_equal(x[1, :, :, 0], images[2])
    np.testing.assert_array_equal(x[1, :, :, 1], images[3])


@pytest.mark.parametrize("fold", folded.FOLDS)
def test_unfold_undoes_fold(fold):
    images = folded.random(8, 3, 2, 5)
    x = folding.fold(tf.constant(images), fold)
    np.testing.assert_array_equal(folding.unfold(x), images)


@pytest.mark.parametrize("channels_out", [2, 3, 7])
def test_pointwise(channels_out):
    kernel = folded.random(3, channels_out, seed=1)
    folded.check_folds(
        lambda x: folding.pointwise(x, tf.constant(kernel)),
        lambda x: np.einsum("bhwi,io->bhwo", x, kernel),
        folded.random(4, 5, 6, 3),
    )


@pytest.mark.parametrize("size", folded.SIZES)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [3, 5])
def test_depthwise(width, stride, dilation, size):
    kernel = folded.random(width, width, 3, 1, seed=1)
    folded.check_folds(
        lambda x: folding.depthwise(x, tf.constant(kernel), stride, dilation),
        lambda x: slow_layers.depthwise(x, kernel, stride, dilation),
        folded.random(4, *size, 3),
    )


@pytest.mark.parametrize("size", folded.SIZES)
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2), (2, 1)])
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (1, 5), (7, 1)])
def test_convolution(window, strides, size):
    kernel = folded.random(*window, 3, 2, seed=1)
    folded.check_folds(
        lambda x: folding.convolution(x, tf.constant(kernel), strides),
        lambda x: slow_layers.convolution(x, kernel, strides),
        folded.random(4, *size, 3),
    )


@pytest.mark.parametrize("fold", folded.FOLDS)
def test_subsample(fold):
    images = folded.random(4, 5, 6, 3)
    actual = folded.on_folded(folding.subsample, images, fold)
    np.testing.assert_array_equal(actual, images[:, [0, 2, 4]][:, :, [0, 2, 4]])


@pytest.mark.parametrize("fold", folded.FOLDS)
def test_subsample_shifted(fold):
    images = folded.random(4, 6, 4, 3)
    actual = folded.on_folded(folding.subsample_shifted, images, fold)
    np.testing.assert_array_equal(actual, images[:, [1, 3, 5]][:, :, [1, 3]])


def test_subsample_shifted_pads_odd_sizes_with_zeros():
    images = folded.random(2, 5, 3, 3)
    actual = folding.subsample_shifted(tf.constant(images)).numpy()
    assert actual.shape == folding.subsample(tf.constant(images)).shape
    np.testing.assert_array_equal(actual[:, :2, :1], images[:, [1, 3], 1:2])
    np.testing.assert_array_equal(actual[:, 2], 0)
    np.testing.assert_array_equal(actual[:, :, 1], 0)


def test_symmetric_padding_is_not_same_at_stride_2():
    """The trap that the module exists to avoid."""
    images, kernel = (
        folded.random(1, 6, 6, 2),
        folded.random(3, 3, 2, 1, seed=1),
    )
    same = tf.nn.depthwise_conv2d(images, kernel, [1, 2, 2, 1], "SAME")
    ours = folding.depthwise(tf.constant(images), tf.constant(kernel), 2)
    assert same.shape == ours.shape
    assert np.abs(same - ours).max() > 0.1
