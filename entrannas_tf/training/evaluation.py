"""Evaluation on images, over all replicas."""

import numpy as np

from entrannas_tf.data import pipeline
from entrannas_tf.training import distribution


def test(trainer, source, indices, batch_size):
    """Measures a trained network on images, with its moving statistics.

    Args:
        trainer: A `retraining_step.RetrainTrainer`.
        source: `ImageSource`.
        indices: Integers [N], the images of it to use.
        batch_size: Global batch size.

    Returns:
        {"test_loss": ..., "test_accuracy": ..., "test_top5_accuracy": ...}:
        the mean cross entropy in nats, the accuracy and the top-5 accuracy,
        from 0 to 1.
    """
    step = trainer.test_step
    sums = add_up(trainer, step, source, indices, batch_size)
    names = ("test_loss", "test_accuracy", "test_top5_accuracy")
    return dict(zip(names, (sums / len(indices)).tolist(), strict=True))


def add_up(trainer, measure, source, indices, batch_size):
    """Returns sums over images of a measurement, over all replicas.

    Args:
        trainer: A trainer, for its `distribute_strategy`.
        measure: Callable of a batch's images, labels and weights; returns its
            sums, float32 [n].
        source: `ImageSource`.
        indices: Integers [N], the images of it to use.
        batch_size: Global batch size.

    Returns:
        float64 [n].
    """
    strategy = trainer.distribute_strategy
    batches = pipeline.evaluation_batches(
        source, indices, batch_size, **distribution.shares(strategy)
    )
    sums = 0.0
    for batch in distribution.batches(strategy, batches):
        measured = strategy.run(measure, batch)
        for values in strategy.experimental_local_results(measured):
            sums = sums + values.numpy().astype(np.float64)
    return distribution.total(strategy, sums)
