"""A step's random numbers, the same however many replicas share the step."""

from typing import NamedTuple

import tensorflow as tf


class Share(NamedTuple):
    """Which of a step's examples a replica has: an equal part of them.

    Attributes:
        replica: Number of the replica, from 0; an int32 scalar in graphs.
        num_replicas: Number of replicas that share the step.
    """

    replica: int | tf.Tensor
    num_replicas: int


WHOLE = Share(0, 1)


def uniform(count, batch, seed, share, low=0.0, high=1.0, dtype=tf.float32):
    """Draws for all examples of a step and returns those of one share.

    Args:
        count: Number of random numbers an example.
        batch: Number of examples B of the share.
        seed: int32 [2].
        share: `Share`.
        low: Least number.
        high: Upper limit, excluded.
        dtype: Of the numbers.

    Returns:
        dtype [count, B].
    """
    drawn = tf.random.stateless_uniform(
        [count, batch * share.num_replicas], seed, low, high, dtype
    )
    return tf.slice(drawn, [0, batch * share.replica], [count, batch])
