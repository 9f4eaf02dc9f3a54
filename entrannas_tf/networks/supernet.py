"""The super-net: a stem, Engine- and Transit-cells, a head (Figure 4)."""

import keras

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import cells
from entrannas_tf.networks.execution import graphs, packed_layer, tape
from entrannas_tf.networks.layers import blocks, heads
from entrannas_tf.networks.layers import precision as precision_lib


class Supernet(keras.layers.Layer):
    """The network that is searched in.

    Args:
        space: The `search_space.SearchSpace`, or what `search_space.get` takes.
            Its K primitives are the columns of the coefficients: without "none"
            for those of EnTranNAS-DST.
        image_channels: Channels of the images.
        num_classes: Number of logits.
        num_cells: Number of cells, 3 or more.
        init_channels: C of the first cells; doubled by each reduction.
        stem: "cifar" keeps the images' size, "imagenet" divides it by 8.
        engine_cells: Which cells are Engine-cells, see
            `search_space.engine_indices`.
        feature_sharing: As in `cells.SearchCell`.
        bottleneck: As in `cells.SearchCell`.
        partial_channels: As in `cells.SearchCell`.
        max_fold: Images folded into the channels at most, see `folding`.
        max_graphs: Number of graphs to keep, of a cache of its own.
        precision: "float32", "float64", "bfloat16" or "float16": the type of
            the features and of the convolutions, see `layers.precision`.
            Images and coefficients must be float64 where it is, and the
            logits are.
        jit_compile: Whether XLA compiles the graphs. It pays on GPUs alone.
        masks: Dict by kind of cell of bool [E, K], as in `cells.SearchCell`;
            None for all primitives on every edge.
        cache: `graphs.GraphCache` that other super-nets share; None for one of
            its own.

    With `engine_cells="all"`, no feature sharing and no bottleneck it is the
    super-net of DARTS, weight for weight; and with `partial_channels=4` that of
    PC-DARTS.

    Call:
        images: float32 [B, H, W, image_channels].
        coefficients: dict by kind of cell of float32 [E, K], or None to run
            the child network: every cell through derived connections only.
        genotype: the `Genotype` that Transit-cells run.
        Returns float32 [B, num_classes], logits.

    Example:

    >>> import numpy as np
    >>> import entrannas_tf
    >>> from entrannas_tf.architecture import genotypes, search_space
    >>> space = search_space.make(
    ...     "small", primitives=("none", "skip_connect", "sep_conv_3x3")
    ... )
    >>> supernet = entrannas_tf.Supernet(
    ...     space,
    ...     image_channels=3,
    ...     num_classes=10,
    ...     num_cells=3,
    ...     init_channels=4,
    ... )
    >>> edges = np.full((14, 3), 1 / 3, "float32")  # [E, K]
    >>> node = [("sep_conv_3x3", 0), ("skip_connect", 1)]
    >>> cell = genotypes.make_cell([node] * 4, space)
    >>> logits = supernet(
    ...     np.zeros((2, 16, 16, 3), "float32"),
    ...     coefficients={"normal": edges, "reduction": edges},
    ...     genotype=entrannas_tf.Genotype(cell, cell, space),
    ... )
    >>> logits.shape
    TensorShape([2, 10])
    """

    def __init__(
        self,
        space,
        image_channels,
        num_classes,
        num_cells=8,
        init_channels=16,
        stem="cifar",
        engine_cells="first",
        feature_sharing=True,
        bottleneck=4,
        partial_channels=1,
        max_fold=64,
        max_graphs=512,
        precision="float32",
        jit_compile=False,
        masks=None,
        cache=None,
        **kwargs,
    ):
        super().__init__(dtype="float32", **kwargs)
        self.masks = masks or {}
        self.cache = cache or graphs.GraphCache(max_graphs, jit_compile)
        self.space = search_space.get(space)
        self.feature_sharing = feature_sharing
        self.partial_channels = partial_channels
        with precision_lib.policy(precision):
            template = _make_stem(stem, image_channels, init_channels, max_fold)
            self.stem = packed_layer.PackedLayer(
                template, self.cache, name="stem"
            )
            last = self._add_cells(
                num_cells,
                init_channels,
                engine_cells,
                bottleneck,
                template.channels,
                two_sizes=stem == "imagenet",
            )
            head = heads.Head(
                last, num_classes, precision_lib.accumulation_dtype(precision)
            )
            self.head = packed_layer.PackedLayer(head, self.cache, name="head")
        self.built = True

    def _add_cells(
        self, num_cells, channels, engine_cells, bottleneck, last, two_sizes
    ):
        """Makes the cells; returns the last one's number of channels.

        Args:
            num_cells: Number of cells.
            channels: C of the first cells.
            engine_cells: As for the super-net.
            bottleneck: Likewise.
            last: Channels of the stem's outputs.
            two_sizes: Whether the first of these is twice as large.
        """
        engines = search_space.engine_indices(num_cells, engine_cells)
        reductions = search_space.reduction_indices(num_cells)
        self.cells = []
        make_node = _Templates()
        before = last
        for index in range(num_cells):
            reduction = index in reductions
            channels = channels * 2 if reduction else channels
            kind = cells.EngineCell if index in engines else cells.TransitCell
            cell = kind(
                (before, last)[-self.space.num_input_nodes :],
                channels,
                reduction,
                halve_first=self.space.num_input_nodes > 1
                and (index - 1 in reductions or (index == 0 and two_sizes)),
                space=self.space,
                feature_sharing=self.feature_sharing,
                bottleneck=bottleneck,
                partial_channels=self.partial_channels,
                rectify=index < num_cells - 1,
                mask=self.masks.get(self.space.kind_of(reduction)),
                make_node=make_node,
            )
            self.cells.append(PackedCell(cell, self.cache, f"cell_{index}"))
            before, last = last, self.space.num_intermediate_nodes * channels
        return last

    @property
    def units(self):
        """The packed layers in order: stem, nodes of the cells, head."""
        nodes = [node for cell in self.cells for node in cell.nodes]
        return [self.stem, *nodes, self.head]

    def call(self, images, coefficients, genotype, training=False):
        if coefficients is not None:
            coefficients = self.split(coefficients)
        run = self.forward(images, coefficients, genotype, training=training)
        if training:
            for unit, moved in zip(
                self.units, run.statistics(self.units), strict=True
            ):
                unit.statistics.assign(moved)
        return run.logits

    def split(self, coefficients):
        """Returns coefficients as `forward` takes them, see `cells`."""
        return {
            kind: cells.split_coefficients(
                matrix,
                self.space,
                self.feature_sharing,
                self.partial_channels,
            )
            for kind, matrix in coefficients.items()
        }

    def forward(
        self,
        images,
        coefficients,
        genotype,
        wrt=(),
        training=True,
        vectors=None,
        drawn=None,
    ):
        """Runs the units one after another, each through its graph.

        Args:
            images: float32 [B, H, W, image_channels].
            coefficients: dict by kind of cell of what `split` returns, or
                None to run every cell through derived connections only.
            genotype: `Genotype` that Transit-cells run.
            wrt: Which gradients can be asked for afterwards: of "weights", of
                "architecture" (the coefficients), or both.
            training: Whether batch norms use the batch's statistics; only then
                are there gradients.
            vectors: Sequence of float32 [n], the weights of each of `units`
                to run with; None for their own.
            drawn: What `dropout.SkipDropout` drew for each of `units`; None
                to drop nothing.

        Returns:
            A `tape.ForwardPass`.
        """
        run = tape.ForwardPass(
            wrt, training, self._by_id(vectors), self._by_id(drawn)
        )
        outputs = run.call(self.stem, (images,))  # One, or two for ImageNet.
        before, x = outputs[0], outputs[-1]
        for cell in self.cells:
            kind = self.space.kind_of(cell.layer.reduction)
            inputs = (before, x)[-self.space.num_input_nodes :]

            def call(node, tensors, part, cell=cell):
                return run.call(cell.nodes[node], tensors, part)

            if coefficients is not None and cell.is_engine:
                y = cell.layer.weighted(
                    inputs, coefficients[kind], call, run.add
                )
            else:
                y = cell.layer.derived(
                    inputs, getattr(genotype, kind), call, run.add
                )
            before, x = x, y
        run.logits = run.call(self.head, (x,))[0]
        return run

    def _by_id(self, values):
        """Returns {id of a unit: value} of one value a unit, {} of None."""
        if values is None:
            return {}
        return dict(zip(map(id, self.units), values, strict=True))


def _make_stem(kind, image_channels, init_channels, max_fold):
    """Returns the layer that a search begins with; `channels` is its C_out."""
    search_space.check_stem(kind)
    if kind == "imagenet":
        return blocks.ImageNetStem(
            image_channels, init_channels, max_fold, rectify=True
        )
    channels = search_space.STEM_MULTIPLIER * init_channels
    return blocks.CifarStem(image_channels, channels, max_fold, rectify=True)


class _Templates:
    """Makes each kind of node once: making its layers takes long."""

    def __init__(self):
        self._nodes = {}

    def __call__(self, **arguments):
        key = tuple(arguments.items())
        if key not in self._nodes:
            self._nodes[key] = cells.CellNode(**arguments)
        return self._nodes[key]


class PackedCell(keras.layers.Layer):
    """A cell whose nodes are packed.

    Args:
        layer: `cells.EngineCell` or `cells.TransitCell`; it gives the wiring,
            and its nodes are templates.
        cache: `graphs.GraphCache`.
        name: Name of the cell.
    """

    def __init__(self, layer, cache, name):
        super().__init__(name=name)
        self._hidden = (lambda: layer,)  # not tracked: the nodes are packed
        self.is_engine = isinstance(layer, cells.EngineCell)
        self.nodes = [
            packed_layer.PackedLayer(node, cache, name=f"node_{number}")
            for number, node in enumerate(layer.nodes)
        ]
        self.built = True

    @property
    def layer(self):
        return self._hidden[0]()
