"""What a search has reached: accuracy as super-net and as child network."""

import numpy as np
import tensorflow as tf

from entrannas_tf import derivation, distribution
from entrannas_tf.data import pipeline


def accuracies(trainer, source, indices, batch_size):
    """Measures the super-net and the child network on images (table 1).

    The child network is the super-net run through derived connections only.
    Batch norms use the statistics of the batch: the moving ones belong to the
    derivations of the steps before, and to Engine-cells that ran as such.

    Args:
        trainer: A `search_trainer.SearchTrainer`.
        source: `ImageSource`.
        indices: Integers [N], the images of it to use.
        batch_size: Images of a batch that the replicas share; see batch norms
            above.

    Returns:
        {"supernet_accuracy": ..., "child_accuracy": ...}, from 0 to 1.

    Raises:
        RuntimeError: If connections with a coefficient of EnTranNAS-DST are
            not those that were derived.
    """
    coefficients = trainer.coefficients()
    genotype = trainer.derive(coefficients)
    if trainer.architecture.sparse:
        check_derivation(
            genotype,
            {kind: c.numpy() for kind, c in coefficients.items()},
            trainer.architecture.primitives,
        )
    networks = {
        "supernet_accuracy": (trainer.supernet.split(coefficients), genotype),
        "child_accuracy": (None, genotype),
    }
    found = measure(trainer, networks.values(), source, indices, batch_size)
    return dict(zip(networks, found, strict=True))


def child_accuracies(trainer, genotypes, source, indices, batch_size):
    """Measures the child networks of several genotypes on images.

    Args:
        trainer: As in `accuracies`.
        genotypes: Sequence of `genotypes.Genotype`.
        source: As in `accuracies`.
        indices: Likewise.
        batch_size: Likewise.

    Returns:
        List of accuracies, from 0 to 1.
    """
    networks = [(None, genotype) for genotype in genotypes]
    return measure(trainer, networks, source, indices, batch_size)


def measure(trainer, networks, source, indices, batch_size):
    """Measures a super-net as several networks on images.

    Args:
        trainer: As in `accuracies`.
        networks: Sequence of pairs: coefficients as `supernet.Supernet.split`
            returns them, None for a child network; and a `genotypes.Genotype`.
        source: As in `accuracies`.
        indices: Likewise.
        batch_size: Likewise.

    Returns:
        List of accuracies, from 0 to 1.
    """

    def count_hits(images, labels, weights):
        logits = [
            trainer.supernet.forward(images, *network, "outputs").logits
            for network in networks
        ]
        return _num_hits(logits, labels, weights)

    hits = _sum(trainer, count_hits, source, indices, batch_size)
    return (hits / len(indices)).tolist()


def check_derivation(genotype, coefficients, primitives):
    """Checks that the derived connections are the non-zero ones (Eq. 10).

    Args:
        genotype: A `genotypes.Genotype`.
        coefficients: {kind of cell: float [E, K]}.
        primitives: The K names of the columns.

    Raises:
        RuntimeError: If they are not.
    """
    for kind, values in coefficients.items():
        derived = derivation.indicator(getattr(genotype, kind), primitives)
        wrong = np.count_nonzero((derived > 0) != (values > 0))
        if wrong:
            raise RuntimeError(
                f"{wrong} connection(s) of the {kind} cell have a coefficient "
                "and are not derived, or are derived without one."
            )


def test(trainer, source, indices, batch_size):
    """Measures a trained network on images, with its moving statistics.

    Args:
        trainer: A `retrain_trainer.RetrainTrainer`.
        source: `ImageSource`.
        indices: Integers [N], the images of it to use.
        batch_size: Images of a batch that the replicas share.

    Returns:
        {"test_loss": ..., "test_accuracy": ..., "test_top5_accuracy": ...}:
        the mean cross entropy in nats, and the shares of images whose class is
        the most likely one, and among the five most likely, from 0 to 1.
    """
    step = trainer.test_step
    sums = _sum(trainer, step, source, indices, batch_size)
    names = ("test_loss", "test_accuracy", "test_top5_accuracy")
    return dict(zip(names, (sums / len(indices)).tolist(), strict=True))


def _sum(trainer, measure, source, indices, batch_size):
    """Adds up what replicas measure of images, over all of them.

    Args:
        trainer: Its strategy tells the replicas.
        measure: Callable of images, labels and weights; returns float32 [n].
        source: `ImageSource`.
        indices: Integers [N].
        batch_size: Images of a batch that the replicas share.

    Returns:
        Array [n].
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


@tf.function(autograph=False, jit_compile=False)
def _num_hits(logits, labels, weights):
    """Returns for each network's logits how many labels they meet."""
    hits = tf.equal(tf.argmax(tf.stack(logits), -1, labels.dtype), labels)
    return tf.linalg.matvec(tf.cast(hits, weights.dtype), weights)
