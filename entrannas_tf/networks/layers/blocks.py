"""Layers of the super-net around the operations: 1x1 blocks, stems.

They exist for the search alone; a target network consists of Keras's own
layers, see `networks.target`. Images are float [B, H, W, C] or, folded,
[B / F, H, W, F, C], see `folding`.
"""

import itertools

import keras
import tensorflow as tf

from entrannas_tf.architecture import operations as definitions
from entrannas_tf.networks.layers import batch_norm, folding


def add_uniform_weight(layer, name, shape, fan_in):
    """Adds a weight as PyTorch initialises it: uniform within a bound.

    Args:
        layer: The layer to add it to.
        name: Of the variable.
        shape: Of the variable.
        fan_in: The bound is 1 / sqrt(fan_in).

    Returns:
        The variable; its attribute `bound` allows to draw its value again.
    """
    bound = fan_in**-0.5
    variable = layer.add_weight(
        name=name,
        shape=shape,
        initializer=keras.initializers.RandomUniform(-bound, bound),
    )
    variable.bound = bound
    return variable


class Conv1x1(keras.layers.Layer):
    """1x1 convolution without bias.

    Args:
        channels_in: C_in.
        channels: C_out.

    Call:
        x: float [..., C_in] -> [..., C_out].
    """

    def __init__(self, channels_in, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels_in = channels_in
        self.channels = channels
        self.kernel = add_uniform_weight(
            self, "kernel", (channels_in, channels), channels_in
        )
        self.built = True

    def call(self, x, training=False):
        del training  # The same either way.
        return folding.pointwise(x, tf.convert_to_tensor(self.kernel))


class EvenAndOdd(keras.layers.Layer):
    """Halves the resolution without losing pixels.

    Half of the channels come from a 1x1 convolution of the even pixels and half
    from one of the odd pixels.

    Args:
        channels_in: C_in.
        channels: C_out, even.

    Call:
        x: float [B, H, W, C_in] -> [B, ceil(H / 2), ceil(W / 2), C_out].
    """

    def __init__(self, channels_in, channels, **kwargs):
        super().__init__(**kwargs)
        half = definitions.FactorizedReduce.half(channels)
        self.even = Conv1x1(channels_in, half)
        self.odd = Conv1x1(channels_in, half)
        self.built = True

    def call(self, x, training=False):
        del training  # The same either way.
        even = self.even(folding.subsample(x))
        odd = self.odd(folding.subsample_shifted(x))
        return tf.concat([even, odd], axis=-1)


class Conv1x1BN(keras.layers.Layer):
    """1x1 convolution, batch normalisation.

    Args:
        channels_in: C_in.
        channels: C_out.
        halve: Whether to halve the resolution, as `EvenAndOdd` does.

    Call:
        x: float [B, H, W, C_in] -> [B, H, W, C_out]; ceil(H / 2) and
        ceil(W / 2) if halved.
    """

    def __init__(self, channels_in, channels, halve=False, **kwargs):
        super().__init__(**kwargs)
        block = EvenAndOdd if halve else Conv1x1
        self.convolution = block(channels_in, channels)
        self.norm = batch_norm.BatchNorm(channels)
        self.built = True

    def call(self, x, training=False):
        return self.norm(self.convolution(x), training=training)


class Restore(keras.layers.Layer):
    """Makes a node's value of the sum that arrives at it.

    It restores the channels behind the bottleneck by a 1x1 convolution. With
    partial channels it first deals the channels out, so that other ones are
    read next: channel c of group g goes to place c * groups + g (PC-DARTS,
    section 3.2). PC-DARTS does so on each edge; the sum's result is the same.

    Args:
        channels_in: Channels of the sum.
        channels: C; the convolution is left out if it is the same number.
        num_groups: Number of groups of channels, 1 to leave them in place.

    Call:
        x: float [..., channels_in] -> [..., C].
    """

    def __init__(self, channels_in, channels, num_groups=1, **kwargs):
        super().__init__(**kwargs)
        self.channels_in = channels_in
        self.num_groups = num_groups
        self.convolution = None
        if channels_in != channels:
            self.convolution = Conv1x1(channels_in, channels)
        self.built = True

    def call(self, x, training=False):
        del training  # The same either way.
        if self.num_groups > 1:
            width = self.channels_in // self.num_groups
            groups = tf.reshape(x, [-1, self.num_groups, width])
            dealt = tf.transpose(groups, [0, 2, 1])
            x = tf.reshape(dealt, [-1, *x.shape[1:]])
        return x if self.convolution is None else self.convolution(x)


class Concatenate(keras.layers.Layer):
    """Makes a cell's output of its nodes' values.

    Args:
        rectify: Whether a ReLU comes last. DARTS's cells each begin with one,
            on both inputs; here it is done once, where the output is made.

    Call:
        values: float [..., C] each, one after another.
        Returns float [..., M * C].
    """

    def __init__(self, rectify, **kwargs):
        super().__init__(**kwargs)
        self.rectify = rectify
        self.built = True

    def call(self, *values, training=False):
        del training  # The same either way.
        output = tf.concat(values, axis=-1)
        return tf.nn.relu(output) if self.rectify else output


class CifarStem(keras.layers.Layer):
    """DARTS's stem for small images: 3x3 convolution, batch normalisation.

    Args:
        channels_in: Channels of the images.
        channels: C_out.
        max_fold: Images to fold together at most; 1 keeps [B, H, W, C].
        rectify: Whether a ReLU comes last: all that read the stem begin with
            one, which then need not be repeated.

    Call:
        images: float [B, H, W, C_in] -> [B / F, H, W, F, C_out], or [B, H, W,
        C_out] where F is 1. No gradient flows back to the images.
    """

    def __init__(
        self,
        channels_in,
        channels,
        max_fold=folding.MAX_FOLD,
        rectify=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rectify = rectify
        self.channels_in = channels_in
        self.channels = channels
        self.max_fold = max_fold
        self.kernel = add_uniform_weight(
            self, "kernel", (3, 3, channels_in, channels), 9 * channels_in
        )
        self.norm = batch_norm.BatchNorm(channels, affine=True)
        self.built = True

    def call(self, images, training=False):
        size = folding.fold_size(images.shape[0], self.max_fold)
        x = tf.cast(tf.stop_gradient(images), self.compute_dtype)
        x = folding.convolution(x, tf.convert_to_tensor(self.kernel))
        x = self.norm(folding.fold(x, size), training=training)
        return tf.nn.relu(x) if self.rectify else x


class ImageNetStem(keras.layers.Layer):
    """DARTS's stem for large images: three 3x3 convolutions of stride 2.

    Args:
        channels_in: Channels of the images.
        channels: C of both outputs, even.
        max_fold: Images to fold together at most; 1 keeps [B, H, W, C].
        rectify: Whether a ReLU comes last, on both outputs.

    Call:
        images: float [B, H, W, C_in].
        Returns two features for the first cell, folded likewise: H / 4 by
        W / 4 and H / 8 by W / 8, C channels each. No gradient flows back to
        the images.
    """

    def __init__(
        self, channels_in, channels, max_fold=1, rectify=False, **kwargs
    ):
        super().__init__(**kwargs)
        if channels % 2:
            raise ValueError(
                f"ImageNetStem got channels={channels}; expected an even "
                "number: its first convolution has half as many."
            )
        self.channels_in = channels_in
        self.channels = channels
        self.max_fold = max_fold
        self.rectify = rectify
        widths = (channels_in, channels // 2, channels, channels)
        self.kernels = [
            add_uniform_weight(
                self, f"kernel_{i}", (3, 3, before, width), 9 * before
            )
            for i, (before, width) in enumerate(itertools.pairwise(widths))
        ]
        self.norms = [
            batch_norm.BatchNorm(width, affine=True) for width in widths[1:]
        ]
        self.built = True

    def call(self, images, training=False):
        x = tf.cast(tf.stop_gradient(images), self.compute_dtype)
        x = self._convolve(0, x, training)
        first = self._convolve(1, tf.nn.relu(x), training)
        rectified = tf.nn.relu(first)
        second = self._convolve(2, rectified, training)
        if self.rectify:
            first, second = rectified, tf.nn.relu(second)
        size = folding.fold_size(images.shape[0], self.max_fold)
        return folding.fold(first, size), folding.fold(second, size)

    def _convolve(self, number, x, training):
        kernel = tf.convert_to_tensor(self.kernels[number])
        x = folding.convolution(x, kernel, (2, 2))
        return self.norms[number](x, training=training)
