"""A small super-net, and what it runs on."""

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import derivation, genotypes, search_space
from entrannas_tf.networks import supernet
from entrannas_tf.networks.execution import graphs

SPACE = search_space.TINY
NUM_EDGES, NUM_PRIMITIVES = len(SPACE.edges), len(SPACE.primitives)

# Tracing takes most of the time, and graphs of one configuration are the same.
_SHARED = graphs.GraphCache(max_graphs=2000)


def make(space=SPACE, image_channels=3, cache=_SHARED, **options):
    """Returns a `supernet.Supernet` of 3 cells, 4 channels at first.

    Args:
        space: As for `supernet.Supernet`.
        image_channels: Likewise.
        cache: Likewise; all that do not say otherwise share one.
        **options: Likewise.
    """
    keras.utils.set_random_seed(0)
    options = {"num_cells": 3, "init_channels": 4, **options}
    return supernet.Supernet(space, image_channels, 10, cache=cache, **options)


def batch(size=8, side=16, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(size, side, side, 3)), tf.float32)


def random_genotype(seed):
    cells = (
        derivation.top_two(
            np.random.default_rng(2 * seed + number).random(
                (NUM_EDGES, NUM_PRIMITIVES)
            ),
            SPACE,
        )
        for number in range(2)
    )
    return genotypes.Genotype(*cells, SPACE)


def indicator(genotype):
    """Returns the coefficients 0 and 1 that stand for a `Genotype`."""
    return {
        kind: tf.constant(derivation.indicator(getattr(genotype, kind), SPACE))
        for kind in search_space.KINDS
    }


def uniform_coefficients():
    share = tf.constant(1 / NUM_PRIMITIVES)
    return {
        kind: tf.fill((NUM_EDGES, NUM_PRIMITIVES), share)
        for kind in search_space.KINDS
    }
