"""The candidate operations as layers of the super-net, and their sums.

Images are float [B, H, W, C] or, folded, [B / F, H, W, F, C], see `folding`.
Target networks run the same operations as Keras's own layers, see
`networks.target`.
"""

import keras
import tensorflow as tf

from entrannas_tf.architecture import operations as definitions
from entrannas_tf.networks.layers import (
    batch_norm,
    blocks,
    dropout,
    folding,
    pooling,
)


class Operation(keras.layers.Layer):
    """An operation by its steps, without scale and offset in batch norms.

    As in DARTS a batch norm follows a pool.

    Args:
        primitive: Name of the operation, of `definitions.OPERATIONS`.
        channels: C, of the input and the output.
        stride: 1 or 2.
        num_bypassed: Number of channels, the last ones, that the operation
            does not read and passes on as `bypass` does (PC-DARTS, section
            3.2).

    Attributes:
        width: Number of channels that the operation reads.
        steps: The steps before the batch norm at the end.
        step_weights: For each of these the variable or the layer that has its
            weights, or None.
        norm: The batch norm at the end; None for an identity.

    Call:
        x: float [B, H, W, C].
        Returns float [B, ceil(H / stride), ceil(W / stride), C].
    """

    def __init__(self, primitive, channels, stride=1, num_bypassed=0, **kwargs):
        super().__init__(**kwargs)
        self.primitive = primitive
        self.channels = channels
        self.width = channels - num_bypassed
        self.stride = stride
        self.num_bypassed = num_bypassed
        steps = definitions.find(primitive).at_stride(stride).steps
        if steps and isinstance(steps[-1], definitions.BatchNorm):
            steps = steps[:-1]
        self.steps = steps
        self.step_weights = [
            self._make_weights(step, number)
            for number, step in enumerate(steps)
        ]
        self.norm = batch_norm.BatchNorm(self.width) if steps else None
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
                    x = self._pool(pooling.max_pool, x)
                case definitions.AveragePool():
                    x = self._pool(pooling.average_pool, x)
                case definitions.FactorizedReduce():
                    x = weights(x)
        return x

    def call(self, x, training=False):
        x, bypassed = self.bypass(x)
        y = self.features(x, tf.nn.relu(x), training)
        if self.norm is not None:
            y = self.norm(y, training=training)
        return tf.concat([y, *bypassed], axis=-1)

    def bypass(self, x):
        """Returns the channels to read, and a list of those to pass on.

        The latter, one tensor or none, are max-pooled at stride 2.
        """
        if not self.num_bypassed:
            return x, []
        x, passed = tf.split(x, [self.width, self.num_bypassed], axis=-1)
        if self.stride == 2:
            passed = folding.on_channels(pooling.max_pool_2x2, passed)
        return x, [passed]

    def _pool(self, pool, x):
        return folding.on_channels(lambda x: pool(x, self.stride), x)

    def _make_weights(self, step, number):
        channels = self.width
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


def weighted_sums(operations, x, weights, training=False, dropout_state=None):
    """Returns weighted sums of operations on one node (Eq. 6, first line).

    Args:
        operations: Sequence of K `Operation`, alike in channels and stride.
        x: float [B, H, W, C], the features that they read.
        weights: float32 [T, K + 1]; the last column is that of the bypassed
            channels, and not used where there are none.
        training: As for a layer.
        dropout_state: (seed, rate) for `dropout.drop_elements` behind
            identities, None for no dropout.

    Returns:
        List of T float [B, ceil(H / stride), ceil(W / stride), C].
    """
    x, bypassed = operations[0].bypass(x)
    features = _run_together(operations, x, training)
    if dropout_state is not None:
        features = [
            dropout.drop_elements(y, *dropout_state) if o.is_identity else y
            for o, y in zip(operations, features, strict=True)
        ]
    sums = _mix(features, weights[:, :-1])
    for passed in bypassed:
        pairs = zip(sums, _mix([passed], weights[:, -1:]), strict=True)
        sums = [tf.concat(pair, axis=-1) for pair in pairs]
    return sums


def _run_together(operations, x, training):
    """Runs operations on the same x, with one batch norm for all ends."""
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


def _mix(features, weights):
    """Weighted sums as one matrix product: K tensors, [T, K] -> T tensors."""
    shape = batch_norm.dynamic_shape(features[0])
    stacked = tf.stack([tf.reshape(f, [-1]) for f in features])  # [K, P]
    rows = tf.unstack(_product(weights, stacked))  # T of [P]
    return [tf.reshape(row, shape) for row in rows]


@tf.custom_gradient
def _product(weights, features):
    """Matrix product: [T, K] times [K, P] is [T, P], P by far the largest.

    The sums over P, of the gradient to the weights, are made in the weights'
    type: in float16 they may be infinite, or lost beside a larger one.
    """
    factors = tf.cast(weights, features.dtype)

    def gradient(dy):
        wide = tf.cast(features, weights.dtype)
        # With one row at a time the processor's product works in parallel.
        rows = [
            tf.matmul(tf.cast(row[None, :], wide.dtype), wide, transpose_b=True)
            for row in tf.unstack(dy)
        ]
        return tf.concat(rows, 0), tf.matmul(factors, dy, transpose_a=True)

    return tf.matmul(factors, features), gradient
