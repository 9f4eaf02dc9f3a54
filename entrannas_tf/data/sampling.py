"""Which examples each step of an epoch has, and its random numbers.

Tables of a whole epoch are drawn in NumPy, as functions of (seed, epoch); their
first axis is the step. Random numbers within a step are drawn in graphs, for
all of its examples, and are the same however many replicas share the step.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Share(NamedTuple):
    """The equal part of a step's examples that a replica has.

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


def epoch_order(indices, num_steps, batch_size, seed, epoch):
    """Draws which examples each batch of an epoch has.

    A shuffled pass over the indices is followed by further ones where the
    epoch asks for more examples than there are.

    Args:
        indices: Integers [N] to draw from.
        num_steps: Number of batches.
        batch_size: Number of examples a batch.
        seed: Non-negative integer, or a sequence of them.
        epoch: Non-negative integer.

    Returns:
        int64 [num_steps, batch_size], a function of the arguments alone.
    """
    total = num_steps * batch_size
    rng = np.random.default_rng([*np.atleast_1d(seed), epoch])
    num_passes = -(-total // len(indices))
    order = [rng.permutation(indices) for _ in range(num_passes)]
    order = np.concatenate(order)[:total].astype(np.int64)
    return order.reshape(num_steps, batch_size)


def step_seeds(num_steps, seed, epoch):
    """Draws the seeds of an epoch's augmentation.

    Args:
        num_steps: Number of steps.
        seed: Non-negative integer, or a sequence of them.
        epoch: Non-negative integer.

    Returns:
        int32 [num_steps, 2]; row s is a function of (seed, epoch, s) alone.
    """
    # The trailing 1 sets this stream apart from the one that shuffles.
    rng = np.random.default_rng([*np.atleast_1d(seed), epoch, 1])
    return rng.integers(
        np.iinfo(np.int32).max, size=(num_steps, 2), dtype=np.int32
    )


class Replicas(NamedTuple):
    """The replicas of a strategy that a process feeds.

    Attributes:
        num_replicas: Number of replicas R that share a step.
        numbers: Numbers of those that are fed, F of the R, in order.
    """

    num_replicas: int
    numbers: tuple[int, ...]

    def split(self, table):
        """Splits a table's rows, [S, B, ...], among the replicas that are fed.

        Returns:
            Array [S * F, B / R, ...].
        """
        num_steps, batch_size = table.shape[:2]
        shape = (num_steps, self.num_replicas, batch_size // self.num_replicas)
        parts = table.reshape(*shape, *table.shape[2:])
        parts = parts[:, list(self.numbers)]
        return parts.reshape(-1, *parts.shape[2:])

    def repeat(self, table):
        """Repeats each row of a table, [S, ...], for each: [S * F, ...]."""
        return np.repeat(table, len(self.numbers), axis=0)

    def number(self, num_steps):
        """Returns the replica of each element, int32 [num_steps * F]."""
        return np.tile(np.asarray(self.numbers, np.int32), num_steps)


def check_replicas(batch_size, num_replicas, replicas):
    """Returns the `Replicas` that a process feeds.

    Args:
        batch_size: Number of examples of a step.
        num_replicas: Number of replicas that share them equally.
        replicas: Sequence of the numbers of those that are fed; None for all.

    Raises:
        ValueError: If the batch does not divide, or there is no such replica.
    """
    if num_replicas < 1 or batch_size % num_replicas:
        raise ValueError(
            f"A batch of {batch_size} does not divide among {num_replicas} "
            f"replicas; expected a multiple of {max(1, num_replicas)}. Choose "
            "another batch size, or another number of devices."
        )
    numbers = tuple(range(num_replicas) if replicas is None else replicas)
    if not numbers or not set(numbers) <= set(range(num_replicas)):
        raise ValueError(
            f"The replicas to feed are {list(numbers)}; expected one or more "
            f"of 0 to {num_replicas - 1}."
        )
    return Replicas(num_replicas, numbers)


def check_first_step(first_step, num_steps):
    """Raises ValueError if an epoch of num_steps cannot go on at first_step."""
    if not 0 <= first_step <= num_steps:
        raise ValueError(
            f"The epoch is to go on at step {first_step}, but has {num_steps} "
            f"steps; expected 0 to {num_steps}. Was the batch size or the "
            "data changed since the run began?"
        )
