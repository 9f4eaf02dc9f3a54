"""The cells of the super-net: Engine-cells and Transit-cells (section 2.2).

Both own the same nodes. An Engine-cell runs all connections, weighted by
coefficients; a Transit-cell runs the derived connections only.
"""

import collections

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import nodes


class SearchCell(keras.layers.Layer):
    """What Engine- and Transit-cells share: the nodes, and their wiring.

    Args:
        channels_in: Channels of the outputs of cells k-2 and k-1.
        channels: C, of each node.
        reduction: Whether edges that leave an input node have stride 2.
        halve_first: Whether cell k-1 is a reduction cell, so that the output
            of cell k-2 is twice as large as that of cell k-1.
        primitives: Names of the K candidate primitives, in alpha's order.
        feature_sharing: Whether an operation on a node is computed once for
            all later nodes.
        bottleneck: As in `nodes.CellNode`.
        partial_channels: Likewise.
        rectify: Whether the output passes through a ReLU, as other cells read
            it; a network's head does not.
        mask: bool [E, K], the primitives that each edge chooses from; None for
            all. An operation that no edge chooses from is not there.
        make_node: Callable with the arguments of `nodes.CellNode`.

    The computation stands in `weighted` and `derived`. Both take a callable
    `run(node, tensors, part)` that calls a part of a node, and `add(tensors)`
    that adds up, so that who holds the weights elsewhere can run the cell in
    his own way.
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
        partial_channels=1,
        rectify=True,
        mask=None,
        make_node=nodes.CellNode,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if channels % (bottleneck * partial_channels):
            raise ValueError(
                f"A cell of {channels} channels cannot have a bottleneck of "
                f"ratio {bottleneck} and read 1/{partial_channels} of the "
                "channels: choose channels that both divide."
            )
        self.channels_in = tuple(channels_in)
        self.channels = channels
        self.reduction = reduction
        self.halve_first = halve_first
        self.primitives = tuple(primitives)
        self.feature_sharing = feature_sharing
        self.bottleneck = bottleneck
        self.partial_channels = partial_channels
        self.rectify = rectify
        self.mask = None if mask is None else np.asarray(mask, bool)
        self.names = tuple(n for n in primitives if n != search_space.NONE)
        self.nodes = [
            make_node(**self._node_arguments(node))
            for node in range(search_space.NUM_NODES)
        ]
        self.built = True

    def _node_arguments(self, node):
        is_input = node < search_space.NUM_INPUT_NODES
        num_later = len(search_space.edges_from(node))
        return {
            "channels_in": self.channels_in[node] if is_input else None,
            "channels": self.channels,
            "names": self.names if num_later else (),
            "halve": self.halve_first and node == 0,
            "stride": 2 if self.reduction and is_input else 1,
            "num_groups": 1 if self.feature_sharing else num_later,
            "bottleneck": self.bottleneck,
            "partial_channels": self.partial_channels,
            "rectify": self.rectify and num_later == 0,
            "left_out": () if self.mask is None else self._left_out(node),
        }

    def _left_out(self, node):
        """Returns (group, name) of the operations that no edge may use."""
        edges = search_space.edges_from(node)
        groups = [edges] if self.feature_sharing else [(e,) for e in edges]
        return tuple(
            (number, self.primitives[k])
            for number, group in enumerate(groups)
            for k in np.flatnonzero(~self.mask[list(group)].any(axis=0))
            if self.primitives[k] != search_space.NONE
        )

    def weighted(self, inputs, coefficients, run, add=tf.add_n):
        """Runs all connections, weighted (Eq. 6, first line; Eq. 1).

        Args:
            inputs: Pair of float [B / F, H, W, F * C_in], rectified.
            coefficients: For each node with later ones float32 [rows, names]:
                see `split_coefficients`.
            run: Callable (node, tensors, part) -> the outputs of the part.
            add: Callable (list of tensors) -> their sum.
        """

        def visit(node, x):
            outputs = run(node, (x, coefficients[node]), nodes.WEIGHTED)
            num_values = 0 if self.nodes[node].is_input else 1
            targets = [
                search_space.EDGES[edge][1]
                for edge in search_space.edges_from(node)
            ]
            end = num_values + len(targets)  # What is padding goes nowhere.
            sent = zip(targets, outputs[num_values:end], strict=True)
            return outputs[:num_values], sent

        return self._wire(inputs, run, add, visit)

    def derived(self, inputs, cell, run, add=tf.add_n):
        """Runs the derived connections alone (Eq. 6, second line; Eq. 3).

        Args:
            inputs: Pair of float [B / F, H, W, F * C_in], rectified.
            cell: `genotypes.Cell`, at least one connection per node.
            run: Callable (node, tensors, part) -> the outputs of the part.
            add: Callable (list of tensors) -> their sum.
        """

        def visit(node, x):
            targets = self._targets(node, cell)
            if not targets:
                is_input = self.nodes[node].is_input
                return [] if is_input else run(node, (x,), nodes.VALUE), []
            *values, x = run(node, (x,), nodes.ENTRY)
            places = dict.fromkeys(place for _, place in targets)
            features = {p: run(node, (x,), p)[0] for p in places}
            return values, [(t, features[place]) for t, place in targets]

        return self._wire(inputs, run, add, visit)

    def _wire(self, inputs, run, add, visit):
        """Runs the nodes in turn, each on what arrived from earlier ones.

        Args:
            inputs: Pair of float [B / F, H, W, F * C_in], rectified.
            run: Callable (node, tensors, part) -> the outputs of the part.
            add: Callable (list of tensors) -> their sum.
            visit: Callable (node, sum of what arrives at it) -> the node's
                value, in a list that is empty for an input node; pairs of a
                later node and what the visited one sends to it.
        """
        arriving = collections.defaultdict(list)
        values = []
        for node in range(search_space.NUM_INPUT_NODES):
            arriving[node].append(inputs[node])
        for node in range(search_space.NUM_NODES - 1):
            value, sent = visit(node, add(arriving[node]))
            values += value
            for target, tensor in sent:
                arriving[target].append(tensor)
        last = search_space.NUM_NODES - 1
        return run(last, (*values, add(arriving[last])), nodes.VALUE)[0]

    def _targets(self, node, cell):
        """Returns (later node, place of the operation) of each connection."""
        first = max(node + 1, search_space.NUM_INPUT_NODES)
        return [
            (
                target,
                (
                    0 if self.feature_sharing else target - first,
                    connection.primitive,
                ),
            )
            for target, connections in enumerate(
                cell, search_space.NUM_INPUT_NODES
            )
            for connection in connections
            if connection.source == node
        ]

    def _runner(self, training):
        def run(node, tensors, part):
            layer = self.nodes[node]
            return layer.call(*tensors, part=part, training=training)

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
            "partial_channels": self.partial_channels,
            "rectify": self.rectify,
            "mask": None if self.mask is None else self.mask.tolist(),
        }


def split_coefficients(
    coefficients, primitives, feature_sharing, partial_channels=1
):
    """Sorts coefficients by the node that an edge leaves.

    Args:
        coefficients: float32 [E, K].
        primitives: The K names of the columns; "none" is left out.
        feature_sharing: Whether all edges of a node share its operations. The
            intermediate nodes then get as many rows as the first of them,
            zeros at the end, so that one graph serves them all.
        partial_channels: As in `nodes.CellNode`. If it is not 1, a column is
            added: what bypasses the operations of an edge has the sum of its
            coefficients, "none" included. That is 1 after a softmax, the
            edge's weight with edge normalisation, 0 on a pruned edge, and the
            number of connections where the coefficients are 0 and 1.

    Returns:
        List of float32 [rows, names], or one column more, for each node but
        the last: a row for each later node, and perhaps zeros.
    """
    columns = [k for k, n in enumerate(primitives) if n != search_space.NONE]
    named = tf.gather(coefficients, columns, axis=1)
    if partial_channels > 1:
        bypass = tf.reduce_sum(coefficients, axis=1, keepdims=True)  # [E, 1]
        named = tf.concat([named, bypass], axis=1)
    pieces = [
        tf.gather(named, search_space.edges_from(node))
        for node in range(search_space.NUM_NODES - 1)
    ]
    if feature_sharing:
        first = search_space.NUM_INPUT_NODES
        num_rows = pieces[first].shape[0]
        pieces[first:] = [
            tf.pad(piece, [[0, num_rows - piece.shape[0]], [0, 0]])
            for piece in pieces[first:]
        ]
    return pieces


class EngineCell(SearchCell):
    """Searches: runs all connections, weighted by coefficients.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in], rectified.
        coefficients: float32 [E, K]; through them the gradient flows to
            alpha and beta.
        Returns float [B / F, H', W', F * 4 * C].
    """

    def call(self, inputs, coefficients, training=False):
        split = split_coefficients(
            coefficients,
            self.primitives,
            self.feature_sharing,
            self.partial_channels,
        )
        return self.weighted(inputs, split, self._runner(training))


class TransitCell(SearchCell):
    """Transits: runs the derived connections, without coefficients.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in], rectified.
        cell: `genotypes.Cell`, at least one connection per node.
        Returns float [B / F, H', W', F * 4 * C].
    """

    def call(self, inputs, cell, training=False):
        return self.derived(inputs, cell, self._runner(training))
