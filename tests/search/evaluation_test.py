import types

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.data import source
from entrannas_tf.search import evaluation as search_evaluation
from tests.support import toy_trainer


class ToyNetwork:
    """Says 1 as super-net where an image is bright, and 0 as child network."""

    def split(self, coefficients):
        return coefficients

    def forward(self, images, coefficients, genotype):
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
    assert search_evaluation.accuracies(
        trainer, data, np.arange(10), batch_size
    ) == pytest.approx({"supernet_accuracy": 0.9, "child_accuracy": 0.5})
    assert search_evaluation.accuracies(
        trainer, data, np.array([5, 0]), batch_size
    ) == pytest.approx({"supernet_accuracy": 0.5, "child_accuracy": 0.5})


def test_a_connection_that_dst_derives_wrongly_stops_the_search():
    trainer = toy_trainer.ToyTrainer(sparse=True)
    coefficients, genotype = trainer.coefficients(), trainer.derive()
    values = coefficients["reduction"].numpy()
    values[2, 3] = 0.0
    coefficients["reduction"] = tf.constant(values)
    trainer.coefficients = lambda: coefficients
    trainer.derive = lambda coefficients=None: genotype
    with pytest.raises(RuntimeError, match=r"^1 connection.* of the reduction"):
        search_evaluation.accuracies(trainer, None, np.arange(2), 2)


def test_a_wrong_derivation_of_dst_stops_the_search():
    trainer = toy_trainer.ToyTrainer(sparse=True)
    right = trainer.derive()
    wrong = right._replace(normal=(*right.reduction[:3], ()))
    trainer.derive = lambda coefficients=None: wrong
    trainer.supernet = types.SimpleNamespace()
    with pytest.raises(RuntimeError, match="of the normal cell"):
        search_evaluation.accuracies(trainer, None, np.arange(2), 2)
