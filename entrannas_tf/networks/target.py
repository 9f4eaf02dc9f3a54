"""The target network: stem, a genotype's cells, heads."""

import keras

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.networks import target_cell
from entrannas_tf.networks.layers import blocks, dropout, heads


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
        return search_space.reduction_places(self.num_cells)[1]

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
        reductions = search_space.reduction_places(self.num_cells)
        channels = self.init_channels
        before = last = self._stem_width
        for place in range(self.num_cells):
            kind = "reduction" if place in reductions else "normal"
            channels = channels * 2 if place in reductions else channels
            after_imagenet_stem = place == 0 and self.stem_kind == "imagenet"
            cell = target_cell.TargetCell(
                (before, last),
                channels,
                reduction=place in reductions,
                halve_first=place - 1 in reductions or after_imagenet_stem,
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
            y = cell((before, x), drop_path=self.drop_path, training=training)
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
