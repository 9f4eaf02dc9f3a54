"""The cells of the super-net: Engine-cells and Transit-cells (section 2.2).

Both own every candidate operation. An Engine-cell runs them all, weighted by
coefficients; a Transit-cell runs the derived connections only.
"""

import keras
import tensorflow as tf

from entrannas_tf import blocks, layout, operations, search_space


class CellInputs(keras.layers.Layer):
    """Brings the outputs of cells k-2 and k-1 to this cell's size.

    Args:
        channels_in: Channels of the two inputs.
        channels: C, of both outputs.
        halve_first: Whether cell k-1 is a reduction cell, so that the output
            of cell k-2 is twice as large.
        affine: As in `blocks.BatchNorm`.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in]; returns the pair
        [B / F, H, W, F * C].
    """

    def __init__(
        self, channels_in, channels, halve_first, affine=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.channels_in = tuple(channels_in)
        self.channels = channels
        self.halve_first = halve_first
        self.affine = affine
        first = blocks.FactorizedReduce if halve_first else blocks.ReLUConvBN
        self.first = first(self.channels_in[0], channels, affine)
        self.second = blocks.ReLUConvBN(self.channels_in[1], channels, affine)
        self.built = True

    def call(self, inputs, training=False):
        return (
            self.first(inputs[0], training=training),
            self.second(inputs[1], training=training),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels": self.channels,
            "halve_first": self.halve_first,
            "affine": self.affine,
        }


class SearchCell(keras.layers.Layer):
    """What Engine- and Transit-cells share: the operations and their wiring.

    Args:
        channels: C, of the two inputs and of each node.
        reduction: Whether edges that leave an input node have stride 2.
        primitives: Names of the candidate primitives, in alpha's order.
        feature_sharing: Whether an operation on a node is computed once and
            used by every later node (Eq. 6); otherwise every edge has its
            own operations, as in DARTS (Eq. 1).
        bottleneck: Ratio by which a 1x1 convolution divides the channels
            before the operations, and another multiplies them when a node is
            formed (section 2.5); 1 for none.
    """

    def __init__(
        self,
        channels,
        reduction,
        primitives,
        feature_sharing=True,
        bottleneck=4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if channels % bottleneck:
            raise ValueError(
                f"A cell of {channels} channels cannot have a bottleneck of "
                f"ratio {bottleneck}: choose channels that it divides."
            )
        self.channels = channels
        self.reduction = reduction
        self.primitives = tuple(primitives)
        self.feature_sharing = feature_sharing
        self.bottleneck = bottleneck
        width = channels // bottleneck
        self.operations = {
            str(place): {
                name: operations.OPERATIONS[name](width, stride=stride)
                for name in self.primitives
                if name != search_space.NONE
            }
            for place, stride in self._places()
        }
        self.squeeze, self.restore = [], []
        if bottleneck > 1:
            for _ in range(search_space.NUM_NODES - 1):
                self.squeeze.append(Squeeze(channels, width))
            for _ in range(search_space.NUM_INTERMEDIATE_NODES):
                self.restore.append(blocks.Conv1x1(width, channels))
        self.built = True

    def _places(self):
        """Where operations stand, with stride: nodes if shared, else edges."""

        def stride(source):
            halves = self.reduction and source < search_space.NUM_INPUT_NODES
            return 2 if halves else 1

        if self.feature_sharing:
            nodes = range(search_space.NUM_NODES - 1)
            return [(source, stride(source)) for source in nodes]
        return [
            (edge, stride(source))
            for edge, (source, _) in enumerate(search_space.EDGES)
        ]

    def place(self, edge):
        """Returns the key in `operations` of those that an edge uses."""
        source, _ = search_space.EDGES[edge]
        return str(source if self.feature_sharing else edge)

    def operation(self, edge, primitive):
        """Returns the layer of a connection."""
        return self.operations[self.place(edge)][primitive]

    def output_channels(self):
        """Returns the number of channels that come out."""
        return self.channels * search_space.NUM_INTERMEDIATE_NODES

    def _squeezed(self, node, x, training):
        if self.bottleneck == 1:
            return x
        return self.squeeze[node](x, training=training)

    def _restored(self, node, x):
        if self.bottleneck == 1:
            return x
        return self.restore[node - search_space.NUM_INPUT_NODES](x)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "reduction": self.reduction,
            "primitives": self.primitives,
            "feature_sharing": self.feature_sharing,
            "bottleneck": self.bottleneck,
        }


class Squeeze(keras.layers.Layer):
    """The bottleneck's first half: 1x1 convolution, batch normalisation.

    Args:
        channels_in: C_in.
        channels: C_out, fewer.

    Call:
        x: float [B / F, H, W, F * C_in] -> [B / F, H, W, F * C_out].
    """

    def __init__(self, channels_in, channels, **kwargs):
        super().__init__(**kwargs)
        self.convolution = blocks.Conv1x1(channels_in, channels)
        self.norm = blocks.BatchNorm(channels)
        self.built = True

    def call(self, x, training=False):
        return self.norm(self.convolution(x), training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.convolution.channels_in,
            "channels": self.convolution.channels,
        }


class EngineCell(SearchCell):
    """Runs all connections, weighted by coefficients (Eq. 6, first line).

    Call:
        inputs: pair of float [B / F, H, W, F * C].
        coefficients: float32 [E, K]; the gradient to alpha and beta flows
            through them.
        Returns float [B / F, H', W', F * 4 * C].
    """

    def call(self, inputs, coefficients, training=False):
        columns = [
            k for k, n in enumerate(self.primitives) if n != search_space.NONE
        ]
        weights = tf.gather(coefficients, columns, axis=1)
        nodes = list(inputs)
        arriving = {
            n: [] for n in range(len(nodes), search_space.NUM_NODES)
        }
        for source in range(search_space.NUM_NODES - 1):
            if source >= search_space.NUM_INPUT_NODES:
                nodes.append(self._node(source, arriving.pop(source)))
            x = self._squeezed(source, nodes[source], training)
            for edges in self._edge_groups(source):
                features = self._features(edges[0], x, training)
                mixed = _mix(features, tf.gather(weights, edges))
                for edge, part in zip(edges, mixed, strict=True):
                    arriving[search_space.EDGES[edge][1]].append(part)
        last = search_space.NUM_NODES - 1
        nodes.append(self._node(last, arriving.pop(last)))
        return layout.concat(
            nodes[search_space.NUM_INPUT_NODES :], self.channels
        )

    def _edge_groups(self, source):
        """Edges out of a node, grouped by those that share features."""
        edges = search_space.edges_from(source)
        return [edges] if self.feature_sharing else [(e,) for e in edges]

    def _features(self, edge, x, training):
        group = self.operations[self.place(edge)]
        return [
            group[name](x, training=training)
            for name in self.primitives
            if name != search_space.NONE
        ]

    def _node(self, node, parts):
        return self._restored(node, tf.add_n(parts))


def _mix(features, weights):
    """Weighted sums of features, as one matrix product.

    Args:
        features: K tensors of one shape.
        weights: float32 [T, K].

    Returns:
        T tensors of that shape.
    """
    shape = [-1, *features[0].shape[1:]]
    stacked = tf.stack([tf.reshape(f, [-1]) for f in features])  # [K, P]
    mixed = tf.matmul(tf.cast(weights, stacked.dtype), stacked)  # [T, P]
    return [tf.reshape(row, shape) for row in tf.unstack(mixed)]


class TransitCell(SearchCell):
    """Runs the derived connections only (Eqs. 3 and 6, second line).

    Call:
        inputs: pair of float [B / F, H, W, F * C].
        cell: `genotypes.Cell`, at least one connection per node.
        Returns float [B / F, H', W', F * 4 * C].
    """

    def call(self, inputs, cell, training=False):
        nodes = list(inputs)
        squeezed, features = {}, {}
        for index, connections in enumerate(cell):
            node = search_space.NUM_INPUT_NODES + index
            parts = []
            for primitive, source in connections:
                if source not in squeezed:
                    squeezed[source] = self._squeezed(
                        source, nodes[source], training
                    )
                edge = search_space.EDGES.index((source, node))
                key = (self.place(edge), primitive)
                if key not in features:
                    operation = self.operation(edge, primitive)
                    features[key] = operation(
                        squeezed[source], training=training
                    )
                parts.append(features[key])
            nodes.append(self._restored(node, tf.add_n(parts)))
        return layout.concat(
            nodes[search_space.NUM_INPUT_NODES :], self.channels
        )
