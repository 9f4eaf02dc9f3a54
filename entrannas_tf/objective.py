"""The loss of the upper level, for alpha and beta."""

import tensorflow as tf


def threshold_penalty(t):
    """Pushes thresholds up, and so connections out (Eq. 11, second term).

    Args:
        t: float32 [M], thresholds of the intermediate nodes, within (0, 1).

    Returns:
        float32 scalar, the mean of -log t. It is not yet times lambda.
    """
    return -tf.reduce_mean(tf.math.log(t))


def cross_entropy(labels, logits):
    """Mean cross entropy of a batch.

    Args:
        labels: int32 [B].
        logits: float32 [B, num_classes].

    Returns:
        float32 scalar, in nats.
    """
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    )
