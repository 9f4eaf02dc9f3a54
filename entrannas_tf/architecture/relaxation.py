"""From architecture parameters to connection coefficients.

Pure functions of tensors. Shape letters: E edges, in the order of a search
space's `edges`; K primitives; M intermediate nodes. `targets` are the space's:
E numbers from 0 to M - 1 that never fall, the node that each edge ends in.
"""

import numpy as np
import tensorflow as tf

# The largest float32 below 1. The paper counts on t < 1 for a connection to
# survive in each node, but sigmoid rounds to 1 from beta = 17 on.
_LARGEST_THRESHOLD = 1 - 2.0**-24


def softmax(alpha, temperature):
    """Softmax over the primitives of each edge (Eq. 5; at 1, Eq. 2).

    Args:
        alpha: float32 [E, K], logits.
        temperature: tau > 0; towards 0 the result becomes one-hot.

    Returns:
        p: float32 [E, K], each edge sums to 1.
    """
    return tf.nn.softmax(alpha / temperature, axis=-1)


def masked_softmax(alpha, mask, temperature):
    """Softmax over the primitives that a mask leaves of each edge (P-DARTS).

    Args:
        alpha: float32 [E, K], logits.
        mask: bool [E, K], at least one of each edge.
        temperature: tau > 0.

    Returns:
        p: float32 [E, K], each edge sums to 1; exactly 0, without a gradient,
        where the mask is False.
    """
    return tf.nn.softmax(tf.where(mask, alpha / temperature, -np.inf), axis=-1)


def normalise_connections(p, targets):
    """Divides by the largest coefficient into the same node (Eq. 7).

    Args:
        p: float32 [E, K], positive.
        targets: Sequence of E integers, see above.

    Returns:
        p_hat: float32 [E, K]; its maximum over the connections into each
        node is exactly 1.
    """
    strongest = tf.math.segment_max(tf.reduce_max(p, axis=-1), targets)  # [M]
    return p / tf.gather(strongest, targets)[:, tf.newaxis]


def thresholds(beta):
    """Returns t = sigmoid(beta) < 1, each node's threshold, float32 [M]."""
    return tf.minimum(tf.sigmoid(beta), _LARGEST_THRESHOLD)


def prune(p_hat, t, targets):
    """Cuts the connections below their node's threshold to 0 (Eq. 8).

    Args:
        p_hat: float32 [E, K], from `normalise_connections`.
        t: float32 [M], within (0, 1).
        targets: Sequence of E integers, see above.

    Returns:
        q: float32 [E, K], exactly 0 where p_hat <= t.
    """
    return tf.nn.relu(p_hat - tf.gather(t, targets)[:, tf.newaxis])


def normalise_operations(q):
    """Makes the survivors of each edge sum to 1 (Eq. 9).

    Args:
        q: float32 [E, K], not negative.

    Returns:
        q_hat: float32 [E, K]; an edge without survivors stays 0, and passes
        no gradient.
    """
    total = tf.reduce_sum(q, axis=-1, keepdims=True)  # [E, 1]
    return tf.math.divide_no_nan(q, total)


def normalise_edges(edge_logits, targets):
    """Softmax over the edges into each node (PC-DARTS, section 3.3).

    Args:
        edge_logits: float32 [E], beta in that paper.
        targets: Sequence of E integers, see above.

    Returns:
        float32 [E], the edges' weights; those into each node sum to 1.
    """
    strongest = tf.math.segment_max(edge_logits, targets)  # [M]
    exponents = tf.exp(edge_logits - tf.gather(strongest, targets))
    total = tf.math.segment_sum(exponents, targets)  # [M]
    return exponents / tf.gather(total, targets)


def sparse_coefficients(alpha, beta, temperature, targets):
    """Coefficients of EnTranNAS-DST: Eqs. 5, 7, 8 and 9, one after another.

    Args:
        alpha: float32 [E, K], logits.
        beta: float32 [M], logits of the thresholds.
        temperature: tau > 0.
        targets: Sequence of E integers, see above.

    Returns:
        q_hat: float32 [E, K].
    """
    p_hat = normalise_connections(softmax(alpha, temperature), targets)
    return normalise_operations(prune(p_hat, thresholds(beta), targets))
