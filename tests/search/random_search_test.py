import types

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.data import source
from entrannas_tf.search import random_search
from tests.support import toy_trainer


class PickyNetwork:
    """Is right where an image is bright, or the genotype is the liked one."""

    def __init__(self, liked):
        self._liked = liked

    def forward(self, images, coefficients, genotype):
        assert coefficients is None
        right = tf.reduce_mean(images, [1, 2, 3]) > 0
        right = tf.cast(right | (genotype == self._liked), tf.float32)
        return types.SimpleNamespace(logits=tf.stack([right, 1 - right], 1))


def make(seed=3, num_candidates=4, space=search_space.STANDARD):
    return random_search.RandomSearch(seed, space, num_candidates)


def test_genotypes_depend_on_the_seed_and_a_number_alone():
    drawn = [make().draw(step) for step in range(5)]
    assert drawn == [make().draw(step) for step in range(5)]
    candidates = make().candidates()
    assert len(candidates) == 4
    assert make(num_candidates=2).candidates() == candidates[:2]
    others = [make(seed=4).draw(0), *make(seed=4).candidates()]
    assert len({*drawn, *candidates, *others}) == 5 + 4 + 5


def test_space_is_drawn_from():
    names = {
        c.primitive
        for step in range(20)
        for node in make(space=search_space.EXTENDED).draw(step).normal
        for c in node
    }
    assert len(names) == 12


def test_the_best_candidate_is_settled_on():
    images = np.zeros((8, 2, 2, 1), np.uint8)
    images[:2] = 255
    data = source.from_arrays("toy", images, [0] * 8, ("right", "wrong"))
    search = make()
    liked = search.candidates()[2]
    trainer = toy_trainer.ToyTrainer()
    trainer.supernet = PickyNetwork(liked)
    scores = search.choose(trainer, data, np.arange(8), batch_size=4)
    assert scores == pytest.approx(
        {
            "supernet_accuracy": 1.0,
            "child_accuracy": 1.0,
            "mean_candidate_accuracy": (3 * 0.25 + 1) / 4,
        }
    )
    assert trainer.derive() == liked


def test_settled_coefficients_are_0_and_1():
    architecture = toy_trainer.ToyTrainer().architecture
    genotype = make().draw(0)
    architecture.fix(genotype)
    for kind, values in architecture.coefficients().items():
        values = values.numpy()
        assert np.count_nonzero(values) == 14
        np.testing.assert_allclose(values.max(axis=1), 1.0, atol=1e-6)
        used = np.delete(values, architecture.space.primitives.index("none"), 1)
        num_connections = genotypes.num_connections(getattr(genotype, kind))
        assert np.count_nonzero(used) == num_connections
