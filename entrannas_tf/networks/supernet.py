"""The super-net: a stem, Engine- and Transit-cells, a head (Figure 4)."""

import functools

import keras
import tensorflow as tf

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import cells
from entrannas_tf.networks.execution import engine, graphs
from entrannas_tf.networks.layers import blocks, heads, operations
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
        feature_sharing: Whether an operation on a node is computed once for
            all later nodes.
        bottleneck: Ratio by which channels are divided before the operations.
        partial_channels: K: operations read the first 1/K of the channels.
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
        self.space = search_space.get(space)
        self.cache = cache or graphs.GraphCache(max_graphs, jit_compile)
        self.engine = engine.Engine(self.cache)
        with precision_lib.policy(precision):
            stem_layer = _make_stem(
                stem, image_channels, init_channels, max_fold
            )
            self.engine.add(stem_layer, "stem")
            channels = self._add_cells(
                num_cells,
                init_channels,
                stem,
                engine_cells,
                stem_layer.channels,
                masks or {},
                feature_sharing=feature_sharing,
                bottleneck=bottleneck,
                partial_channels=partial_channels,
            )
            dtype = precision_lib.accumulation_dtype(precision)
            head = heads.Head(channels, num_classes, dtype)
            self.engine.add(head, "head")
        self._vectors = [layer.vector for layer in self.engine.layers]
        self._statistics = [layer.statistics for layer in self.engine.layers]
        self.built = True

    def _add_cells(
        self,
        num_cells,
        init_channels,
        stem,
        engine_cells,
        last,
        masks,
        **options,
    ):
        """Adds the cells; returns the number of channels of the last output.

        Args:
            num_cells: Number of cells.
            init_channels: C of the first cells.
            stem: Kind of the stem.
            engine_cells: Which are Engine-cells.
            last: Channels of the stem's outputs.
            masks: Dict by kind of cell of bool [E, K].
            **options: Further arguments of `cells.SearchCell`.
        """
        engines = search_space.engine_indices(num_cells, engine_cells)
        num_inputs = self.space.num_input_nodes
        # Making layers takes long. Cells are templates, whose own variables
        # are never used: those of the same arguments may be one object, and
        # those of Transit-cells may share operations, which run one by one.
        make_engine = functools.cache(cells.EngineCell)
        make_transit = functools.cache(
            functools.partial(
                cells.TransitCell,
                make_operation=functools.cache(operations.Operation),
            )
        )
        before = last
        plan = search_space.cells(num_cells, init_channels, stem)
        for index, (kind, channels, halve_first) in enumerate(plan):
            make = make_engine if index in engines else make_transit
            reduction = kind == "reduction"
            cell = make(
                (before, last)[-num_inputs:],
                channels,
                reduction,
                halve_first=halve_first and num_inputs > 1,
                space=self.space,
                rectify=index < num_cells - 1,
                mask=_hashable(masks.get(self.space.kind_of(reduction))),
                **options,
            )
            self.engine.add(cell, f"cell_{index}")
            before, last = last, self.space.num_intermediate_nodes * channels
        return last

    def call(self, images, coefficients, genotype, training=False):
        run = self.forward(images, coefficients, genotype, training=training)
        if training:
            for variable, moved in zip(
                self.non_trainable_variables, run.statistics(), strict=True
            ):
                variable.assign(moved)
        return run.logits

    def forward(
        self,
        images,
        coefficients,
        genotype,
        *,
        wrt=(),
        training=True,
        weights=None,
        skip_dropout=None,
    ):
        """Runs the super-net, and remembers what its gradients need.

        Args:
            images: float32 [B, H, W, image_channels].
            coefficients: dict by kind of cell of float32 [E, K], or None to run
                every cell through derived connections only.
            genotype: `Genotype` that Transit-cells run.
            wrt: Which gradients can be asked for afterwards: of "weights", of
                "architecture" (the coefficients), or both.
            training: Whether batch norms use the batch's statistics; only then
                are there gradients.
            weights: Sequence of float32 [n] to run with in the place of
                `trainable_variables`; None for those.
            skip_dropout: The (seed, rate) that `dropout.SkipDropout` drew;
                None to drop nothing.

        Returns:
            An `engine.ForwardPass`: its `logits`, `gradients`, which weights
            were `used`, and the batch norms' moved `statistics`, in the order
            of `trainable_variables` and `non_trainable_variables`.
        """
        run = engine.ForwardPass(
            self.engine, weights, coefficients, wrt, training
        )
        stem, *middle, head = range(len(self.engine.layers))
        outputs = run.call(stem, images)  # One, or two for ImageNet.
        before, x = outputs[0], outputs[-1]
        for number in middle:
            cell = self.engine.layers[number].template
            kind = self.space.kind_of(cell.reduction)
            inputs = (before, x)[-self.space.num_input_nodes :]
            if coefficients is not None and isinstance(cell, cells.EngineCell):
                dropped = []
                if skip_dropout is not None:
                    seed, rate = skip_dropout
                    first = 1 + (number - 1) * self.space.num_nodes
                    dropped = [(tf.add(seed, (0, first)), rate)]
                (y,) = run.call(number, inputs, coefficients[kind], *dropped)
            else:
                y = run.transit(number, inputs, getattr(genotype, kind))
            before, x = x, y
        (run.logits,) = run.call(head, x)
        return run


def _make_stem(kind, image_channels, init_channels, max_fold):
    """Returns the layer that a search begins with; `channels` is its C_out."""
    search_space.check_stem(kind)
    if kind == "imagenet":
        return blocks.ImageNetStem(
            image_channels, init_channels, max_fold, rectify=True
        )
    channels = search_space.STEM_MULTIPLIER * init_channels
    return blocks.CifarStem(image_channels, channels, max_fold, rectify=True)


def _hashable(mask):
    return None if mask is None else tuple(map(tuple, mask))
