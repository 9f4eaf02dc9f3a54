"""Pooling of images.

Padding is symmetric at every stride, as in DARTS. Tensors are float
[B, H, W, C]; pooling with stride s leaves ceil(H / s) rows and ceil(W / s)
columns.
"""

import tensorflow as tf

_MARGINS = [[0, 0], [1, 1], [1, 1], [0, 0]]


def max_pool(x, stride):
    """3x3 max pooling; padding never wins.

    It goes along each row and then along each column, so that the first of
    equals is PyTorch's. Its gradient is written out. A step of CIFAR-10's
    super-net takes as long with TensorFlow's kernel (1.00 of the time on 2
    cores of an AMD EPYC with AVX2; on an older processor the kernel alone was
    two to six times slower).
    """
    along = _max_of_three if stride == 1 else _max_of_every_second
    return along(along(x, 2), 1)


def average_pool(x, stride):
    """3x3 average pooling; padding is not counted."""
    if stride == 1:
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")
    present = tf.pad(tf.ones([1, *x.shape[1:3], 1], x.dtype), _MARGINS)
    share = tf.nn.avg_pool2d(present, 3, 2, "VALID")  # [1, H/2, W/2, 1]
    return tf.nn.avg_pool2d(tf.pad(x, _MARGINS), 3, 2, "VALID") / share


def max_pool_2x2(x):
    """2x2 max pooling of stride 2; a last odd row or column stands alone."""
    return tf.nn.max_pool2d(x, 2, 2, "SAME")


def _max_of_three(x, axis):
    """Maximum of each pixel and its two neighbours along an axis."""
    size = x.shape[axis]

    @tf.custom_gradient
    def maximum(x):
        margin = tf.fill(_edge_shape(x, axis), x.dtype.min)
        padded = tf.concat([margin, x, margin], axis)
        before, middle, after = (
            _window(padded, axis, start, size) for start in range(3)
        )
        y = tf.maximum(tf.maximum(before, middle), after)

        def gradient(dy):
            shares = _share_out(dy, y, before, middle)
            return sum(
                _shift(share, axis, places)
                for share, places in zip(shares, (-1, 0, 1), strict=True)
            )

        return y, gradient

    return maximum(x)


def _max_of_every_second(x, axis):
    """The same of every second pixel only, from the first on."""
    if x.shape[axis] % 2:
        margin = tf.fill(_edge_shape(x, axis), x.dtype.min)
        x = tf.concat([x, margin], axis)
    pairs = [-1, *x.shape[1:]]
    pairs[axis : axis + 1] = [x.shape[axis] // 2, 2]

    @tf.custom_gradient
    def maximum(x):
        middle, after = tf.unstack(tf.reshape(x, pairs), axis=axis + 1)
        before = _shift(after, axis, 1, x.dtype.min)
        y = tf.maximum(tf.maximum(before, middle), after)

        def gradient(dy):
            to_before, to_middle, to_after = _share_out(dy, y, before, middle)
            to_after += _shift(to_before, axis, -1)
            joined = tf.stack([to_middle, to_after], axis + 1)
            return tf.reshape(joined, tf.shape(x))

        return y, gradient

    return maximum(x)


def _share_out(dy, y, before, middle):
    """Splits a maximum's gradient; as in PyTorch the first of equals has it."""
    to_before = tf.where(tf.equal(before, y), dy, 0)
    rest = dy - to_before
    to_middle = tf.where(tf.equal(middle, y), rest, 0)
    return to_before, to_middle, rest - to_middle


def _shift(x, axis, places, value=0):
    """Moves pixels along an axis by -1, 0 or 1 places, and fills the gap."""
    if places == 0:
        return x
    edge = tf.fill(_edge_shape(x, axis), tf.constant(value, x.dtype))
    kept = _window(x, axis, 1 if places < 0 else 0, x.shape[axis] - 1)
    return tf.concat([kept, edge] if places < 0 else [edge, kept], axis)


def _edge_shape(x, axis):
    shape = list(x.shape)
    shape[0] = tf.shape(x)[0] if shape[0] is None else shape[0]
    shape[axis] = 1
    return shape


def _window(x, axis, start, size):
    """Slices `size` entries along one axis."""
    begin, extent = [0] * 4, [-1] * 4
    begin[axis], extent[axis] = start, size
    return tf.slice(x, begin, extent)
