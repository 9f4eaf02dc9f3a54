"""Batch normalisation of folded images, several tensors at a time."""

import keras
import tensorflow as tf

BATCH_NORM_MOMENTUM = 0.9  # Keras's convention; PyTorch calls it 0.1
BATCH_NORM_EPSILON = 1e-5


class BatchNorm(keras.layers.Layer):
    """Batch normalisation over folded images.

    Args:
        channels: C.
        affine: Whether scale and offset are learned (DARTS: in the target
            network only).

    Call:
        x: float [B / F, H, W, F * C]; the same shape comes out. With
        `training=True` the batch's statistics are used, and the moving ones
        take a step towards them.
    """

    def __init__(self, channels, affine=False, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.affine = affine
        shape = (channels,)
        self.moving_mean = self.add_weight(
            name="moving_mean",
            shape=shape,
            initializer="zeros",
            trainable=False,
        )
        self.moving_variance = self.add_weight(
            name="moving_variance",
            shape=shape,
            initializer="ones",
            trainable=False,
        )
        if affine:
            self.scale = self.add_weight(
                name="scale", shape=shape, initializer="ones"
            )
            self.offset = self.add_weight(
                name="offset", shape=shape, initializer="zeros"
            )
        self.built = True

    def call(self, x, training=False):
        y = tf.unstack(normalise([self], [x], training))[0]
        if not self.affine:
            return y
        size = x.shape[-1] // self.channels
        return y * _repeat(self.scale, size) + _repeat(self.offset, size)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "affine": self.affine,
        }


def normalise(norms, tensors, training=False):
    """Normalises tensors of one shape at once, without scale and offset.

    One tensor at a time gives the same; together they make a graph that is
    smaller and faster.

    Args:
        norms: Sequence of `BatchNorm`, one a tensor, of one number of
            channels C.
        tensors: Sequence of float [B / F, H, W, F * C].
        training: Whether to use the batch's statistics, and to move the
            moving ones towards them.

    Returns:
        float [len(norms), B / F, H, W, F * C].
    """
    channels = norms[0].channels
    last = tensors[0].shape[-1]
    size = last // channels
    x = tf.reshape(tf.stack(tensors), [len(norms), -1, last])
    means, variances = (
        tf.stack([tf.convert_to_tensor(getattr(n, name)) for n in norms])
        for name in ("moving_mean", "moving_variance")
    )  # [N, C]
    if training:
        y, batch_means, batch_variances = _standardise(x, channels)
        for name, old, new in (
            ("moving_mean", means, batch_means),
            ("moving_variance", variances, batch_variances),
        ):
            moved = old + (1 - BATCH_NORM_MOMENTUM) * (new - old)
            for norm, value in zip(norms, tf.unstack(moved), strict=True):
                getattr(norm, name).assign(value)
    else:
        factor = tf.math.rsqrt(variances + BATCH_NORM_EPSILON)
        y = _scale_and_shift(x, factor, -means * factor, size)
    return tf.reshape(y, [len(norms), *dynamic_shape(tensors[0])])


def dynamic_shape(x):
    """Returns the shape for a reshape, -1 where the batch is not known."""
    return [-1 if size is None else size for size in x.shape]


def _repeat(vector, size):
    """Lays [C] out beside itself for each folded image: [F * C]."""
    return tf.tile(tf.convert_to_tensor(vector), [size])


def _scale_and_shift(x, factor, shift, size):
    """Returns x * factor + shift; x [N, R, F * C], factor, shift [N, C]."""
    both = tf.tile(tf.stack([factor, shift]), [1, 1, size])
    both = tf.expand_dims(both, 2)
    factor, shift = tf.unstack(both)  # [N, 1, F * C]
    return x * factor + shift


def _standardise(x, channels):
    """Shifts and scales each channel to mean 0 and variance 1.

    The gradient is written out because the one that TensorFlow derives from
    the forward pass reads and writes the whole tensor three times more often.

    Args:
        x: float [N, R, F * C].
        channels: C.

    Returns:
        The standardised tensor, and the batch's mean and variance, [N, C].
    """
    count, _, last = x.shape
    size = last // channels

    def channel_means(*tensors):
        rows = tf.stack([tf.reduce_mean(t, 1) for t in tensors])
        rows = tf.reshape(rows, [len(tensors), count, size, channels])
        return tf.unstack(tf.reduce_mean(rows, 2))

    def widen(vector):
        return tf.expand_dims(tf.tile(vector, [1, size]), 1)  # [N, 1, F * C]

    @tf.custom_gradient
    def standardise(x):
        (mean,) = channel_means(x)
        centred = x - widen(mean)
        (variance,) = channel_means(tf.square(centred))
        factor = tf.math.rsqrt(variance + BATCH_NORM_EPSILON)
        y = centred * widen(factor)

        def gradient(dy, *_):
            mean_dy, mean_y_dy = channel_means(dy, dy * y)
            along = _scale_and_shift(
                y, factor * mean_y_dy, factor * mean_dy, size
            )
            return dy * widen(factor) - along

        return (y, mean, variance), gradient

    return standardise(x)
