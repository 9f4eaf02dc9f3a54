import keras
import numpy as np
import pytest

from entrannas_tf.data import source
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.training import evaluation, optimizers


@pytest.mark.parametrize("batch_size", [3, 10])
def test_scores_of_a_trained_network_against_numpy(batch_size):
    """The logits are read off the pixels, so that any may be had."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(10, 1, 1, 7), dtype=np.uint8)
    labels = rng.integers(7, size=10)
    data = source.from_arrays(
        "toy", images, labels, tuple("abcdefg"), np.zeros(7), np.ones(7)
    )
    pixels = keras.Input((1, 1, 7))
    network = keras.Model(pixels, keras.layers.Flatten()(pixels))
    trainer = retraining_step.RetrainTrainer(
        network, optimizers.CoupledSGD(), auxiliary_weight=0.0
    )
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
