"""A node of a cell, with the operations that later nodes may apply to it.

What a derivation chooses at a node is a set of operations: the unit that is
computed, and shared, at once (section 2.3).
"""

import keras
import tensorflow as tf

from entrannas_tf import (
    blocks,
    layout,
    normalization,
    operations,
    search_space,
)


class CellNode(keras.layers.Layer):
    """A node of a cell: forms its value and applies operations to it.

    Args:
        node: Number of the node.
        channels_in: Channels of the output of the earlier cell, for an input
            node; None for an intermediate one.
        channels: C.
        reduction: Whether the cell is a reduction cell: edges that leave an
            input node have stride 2 then.
        halve: Whether an input node must halve the resolution of its input.
        names: Names of the candidate operations, without "none".
        feature_sharing: Whether an operation is computed once for all later
            nodes (Eq. 6); otherwise each later node has its own operations,
            as in DARTS (Eq. 1).
        bottleneck: Ratio by which a 1x1 convolution divides the channels
            before the operations, and another multiplies them when the node
            is formed (section 2.5); 1 for none.

    Attributes:
        groups: The operations: a list of dicts by name, one for each later
            node, or a single one with feature sharing.

    Call:
        tensors: an input node takes the output of the earlier cell, float
            [B / F, H, W, F * C_in]. An intermediate node takes what arrives
            on its edges, float [B / F, H, W, F * C / bottleneck] each. The
            last node takes the values of the other intermediate nodes before
            that. A weighted node takes the coefficients at the end, float32
            [number of later nodes, number of names].
        chosen: for each group the names of the operations to run.
        weighted: whether to weight the operations (Eq. 6, first line).

        Returns a list. First the node's value, float [B / F, H, W, F * C],
        of the last node instead the cell's output with 4 * C channels; an
        input node leaves it out. Then the features: for each group and name
        one, or if weighted for each later node one.
    """

    def __init__(
        self,
        node,
        channels_in,
        channels,
        reduction,
        halve,
        names,
        feature_sharing=True,
        bottleneck=4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.node = node
        self.channels_in = channels_in
        self.channels = channels
        self.reduction = reduction
        self.halve = halve
        self.names = tuple(names)
        self.feature_sharing = feature_sharing
        self.bottleneck = bottleneck
        self.is_input = node < search_space.NUM_INPUT_NODES
        self.is_last = node == search_space.NUM_NODES - 1
        self._add_layers()
        self.built = True

    def _add_layers(self):
        width = self.channels // self.bottleneck
        self.form, self.squeeze, self.groups = None, None, []
        if self.is_input:
            block = blocks.FactorizedReduce if self.halve else blocks.ReLUConvBN
            self.form = block(self.channels_in, self.channels)
        elif self.bottleneck > 1:
            self.form = blocks.Conv1x1(width, self.channels)
        if self.is_last:
            return
        if self.bottleneck > 1:
            self.squeeze = blocks.Conv1x1BN(self.channels, width)
        stride = 2 if self.reduction and self.is_input else 1
        later = len(search_space.edges_from(self.node))
        self.groups = [
            {n: operations.OPERATIONS[n](width, stride) for n in self.names}
            for _ in range(1 if self.feature_sharing else later)
        ]

    def call(self, *tensors, chosen=(), weighted=False, training=False):
        if self.is_input:
            value = self.form(tensors[0], training=training)
            outputs = []
        else:
            value = self._value(tensors[: -1 if weighted else None])
            outputs = [value]
        if not any(chosen):
            return outputs
        x = value
        if self.squeeze is not None:
            x = self.squeeze(x, training=training)
        groups = [
            operations.run_together([g[n] for n in names], x, training)
            for g, names in zip(self.groups, chosen, strict=True)
            if names
        ]
        if weighted:
            return outputs + self._mixed(groups, tensors[-1])
        return outputs + [feature for group in groups for feature in group]

    def _value(self, tensors):
        earlier = ()
        if self.is_last:
            count = search_space.NUM_INTERMEDIATE_NODES - 1
            earlier, tensors = tensors[:count], tensors[count:]
        value = tf.add_n(tensors)
        if self.form is not None:
            value = self.form(value)
        if not self.is_last:
            return value
        return layout.concat([*earlier, value], self.channels)

    def _mixed(self, groups, coefficients):
        """Returns the weighted sums of the features for each later node."""
        if self.feature_sharing:
            return _mix(groups[0], coefficients)
        rows = tf.split(coefficients, len(groups))
        pairs = zip(groups, rows, strict=True)
        return [_mix(group, row)[0] for group, row in pairs]

    def used_layers(self, chosen):
        """Returns the sublayers that a call with these arguments runs."""
        if any(chosen):
            layers = [self.form, self.squeeze]
            for group, names in zip(self.groups, chosen, strict=True):
                layers += [group[name] for name in names]
        else:
            # Nothing follows an input node that is not used.
            layers = [None if self.is_input else self.form]
        return [layer for layer in layers if layer is not None]

    def get_config(self):
        return {
            **super().get_config(),
            "node": self.node,
            "channels_in": self.channels_in,
            "channels": self.channels,
            "reduction": self.reduction,
            "halve": self.halve,
            "names": self.names,
            "feature_sharing": self.feature_sharing,
            "bottleneck": self.bottleneck,
        }


def _mix(features, coefficients):
    """Weighted sums of features, as one matrix product.

    Args:
        features: K tensors of one shape.
        coefficients: float32 [T, K].

    Returns:
        T tensors of that shape.
    """
    shape = normalization.dynamic_shape(features[0])
    stacked = tf.stack([tf.reshape(f, [-1]) for f in features])  # [K, P]
    mixed = tf.matmul(coefficients, stacked)  # [T, P]
    return [tf.reshape(row, shape) for row in tf.unstack(mixed)]
