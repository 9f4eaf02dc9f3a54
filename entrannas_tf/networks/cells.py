"""The cells of the super-net: Engine-cells and Transit-cells (section 2.2).

Both own the same nodes. An Engine-cell runs all connections, weighted by
coefficients; a Transit-cell runs the derived connections only. An operation on
a node is computed once and shared by the later nodes (section 2.3); so the
operations belong to the node that they read.

A search runs Transit-cells faster than their `call`, see `networks.execution`;
it computes the same.
"""

import collections

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import search_space
from entrannas_tf.networks.layers import blocks, operations


class Node(keras.layers.Layer):
    """The layers of a node: they form its value and read it.

    Args:
        form: Layer that makes the node's value: of the output of an earlier
            cell for an input node, of the sum of what arrives for another.
        squeeze: Layer that makes the features that the operations read.
        operations: Dict by (group, name) of `operations.Operation`. There is
            one group with feature sharing, all later nodes use the same
            (Eq. 6); else one for each later node, as in DARTS (Eq. 1). Empty
            for the last node.
    """

    def __init__(self, form, squeeze, operations, **kwargs):
        super().__init__(**kwargs)
        self.form = form
        self.squeeze = squeeze
        self.operations = operations
        self.built = True

    @property
    def parts(self):
        """The layers by name, in the order in which weights are stored."""
        return {"form": self.form, "squeeze": self.squeeze, **self.operations}


class SearchCell(keras.layers.Layer):
    """The nodes of an Engine- or Transit-cell, and how they are connected.

    Args:
        channels_in: Channels of the outputs of cells k-2 and k-1; of cell k-1
            alone where the space has one input node.
        channels: C, of each node.
        reduction: Whether edges that leave an input node have stride 2.
        halve_first: Whether cell k-1 is a reduction cell, so that the output
            of cell k-2 is twice as large as that of cell k-1. False with one
            input node.
        space: The `search_space.SearchSpace`, or what `search_space.get` takes.
        feature_sharing: Whether an operation on a node is computed once for
            all later nodes.
        bottleneck: Ratio by which a 1x1 convolution divides the channels
            before the operations, and another multiplies them when the node
            is formed (section 2.5); 1 for none.
        partial_channels: K: operations read the first 1/K of the channels, and
            the others bypass them (PC-DARTS, section 3.2); 1 for none.
        rectify: Whether the output passes through a ReLU, as other cells read
            it; a network's head does not.
        mask: bool [E, K], the primitives that each edge chooses from; None for
            all. An operation that no edge chooses from is not there, and its
            coefficient does not act.
        make_operation: Maker of operations, `operations.Operation` itself or
            one that has them share their variables.
    """

    def __init__(
        self,
        channels_in,
        channels,
        reduction,
        halve_first,
        space,
        feature_sharing=True,
        bottleneck=4,
        partial_channels=1,
        rectify=True,
        mask=None,
        make_operation=operations.Operation,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # Coefficients stay float32.
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
        self.space = search_space.get(space)
        self.feature_sharing = feature_sharing
        self.bottleneck = bottleneck
        self.partial_channels = partial_channels
        self.rectify = rectify
        self.mask = None if mask is None else np.asarray(mask, bool)
        self.nodes = [
            self._make_node(number, make_operation)
            for number in range(self.space.num_nodes)
        ]
        self.output_layer = blocks.Concatenate(rectify)
        self.built = True

    def _make_node(self, number, make_operation):
        squeezed = self.channels // self.bottleneck
        if self.is_input(number):
            halve = self.halve_first and number == 0
            channels_in = self.channels_in[number]
            form = blocks.Conv1x1BN(channels_in, self.channels, halve)
        else:
            form = blocks.Restore(
                squeezed, self.channels, self.partial_channels
            )
        squeeze = keras.layers.Identity()
        if self.bottleneck > 1 and number < self.space.num_nodes - 1:
            squeeze = blocks.Conv1x1BN(self.channels, squeezed)
        stride = 2 if self.reduction and self.is_input(number) else 1
        bypassed = squeezed - squeezed // self.partial_channels
        return Node(
            form,
            squeeze,
            {
                (group, name): make_operation(name, squeezed, stride, bypassed)
                for group, edges in enumerate(self.edge_groups(number))
                for name in self._names(edges)
            },
        )

    def _names(self, edges):
        """Returns the operations that at least one of these edges may use."""
        if self.mask is None:
            return self.space.operations
        used = self.mask[list(edges)].any(axis=0)
        pairs = zip(self.space.primitives, used, strict=True)
        return [n for n, u in pairs if u and n != search_space.NONE]

    def is_input(self, number):
        """Whether a node is the output of an earlier cell."""
        return number < self.space.num_input_nodes

    def edge_groups(self, number):
        """Returns the edges that leave a node, by the operations they share.

        One tuple of edge numbers for each group of the node's operations.
        """
        edges = self.space.edges_from(number)
        if not edges:
            return []
        return [edges] if self.feature_sharing else [(edge,) for edge in edges]

    def outgoing(self, cell, number):
        """Returns the derived operations on a node, and where they lead.

        Args:
            cell: `genotypes.Cell`.
            number: Number of the node.

        Returns:
            {(group, name) of an operation: the later nodes that add up what
            comes out of it}.
        """
        found = collections.defaultdict(list)
        for group, edges in enumerate(self.edge_groups(number)):
            for edge in edges:
                target = self.space.edges[edge][1]
                for connection in cell[target - self.space.num_input_nodes]:
                    if connection.source == number:
                        found[group, connection.primitive].append(target)
        return found

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels": self.channels,
            "reduction": self.reduction,
            "halve_first": self.halve_first,
            "space": search_space.serialize(self.space),
            "feature_sharing": self.feature_sharing,
            "bottleneck": self.bottleneck,
            "partial_channels": self.partial_channels,
            "rectify": self.rectify,
            "mask": None if self.mask is None else self.mask.tolist(),
        }


class EngineCell(SearchCell):
    """Searches: runs all connections, weighted by coefficients.

    Call:
        inputs: float [B, H, W, C_in] for each input node, rectified; or
            folded, see `folding`.
        coefficients: float32 [E, K]; through them the gradient flows to
            alpha and beta.
        skip_dropout: (seed, rate) that `dropout.SkipDropout` drew for this
            cell; None for no dropout.
        Returns float [B, H', W', M * C].
    """

    def call(self, inputs, coefficients, skip_dropout=None, training=False):
        arriving = collections.defaultdict(list)
        arriving.update((number, [x]) for number, x in enumerate(inputs))
        values = []
        for number, node in enumerate(self.nodes):
            x = tf.add_n(arriving[number])
            value = node.form(x, training=training)
            values.append(value)
            features = node.squeeze(value, training=training)
            for group, edges in enumerate(self.edge_groups(number)):
                dropped = skip_dropout
                if dropped is not None:
                    seed, rate = dropped
                    dropped = tf.add(seed, (group, number)), rate
                names = self._names(edges)
                sums = operations.weighted_sums(
                    [node.operations[group, name] for name in names],
                    features,
                    self._rows(coefficients, edges, names),
                    training,
                    dropped,
                )  # Of an edge each.
                for edge, tensor in zip(edges, sums, strict=True):
                    arriving[self.space.edges[edge][1]].append(tensor)
        return self.output_layer(*values[self.space.num_input_nodes :])

    def _rows(self, coefficients, edges, names):
        """Returns what `operations.weighted_sums` takes, float32 [T, K + 1].

        The bypassed channels of an edge have the sum of its coefficients,
        "none" included. That is 1 after a softmax, the edge's weight with
        edge normalisation, and 0 on a pruned edge.
        """
        rows = tf.gather(coefficients, edges)
        columns = [self.space.primitives.index(name) for name in names]
        total = tf.reduce_sum(rows, axis=1, keepdims=True)
        return tf.concat([tf.gather(rows, columns, axis=1), total], axis=1)


class TransitCell(SearchCell):
    """Transits: runs the derived connections, without coefficients.

    Call:
        inputs: float [B, H, W, C_in] for each input node, rectified; or
            folded, see `folding`.
        cell: `genotypes.Cell`, at least one connection per node.
        Returns float [B, H', W', M * C].
    """

    def call(self, inputs, cell, training=False):
        arriving = collections.defaultdict(list)
        arriving.update((number, [x]) for number, x in enumerate(inputs))
        values = []
        for number, node in enumerate(self.nodes):
            derived = self.outgoing(cell, number)
            if self.is_input(number) and not derived:
                continue
            x = tf.add_n(arriving[number])
            value = node.form(x, training=training)
            if not self.is_input(number):
                values.append(value)
            if derived:
                features = node.squeeze(value, training=training)
            for name, targets in derived.items():
                tensor = node.operations[name](features, training=training)
                for target in targets:
                    arriving[target].append(tensor)
        return self.output_layer(*values)
