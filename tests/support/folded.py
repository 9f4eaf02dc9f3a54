"""Functions of the folded layout beside slow ones, at every fold."""

import numpy as np
import tensorflow as tf

from entrannas_tf.networks.layers import folding

FOLDS = (1, 2, 4)
# Even, odd, and one of each.
SIZES = [(6, 6), (7, 7), (6, 5)]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def on_folded(function, images, fold, channels_out=None):
    """Applies a function in the folded layout; returns [B, H, W, C]."""
    channels = images.shape[-1]
    folded = folding.fold(tf.constant(images), fold)
    assert folded.shape == (
        len(images) // fold,
        *images.shape[1:3],
        fold * channels,
    )
    result = function(folded)
    assert result.shape[-1] == fold * (channels_out or channels)
    return folding.unfold(result, channels_out or channels).numpy()


def check_folds(function, slow, images, channels_out=None):
    """At every fold the function equals the slow one in value and shape."""
    expected = slow(images)
    for fold in FOLDS:
        actual = on_folded(function, images, fold, channels_out)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, atol=1e-12)
