"""Accuracy of a search as super-net and as child network."""

import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import derivation
from entrannas_tf.data import pipeline
from entrannas_tf.training import distribution, evaluation


def accuracies(trainer, source, indices, batch_size):
    """Measures the super-net and the child network on images (table 1).

    The child network is the super-net run through derived connections only.
    Batch norms use the statistics of the batch: the moving ones belong to the
    derivations of the steps before, and to Engine-cells that ran as such.

    Args:
        trainer: A `search_step.SearchTrainer`.
        source: `ImageSource`.
        indices: Integers [N], the images of it to use.
        batch_size: Global batch size; it matters to batch norms, see above.

    Returns:
        {"supernet_accuracy": ..., "child_accuracy": ...}, from 0 to 1.

    Raises:
        RuntimeError: If connections with a coefficient of EnTranNAS-DST are
            not those that were derived.
    """
    coefficients = trainer.coefficients()
    genotype = trainer.derive(coefficients)
    if trainer.architecture.sparse:
        _check_derivation(
            genotype,
            {kind: c.numpy() for kind, c in coefficients.items()},
            trainer.architecture.searched_space,
        )
    networks = {
        "supernet_accuracy": (coefficients, genotype),
        "child_accuracy": (None, genotype),
    }
    found = measure(trainer, networks.values(), source, indices, batch_size)
    return dict(zip(networks, found, strict=True))


def measure(trainer, networks, source, indices, batch_size):
    """Measures a super-net as several networks on images.

    Args:
        trainer: A `search_step.SearchTrainer`.
        networks: Sequence of pairs: {kind of cell: float32 [E, K]}, None for a
            child network; and a `genotypes.Genotype`.
        source: `ImageSource`.
        indices: Integers [N], the images of it to use.
        batch_size: Global batch size.

    Returns:
        List of accuracies, from 0 to 1.
    """

    def count_hits(images, labels, weights):
        logits = [
            trainer.supernet.forward(images, *network).logits
            for network in networks
        ]
        return _num_hits(logits, labels, weights)

    strategy = trainer.distribute_strategy
    batches = pipeline.evaluation_batches(
        source, indices, batch_size, **distribution.shares(strategy)
    )
    hits = evaluation.add_up(strategy, count_hits, batches)
    return (hits / len(indices)).tolist()


def _check_derivation(genotype, coefficients, space):
    """Raises RuntimeError unless the non-zero ones are derived (Eq. 10)."""
    for kind, values in coefficients.items():
        derived = derivation.indicator(getattr(genotype, kind), space)
        wrong = np.count_nonzero((derived > 0) != (values > 0))
        if wrong:
            raise RuntimeError(
                f"{wrong} connection(s) of the {kind} cell have a coefficient "
                "and are not derived, or are derived without one."
            )


@tf.function(autograph=False, jit_compile=False)
def _num_hits(logits, labels, weights):
    """Returns for each network's logits how many labels they meet."""
    hits = tf.equal(tf.argmax(tf.stack(logits), -1, labels.dtype), labels)
    return tf.linalg.matvec(tf.cast(hits, weights.dtype), weights)
