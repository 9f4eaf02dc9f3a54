"""The cells of the super-net: Engine-cells and Transit-cells (section 2.2).

A cell is made of nodes. A node owns the candidate operations that later nodes
may apply to its output, so what a derivation chooses at a node is a set of
operations: the unit that is computed, and shared, at once (section 2.3).
"""

import collections

import keras
import tensorflow as tf

from entrannas_tf import blocks, layout, operations, search_space


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
        if not any(chosen):
            return [] if self.is_input else [self.form] if self.form else []
        layers = [self.form, self.squeeze]
        for group, names in zip(self.groups, chosen, strict=True):
            layers += [group[name] for name in names]
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
    shape = blocks.dynamic_shape(features[0])
    stacked = tf.stack([tf.reshape(f, [-1]) for f in features])  # [K, P]
    mixed = tf.matmul(coefficients, stacked)  # [T, P]
    return [tf.reshape(row, shape) for row in tf.unstack(mixed)]


class SearchCell(keras.layers.Layer):
    """What Engine- and Transit-cells share: the nodes, and their wiring.

    Args:
        channels_in: Channels of the outputs of cells k-2 and k-1.
        channels: C, of each node.
        reduction: Whether edges that leave an input node have stride 2.
        halve_first: Whether cell k-1 is a reduction cell, so that the output
            of cell k-2 is twice as large as that of cell k-1.
        primitives: Names of the K candidate primitives, in alpha's order.
        feature_sharing: As in `CellNode`.
        bottleneck: As in `CellNode`.

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
            CellNode(
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
