"""What a search has reached: accuracy as super-net and as child network."""

import numpy as np
import tensorflow as tf

from entrannas_tf import derivation
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
        batch_size: Images of a batch; see batch norms above.

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
        "supernet_accuracy": trainer.supernet.split(coefficients),
        "child_accuracy": None,
    }
    hits = dict.fromkeys(networks, 0.0)
    batches = pipeline.evaluation_batches(source, indices, batch_size)
    for images, labels, weights in batches:
        for name, used in networks.items():
            run = trainer.supernet.forward(images, used, genotype, "outputs")
            hits[name] += float(_num_hits(run.logits, labels, weights))
    return {name: count / len(indices) for name, count in hits.items()}


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
        batch_size: Images of a batch.

    Returns:
        {"test_loss": ..., "test_accuracy": ..., "test_top5_accuracy": ...}:
        the mean cross entropy in nats, and the shares of images whose class is
        the most likely one, and among the five most likely, from 0 to 1.
    """
    sums = np.zeros(3)
    batches = pipeline.evaluation_batches(source, indices, batch_size)
    for images, labels, weights in batches:
        logits = trainer.predict_step(images)
        sums += _scores(logits, labels, weights).numpy()
    names = ("test_loss", "test_accuracy", "test_top5_accuracy")
    return dict(zip(names, (sums / len(indices)).tolist(), strict=True))


@tf.function(autograph=False, jit_compile=False)
def _scores(logits, labels, weights):
    """Returns float32 [3]: sums of cross entropy, of hits, of hits of five."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    scores = [
        losses,
        *(
            tf.cast(tf.math.in_top_k(labels, logits, k), losses.dtype)
            for k in (1, min(5, logits.shape[-1]))
        ),
    ]
    return tf.linalg.matvec(tf.stack(scores), weights)


@tf.function(autograph=False, jit_compile=False)
def _num_hits(logits, labels, weights):
    """Returns how many labels are met, float32 scalar."""
    hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
    return tf.reduce_sum(tf.cast(hits, weights.dtype) * weights)
