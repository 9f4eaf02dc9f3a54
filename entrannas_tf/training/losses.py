"""Losses: of the upper level for alpha and beta, and of classification."""

import tensorflow as tf


def threshold_penalty(t):
    """Returns the penalty that pushes thresholds up (Eq. 11, second term).

    Args:
        t: float32 [M], thresholds of the intermediate nodes, within (0, 1).

    Returns:
        float32 scalar, the mean of -log t. It is not yet times lambda.
    """
    return -tf.reduce_mean(tf.math.log(t))


def cross_entropy(labels, logits, smoothing=0.0):
    """Returns the mean cross entropy of a batch.

    Args:
        labels: int32 [B].
        logits: float32 [B, num_classes].
        smoothing: Share of each label that is spread evenly over all classes
            (Szegedy et al., 2016), from 0 to below 1.

    Returns:
        float32 scalar, in nats.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if smoothing:
        even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)  # [B]
        losses = (1.0 - smoothing) * losses + smoothing * even
    return tf.reduce_mean(losses)


def pixel_cross_entropies(labels, logits, ignored):
    """Returns the cross entropy of each pixel.

    Args:
        labels: int32 [B, H, W].
        logits: float32 [B, H, W, num_classes].
        ignored: The label of pixels whose loss is 0.

    Returns:
        float32 [B, H, W], in nats.
    """
    is_labelled = tf.not_equal(labels, ignored)
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.where(is_labelled, labels, 0), logits
    )
    return tf.where(is_labelled, values, 0.0)
