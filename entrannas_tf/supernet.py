"""The super-net: a stem, Engine- and Transit-cells, a head (Figure 4)."""

import keras
import tensorflow as tf

from entrannas_tf import blocks, cells, graphs, search_space

ENGINE_CELLS = ("first", "last", "half", "all")
_STEM_MULTIPLIER = 3  # DARTS: the stem has three times the first cell's C


def reduction_places(num_cells):
    """Returns the numbers of the reduction cells: at 1/3 and 2/3."""
    return (num_cells // 3, 2 * num_cells // 3)


def engine_places(num_cells, which):
    """Returns the numbers of the Engine-cells, a set.

    Args:
        num_cells: Number of cells, 3 or more.
        which: "first", "last", "half" or "all" of the normal and of the
            reduction cells (Table 1). Half of them are the earlier half,
            at least one of each kind.

    Raises:
        ValueError: If `which` is another word.
    """
    if which not in ENGINE_CELLS:
        raise ValueError(
            f"Unknown placement of Engine-cells {which!r}; expected one of "
            f"{', '.join(ENGINE_CELLS)}."
        )
    reductions = reduction_places(num_cells)
    kinds = (
        [k for k in range(num_cells) if k not in reductions],
        list(reductions),
    )
    chosen = {
        "first": lambda places: places[:1],
        "last": lambda places: places[-1:],
        "half": lambda places: places[: max(1, len(places) // 2)],
        "all": lambda places: places,
    }[which]
    return {place for kind in kinds for place in chosen(kind)}


class Supernet(keras.layers.Layer):
    """The network that is searched in.

    Args:
        primitives: Names of the K candidate primitives, in alpha's order.
        image_channels: Channels of the images.
        num_classes: Number of logits.
        num_cells: Number of cells, 3 or more.
        init_channels: C of the first cells; doubled by each reduction.
        engine_cells: Which cells are Engine-cells, see `engine_places`.
        feature_sharing: As in `cells.SearchCell`.
        bottleneck: As in `cells.SearchCell`.
        max_fold: Images folded into the channels at most, see `layout`.
        max_graphs: Number of graphs to keep.

    With `engine_cells="all"`, no feature sharing and no bottleneck it is the
    super-net of DARTS, weight for weight.

    Call:
        images: float32 [B, H, W, image_channels].
        coefficients: dict by kind of cell of float32 [E, K], or None to run
            the child network: every cell through derived connections only.
        genotype: the `Genotype` that Transit-cells run.
        Returns float32 [B, num_classes], logits.
    """

    def __init__(
        self,
        primitives,
        image_channels,
        num_classes,
        num_cells=8,
        init_channels=16,
        engine_cells="first",
        feature_sharing=True,
        bottleneck=4,
        max_fold=64,
        max_graphs=512,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.cache = graphs.GraphCache(max_graphs)
        engines = engine_places(num_cells, engine_cells)
        reductions = reduction_places(num_cells)
        channels = init_channels
        stem_channels = _STEM_MULTIPLIER * channels
        self.stem = self._packed(
            blocks.CifarStem(image_channels, stem_channels, max_fold), "stem"
        )
        self.cells = []
        before, last = stem_channels, stem_channels
        for place in range(num_cells):
            reduction = place in reductions
            channels = channels * 2 if reduction else channels
            kind = cells.EngineCell if place in engines else cells.TransitCell
            cell = kind(
                (before, last),
                channels,
                reduction,
                halve_first=place - 1 in reductions,
                primitives=primitives,
                feature_sharing=feature_sharing,
                bottleneck=bottleneck,
            )
            self.cells.append(self._packed(cell, f"cell_{place}"))
            before, last = last, search_space.NUM_INTERMEDIATE_NODES * channels
        self.head = self._packed(blocks.Head(last, num_classes), "head")
        self.built = True

    def _packed(self, layer, name):
        return graphs.PackedLayer(layer, self.cache, name=name)

    @property
    def units(self):
        """The packed layers in order: stem, cells, head."""
        return [self.stem, *self.cells, self.head]

    def call(self, images, coefficients, genotype, training=False):
        goal = "weights" if training else None
        logits, statistics, _ = self.forward(
            images, coefficients, genotype, goal
        )
        if training:
            self.move_statistics(statistics)
        return logits

    def forward(self, images, coefficients, genotype, goal):
        """Runs the units one after another, each through its graph.

        Args:
            images: float32 [B, H, W, image_channels].
            coefficients: dict by kind of cell of float32 [E, K], or None to
                run every cell through derived connections only.
            genotype: `Genotype` that Transit-cells run.
            goal: "weights" or "architecture", where the gradient shall flow
                (batch norms then use the batch's statistics), or None.

        Returns:
            Logits, float32 [B, num_classes]; and for each of `units` its new
            statistics, float32 [m], and which weights it used, bool [n].
        """
        stem_mode, *cell_modes, head_mode = self._modes(goal)
        x, *stem = self.stem.run(stem_mode, (images,))
        before, rest = x, [stem]
        for unit, mode in zip(self.cells, cell_modes, strict=True):
            kind = "reduction" if unit.layer.reduction else "normal"
            if coefficients is not None and _is_engine(unit):
                y, *new = unit.run(mode, (before, x), coefficients[kind])
            else:
                cell = getattr(genotype, kind)
                y, *new = unit.run(mode, (before, x), cell=cell)
            before, x = x, y
            rest.append(new)
        logits, *head = self.head.run(head_mode, (x,))
        statistics, masks = zip(*rest, head, strict=True)
        return logits, statistics, masks

    def move_statistics(self, statistics):
        """Assigns what `forward` returned to the units' statistics."""
        for unit, new in zip(self.units, statistics, strict=True):
            unit.statistics.assign(new)

    def _modes(self, goal):
        if goal is None:
            return [graphs.Mode()] * len(self.units)
        if goal == "weights":
            mode = graphs.Mode(training=True, weights=True, inputs=True)
            return [mode] * len(self.units)
        modes, upstream = [], True  # of the first Engine-cell
        for unit in self.units:
            engine = _is_engine(unit)
            modes.append(
                graphs.Mode(
                    training=True, inputs=not upstream, coefficients=engine
                )
            )
            upstream = upstream and not engine
        return modes


def _is_engine(unit):
    return isinstance(unit.layer, cells.EngineCell)
