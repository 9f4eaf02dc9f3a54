"""The candidate primitives: one layer each, the table at the bottom.

Definitions are DARTS's. Tensors lie in the folded layout of `folding`; every
layer maps float [B / F, H, W, F * C] to [B / F, H / stride, W / stride, F * C].
"""

import keras
import tensorflow as tf

from entrannas_tf.networks.layers import batch_norm, blocks, folding, pooling


class Operation(keras.layers.Layer):
    """What all primitives share: the arguments.

    Args:
        channels: C, of the input and the output.
        stride: 1 or 2.
        affine: Whether batch norms learn scale and offset. Without, the
            layer is one of the super-net: a pool is then followed by a batch
            norm too, as in DARTS.
    """

    def __init__(self, channels, stride=1, affine=False, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.stride = stride
        self.affine = affine
        self.norm = None
        self.add_layers()
        self.built = True

    @property
    def is_identity(self):
        """Whether the output is the input."""
        return False

    def add_layers(self):
        """Makes weights, sublayers and `norm`, the batch norm at the end."""

    def features(self, x, rectified, training=False):
        """Returns what comes before the batch norm at the end.

        Args:
            x: The input.
            rectified: relu(x), which many operations start with.
            training: As for a layer.
        """
        raise NotImplementedError

    def call(self, x, training=False):
        x = self.features(x, tf.nn.relu(x), training)
        return x if self.norm is None else self.norm(x, training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "stride": self.stride,
            "affine": self.affine,
        }

    def _add_depthwise_kernel(self, name, size):
        shape = (size, size, self.channels, 1)
        return blocks.add_uniform_weight(self, name, shape, size * size)

    def _add_kernel(self, name, height, width):
        shape = (height, width, self.channels, self.channels)
        fan_in = height * width * self.channels
        return blocks.add_uniform_weight(self, name, shape, fan_in)


class SepConv(Operation):
    """Two rounds of ReLU, depthwise, 1x1 convolution, batch norm."""

    kernel_size = None

    def add_layers(self):
        self.depthwise = [
            self._add_depthwise_kernel(f"depthwise_{i}", self.kernel_size)
            for i in range(2)
        ]
        self.pointwise = [
            blocks.Conv1x1(self.channels, self.channels) for _ in range(2)
        ]
        self.inner_norm = batch_norm.BatchNorm(self.channels, self.affine)
        self.norm = batch_norm.BatchNorm(self.channels, self.affine)

    def features(self, x, rectified, training=False):
        x = self._round(0, rectified, self.stride)
        x = tf.nn.relu(self.inner_norm(x, training=training))
        return self._round(1, x, 1)

    def _round(self, number, x, stride):
        kernel = tf.convert_to_tensor(self.depthwise[number])
        x = folding.depthwise(x, kernel, stride)
        return self.pointwise[number](x)


class SepConv3x3(SepConv):
    """3x3 separable convolution, twice."""

    kernel_size = 3


class SepConv5x5(SepConv):
    """5x5 separable convolution, twice."""

    kernel_size = 5


class SepConv7x7(SepConv):
    """7x7 separable convolution, twice."""

    kernel_size = 7


class DilConv(Operation):
    """ReLU, depthwise with dilation 2, 1x1 convolution, batch norm."""

    kernel_size = None

    def add_layers(self):
        self.depthwise = self._add_depthwise_kernel(
            "depthwise", self.kernel_size
        )
        self.pointwise = blocks.Conv1x1(self.channels, self.channels)
        self.norm = batch_norm.BatchNorm(self.channels, self.affine)

    def features(self, x, rectified, training=False):
        kernel = tf.convert_to_tensor(self.depthwise)
        x = folding.depthwise(rectified, kernel, self.stride, dilation=2)
        return self.pointwise(x)


class DilConv3x3(DilConv):
    """3x3 separable convolution with dilation 2."""

    kernel_size = 3


class DilConv5x5(DilConv):
    """5x5 separable convolution with dilation 2."""

    kernel_size = 5


class Pool(Operation):
    """3x3 pooling, in the super-net followed by a batch norm."""

    def add_layers(self):
        if not self.affine:
            self.norm = batch_norm.BatchNorm(self.channels)


class MaxPool(Pool):
    """3x3 max pooling."""

    def features(self, x, rectified, training=False):
        return pooling.max_pool(x, self.stride)


class AveragePool(Pool):
    """3x3 average pooling that does not count the padding."""

    def features(self, x, rectified, training=False):
        return pooling.average_pool(x, self.stride)


class SkipConnect(Operation):
    """Identity; at stride 2 a `FactorizedReduce`."""

    @property
    def is_identity(self):
        return self.stride == 1

    def add_layers(self):
        if self.stride == 2:
            self.reduce = blocks.FactorizedReduce(
                self.channels, self.channels, self.affine
            )
            self.norm = self.reduce.norm

    def features(self, x, rectified, training=False):
        return x if self.stride == 1 else self.reduce.features(rectified)


class Convolution(Operation):
    """ReLU, ordinary convolutions one after another, batch norm."""

    kernel_sizes = ()

    def add_layers(self):
        self.kernels = [
            self._add_kernel(f"kernel_{height}x{width}", height, width)
            for height, width in self.kernel_sizes
        ]
        self.norm = batch_norm.BatchNorm(self.channels, self.affine)

    def features(self, x, rectified, training=False):
        x = rectified
        for kernel, strides in zip(self.kernels, self._strides(), strict=True):
            x = folding.convolution(x, tf.convert_to_tensor(kernel), strides)
        return x

    def _strides(self):
        """A pair of one-sided kernels strides along its long side."""
        if len(self.kernel_sizes) == 1:
            return [(self.stride, self.stride)]
        return [(1, self.stride), (self.stride, 1)]


class Conv1x1(Convolution):
    """1x1 convolution."""

    kernel_sizes = ((1, 1),)


class Conv3x3(Convolution):
    """3x3 convolution."""

    kernel_sizes = ((3, 3),)


class Conv1x3x3x1(Convolution):
    """1x3 then 3x1 convolution."""

    kernel_sizes = ((1, 3), (3, 1))


class Conv1x5x5x1(Convolution):
    """1x5 then 5x1 convolution."""

    kernel_sizes = ((1, 5), (5, 1))


class Conv1x7x7x1(Convolution):
    """1x7 then 7x1 convolution."""

    kernel_sizes = ((1, 7), (7, 1))


def run_together(operations, x, training=False):
    """Runs several operations on one node: the same as one after another.

    The batch norms at their ends are one: see `batch_norm.normalise`.

    Args:
        operations: Sequence of `Operation` without scale and offset, alike in
            channels and stride.
        x: float [B / F, H, W, F * C].
        training: As for a layer.

    Returns:
        List of float [B / F, H / stride, W / stride, F * C].
    """
    rectified = tf.nn.relu(x)
    features = [o.features(x, rectified, training) for o in operations]
    normed = [i for i, o in enumerate(operations) if o.norm is not None]
    if normed:
        results = batch_norm.normalise(
            [operations[i].norm for i in normed],
            [features[i] for i in normed],
            training,
        )
        for i, result in zip(normed, results, strict=True):
            features[i] = result
    return features


# "none" has no layer: it is the lack of a connection.
OPERATIONS = {
    "max_pool_3x3": MaxPool,
    "avg_pool_3x3": AveragePool,
    "skip_connect": SkipConnect,
    "sep_conv_3x3": SepConv3x3,
    "sep_conv_5x5": SepConv5x5,
    "dil_conv_3x3": DilConv3x3,
    "dil_conv_5x5": DilConv5x5,
    "conv_1x1": Conv1x1,
    "conv_3x3": Conv3x3,
    "conv_1x3_3x1": Conv1x3x3x1,
    "conv_1x5_5x1": Conv1x5x5x1,
    "conv_1x7_7x1": Conv1x7x7x1,
    "sep_conv_7x7": SepConv7x7,
    "conv_7x1_1x7": Conv1x7x7x1,  # DARTS's name of it
}
