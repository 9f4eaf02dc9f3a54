import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf import evaluation, optimizers, retrain_trainer
from entrannas_tf.data import source
from tests import toy_trainer


class ToyNetwork:
    """Says 1 as super-net where an image is bright, and 0 as child network."""

    def split(self, coefficients):
        return coefficients

    def forward(self, images, coefficients, genotype, goal):
        assert goal == "outputs"
        bright = tf.cast(tf.reduce_mean(images, [1, 2, 3]) > 0, tf.float32)
        if coefficients is None:
            bright *= 0
        logits = tf.stack([1 - bright, bright], axis=1)  # [B, 2]
        return types.SimpleNamespace(logits=logits)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 16])
def test_every_image_counts_once(batch_size):
    images = np.zeros((10, 2, 2, 1), np.uint8)
    images[:6] = 255
    labels = [1] * 5 + [0] * 5
    data = source.from_arrays("toy", images, labels, ("dark", "bright"))
    trainer = toy_trainer.ToyTrainer()
    trainer.supernet = ToyNetwork()
    assert evaluation.accuracies(
        trainer, data, np.arange(10), batch_size
    ) == pytest.approx({"supernet_accuracy": 0.9, "child_accuracy": 0.5})
    assert evaluation.accuracies(
        trainer, data, np.array([5, 0]), batch_size
    ) == pytest.approx({"supernet_accuracy": 0.5, "child_accuracy": 0.5})


def test_derived_connections_are_the_non_zero_ones():
    trainer = toy_trainer.ToyTrainer(sparse=True)
    primitives = trainer.architecture.primitives
    coefficients = {k: c.numpy() for k, c in trainer.coefficients().items()}
    genotype = trainer.derive()
    evaluation.check_derivation(genotype, coefficients, primitives)
    coefficients["reduction"][2, 3] = 0.0
    with pytest.raises(RuntimeError, match=r"^1 connection.* of the reduction"):
        evaluation.check_derivation(genotype, coefficients, primitives)
    with pytest.raises(RuntimeError, match="of the normal cell"):
        evaluation.check_derivation(
            genotype, {"normal": np.zeros((14, 7))}, primitives
        )


def test_a_wrong_derivation_of_dst_stops_the_search():
    trainer = toy_trainer.ToyTrainer(sparse=True)
    right = trainer.derive()
    wrong = right._replace(normal=(*right.reduction[:3], ()))
    trainer.derive = lambda coefficients=None: wrong
    trainer.supernet = types.SimpleNamespace()
    with pytest.raises(RuntimeError, match="of the normal cell"):
        evaluation.accuracies(trainer, None, np.arange(2), 2)


class Pixels(keras.layers.Layer):
    """A network whose logits are read off the images."""

    auxiliary_head = None

    def call(self, images, training=False):
        return images[:, 0, 0, :]


@pytest.mark.parametrize("batch_size", [3, 10])
def test_scores_of_a_trained_network_against_numpy(batch_size):
    """The logits are read off the pixels, so that any may be had."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(10, 1, 1, 7), dtype=np.uint8)
    labels = rng.integers(7, size=10)
    data = source.from_arrays(
        "toy", images, labels, tuple("abcdefg"), np.zeros(7), np.ones(7)
    )
    trainer = retrain_trainer.RetrainTrainer(Pixels(), optimizers.CoupledSGD())
    chosen = np.array([0, 2, 3, 5, 6, 7, 9])
    logits = images[chosen, 0, 0, :] / 255.0
    truth = labels[chosen]
    order = np.argsort(-logits, axis=1)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert evaluation.test(trainer, data, chosen, batch_size) == pytest.approx(
        {
            "test_loss": -log_p[np.arange(7), truth].mean(),
            "test_accuracy": (order[:, 0] == truth).mean(),
            "test_top5_accuracy": (order[:, :5] == truth[:, None]).sum() / 7,
        },
        rel=1e-5,
    )
