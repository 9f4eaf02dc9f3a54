"""The target network: stem, a genotype's cells, heads."""

import keras
import tensorflow as tf

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.networks.layers import (
    blocks,
    dropout,
    folding,
    heads,
    operations,
)


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
        live = genotypes.live_nodes(self.cell, len(self.channels_in))
        self.outputs = tuple(outputs)
        first = blocks.FactorizedReduce if halve_first else blocks.ReLUConvBN
        self.entries = [
            block(width, channels, affine=True)
            for block, width in zip(
                (first, blocks.ReLUConvBN), self.channels_in, strict=False
            )
        ]
        self.operations = [
            self._make_operation(primitive, source) if source in live else None
            for node in self.cell
            for primitive, source in node
        ]
        self.built = True

    def _make_operation(self, primitive, source):
        is_input = source < len(self.channels_in)
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
        for node, pairs in enumerate(self.cell, len(self.channels_in)):
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


class TargetNetwork(keras.Model):
    """The network that a genotype stands for, as DARTS builds it.

    Args:
        genotype: `genotypes.Genotype`, or the text of `genotypes.to_json`.
        num_classes: Number of logits.
        image_channels: Channels of the images.
        num_cells: Number of cells, 3 or more; those at 1/3 and 2/3 of the
            depth are reduction cells.
        init_channels: C of the first cells; doubled by each reduction.
        stem: "cifar" keeps the images' size, "imagenet" divides it by 8.
        auxiliary: Whether there is an auxiliary head, after the second
            reduction cell. Only training uses it.
        drop_path: Whether paths may be dropped, at the rate of the variable
            `drop_path.rate`. Only training does.
        seed: Of the dropped paths.

    Call:
        images: float [B, H, W, image_channels].
        auxiliary: whether to return the auxiliary head's logits too.
        Returns float32 [B, num_classes], logits; a pair of them with
        `auxiliary=True`.

    Raises:
        ValueError: If an argument is not as it should be.

    Example:

    >>> import numpy as np
    >>> import entrannas_tf
    >>> model = entrannas_tf.TargetNetwork(
    ...     entrannas_tf.load_genotype("DARTS_V2"),
    ...     num_classes=10,
    ...     num_cells=3,
    ...     init_channels=4,
    ... )
    >>> model(np.zeros((2, 32, 32, 3), "float32")).shape
    TensorShape([2, 10])
    """

    def __init__(
        self,
        genotype,
        num_classes,
        image_channels=3,
        num_cells=20,
        init_channels=36,
        stem="cifar",
        auxiliary=False,
        drop_path=False,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(genotype, str):
            genotype = genotypes.from_json(genotype)
        if num_cells < search_space.MIN_CELLS:
            raise ValueError(
                f"A target network of {num_cells} cells came; expected "
                f"{search_space.MIN_CELLS} or more, two of which are reduction "
                "cells."
            )
        search_space.check_stem(stem)
        self.genotype = genotype
        self.num_classes = num_classes
        self.image_channels = image_channels
        self.num_cells = num_cells
        self.init_channels = init_channels
        self.stem_kind = stem
        self.seed = seed
        self.drop_path = dropout.DropPath(seed) if drop_path else None
        self._add_stem()
        self._add_cells()
        self.head = heads.Head(self._widths[-1], num_classes)
        self.auxiliary_head = None
        if auxiliary:
            self.auxiliary_head = heads.AuxiliaryHead(
                self._widths[self.auxiliary_place],
                num_classes,
                last_norm=stem == "cifar",
            )
        self.built = True

    @property
    def auxiliary_place(self):
        """The number of the cell whose output the auxiliary head reads."""
        return search_space.reduction_indices(self.num_cells)[1]

    def _add_stem(self):
        if self.stem_kind == "imagenet":
            width = self.init_channels
            self.stem = blocks.ImageNetStem(self.image_channels, width)
        else:
            width = search_space.STEM_MULTIPLIER * self.init_channels
            self.stem = blocks.CifarStem(self.image_channels, width, max_fold=1)
        self._stem_width = width

    def _add_cells(self):
        self.cells, self._widths = [], []
        reductions = search_space.reduction_indices(self.num_cells)
        channels = self.init_channels
        before = last = self._stem_width
        num_inputs = self.genotype.space.num_input_nodes
        for place in range(self.num_cells):
            kind = "reduction" if place in reductions else "normal"
            channels = channels * 2 if place in reductions else channels
            after_imagenet_stem = place == 0 and self.stem_kind == "imagenet"
            cell = TargetCell(
                (before, last)[-num_inputs:],
                channels,
                reduction=place in reductions,
                halve_first=num_inputs > 1
                and (place - 1 in reductions or after_imagenet_stem),
                cell=getattr(self.genotype, kind),
                outputs=self.genotype.outputs(kind),
                name=f"cell_{place}",
            )
            self.cells.append(cell)
            before, last = last, len(cell.outputs) * channels
            self._widths.append(last)

    def call(self, images, training=False, auxiliary=False):
        if auxiliary and self.auxiliary_head is None:
            raise ValueError(
                "The auxiliary logits of a network without auxiliary head were "
                "asked for; make it with auxiliary=True."
            )
        x = self.stem(images, training=training)
        before, x = x if self.stem_kind == "imagenet" else (x, x)
        for place, cell in enumerate(self.cells):
            inputs = (before, x)[-len(cell.channels_in) :]
            y = cell(inputs, drop_path=self.drop_path, training=training)
            before, x = x, y
            if auxiliary and place == self.auxiliary_place:
                auxiliary_logits = self.auxiliary_head(x, training=training)
        logits = self.head(x)
        return (logits, auxiliary_logits) if auxiliary else logits

    def get_config(self):
        return {
            **super().get_config(),
            "genotype": genotypes.to_json(self.genotype),
            "num_classes": self.num_classes,
            "image_channels": self.image_channels,
            "num_cells": self.num_cells,
            "init_channels": self.init_channels,
            "stem": self.stem_kind,
            "auxiliary": self.auxiliary_head is not None,
            "drop_path": self.drop_path is not None,
            "seed": self.seed,
        }
