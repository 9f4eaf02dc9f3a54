"""Functions of folded images beside slow ones, at every fold."""

import numpy as np
import tensorflow as tf

from entrannas_tf.networks.layers import folding

FOLDS = (1, 2, 4)
# Even, odd, and one of each.
SIZES = [(6, 6), (7, 7), (6, 5)]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def on_folded(function, images, fold):
    """Applies a function to folded images; returns [B, H, W, C]."""
    x = folding.fold(tf.constant(images), fold)
    assert x.shape.rank == (4 if fold == 1 else 5)
    y = function(x)
    assert y.shape[:1] == x.shape[:1]
    return folding.unfold(y).numpy()


def check_folds(function, slow, images):
    """At every fold the function equals the slow one in value and shape."""
    expected = slow(images)
    for fold in FOLDS:
        actual = on_folded(function, images, fold)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, atol=1e-12)
