"""A small super-net, and what it runs on."""

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import derivation, genotypes, search_space
from entrannas_tf.networks import supernet


def make(**options):
    """Returns a `supernet.Supernet` of 3 cells."""
    keras.utils.set_random_seed(0)
    options = {"num_cells": 3, "init_channels": 4, **options}
    return supernet.Supernet(search_space.STANDARD, 3, 10, **options)


def batch(size=8, side=16, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(size, side, side, 3)), tf.float32)


def random_genotype(seed):
    cells = (
        derivation.top_two(
            np.random.default_rng(2 * seed + number).random((14, 8)),
            search_space.STANDARD,
        )
        for number in range(2)
    )
    return genotypes.Genotype(*cells)


def uniform_coefficients():
    return {
        kind: tf.fill((14, 8), tf.constant(0.125)) for kind in genotypes.KINDS
    }
