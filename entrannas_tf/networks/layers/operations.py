"""The candidate operations as layers of the super-net.

Tensors lie in the folded layout of `folding`: float [B / F, H, W, F * C], which
an operation maps to [B / F, H / stride, W / stride, F * C]. Target networks
run the same operations as Keras's own layers, see `networks.target`.
"""

import keras
import tensorflow as tf

from entrannas_tf.architecture import operations as definitions
from entrannas_tf.networks.layers import batch_norm, blocks, folding, pooling


class Operation(keras.layers.Layer):
    """An operation by its steps, without scale and offset in batch norms.

    As in DARTS a batch norm follows a pool.

    Args:
        primitive: Name of the operation, of `definitions.OPERATIONS`.
        channels: C, of the input and the output.
        stride: 1 or 2.

    Attributes:
        steps: The steps before the batch norm at the end.
        step_weights: For each of these the variable or the layer that has its
            weights, or None.
        norm: The batch norm at the end; None for an identity.

    Call:
        x: float [B / F, H, W, F * C].
        Returns float [B / F, H / stride, W / stride, F * C].
    """

    def __init__(self, primitive, channels, stride=1, **kwargs):
        super().__init__(**kwargs)
        self.primitive = primitive
        self.channels = channels
        self.stride = stride
        steps = definitions.find(primitive).at_stride(stride).steps
        if steps and isinstance(steps[-1], definitions.BatchNorm):
            steps = steps[:-1]
        self.steps = steps
        self.step_weights = [
            self._make_weights(step, number)
            for number, step in enumerate(steps)
        ]
        self.norm = batch_norm.BatchNorm(channels) if steps else None
        self.built = True

    @property
    def is_identity(self):
        """Whether the output is the input."""
        return not self.steps

    def features(self, x, rectified, training=False):
        """Returns the input of the batch norm at the end.

        Args:
            x: The input.
            rectified: relu(x), which many operations start with.
            training: As for a layer.
        """
        for number, step in enumerate(self.steps):
            weights = self.step_weights[number]
            match step:
                case definitions.ReLU():
                    x = rectified if number == 0 else tf.nn.relu(x)
                case definitions.BatchNorm():
                    x = weights(x, training=training)
                case definitions.Convolution():
                    x = self._convolve(step, weights, x)
                case definitions.Depthwise():
                    stride, _ = step.strides(self.stride)
                    kernel = tf.convert_to_tensor(weights)
                    x = folding.depthwise(x, kernel, stride, step.dilation)
                case definitions.MaxPool():
                    x = pooling.max_pool(x, self.stride)
                case definitions.AveragePool():
                    x = pooling.average_pool(x, self.stride)
                case definitions.FactorizedReduce():
                    x = weights(x)
        return x

    def call(self, x, training=False):
        x = self.features(x, tf.nn.relu(x), training)
        return x if self.norm is None else self.norm(x, training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "primitive": self.primitive,
            "channels": self.channels,
            "stride": self.stride,
        }

    def _make_weights(self, step, number):
        channels = self.channels
        match step:
            case definitions.BatchNorm():
                return batch_norm.BatchNorm(channels)
            case definitions.Convolution():
                if self._is_pointwise(step):
                    return blocks.Conv1x1(channels, channels)
                shape = (*step.kernel, channels, channels)
                fan_in = step.kernel[0] * step.kernel[1] * channels
                name = f"kernel_{number}"
                return blocks.add_uniform_weight(self, name, shape, fan_in)
            case definitions.Depthwise():
                shape = (*step.kernel, channels, 1)
                name = f"depthwise_{number}"
                fan_in = step.size**2
                return blocks.add_uniform_weight(self, name, shape, fan_in)
            case definitions.FactorizedReduce():
                return blocks.EvenAndOdd(channels, channels)
            case definitions.ReLU():
                return None
            case definitions.MaxPool() | definitions.AveragePool():
                return None
        raise TypeError(f"{step!r} is no step of `architecture.operations`.")

    def _is_pointwise(self, step):
        return step.kernel == step.strides(self.stride) == (1, 1)

    def _convolve(self, step, weights, x):
        if self._is_pointwise(step):
            return weights(x)
        kernel = tf.convert_to_tensor(weights)
        return folding.convolution(x, kernel, step.strides(self.stride))


def run_together(operations, x, training=False):
    """Runs several operations on one node: the same as one after another.

    The batch norms at their ends are one: see `batch_norm.normalise`.

    Args:
        operations: Sequence of `Operation`, alike in channels and stride.
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
