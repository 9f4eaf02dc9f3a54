"""The cell of a target network: a genotype's connections and no others."""

import keras
import tensorflow as tf

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.networks.layers import blocks, folding, operations


class TargetCell(keras.layers.Layer):
    """Runs what was found: no coefficients, no bottleneck (Eq. 3).

    Args:
        channels_in: Channels of the outputs of cells k-2 and k-1.
        channels: C, of each node.
        reduction: Whether edges that leave an input node have stride 2.
        halve_first: Whether the output of cell k-2 is twice as large as that
            of cell k-1.
        cell: `genotypes.Cell`, or nested lists of (primitive, source).
        outputs: Numbers of the nodes that form the output, in order, of those
            that anything arrives at: see `genotypes.Genotype.outputs`.

    Attributes:
        operations: For each connection of the cell in order its operation;
            None for one that comes from a node without any input, which is 0.

    Call:
        inputs: pair of float [B / F, H, W, F * C_in].
        drop_path: what the output of an operation passes through; None for
            nothing. An identity is never dropped.
        Returns float [B / F, H', W', F * C * number of outputs].
    """

    def __init__(
        self,
        channels_in,
        channels,
        reduction,
        halve_first,
        cell,
        outputs,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels_in = tuple(channels_in)
        self.channels = channels
        self.reduction = reduction
        self.halve_first = halve_first
        self.cell = tuple(tuple(map(tuple, node)) for node in cell)
        live = genotypes.live_nodes(self.cell)
        self.outputs = tuple(outputs)
        first = blocks.FactorizedReduce if halve_first else blocks.ReLUConvBN
        self.entries = [
            block(width, channels, affine=True)
            for block, width in zip(
                (first, blocks.ReLUConvBN), self.channels_in, strict=True
            )
        ]
        self.operations = [
            self._make_operation(primitive, source) if source in live else None
            for node in self.cell
            for primitive, source in node
        ]
        self.built = True

    def _make_operation(self, primitive, source):
        is_input = source < search_space.NUM_INPUT_NODES
        stride = 2 if self.reduction and is_input else 1
        make = operations.OPERATIONS[primitive]
        return make(self.channels, stride, affine=True)

    def call(self, inputs, drop_path=None, training=False):
        values = {
            node: entry(x, training=training)
            for node, (entry, x) in enumerate(
                zip(self.entries, inputs, strict=True)
            )
        }
        waiting = iter(self.operations)
        for node, pairs in enumerate(self.cell, search_space.NUM_INPUT_NODES):
            arriving = []
            for _, source in pairs:
                operation = next(waiting)
                if operation is None:
                    continue
                y = operation(values[source], training=training)
                if drop_path is not None and not operation.is_identity:
                    y = drop_path(y, training=training)
                arriving.append(y)
            if arriving:
                values[node] = tf.add_n(arriving)
        return folding.concat([values[n] for n in self.outputs], self.channels)

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels": self.channels,
            "reduction": self.reduction,
            "halve_first": self.halve_first,
            "cell": self.cell,
            "outputs": self.outputs,
        }
