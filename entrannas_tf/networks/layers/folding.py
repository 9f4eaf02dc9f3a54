"""Folding: several images side by side, so that narrow layers run fast.

Behind the bottleneck a cell works on 4 to 16 channels, and kernels that
vectorise over channels do little besides overhead. So the super-net's stem
folds F images into one, [B, H, W, C] into [B / F, H, W, F, C], and its head
takes them apart. In between the channels of an image stay the last axis:
element-wise operations, concatenations, 1x1 convolutions and batch norms know
nothing of it. Kernels that look at neighbouring pixels treat every channel
alike, and take F * C channels: that is the task of this module. Without
folding images are the ordinary [B, H, W, C].

Padding is symmetric at every stride, as in DARTS (`padding="same"` is not at
stride 2), so that weights copied from a DARTS network give the same outputs.
"""

import tensorflow as tf

# Images folded together at most. Measured on 2 cores of an AMD EPYC (AVX2),
# CIFAR-10's super-net at batch 64: a step takes 1.7 times as long without
# folding, and the same with 16 as with 64. Not measured on a GPU.
MAX_FOLD = 64


def fold_size(batch_size, limit=MAX_FOLD):
    """Returns the largest divisor of `batch_size` that is at most `limit`.

    Args:
        batch_size: Number of images, or None if it is not known: 1 then.
        limit: Largest number of images to fold together.
    """
    if batch_size is None:
        return 1
    return max(f for f in range(1, limit + 1) if batch_size % f == 0)


def fold(images, size):
    """Folds images.

    Args:
        images: float [B, H, W, C], B a multiple of `size`.
        size: F, the number of images to fold together.

    Returns:
        float [B / F, H, W, F, C]; the images as they are where F is 1.
    """
    if size == 1:
        return images
    x = tf.reshape(images, [-1, size, *images.shape[1:]])
    return tf.transpose(x, [0, 2, 3, 1, 4])


def unfold(x):
    """Undoes `fold`: float [B / F, H, W, F, C] -> [B, H, W, C]."""
    if x.shape.rank == 4:
        return x
    x = tf.transpose(x, [0, 3, 1, 2, 4])
    return tf.reshape(x, [-1, *x.shape[2:]])


def on_channels(function, x):
    """Applies a function that treats every channel alike.

    Args:
        function: Callable of float [B, H, W, C] that keeps the channels.
        x: float [B, H, W, C] or [B / F, H, W, F, C].

    Returns:
        The result, with the axes of x.
    """
    if x.shape.rank == 4:
        return function(x)
    *_, height, width, size, channels = x.shape
    y = function(tf.reshape(x, [-1, height, width, size * channels]))
    return tf.reshape(y, [-1, *y.shape[1:3], size, channels])


def pointwise(x, kernel):
    """1x1 convolution.

    Args:
        x: float [..., C_in].
        kernel: float [C_in, C_out].

    Returns:
        float [..., C_out].
    """
    channels_in, channels = kernel.shape
    y = tf.matmul(tf.reshape(x, [-1, channels_in]), kernel)
    return tf.reshape(y, [-1, *x.shape[1:-1], channels])


def depthwise(x, kernel, stride=1, dilation=1):
    """Depthwise convolution, padded symmetrically.

    Args:
        x: float [B, H, W, C] or [B / F, H, W, F, C].
        kernel: float [k, k, C, 1], k odd.
        stride: 1 or 2.
        dilation: 1 or 2.

    Returns:
        float [B, ceil(H / stride), ceil(W / stride), C], or folded as x is.
    """
    if stride == 2 and dilation == 2:
        # Every tap lies on the even rows and columns.
        x, stride, dilation = subsample(x), 1, 1
    if x.shape.rank == 5:
        kernel = tf.tile(kernel, [1, 1, x.shape[3], 1])

    def convolve(x):
        padding = "SAME"
        if stride == 2:
            x, padding = _pad(x, kernel.shape[0] // 2), "VALID"
        strides = [1, stride, stride, 1]
        return tf.nn.depthwise_conv2d(
            x, kernel, strides, padding, dilations=[dilation] * 2
        )

    return on_channels(convolve, x)


def convolution(x, kernel, strides=(1, 1)):
    """Ordinary convolution, padded symmetrically.

    Args:
        x: float [B, H, W, C_in] or [B / F, H, W, F, C_in].
        kernel: float [k_h, k_w, C_in, C_out], k_h and k_w odd.
        strides: Vertical and horizontal stride.

    Returns:
        float [B, ceil(H / strides[0]), ceil(W / strides[1]), C_out], or folded
        as x is.
    """
    size = 1 if x.shape.rank == 4 else x.shape[3]
    images = _pad(unfold(x), kernel.shape[0] // 2, kernel.shape[1] // 2)
    return fold(tf.nn.conv2d(images, kernel, strides, "VALID"), size)


def subsample(x):
    """Keeps the even rows and columns, ceil(H / 2) and ceil(W / 2)."""
    return on_channels(lambda x: _every_second(_even_size(x), 0), x)


def subsample_shifted(x):
    """Keeps the odd rows and columns; an odd size is padded with zeros."""
    return on_channels(lambda x: _every_second(_even_size(x), 1), x)


def _even_size(x):
    _, height, width, _ = x.shape
    if height % 2 == 0 and width % 2 == 0:
        return x
    return tf.pad(x, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]])


def _every_second(x, first):
    """Picks whole rows, then whole pixels: far faster than strided slices."""
    _, height, width, channels = x.shape
    rows = tf.reshape(x, [-1, 2, width * channels])
    pixels = tf.reshape(_pick(rows, first), [-1, 2, channels])
    picked = _pick(pixels, first)
    return tf.reshape(picked, [-1, height // 2, width // 2, channels])


def _pick(x, place):
    """Picks one of each pair: [R, 2, C] -> [R, C]."""

    @tf.custom_gradient
    def pick(x):
        def gradient(dy):
            # No zeros are kept from the forward pass.
            pair = [tf.zeros_like(dy)] * 2
            pair[place] = dy
            return tf.stack(pair, axis=1)

        return tf.unstack(x, axis=1)[place], gradient

    return pick(x)


def _pad(x, vertical, horizontal=None):
    horizontal = vertical if horizontal is None else horizontal
    return tf.pad(x, [[0, 0], [vertical] * 2, [horizontal] * 2, [0, 0]])
