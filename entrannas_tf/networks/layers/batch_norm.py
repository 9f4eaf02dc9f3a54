"""Batch normalisation, of several tensors at a time."""

import keras
import tensorflow as tf

from entrannas_tf.networks.layers import precision

BATCH_NORM_MOMENTUM = 0.9  # Keras's convention; PyTorch calls it 0.1
BATCH_NORM_EPSILON = 1e-5
STATISTICS = ("moving_mean", "moving_variance")


class BatchNorm(keras.layers.Layer):
    """Batch normalisation whose sums are in float32 in half precision too.

    Args:
        channels: C.
        affine: Whether scale and offset are learned (DARTS: in the target
            network only).

    Call:
        x: float [B, H, W, C] or [B / F, H, W, F, C]; returns the same shape.
        With `training=True` the batch's statistics are used, and the moving
        ones take a step towards them.
    """

    def __init__(self, channels, affine=False, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.affine = affine
        self.moving_mean = self._add_vector("moving_mean", "zeros", False)
        self.moving_variance = self._add_vector(
            "moving_variance", "ones", False
        )
        if affine:
            self.scale = self._add_vector("scale", "ones")
            self.offset = self._add_vector("offset", "zeros")
        self.built = True

    def _add_vector(self, name, initializer, trainable=True):
        return self.add_weight(
            name=name,
            shape=(self.channels,),
            initializer=initializer,
            dtype=precision.accumulation_dtype(self.variable_dtype),
            trainable=trainable,
            autocast=False,
        )

    def call(self, x, training=False):
        if self.affine and x.shape.rank == 4:
            return self._fused(x, training)
        (y,) = normalise([self], [x], training)
        if not self.affine:
            return y
        wide = tf.cast(y, self.scale.dtype) * self.scale + self.offset
        return tf.cast(wide, y.dtype)

    def _fused(self, x, training):
        """Calls TensorFlow's own kernel, which is faster for many channels."""
        statistics = (
            [] if training else [self.moving_mean, self.moving_variance]
        )
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x,
            *map(tf.convert_to_tensor, [self.scale, self.offset, *statistics]),
            epsilon=BATCH_NORM_EPSILON,
            is_training=training,
        )
        if training:
            self.move(mean, variance)
        return y

    def move(self, mean, variance):
        """Moves the statistics a step towards those of a batch, [C] each.

        The variance is the unbiased one, as in PyTorch and TensorFlow; what
        normalises the batch is not.
        """
        for name, new in zip(STATISTICS, (mean, variance), strict=True):
            old = tf.convert_to_tensor(getattr(self, name))
            step = (1 - BATCH_NORM_MOMENTUM) * (new - old)
            getattr(self, name).assign(old + step)


def normalise(norms, tensors, training=False):
    """Normalises tensors of one shape at once, without scale and offset.

    One tensor at a time gives the same; together they make a graph that is
    smaller and faster.

    Args:
        norms: Sequence of N `BatchNorm`, one a tensor, of one number of
            channels C.
        tensors: Sequence of float [B, H, W, C] or [B / F, H, W, F, C].
        training: Whether to use the batch's statistics, and to move the
            moving ones towards them.

    Returns:
        List of float tensors of that shape.
    """
    channels = norms[0].channels
    size = 1 if tensors[0].shape.rank == 4 else tensors[0].shape[3]
    x = tensors[0] if len(tensors) == 1 else tf.stack(tensors)
    x = tf.reshape(x, [len(norms), -1, size * channels])
    lanes = _Lanes(len(norms), size, channels)
    if training:
        y, mean, variance = _standardise(x, lanes)
        means = _unstack(mean, [channels])
        variances = _unstack(variance * lanes.bessel(x), [channels])
        for norm, mean, variance in zip(norms, means, variances, strict=True):
            norm.move(mean, variance)
    else:
        means, variances = (
            tf.stack([[tf.convert_to_tensor(getattr(n, name))] for n in norms])
            for name in STATISTICS
        )  # [N, 1, C]
        factor = tf.math.rsqrt(variances + BATCH_NORM_EPSILON)
        y = _to_accumulation_dtype(x) * lanes.widen(factor) - lanes.widen(
            means * factor
        )
        y = tf.cast(y, x.dtype)
    return _unstack(y, dynamic_shape(tensors[0]))


def _to_accumulation_dtype(x):
    return tf.cast(x, precision.accumulation_dtype(x.dtype.name))


def dynamic_shape(x):
    """Returns the shape for a reshape, -1 where the batch is not known."""
    return [-1 if size is None else size for size in x.shape]


def _unstack(x, shape):
    """Returns the tensors along the first axis, each in this shape."""
    if x.shape[0] == 1:
        return [tf.reshape(x, shape)]
    return tf.unstack(tf.reshape(x, [x.shape[0], *shape]))


class _Lanes:
    """The channels of F images side by side, for N tensors.

    Graphs are built often while a search goes on, so the few nodes that each
    batch norm needs share their constants.

    Args:
        count: N.
        size: F.
        channels: C.
    """

    def __init__(self, count, size, channels):
        self._size = size
        self._axis = tf.constant([1])
        self._narrow = tf.constant([count, size, channels])
        self._times = tf.constant([1, 1, size])

    def means(self, x):
        """Means of each channel: [N, R, F * C] -> [N, 1, C]."""
        x = tf.reduce_mean(x, self._axis, keepdims=True)
        if self._size == 1:
            return x
        x = tf.reshape(x, self._narrow)
        return tf.reduce_mean(x, self._axis, keepdims=True)

    def bessel(self, x):
        """Returns what makes a variance of [N, R, F * C] unbiased."""
        rows = tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
        count = tf.cast(
            rows * self._size, precision.accumulation_dtype(x.dtype.name)
        )
        return count / tf.maximum(count - 1, 1)

    def widen(self, x):
        """Lays channels out for each image: [N, 1, C] -> [N, 1, F * C]."""
        return x if self._size == 1 else tf.tile(x, self._times)


def _standardise(x, lanes):
    """Shifts and scales each channel to mean 0 and variance 1.

    The gradient is written out because the one that TensorFlow derives from
    the forward pass reads and writes the whole tensor three times more often.

    Args:
        x: float [N, R, F * C].
        lanes: `_Lanes` of x.

    Returns:
        The standardised tensor, and the batch's mean and variance, [N, 1, C],
        which have no gradient and are float32 where x is in half precision.
    """
    mean = lanes.means(_to_accumulation_dtype(x))
    centred = _to_accumulation_dtype(x) - lanes.widen(mean)
    variance = lanes.means(tf.square(centred))
    factor = lanes.widen(tf.math.rsqrt(variance + BATCH_NORM_EPSILON))

    @tf.custom_gradient
    def standardise(_):
        y = tf.cast(centred * factor, x.dtype)

        def gradient(dy):
            along, dy = _to_accumulation_dtype(y), _to_accumulation_dtype(dy)
            along = along * lanes.widen(lanes.means(dy * along))
            dx = factor * (dy - along - lanes.widen(lanes.means(dy)))
            return tf.cast(dx, x.dtype)

        return y, gradient

    return standardise(x), mean, variance
