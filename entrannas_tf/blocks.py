"""Layers that the networks share: normalisation, 1x1 blocks, stem and head.

All but the stem's input and the head's output lie in the folded layout of
`layout`: [B / F, H, W, F * C], with F = 1 the ordinary [B, H, W, C].
"""

import keras
import tensorflow as tf

from entrannas_tf import layout

BATCH_NORM_MOMENTUM = 0.9  # Keras's convention; PyTorch calls it 0.1
BATCH_NORM_EPSILON = 1e-5


def uniform(fan_in):
    """PyTorch's default initializer: uniform within 1 / sqrt(fan_in)."""
    return keras.initializers.RandomUniform(-(fan_in**-0.5), fan_in**-0.5)


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

    @tf.custom_gradient
    def standardise(x):
        mean, mean_square = channel_means(x, tf.square(x))
        variance = tf.nn.relu(mean_square - tf.square(mean))
        factor = tf.math.rsqrt(variance + BATCH_NORM_EPSILON)
        y = _scale_and_shift(x, factor, -mean * factor, size)

        def gradient(dy, *_):
            mean_dy, mean_y_dy = channel_means(dy, dy * y)
            along = _scale_and_shift(
                y, factor * mean_y_dy, factor * mean_dy, size
            )
            wide = tf.expand_dims(tf.tile(factor, [1, size]), 1)
            return dy * wide - along

        return (y, mean, variance), gradient

    return standardise(x)


class Conv1x1(keras.layers.Layer):
    """1x1 convolution without bias.

    Args:
        channels_in: C_in.
        channels: C_out.

    Call:
        x: float [B / F, H, W, F * C_in] -> [B / F, H, W, F * C_out].
    """

    def __init__(self, channels_in, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels_in = channels_in
        self.channels = channels
        self.kernel = self.add_weight(
            name="kernel",
            shape=(channels_in, channels),
            initializer=uniform(channels_in),
        )
        self.built = True

    def call(self, x, training=False):
        del training  # the same either way
        return layout.pointwise(x, tf.convert_to_tensor(self.kernel))

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels": self.channels,
        }


class Conv1x1BN(keras.layers.Layer):
    """1x1 convolution, batch normalisation.

    Args:
        channels_in: C_in.
        channels: C_out.
        affine: As in `BatchNorm`.

    Call:
        x: float [B / F, H, W, F * C_in] -> [B / F, H, W, F * C_out].
    """

    def __init__(self, channels_in, channels, affine=False, **kwargs):
        super().__init__(**kwargs)
        self.affine = affine
        self.convolution = Conv1x1(channels_in, channels)
        self.norm = BatchNorm(channels, affine)
        self.built = True

    def call(self, x, training=False):
        return self.norm(self.convolution(x), training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.convolution.channels_in,
            "channels": self.convolution.channels,
            "affine": self.affine,
        }


class ReLUConvBN(Conv1x1BN):
    """ReLU, 1x1 convolution, batch normalisation. As `Conv1x1BN` otherwise."""

    def call(self, x, training=False):
        return super().call(tf.nn.relu(x), training=training)


class FactorizedReduce(keras.layers.Layer):
    """Halves the resolution without losing pixels.

    ReLU, then half of the channels from a 1x1 convolution of the even pixels
    and half from one of the odd pixels, then batch normalisation.

    Args:
        channels_in: C_in.
        channels: C_out, even.
        affine: As in `BatchNorm`.

    Call:
        x: float [B / F, H, W, F * C_in] -> [B / F, H / 2, W / 2, F * C_out].
    """

    def __init__(self, channels_in, channels, affine=False, **kwargs):
        super().__init__(**kwargs)
        if channels % 2:
            raise ValueError(
                f"FactorizedReduce got channels={channels}; expected an even "
                "number, as each half comes from other pixels."
            )
        self.affine = affine
        self.even = Conv1x1(channels_in, channels // 2)
        self.odd = Conv1x1(channels_in, channels // 2)
        self.norm = BatchNorm(channels, affine)
        self.built = True

    def features(self, x):
        """Returns what comes before the batch norm."""
        x = tf.nn.relu(x)
        even = self.even(layout.subsample(x))
        odd = self.odd(layout.subsample_shifted(x))
        return layout.concat([even, odd], self.even.channels)

    def call(self, x, training=False):
        return self.norm(self.features(x), training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.even.channels_in,
            "channels": 2 * self.even.channels,
            "affine": self.affine,
        }


class CifarStem(keras.layers.Layer):
    """DARTS's stem for small images: 3x3 convolution, batch normalisation.

    Args:
        channels_in: Channels of the images.
        channels: C_out.
        max_fold: Images to fold together at most; 1 keeps [B, H, W, C].

    Call:
        images: float [B, H, W, C_in] -> [B / F, H, W, F * C_out]. No gradient
        flows back to the images.
    """

    def __init__(
        self, channels_in, channels, max_fold=layout.MAX_FOLD, **kwargs
    ):
        super().__init__(**kwargs)
        self.channels_in = channels_in
        self.channels = channels
        self.max_fold = max_fold
        self.kernel = self.add_weight(
            name="kernel",
            shape=(3, 3, channels_in, channels),
            initializer=uniform(9 * channels_in),
        )
        self.norm = BatchNorm(channels, affine=True)
        self.built = True

    def call(self, images, training=False):
        size = layout.fold_size(images.shape[0], self.max_fold)
        x = layout.convolution(
            tf.stop_gradient(images), tf.convert_to_tensor(self.kernel)
        )
        return self.norm(layout.fold(x, size), training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels": self.channels,
            "max_fold": self.max_fold,
        }


class Head(keras.layers.Layer):
    """Global average pooling and a dense layer.

    Args:
        channels: C of the input.
        num_classes: Number of logits.

    Call:
        x: float [B / F, H, W, F * C] -> float32 [B, num_classes], logits.
    """

    def __init__(self, channels, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.num_classes = num_classes
        self.kernel = self.add_weight(
            name="kernel",
            shape=(channels, num_classes),
            initializer=uniform(channels),
        )
        self.bias = self.add_weight(
            name="bias", shape=(num_classes,), initializer=uniform(channels)
        )
        self.built = True

    def call(self, x, training=False):
        del training  # the same either way
        means = tf.reduce_mean(x, axis=[1, 2])  # [B/F, F * C]
        features = tf.reshape(means, [-1, self.channels])  # [B, C]
        return tf.matmul(features, self.kernel) + self.bias

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_classes": self.num_classes,
        }
