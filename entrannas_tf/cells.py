"""The cells of the super-net: Engine-cells and Transit-cells (section 2.2).

Both own the same nodes. An Engine-cell runs all connections, weighted by
coefficients; a Transit-cell runs the derived connections only.
"""

import collections

import keras
import tensorflow as tf

from entrannas_tf import nodes, search_space


class SearchCell(keras.layers.Layer):
    """What Engine- and Transit-cells share: the nodes, and their wiring.

    Args:
        channels_in: Channels of the outputs of cells k-2 and k-1.
        channels: C, of each node.
        reduction: Whether edges that leave an input node have stride 2.
        halve_first: Whether cell k-1 is a reduction cell, so that the output
            of cell k-2 is twice as large as that of cell k-1.
        primitives: Names of the K candidate primitives, in alpha's order.
        feature_sharing: As in `nodes.CellNode`.
        bottleneck: As in `nodes.CellNode`.

    The computation stands in `weighted` and `derived`. Both take a callable
    `run(node, tensors, **arguments)` that calls a node, so that who holds the
    weights elsewhere can run the cell in his own way.
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
        self.nodes = [
            nodes.CellNode(
                node,
                channels_in[node] if node < len(channels_in) else None,
                channels,
                reduction,
                halve_first and node == 0,
                self.names,
                feature_sharing,
                bottleneck,
            )
            for node in range(search_space.NUM_NODES)
        ]
        self.built = True

    def weighted(self, inputs, coefficients, run):
        """Runs all connections, weighted (Eq. 6, first line; Eq. 1).

        Args:
            inputs: Pair of float [B / F, H, W, F * C_in].
            coefficients: For each node with later ones float32 [later nodes,
                names]: see `split_coefficients`.
            run: Callable (node, tensors, **arguments) -> its outputs.
        """
        arriving = collections.defaultdict(list)
        values = []
        for node, layer in enumerate(self.nodes):
            tensors = self._tensors(node, inputs, values, arriving[node])
            if layer.is_last:
                return run(node, tensors)[0]
            outputs = run(
                node,
                (*tensors, coefficients[node]),
                chosen=(self.names,) * len(layer.groups),
                weighted=True,
            )
            if not layer.is_input:
                value, *outputs = outputs
                values.append(value)
            edges = search_space.edges_from(node)
            for edge, part in zip(edges, outputs, strict=True):
                arriving[search_space.EDGES[edge][1]].append(part)

    def derived(self, inputs, cell, run):
        """Runs the derived connections alone (Eq. 6, second line; Eq. 3).

        Args:
            inputs: Pair of float [B / F, H, W, F * C_in].
            cell: `genotypes.Cell`, at least one connection per node.
            run: Callable (node, tensors, **arguments) -> its outputs.
        """
        arriving = collections.defaultdict(list)
        values = []
        for node, layer in enumerate(self.nodes):
            tensors = self._tensors(node, inputs, values, arriving[node])
            if layer.is_last:
                return run(node, tensors)[0]
            targets = self._targets(node, cell)
            if layer.is_input and not targets:
                continue
            chosen = self._chosen(node, targets)
            outputs = run(node, tensors, chosen=chosen)
            if not layer.is_input:
                value, *outputs = outputs
                values.append(value)
            places = [
                (group, name)
                for group, names in enumerate(chosen)
                for name in names
            ]
            features = dict(zip(places, outputs, strict=True))
            for target, name in targets:
                place = (self._group(node, target), name)
                arriving[target].append(features[place])

    def _tensors(self, node, inputs, values, arriving):
        layer = self.nodes[node]
        if layer.is_input:
            return (inputs[node],)
        return (*values, *arriving) if layer.is_last else tuple(arriving)

    def _targets(self, node, cell):
        """Returns (target, primitive) of each connection out of a node."""
        return [
            (search_space.NUM_INPUT_NODES + index, connection.primitive)
            for index, connections in enumerate(cell)
            for connection in connections
            if connection.source == node
        ]

    def _group(self, node, target):
        first = max(node + 1, search_space.NUM_INPUT_NODES)
        return 0 if self.feature_sharing else target - first

    def _chosen(self, node, targets):
        """Returns for each group of a node the names in use, in order."""
        used = {(self._group(node, target), name) for target, name in targets}
        return tuple(
            tuple(name for name in self.names if (group, name) in used)
            for group in range(len(self.nodes[node].groups))
        )

    def _runner(self, training):
        def run(node, tensors, **arguments):
            layer = self.nodes[node]
            return layer.call(*tensors, **arguments, training=training)

        return run

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


def split_coefficients(coefficients, primitives):
    """Sorts coefficients by the node that an edge leaves.

    Args:
        coefficients: float32 [E, K].
        primitives: The K names of the columns; "none" is left out.

    Returns:
        List of float32 [later nodes, names], one a node but the last.
    """
    columns = [k for k, n in enumerate(primitives) if n != search_space.NONE]
    named = tf.gather(coefficients, columns, axis=1)
    return [
        tf.gather(named, search_space.edges_from(node))
        for node in range(search_space.NUM_NODES - 1)
    ]


class EngineCell(SearchCell):
    """Searches: runs all connections, weighted by coefficients.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in].
        coefficients: float32 [E, K]; through them the gradient flows to
            alpha and beta.
        Returns float [B / F, H', W', F * 4 * C].
    """

    def call(self, inputs, coefficients, training=False):
        split = split_coefficients(coefficients, self.primitives)
        return self.weighted(inputs, split, self._runner(training))


class TransitCell(SearchCell):
    """Transits: runs the derived connections, without coefficients.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in].
        cell: `genotypes.Cell`, at least one connection per node.
        Returns float [B / F, H', W', F * 4 * C].
    """

    def call(self, inputs, cell, training=False):
        return self.derived(inputs, cell, self._runner(training))
