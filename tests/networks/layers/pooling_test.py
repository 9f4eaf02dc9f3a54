"""Pooling, against NumPy and TensorFlow's own gradient."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.layers import pooling
from tests.support import folded, slow_layers


@pytest.mark.parametrize("size", folded.SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_pool(name, stride, size):
    # All below 0: padding with 0 would win a maximum and move a mean.
    images = folded.random(4, *size, 3) - 10
    actual = getattr(pooling, name)(tf.constant(images), stride)
    expected = getattr(slow_layers, name)(images, stride)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("size", folded.SIZES)
def test_max_pool_2x2(size):
    def slow(x):
        odd = [(0, side % 2) for side in size]
        x = np.pad(x, [(0, 0), *odd, (0, 0)], constant_values=-np.inf)
        x = x.reshape(4, x.shape[1] // 2, 2, x.shape[2] // 2, 2, 3)
        return x.max(axis=(2, 4))

    images = folded.random(4, *size, 3) - 10
    actual = pooling.max_pool_2x2(tf.constant(images))
    np.testing.assert_array_equal(actual, slow(images))


@pytest.mark.parametrize("size", folded.SIZES)
@pytest.mark.parametrize("stride", [1, 2])
def test_gradient_of_max_pool(stride, size):
    """As TensorFlow's own kernel, equal values and margins included."""
    images = tf.constant(
        np.random.default_rng(0).integers(3, size=(2, *size, 5))
    )
    images = tf.cast(images, tf.float32) - 5
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        ours = pooling.max_pool(images, stride)
        margins = [[0, 0], [1, 1], [1, 1], [0, 0]]
        theirs = tf.nn.max_pool2d(images, 3, stride, margins)
    upstream = tf.constant(folded.random(*ours.shape), tf.float32)
    np.testing.assert_allclose(
        tape.gradient(ours, images, upstream),
        tape.gradient(theirs, images, upstream),
        atol=1e-5,
    )
