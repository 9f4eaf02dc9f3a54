"""The head against NumPy; the exam is conformance_test."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.layers import folding, heads


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_head_against_numpy(fold):
    images = random(4, 5, 6, 3)
    head = heads.Head(3, 10)
    logits = head(folding.fold(tf.constant(images), fold))
    expected = images.mean((1, 2)) @ head.kernel.numpy() + head.bias.numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)
