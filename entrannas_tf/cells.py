"""The cells of the super-net: Engine-cells and Transit-cells (section 2.2).

Both own every candidate operation. An Engine-cell runs them all, weighted by
coefficients; a Transit-cell runs the derived connections only.
"""

import collections

import keras
import tensorflow as tf

from entrannas_tf import blocks, layout, operations, search_space


class SearchCell(keras.layers.Layer):
    """What Engine- and Transit-cells share: all operations, and their wiring.

    Args:
        channels_in: Channels of the outputs of cells k-2 and k-1.
        channels: C, of each node.
        reduction: Whether edges that leave an input node have stride 2.
        halve_first: Whether cell k-1 is a reduction cell, so that the output
            of cell k-2 is twice as large as that of cell k-1.
        primitives: Names of the K candidate primitives, in alpha's order.
        feature_sharing: Whether an operation on a node is computed once and
            used by every later node (Eq. 6); otherwise every edge has its
            own operations, as in DARTS (Eq. 1).
        bottleneck: Ratio by which a 1x1 convolution divides the channels
            before a node's operations, and another multiplies them when a
            node is formed (section 2.5); 1 for none.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in]; a second argument says
        which connections to run. Returns float [B / F, H', W', F * 4 * C].

    The computation stands in `weighted` and `derived`. Both take a callable
    `run(part, x)` that runs a part of the cell, so that whoever holds the
    weights elsewhere can run it in his own way.
    """

    def __init__(
        self,
        channels_in,
        channels,
        reduction,
        halve_first,
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
        self.channels_in = tuple(channels_in)
        self.channels = channels
        self.reduction = reduction
        self.halve_first = halve_first
        self.primitives = tuple(primitives)
        self.feature_sharing = feature_sharing
        self.bottleneck = bottleneck
        self.names = tuple(n for n in primitives if n != search_space.NONE)
        self._add_layers()
        self.built = True

    def _add_layers(self):
        first = (
            blocks.FactorizedReduce if self.halve_first else blocks.ReLUConvBN
        )
        self.preprocess = [
            first(self.channels_in[0], self.channels),
            blocks.ReLUConvBN(self.channels_in[1], self.channels),
        ]
        width = self.channels // self.bottleneck
        self.operations = [
            [operations.OPERATIONS[n](width, stride) for n in self.names]
            for stride in self._strides()
        ]
        self.squeeze, self.restore = [], []
        if self.bottleneck > 1:
            self.squeeze = [
                blocks.Conv1x1BN(self.channels, width)
                for _ in range(search_space.NUM_NODES - 1)
            ]
            self.restore = [
                blocks.Conv1x1(width, self.channels)
                for _ in range(search_space.NUM_INTERMEDIATE_NODES)
            ]

    def _strides(self):
        """The stride at each place of operations: a node, or an edge."""
        sources = (
            range(search_space.NUM_NODES - 1)
            if self.feature_sharing
            else [source for source, _ in search_space.EDGES]
        )
        inputs = search_space.NUM_INPUT_NODES
        return [2 if self.reduction and s < inputs else 1 for s in sources]

    def operation(self, edge, primitive):
        """Returns the layer of a connection."""
        source, _ = search_space.EDGES[edge]
        place = source if self.feature_sharing else edge
        return self.operations[place][self.names.index(primitive)]

    def parts(self):
        """Returns the layers that `weighted` and `derived` give to `run`."""
        flat = [layer for group in self.operations for layer in group]
        return [*self.preprocess, *self.squeeze, *flat, *self.restore]

    def weighted(self, inputs, coefficients, run):
        """Runs all connections, weighted (Eq. 6, first line; Eq. 1).

        Args:
            inputs: Pair of float [B / F, H, W, F * C_in].
            coefficients: float32 [E, K].
            run: Callable (part, x) -> the part's output.
        """
        columns = [self.primitives.index(name) for name in self.names]
        weights = tf.gather(coefficients, columns, axis=1)
        nodes = self._input_nodes(inputs, run)
        arriving = collections.defaultdict(list)
        for source in range(search_space.NUM_NODES - 1):
            if source >= search_space.NUM_INPUT_NODES:
                nodes.append(self._form_node(source, arriving[source], run))
            x = self._squeezed(nodes[source], source, run)
            for edges in self._sharing_edges(source):
                features = [
                    run(self.operation(edges[0], name), x)
                    for name in self.names
                ]
                mixed = _mix(features, tf.gather(weights, edges))
                for edge, part in zip(edges, mixed, strict=True):
                    arriving[search_space.EDGES[edge][1]].append(part)
        last = search_space.NUM_NODES - 1
        nodes.append(self._form_node(last, arriving[last], run))
        return self._output(nodes)

    def derived(self, inputs, cell, run):
        """Runs the derived connections alone (Eq. 6, second line; Eq. 3).

        Args:
            inputs: Pair of float [B / F, H, W, F * C_in].
            cell: `genotypes.Cell`, at least one connection per node.
            run: Callable (part, x) -> the part's output.
        """
        nodes = self._input_nodes(inputs, run)
        squeezed, features = {}, {}
        for index, connections in enumerate(cell):
            node = search_space.NUM_INPUT_NODES + index
            arriving = []
            for primitive, source in connections:
                if source not in squeezed:
                    squeezed[source] = self._squeezed(
                        nodes[source], source, run
                    )
                edge = search_space.EDGES.index((source, node))
                operation = self.operation(edge, primitive)
                if id(operation) not in features:
                    features[id(operation)] = run(operation, squeezed[source])
                arriving.append(features[id(operation)])
            nodes.append(self._form_node(node, arriving, run))
        return self._output(nodes)

    def _input_nodes(self, inputs, run):
        pairs = zip(self.preprocess, inputs, strict=True)
        return [run(layer, x) for layer, x in pairs]

    def _sharing_edges(self, source):
        """Edges out of a node, grouped by those that share features."""
        edges = search_space.edges_from(source)
        return [edges] if self.feature_sharing else [(e,) for e in edges]

    def _squeezed(self, x, node, run):
        return run(self.squeeze[node], x) if self.squeeze else x

    def _form_node(self, node, arriving, run):
        x = tf.add_n(arriving)
        index = node - search_space.NUM_INPUT_NODES
        return run(self.restore[index], x) if self.restore else x

    def _output(self, nodes):
        intermediate = nodes[search_space.NUM_INPUT_NODES :]
        return layout.concat(intermediate, self.channels)

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels": self.channels,
            "reduction": self.reduction,
            "halve_first": self.halve_first,
            "primitives": self.primitives,
            "feature_sharing": self.feature_sharing,
            "bottleneck": self.bottleneck,
        }


class EngineCell(SearchCell):
    """Searches: runs all connections, weighted by coefficients.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in].
        coefficients: float32 [E, K]; through them the gradient flows to
        alpha and beta.
    """

    def call(self, inputs, coefficients, training=False):
        return self.weighted(
            inputs, coefficients, lambda part, x: part(x, training=training)
        )


class TransitCell(SearchCell):
    """Transits: runs the derived connections, without coefficients.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in].
        cell: `genotypes.Cell`, at least one connection per node.
    """

    def call(self, inputs, cell, training=False):
        return self.derived(
            inputs, cell, lambda part, x: part(x, training=training)
        )


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
