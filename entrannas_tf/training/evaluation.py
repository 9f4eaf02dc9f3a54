"""Evaluation on images, over all replicas."""

import operator

import numpy as np
import tensorflow as tf

from entrannas_tf.training import distribution


def test(trainer, source, indices, batch_size):
    """Measures a trained network on images, with its moving statistics.

    Args:
        trainer: A `retraining_step.RetrainTrainer`.
        source: Source of the images, such as an `ImageSource`.
        indices: Integers [N], the images of it to use.
        batch_size: Global batch size.

    Returns:
        The scores of the trainer's task, a dict, such as {"test_accuracy":
        ..., "test_top5_accuracy": ..., "test_loss": ...}: accuracies from 0 to
        1, and the mean cross entropy in nats.
    """
    strategy, task = trainer.distribute_strategy, trainer.task
    batches = task.evaluation_batches(
        source, indices, batch_size, **distribution.shares(strategy)
    )
    sums = add_up(strategy, trainer.test_step, batches)
    return task.test(sums, len(indices), source.label_names)


def add_up(strategy, measure, batches):
    """Returns sums over batches of a measurement, over all replicas.

    Args:
        strategy: `tf.distribute.Strategy`.
        measure: Callable of the tensors of a batch; returns a nest of its
            sums.
        batches: `tf.data.Dataset` of them, for each step one a replica of this
            worker.

    Returns:
        The nest of NumPy arrays: float64 for floats, integers for integers.
    """
    sums = None
    for batch in distribution.batches(strategy, batches):
        part = tf.nest.map_structure(
            lambda value: sum(
                map(_to_host, strategy.experimental_local_results(value))
            ),
            strategy.run(measure, batch),
        )
        sums = (
            part
            if sums is None
            else tf.nest.map_structure(operator.add, sums, part)
        )
    return tf.nest.map_structure(
        lambda values: distribution.total(strategy, values), sums
    )


def _to_host(tensor):
    values = tensor.numpy()
    return values.astype(np.float64) if values.dtype.kind == "f" else values
