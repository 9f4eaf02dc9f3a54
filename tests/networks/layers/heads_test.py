"""The heads against NumPy; the exam is conformance_test."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.layers import folding, heads, pooling
from tests.support import slow_layers


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_head_against_numpy(fold):
    images = random(4, 5, 6, 3)
    head = heads.Head(3, 10)
    logits = head(folding.fold(tf.constant(images), fold))
    expected = images.mean((1, 2)) @ head.kernel.numpy() + head.bias.numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize("last_norm", [False, True])
def test_auxiliary_head_against_numpy(last_norm):
    keras.utils.set_random_seed(0)
    images = random(2, 8, 8, 5)
    head = heads.AuxiliaryHead(5, 10, last_norm)
    rectified = np.maximum(images, 0)
    # DARTS: windows of 5x5, 3 apart.
    windows = [
        [rectified[:, i : i + 5, j : j + 5] for j in (0, 3)] for i in (0, 3)
    ]
    pooled = np.stack(
        [np.stack([w.mean((1, 2)) for w in row], 1) for row in windows], 1
    )  # [B, 2, 2, C]
    x = pooled @ head.squeeze.convolution.kernel.numpy()
    x = np.maximum(slow_layers.batch_norm(x, 0.0, 1.0), 0)
    x = np.einsum("bijc,ijcd->bd", x, head.kernel.numpy())
    if last_norm:
        x = slow_layers.batch_norm(x, 0.0, 1.0)
    expected = np.maximum(x, 0) @ head.head.kernel + head.head.bias
    np.testing.assert_allclose(head(tf.constant(images)), expected, atol=1e-5)


@pytest.mark.parametrize("side", range(2, 16))
def test_auxiliary_head_reads_features_of_any_size(side):
    pooled = pooling.pool_to_two(tf.ones([1, side, side + 1, 1]))
    assert pooled.shape == (1, 2, 2, 1)
    # Both windows of a side see as much, and the four see all corners.
    corners = np.zeros((1, side, side + 1, 1), "float32")
    corners[:, [0, 0, -1, -1], [0, -1, 0, -1]] = 1
    assert (pooling.pool_to_two(tf.constant(corners)).numpy() > 0).all()


def test_auxiliary_head_pools_7x7_as_darts():
    images = random(2, 7, 7, 3)
    pooled = pooling.pool_to_two(tf.constant(images))  # 5x5, 2 apart
    np.testing.assert_allclose(
        pooled[:, 1, 0], images[:, 2:7, 0:5].mean((1, 2)), atol=1e-6
    )
