import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import genotypes
from entrannas_tf.networks import target as target_network
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.training import losses as losses_lib
from entrannas_tf.training import optimizers

CELL = genotypes.make_cell([[("skip_connect", 0), ("max_pool_3x3", 1)]])
BATCH = (
    tf.random.stateless_normal([4, 16, 16, 3], [0, 0]),
    tf.constant([0, 1, 2, 1]),
)


def make_trainer(auxiliary=True, smoothing=0.1):
    network = target_network.TargetNetwork(
        genotypes.Genotype(CELL, CELL),
        3,
        (16, 16, 3),
        num_cells=3,
        init_channels=4,
    )
    sgd = optimizers.CoupledSGD(0.1, 0.9, 0.01, clip_norm=0.5)
    return retraining_step.RetrainTrainer(
        network, sgd, smoothing, 0.4 if auxiliary else 0.0
    )


def train(trainer):
    """Takes a step; returns the epoch's means."""
    trainer.train_step(BATCH)
    return {m.name: float(m.result()) for m in trainer.metrics}


@pytest.mark.parametrize("auxiliary", [True, False])
def test_a_step_is_pytorchs(auxiliary):
    """The gradient by itself, then clipping, L2 and SGD in NumPy."""
    trainer = make_trainer(auxiliary)
    network = trainer.training_network
    variables = network.trainable_variables
    before = [v.numpy() for v in variables]
    statistics = [v.numpy() for v in network.non_trainable_variables]
    images, labels = BATCH
    with tf.GradientTape() as tape:
        run = network(images, training=True)
        heads = [run["logits"]]
        if auxiliary:
            heads.append(run["auxiliary_logits"])
        losses = [losses_lib.cross_entropy(labels, h, 0.1) for h in heads]
        total = losses[0] + (0.4 * losses[1] if auxiliary else 0.0)
    gradients = tape.gradient(total, [v.value for v in variables])
    gradients = [np.asarray(g) for g in gradients]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 0.5  # Or nothing would be clipped.
    for variable, value in zip(
        network.non_trainable_variables, statistics, strict=True
    ):
        variable.assign(value)
    logs = train(trainer)
    assert logs["loss"] == pytest.approx(float(losses[0]), rel=1e-5)
    hits = np.argmax(heads[0], axis=1) == labels.numpy()
    assert logs["accuracy"] == pytest.approx(hits.mean())
    for variable, w, g in zip(variables, before, gradients, strict=True):
        expected = w - 0.1 * (g * (0.5 / norm) + 0.01 * w)
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-5)


def test_metrics_are_means_over_steps():
    trainer = make_trainer()
    first = train(trainer)["loss"]
    both = train(trainer)["loss"]
    trainer.metrics[0].reset_state()
    third = train(trainer)["loss"]
    assert third < 2 * both - first < first  # Each step alone; it learns.


def test_prediction_uses_moving_statistics():
    trainer = make_trainer()
    train(trainer)
    images, _ = BATCH
    whole, alone = trainer(images).numpy(), trainer(images[:1]).numpy()
    np.testing.assert_allclose(whole[:1], alone, atol=1e-5)
