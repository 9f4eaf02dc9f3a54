"""The super-net's memory layout, and the convolutions that work on it.

After the bottleneck an Engine-cell works on 4 to 16 channels. Kernels that
vectorise over channels then do little besides overhead, so the super-net folds
several images into the channel axis: F images of C channels lie as
`[B / F, H, W, F * C]`, the channels of an image side by side. Depthwise
convolution, pooling and every element-wise operation are the same on folded
images; a 1x1 convolution is a matrix product after a reshape that moves no
data. F is never passed on: it is the number of channels on the tensor divided
by the number of channels that the layer knows. With F = 1 the layout is the
ordinary `[B, H, W, C]`.

Padding is symmetric at every stride, as in DARTS (`padding="same"` is not at
stride 2), so that weights copied from a DARTS network give the same outputs.
"""

import math

import numpy as np
import tensorflow as tf

# Images folded together at most. Measured on 2 cores of an AMD EPYC (AVX2),
# CIFAR-10's super-net at batch 64: a step takes 1.7 times as long without
# folding, and the same with 16 as with 64. Not measured on a GPU.
MAX_FOLD = 64

# Columns that a matrix should have for the processor's product to pay. Chosen
# on an older processor; on the one above a step takes as long without it,
# within the 10 % by which such measurements differ.
_NARROW = 16


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
    """Folds `size` images into the channels.

    Args:
        images: float [B, H, W, C], B a multiple of `size`.
        size: F, the number of images that share a row of channels.

    Returns:
        float [B / F, H, W, F * C].
    """
    if size == 1:
        return images
    _, height, width, channels = images.shape
    x = tf.reshape(images, [-1, size, height, width, channels])
    x = tf.transpose(x, [0, 2, 3, 1, 4])  # [B/F, H, W, F, C]
    return tf.reshape(x, [-1, height, width, size * channels])


def unfold(x, channels):
    """Undoes `fold`: float [B / F, H, W, F * C] -> [B, H, W, C]."""
    size = x.shape[-1] // channels
    if size == 1:
        return x
    _, height, width, _ = x.shape
    x = tf.reshape(x, [-1, height, width, size, channels])
    x = tf.transpose(x, [0, 3, 1, 2, 4])  # [B/F, F, H, W, C]
    return tf.reshape(x, [-1, height, width, channels])


def concat(tensors, channels):
    """Concatenates along the channels of each image.

    Args:
        tensors: Sequence of float [B / F, H, W, F * C_i].
        channels: C of the first tensor.

    Returns:
        float [B / F, H, W, F * sum of C_i].
    """
    _, height, width, last = tensors[0].shape
    size = last // channels
    if size == 1:
        return tf.concat(tensors, axis=-1)
    apart = [
        tf.reshape(t, [-1, height, width, size, t.shape[-1] // size])
        for t in tensors
    ]
    joined = tf.concat(apart, axis=-1)
    return tf.reshape(joined, [-1, height, width, size * joined.shape[-1]])


def split(x, channels, first):
    """Splits the channels of each image in two; `concat` undoes it.

    Args:
        x: float [B / F, H, W, F * C].
        channels: C.
        first: Number of channels of the first part, C_1.

    Returns:
        List of float [B / F, H, W, F * C_1] and the rest, F * (C - C_1).
    """
    _, height, width, last = x.shape
    size = last // channels
    if size > 1:
        x = tf.reshape(x, [-1, height, width, size, channels])
    parts = tf.split(x, [first, channels - first], axis=-1)
    if size == 1:
        return parts
    return [
        tf.reshape(p, [-1, height, width, size * p.shape[-1]]) for p in parts
    ]


def shuffle(x, channels, groups):
    """Deals out the channels of groups, one of each group at a time.

    Channel c of group g goes to place c * groups + g, as in PC-DARTS.

    Args:
        x: float [B / F, H, W, F * C].
        channels: C.
        groups: Number of groups, which divides C.

    Returns:
        float [B / F, H, W, F * C].
    """
    grouped = tf.reshape(x, [-1, groups, channels // groups])
    dealt = tf.transpose(grouped, [0, 2, 1])
    return tf.reshape(dealt, [-1, *x.shape[1:]])


def pointwise(x, kernel):
    """1x1 convolution.

    Args:
        x: float [B / F, H, W, F * C_in].
        kernel: float [C_in, C_out].

    Returns:
        float [B / F, H, W, F * C_out].
    """
    channels_in, channels_out = kernel.shape
    _, height, width, last = x.shape
    size = last // channels_in
    # A product with so narrow a matrix is mostly overhead: take several
    # images at once, with the kernel repeated along the diagonal.
    widest = max(channels_in, channels_out)
    together = math.gcd(size, max(1, _NARROW // widest))
    if together > 1:
        diagonal = np.eye(together, dtype=kernel.dtype.as_numpy_dtype)
        blocks = tf.reshape(kernel, [1, channels_in, 1, channels_out])
        kernel = tf.reshape(
            diagonal[:, None, :, None] * blocks,
            [together * channels_in, together * channels_out],
        )
    rows = tf.reshape(x, [-1, together * channels_in])
    return tf.reshape(
        tf.matmul(rows, kernel), [-1, height, width, size * channels_out]
    )


def depthwise(x, kernel, stride=1, dilation=1):
    """Depthwise convolution, padded symmetrically.

    Args:
        x: float [B / F, H, W, F * C].
        kernel: float [k, k, C, 1], k odd.
        stride: 1 or 2.
        dilation: 1 or 2.

    Returns:
        float [B / F, ceil(H / stride), ceil(W / stride), F * C].
    """
    if stride == 2 and dilation == 2:
        # Every tap lies on the even rows and columns.
        x, stride, dilation = subsample(x), 1, 1
    size = x.shape[-1] // kernel.shape[2]
    if size > 1:
        kernel = tf.tile(kernel, [1, 1, size, 1])
    padding = "SAME"
    if stride == 2:
        x, padding = _pad(x, kernel.shape[0] // 2), "VALID"
    return tf.nn.depthwise_conv2d(
        x, kernel, [1, stride, stride, 1], padding, dilations=[dilation] * 2
    )


def convolution(x, kernel, strides=(1, 1)):
    """Ordinary convolution, padded symmetrically.

    Args:
        x: float [B / F, H, W, F * C_in].
        kernel: float [k_h, k_w, C_in, C_out], k_h and k_w odd.
        strides: Vertical and horizontal stride.

    Returns:
        float [B / F, ceil(H / strides[0]), ceil(W / strides[1]), F * C_out].
    """
    height, width, channels_in, _ = kernel.shape
    size = x.shape[-1] // channels_in
    images = _pad(unfold(x, channels_in), height // 2, width // 2)
    return fold(tf.nn.conv2d(images, kernel, strides, "VALID"), size)


def subsample(x):
    """Keeps the even rows and columns: [B, H, W, C] -> [B, H/2, W/2, C]."""
    return _every_second(_even_size(x), 0)


def subsample_shifted(x):
    """Keeps the odd rows and columns; an odd size is padded with zeros."""
    return _every_second(_even_size(x), 1)


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
