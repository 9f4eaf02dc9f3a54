"""Drop path, which regularises a target network while it trains."""

import keras
import tensorflow as tf


class DropPath(keras.layers.Layer):
    """Drops an operation's output for some images while training.

    What is kept is scaled up, so that the mean stays (Larsson et al., 2017, as
    in DARTS).

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
        self.rate = self.add_weight(
            name="rate",
            shape=(),
            initializer="zeros",
            trainable=False,
            autocast=False,
        )
        self.built = True

    def call(self, x, training=False):
        if not training:
            return x
        kept = 1 - tf.convert_to_tensor(self.rate)
        # For the images of all replicas, each of which takes its own.
        context = tf.distribute.get_replica_context()
        size, count = tf.shape(x)[0], context.num_replicas_in_sync
        drawn = keras.random.uniform(
            (size * count, 1, 1, 1), dtype="float32", seed=self.seed_generator
        )
        if count > 1:
            first = size * context.replica_id_in_sync_group
            drawn = drawn[first : first + size]
        mask = tf.floor(drawn + kept) / kept  # 0 or 1 / kept
        return x * tf.cast(mask, x.dtype)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
