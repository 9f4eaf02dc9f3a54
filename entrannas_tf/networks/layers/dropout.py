"""Dropout: of whole paths, and of elements behind skip connections."""

import keras
import tensorflow as tf


class DropPath(keras.layers.Layer):
    """Drops an operation's output for some images while training.

    The rest is scaled up, so that the mean stays (Larsson et al., 2017, as in
    DARTS).

    Args:
        seed: Of the random numbers.

    Attributes:
        rate: float32 scalar variable, the share of images to drop, from 0 to
            below 1; not trained.

    Call:
        x: float [B, H, W, C] -> the same shape.
    """

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.rate = _add_rate(self)
        self.built = True

    def call(self, x, training=False):
        if not training:
            return x
        return drop_of_batch(
            x, (1, 1, 1), self.seed_generator, tf.convert_to_tensor(self.rate)
        )


def drop_of_batch(x, shape, seed_generator, rate):
    """Returns a replica's part of a batch, some of it 0, the rest scaled up.

    Args:
        x: float [B, ...].
        shape: Of what is dropped of an example or kept as a whole; it
            broadcasts with x without its first axis.
        seed_generator: `keras.random.SeedGenerator`.
        rate: float32, the share to drop, from 0 to below 1.
    """
    # For the examples of all replicas, each of which takes its own.
    context = tf.distribute.get_replica_context()
    size, count = tf.shape(x)[0], context.num_replicas_in_sync
    drawn = keras.random.uniform(
        tf.concat([[size * count], shape], 0),
        dtype="float32",
        seed=seed_generator,
    )
    if count > 1:
        first = size * context.replica_id_in_sync_group
        drawn = drawn[first : first + size]
    return _keep(x, drawn, 1 - rate)


def drop_elements(x, seed, rate):
    """Returns a tensor with some elements 0, and the rest scaled up (dropout).

    Args:
        x: float, of any shape.
        seed: int32 [2]; the same seed drops the same elements.
        rate: float32 scalar, the share to drop, from 0 to below 1.
    """
    kept = 1 - tf.stop_gradient(rate)
    drawn = tf.random.stateless_uniform(tf.shape(x), seed)
    return _keep(x, drawn, kept)


class SkipDropout(keras.layers.Layer):
    """The dropout behind a super-net's skip connections (P-DARTS).

    Chen et al., 2019, section 3.3.1: it keeps a search from preferring skip
    connections, which train fast, to operations with weights. As in the
    authors' program it follows identities in Engine-cells, and none that
    halves the resolution. Where an operation is shared by all later nodes, so
    are the elements that it loses.

    The draw depends on the seed, the count and the replica alone, so that a
    resumed search draws the same.

    Args:
        seed: Of the random numbers.

    Attributes:
        rate: float32 scalar variable, the share of elements to drop, from 0 to
            below 1; not trained.
    """

    def __init__(self, seed, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.rate = _add_rate(self)
        self.built = True

    def draw(self, count):
        """Returns a run's (seed, rate): int32 [2] and a float32 scalar.

        Args:
            count: int32 scalar, another for each run of the super-net.
        """
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.random.experimental.stateless_fold_in(
            tf.stack([self.seed, count]), replica
        )
        return seed, tf.convert_to_tensor(self.rate)


def _add_rate(layer):
    """Returns a new variable of a layer, float32, what share it drops."""
    return layer.add_weight(
        name="rate",
        shape=(),
        initializer="zeros",
        trainable=False,
        autocast=False,
    )


def _keep(x, drawn, kept):
    """Returns what is kept of a tensor, scaled up so that the mean stays.

    Args:
        x: float, of any shape.
        drawn: float32 that broadcasts with it, uniform in [0, 1).
        kept: float32 scalar, the share to keep, above 0.
    """
    mask = tf.floor(drawn + kept) / kept  # 0 or 1 / kept
    return x * tf.cast(mask, x.dtype)
