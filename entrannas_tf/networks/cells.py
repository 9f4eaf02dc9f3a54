"""The cells of the super-net: Engine-cells and Transit-cells (section 2.2).

Both own the same nodes. An Engine-cell runs all connections, weighted by
coefficients; a Transit-cell runs the derived connections only. An operation on
a node is computed once and shared by the later nodes (section 2.3); so the
operations belong to the node that they read.
"""

import collections

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import search_space
from entrannas_tf.networks.layers import (
    batch_norm,
    blocks,
    dropout,
    folding,
    operations,
    pooling,
)

# The parts of a node that can be called, besides an operation's place.
VALUE = "value"
ENTRY = "entry"
WEIGHTED = "weighted"


class CellNode(keras.layers.Layer):
    """A node of a cell: forms its value and applies operations to it.

    Args:
        channels_in: Channels of the output of the earlier cell, which comes
            rectified, for an input node; None for an intermediate one.
        channels: C.
        names: Names of the candidate operations, without "none". Empty for
            the last node, which no other reads; it makes the cell's output.
        halve: Whether an input node must halve the resolution of its input.
        stride: Of the operations: 2 for an input node of a reduction cell.
        num_groups: Number of sets of operations: 1 with feature sharing, all
            later nodes use the same (Eq. 6); else one for each later node,
            as in DARTS (Eq. 1).
        bottleneck: Ratio by which a 1x1 convolution divides the channels
            before the operations, and another multiplies them when the node
            is formed (section 2.5); 1 for none.
        partial_channels: K: operations read the first 1/K of the channels, and
            the others bypass them (PC-DARTS, section 3.2); 1 for none.
        left_out: Pairs (group, name) of operations that are not there, and
            whose coefficients do not act.
        rectify: Whether a ReLU comes last in the last node. DARTS's cells each
            begin with one, on both inputs; here it is done once, where the
            output is made.

    Attributes:
        groups: The operations: `num_groups` dicts by name.
        width: Number of channels that an operation reads.

    Call:
        tensors: see below.
        part: what of the node to run; the list of outputs depends on it.

        `VALUE` takes the sum of what arrives at an intermediate node, float
        [B / F, H, W, F * C / bottleneck], and returns the node's value, float
        [B / F, H, W, F * C]. The last node takes the values of the others
        before, and returns the cell's output, F * M * C channels.
        `ENTRY` takes the same, or the output of the earlier cell, float
        [B / F, H, W, F * C_in]; it returns the value, which an input node
        leaves out, and what the operations read, F * C / bottleneck channels.
        (group, name) takes what the operations read, and returns what the
        operation of that place makes of it.
        `WEIGHTED` takes what `ENTRY` takes and coefficients, float32 [rows,
        number of names]. It returns the value as `ENTRY` does, and for each
        row the weighted sum of all operations (Eq. 6, first line). What
        `dropout.SkipDropout` draws may follow the coefficients.

        With partial channels, what bypasses the operations follows what comes
        out of them, max-pooled where they have stride 2; its weights are a
        last column of the coefficients. PC-DARTS shuffles the channels on each
        edge; here it is done once, on the sum that arrives at a node.
    """

    def __init__(
        self,
        channels_in,
        channels,
        names,
        halve=False,
        stride=1,
        num_groups=1,
        bottleneck=4,
        partial_channels=1,
        rectify=False,
        left_out=(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rectify = rectify
        self.left_out = tuple((group, name) for group, name in left_out)
        self.channels_in = channels_in
        self.channels = channels
        self.names = tuple(names)
        self.halve = halve
        self.stride = stride
        self.num_groups = num_groups
        self.bottleneck = bottleneck
        self.partial_channels = partial_channels
        self.width = channels // bottleneck // partial_channels
        self.is_input = channels_in is not None
        self.is_last = not names
        self._add_layers()
        self.built = True

    def _add_layers(self):
        squeezed = self.channels // self.bottleneck
        self.form, self.squeeze, self.groups = None, None, []
        if self.is_input:
            block = blocks.FactorizedReduce if self.halve else blocks.ReLUConvBN
            self.form = block(self.channels_in, self.channels)
        elif self.bottleneck > 1:
            self.form = blocks.Conv1x1(squeezed, self.channels)
        if self.is_last:
            return
        if self.bottleneck > 1:
            self.squeeze = blocks.Conv1x1BN(self.channels, squeezed)
        self.groups = [
            {
                n: operations.Operation(n, self.width, self.stride)
                for n in self.names
                if (group, n) not in self.left_out
            }
            for group in range(self.num_groups)
        ]

    def call(self, *tensors, part=VALUE, training=False):
        if part == VALUE:
            return [self._value(*tensors)]
        if part == ENTRY:
            return self._enter(tensors[0], training)
        if part == WEIGHTED:
            x, coefficients, *drawn = tensors
            *outputs, x = self._enter(x, training)
            return outputs + self._weigh(x, coefficients, drawn, training)
        group, name = part
        return [self._apply(self.groups[group][name], tensors[0], training)]

    def _value(self, *tensors):
        *earlier, value = tensors
        if self.partial_channels > 1:
            channels = self.width * self.partial_channels
            value = folding.shuffle(value, channels, self.partial_channels)
        if self.form is not None:
            value = self.form(value)
        if not self.is_last:
            return value
        output = folding.concat([*earlier, value], self.channels)
        return tf.nn.relu(output) if self.rectify else output

    def _enter(self, x, training):
        if self.is_input:
            features = self.form.features(x)
            value = self.form.norm(features, training=training)
            outputs = []
        else:
            value = self._value(x)
            outputs = [value]
        if self.squeeze is None:
            return [*outputs, value]
        return [*outputs, self.squeeze(value, training=training)]

    def _apply(self, operation, x, training):
        """Returns what an operation makes of x, and what bypasses it."""
        if self.partial_channels == 1:
            return operation(x, training=training)
        x, bypass = self._split(x)
        y = operation(x, training=training)
        return folding.concat([y, bypass], self.width)

    def _split(self, x):
        """Returns what operations read, and what bypasses them."""
        channels = self.width * self.partial_channels
        x, bypass = folding.split(x, channels, self.width)
        return x, pooling.max_pool_2x2(bypass) if self.stride == 2 else bypass

    def _weigh(self, x, coefficients, drawn, training):
        """Returns for each row the weighted sum, and what bypasses it."""
        if self.partial_channels == 1:
            return self._weigh_operations(x, coefficients, drawn, training)
        x, bypass = self._split(x)
        sums = self._weigh_operations(x, coefficients[:, :-1], drawn, training)
        passed = _mix([bypass], coefficients[:, -1:])
        pairs = zip(sums, passed, strict=True)
        return [folding.concat(pair, self.width) for pair in pairs]

    def _weigh_operations(self, x, coefficients, drawn, training):
        """Returns the weighted sums of the operations for each row."""
        groups = [
            operations.run_together(list(group.values()), x, training)
            for group in self.groups
        ]
        if drawn:
            groups = self._drop(groups, *drawn)
        rows = [coefficients]
        if len(groups) > 1:
            rows = tf.split(coefficients, len(groups))
        if self.left_out:
            rows = self._leave_out(rows)
        pairs = zip(groups, rows, strict=True)
        return [total for group, row in pairs for total in _mix(group, row)]

    def _drop(self, groups, seed, rate):
        """Drops elements of what identities return, others in each group."""
        return [
            [
                dropout.drop_elements(x, tf.add(seed, (number, 0)), rate)
                if operation.is_identity
                else x
                for operation, x in zip(group.values(), features, strict=True)
            ]
            for number, (group, features) in enumerate(
                zip(self.groups, groups, strict=True)
            )
        ]

    def _leave_out(self, rows):
        """Returns each group's coefficients of the operations it has."""
        return [
            tf.gather(row, [self.names.index(n) for n in group], axis=1)
            for group, row in zip(self.groups, rows, strict=True)
        ]

    def used_layers(self, part):
        """Returns the sublayers that a call of a part runs."""
        if part == VALUE:
            layers = [self.form]
        elif part == ENTRY:
            layers = [self.form, self.squeeze]
        elif part == WEIGHTED:
            layers = [self.form, self.squeeze]
            layers += [o for group in self.groups for o in group.values()]
        else:
            group, name = part
            layers = [self.groups[group][name]]
        return [layer for layer in layers if layer is not None]

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels": self.channels,
            "names": self.names,
            "halve": self.halve,
            "stride": self.stride,
            "num_groups": self.num_groups,
            "bottleneck": self.bottleneck,
            "partial_channels": self.partial_channels,
            "rectify": self.rectify,
            "left_out": self.left_out,
        }


def _mix(features, coefficients):
    """Weighted sums of features, as one matrix product.

    Args:
        features: K tensors of one shape.
        coefficients: float32 [T, K].

    Returns:
        T tensors of that shape, of the features' type.
    """
    shape = batch_norm.dynamic_shape(features[0])
    stacked = tf.stack([tf.reshape(f, [-1]) for f in features])  # [K, P]
    rows = tf.unstack(_product(coefficients, stacked))  # T of [P]
    return [tf.reshape(row, shape) for row in rows]


@tf.custom_gradient
def _product(coefficients, features):
    """Matrix product: [T, K] times [K, P] is [T, P], P by far the largest.

    The sums over P, of the gradient to the coefficients, are made in their own
    type: in float16 they may be infinite, or lost beside a larger one.
    """
    factors = tf.cast(coefficients, features.dtype)

    def gradient(dy):
        wide = tf.cast(features, coefficients.dtype)
        # With one row at a time the processor's product works in parallel.
        rows = [
            tf.matmul(tf.cast(row[None, :], wide.dtype), wide, transpose_b=True)
            for row in tf.unstack(dy)
        ]
        return tf.concat(rows, 0), tf.matmul(factors, dy, transpose_a=True)

    return tf.matmul(factors, features), gradient


class SearchCell(keras.layers.Layer):
    """What Engine- and Transit-cells share: the nodes, and their wiring.

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
        bottleneck: As in `CellNode`.
        partial_channels: Likewise.
        rectify: Whether the output passes through a ReLU, as other cells read
            it; a network's head does not.
        mask: bool [E, K], the primitives that each edge chooses from; None for
            all. An operation that no edge chooses from is not there.
        make_node: Callable with the arguments of `CellNode`.

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
        space,
        feature_sharing=True,
        bottleneck=4,
        partial_channels=1,
        rectify=True,
        mask=None,
        make_node=CellNode,
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
        self.space = search_space.get(space)
        self.feature_sharing = feature_sharing
        self.bottleneck = bottleneck
        self.partial_channels = partial_channels
        self.rectify = rectify
        self.mask = None if mask is None else np.asarray(mask, bool)
        self.nodes = [
            make_node(**self._node_arguments(node))
            for node in range(self.space.num_nodes)
        ]
        self.built = True

    def _node_arguments(self, node):
        is_input = node < self.space.num_input_nodes
        num_later = len(self.space.edges_from(node))
        return {
            "channels_in": self.channels_in[node] if is_input else None,
            "channels": self.channels,
            "names": self.space.operations if num_later else (),
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
        edges, primitives = self.space.edges_from(node), self.space.primitives
        groups = [edges] if self.feature_sharing else [(e,) for e in edges]
        return tuple(
            (number, primitives[k])
            for number, group in enumerate(groups)
            for k in np.flatnonzero(~self.mask[list(group)].any(axis=0))
            if primitives[k] != search_space.NONE
        )

    def weighted(self, inputs, coefficients, run, add=tf.add_n):
        """Runs all connections, weighted (Eq. 6, first line; Eq. 1).

        Args:
            inputs: One float [B / F, H, W, F * C_in] for each input node,
                rectified.
            coefficients: For each node with later ones float32 [rows, names]:
                see `split_coefficients`.
            run: Callable (node, tensors, part) -> the outputs of the part.
            add: Callable (list of tensors) -> their sum.
        """

        def visit(node, x):
            outputs = run(node, (x, coefficients[node]), WEIGHTED)
            num_values = 0 if self.nodes[node].is_input else 1
            targets = [
                self.space.edges[edge][1]
                for edge in self.space.edges_from(node)
            ]
            end = num_values + len(targets)  # What is padding goes nowhere.
            sent = zip(targets, outputs[num_values:end], strict=True)
            return outputs[:num_values], sent

        return self._wire(inputs, run, add, visit)

    def derived(self, inputs, cell, run, add=tf.add_n):
        """Runs the derived connections alone (Eq. 6, second line; Eq. 3).

        Args:
            inputs: As of `weighted`.
            cell: `genotypes.Cell`, at least one connection per node.
            run: Callable (node, tensors, part) -> the outputs of the part.
            add: Callable (list of tensors) -> their sum.
        """

        def visit(node, x):
            targets = self._targets(node, cell)
            if not targets:
                is_input = self.nodes[node].is_input
                return [] if is_input else run(node, (x,), VALUE), []
            *values, x = run(node, (x,), ENTRY)
            places = dict.fromkeys(place for _, place in targets)
            features = {p: run(node, (x,), p)[0] for p in places}
            return values, [(t, features[place]) for t, place in targets]

        return self._wire(inputs, run, add, visit)

    def _wire(self, inputs, run, add, visit):
        """Runs the nodes in turn, each on what arrived from earlier ones.

        Args:
            inputs: As of `weighted`.
            run: Callable (node, tensors, part) -> the outputs of the part.
            add: Callable (list of tensors) -> their sum.
            visit: Callable (node, sum of what arrives at it) -> the node's
                value, in a list that is empty for an input node; pairs of a
                later node and what the visited one sends to it.
        """
        arriving = collections.defaultdict(list)
        values = []
        for node in range(self.space.num_input_nodes):
            arriving[node].append(inputs[node])
        last = self.space.num_nodes - 1
        for node in range(last):
            value, sent = visit(node, add(arriving[node]))
            values += value
            for target, tensor in sent:
                arriving[target].append(tensor)
        return run(last, (*values, add(arriving[last])), VALUE)[0]

    def _targets(self, node, cell):
        """Returns (later node, place of the operation) of each connection."""
        num_inputs = self.space.num_input_nodes
        first = max(node + 1, num_inputs)
        return [
            (
                target,
                (
                    0 if self.feature_sharing else target - first,
                    connection.primitive,
                ),
            )
            for target, connections in enumerate(cell, num_inputs)
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
            "space": search_space.serialize(self.space),
            "feature_sharing": self.feature_sharing,
            "bottleneck": self.bottleneck,
            "partial_channels": self.partial_channels,
            "rectify": self.rectify,
            "mask": None if self.mask is None else self.mask.tolist(),
        }


def split_coefficients(
    coefficients, space, feature_sharing, partial_channels=1
):
    """Sorts coefficients by the node that an edge leaves.

    Args:
        coefficients: float32 [E, K].
        space: The `search_space.SearchSpace` whose K primitives the columns
            are; that of "none" is left out.
        feature_sharing: Whether all edges of a node share its operations. The
            intermediate nodes then get as many rows as the first of them,
            zeros at the end, so that one graph serves them all.
        partial_channels: As in `CellNode`. If it is not 1, a column is
            added: what bypasses the operations of an edge has the sum of its
            coefficients, "none" included. That is 1 after a softmax, the
            edge's weight with edge normalisation, 0 on a pruned edge, and the
            number of connections where the coefficients are 0 and 1.

    Returns:
        List of float32 [rows, names], or one column more, for each node but
        the last: a row for each later node, and perhaps zeros.
    """
    columns = [space.primitives.index(name) for name in space.operations]
    named = tf.gather(coefficients, columns, axis=1)
    if partial_channels > 1:
        bypass = tf.reduce_sum(coefficients, axis=1, keepdims=True)  # [E, 1]
        named = tf.concat([named, bypass], axis=1)
    pieces = [
        tf.gather(named, space.edges_from(node))
        for node in range(space.num_nodes - 1)
    ]
    if feature_sharing:
        first = space.num_input_nodes
        num_rows = space.num_intermediate_nodes - 1
        pieces[first:] = [
            tf.pad(piece, [[0, num_rows - piece.shape[0]], [0, 0]])
            for piece in pieces[first:]
        ]
    return pieces


class EngineCell(SearchCell):
    """Searches: runs all connections, weighted by coefficients.

    Call:
        inputs: one float [B / F, H, W, F * C_in] for each input node,
            rectified.
        coefficients: float32 [E, K]; through them the gradient flows to
            alpha and beta.
        Returns float [B / F, H', W', F * M * C].
    """

    def call(self, inputs, coefficients, training=False):
        split = split_coefficients(
            coefficients,
            self.space,
            self.feature_sharing,
            self.partial_channels,
        )
        return self.weighted(inputs, split, self._runner(training))


class TransitCell(SearchCell):
    """Transits: runs the derived connections, without coefficients.

    Call:
        inputs: one float [B / F, H, W, F * C_in] for each input node,
            rectified.
        cell: `genotypes.Cell`, at least one connection per node.
        Returns float [B / F, H', W', F * M * C].
    """

    def call(self, inputs, cell, training=False):
        return self.derived(inputs, cell, self._runner(training))
