"""Heads: layers that turn a network's features into logits."""

import keras
import tensorflow as tf

from entrannas_tf.networks.layers import batch_norm, blocks, pooling, precision


class Head(keras.layers.Layer):
    """Global average pooling and a dense layer.

    Args:
        channels: C of the input.
        num_classes: Number of logits.

    Call:
        x: float [B / F, H, W, F * C] -> float [B, num_classes], logits. They
        are made in `dtype`, whatever x is, and are float32 where that is half
        precision.
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
        del training  # the same either way
        x = tf.cast(x, self.compute_dtype)
        means = tf.reduce_mean(x, axis=[1, 2])  # [B/F, F * C]
        features = tf.reshape(means, [-1, self.channels])  # [B, C]
        logits = tf.matmul(features, self.kernel) + self.bias
        return tf.cast(logits, precision.accumulation_dtype(self.compute_dtype))

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_classes": self.num_classes,
        }


class AuxiliaryHead(keras.layers.Layer):
    """DARTS's auxiliary classifier, for features half-way up a network.

    ReLU, average pooling to 2x2, 1x1 convolution, batch norm, ReLU, 2x2
    convolution, batch norm, ReLU, dense layer. The pooling's windows are
    DARTS's for features of 8x8 and 7x7, and alike for other sizes.

    Args:
        channels: C of the input.
        num_classes: Number of logits.
        last_norm: Whether a batch norm follows the 2x2 convolution; the
            networks for ImageNet have none, by an omission of the original.

    Call:
        x: float [B, H, W, C], H and W at least 2 -> float32
        [B, num_classes], logits.
    """

    _WIDTHS = (128, 768)

    def __init__(self, channels, num_classes, last_norm=True, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.num_classes = num_classes
        self.last_norm = last_norm
        narrow, wide = self._WIDTHS
        self.squeeze = blocks.Conv1x1BN(channels, narrow, affine=True)
        self.kernel = blocks.add_uniform_weight(
            self, "kernel", (2, 2, narrow, wide), 4 * narrow
        )
        self.norm = None
        if last_norm:
            self.norm = batch_norm.BatchNorm(wide, affine=True)
        self.head = Head(wide, num_classes)
        self.built = True

    def call(self, x, training=False):
        x = pooling.pool_to_two(tf.nn.relu(x))  # [B, 2, 2, C]
        x = tf.nn.relu(self.squeeze(x, training=training))
        kernel = tf.convert_to_tensor(self.kernel)
        x = tf.nn.conv2d(x, kernel, 1, "VALID")  # [B, 1, 1, 768]
        if self.norm is not None:
            x = self.norm(x, training=training)
        return self.head(tf.nn.relu(x))

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_classes": self.num_classes,
            "last_norm": self.last_norm,
        }
