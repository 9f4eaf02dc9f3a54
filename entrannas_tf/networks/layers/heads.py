"""The head of the super-net: it turns features into logits."""

import keras
import tensorflow as tf

from entrannas_tf.networks.layers import blocks, precision


class Head(keras.layers.Layer):
    """Global average pooling and a dense layer.

    Args:
        channels: C of the input.
        num_classes: Number of logits.

    Call:
        x: float [B, H, W, C] or [B / F, H, W, F, C].
        Returns float [B, num_classes], logits, computed in `dtype` whatever x
        is; float32 where that is half precision.
    """

    def __init__(self, channels, num_classes, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.channels = channels
        self.num_classes = num_classes
        self.kernel = blocks.add_uniform_weight(
            self, "kernel", (channels, num_classes), channels
        )
        self.bias = blocks.add_uniform_weight(
            self, "bias", (num_classes,), channels
        )
        self.built = True

    def call(self, x, training=False):
        del training  # The same either way.
        x = tf.cast(x, self.compute_dtype)
        means = tf.reduce_mean(x, axis=[1, 2])  # [B/F, F, C]
        features = tf.reshape(means, [-1, self.channels])  # [B, C]
        logits = tf.matmul(features, self.kernel) + self.bias
        return tf.cast(logits, precision.accumulation_dtype(self.compute_dtype))
