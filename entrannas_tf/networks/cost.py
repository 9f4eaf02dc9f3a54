"""Parameters and multiply-adds of a target network, counted unbuilt.

The network is DARTS's for evaluation, or that with the head of DeepLabV3, for
segmentation; all is computed from shapes alone. Multiply-adds are those of one
image in evaluation mode, counted in two ways.
`multiply_adds` are those of convolutions and dense layers, without biases.
`multiply_adds_published` are what papers print after DARTS: the same, one for
each output of a ReLU and two for each output of a batch norm. Neither counts
pools, sums and the resizing of maps.

Parameters of a batch norm are scale and offset. The moving statistics are not
learnt and not counted. The auxiliary head has parameters and, since only
training runs it, no multiply-adds in the sums.
"""

import math
from typing import NamedTuple

from entrannas_tf.architecture import operations, search_space


class Layer(NamedTuple):
    """Feature maps, and the cost of computing them from a layer's input.

    The methods return the maps after a further computation.

    Attributes:
        name: As in the target network, such as
            "cell_0.node_2.sep_conv_3x3_from_1".
        shape: Of the output, (H, W, C) or (C,).
        parameters: Number of learnt values.
        multiply_adds: Those of convolutions and dense layers.
        multiply_adds_published: These, and ReLUs and batch norms.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0
    multiply_adds_published: int = 0

    def relu(self):
        return self._then(self.shape, elementwise=math.prod(self.shape))

    def norm(self):
        learnt, values = 2 * self.shape[-1], math.prod(self.shape)
        return self._then(self.shape, learnt, elementwise=2 * values)

    def pool(self, strides):
        """Takes part of the pixels; an odd size is rounded up."""
        height, width, channels = self.shape
        sizes = -(-height // strides[0]), -(-width // strides[1])
        return self._then((*sizes, channels))

    def convolution(
        self, kernel, channels, strides=(1, 1), groups=1, bias=False
    ):
        """Pads, so that the size stays at stride 1. Dilation costs nothing."""
        height, width, channels_in = self.pool(strides).shape
        weights = math.prod(kernel) * (channels_in // groups) * channels
        parameters = weights + channels * bias
        shape = height, width, channels
        return self._then(shape, parameters, weights * height * width)

    def run(self, steps, channels, stride):
        """Does the steps of an operation, as `target.run_steps` does."""
        maps = self
        for step in steps:
            strides = step.strides(stride)
            match step:
                case operations.ReLU():
                    maps = maps.relu()
                case operations.BatchNorm():
                    maps = maps.norm()
                case operations.Convolution():
                    maps = maps.convolution(step.kernel, channels, strides)
                case operations.Depthwise():
                    width = maps.shape[-1]
                    maps = maps.convolution(step.kernel, width, strides, width)
                case operations.MaxPool() | operations.AveragePool():
                    maps = maps.pool(strides)
                case operations.FactorizedReduce():
                    # Each half has half of the channels, on as many pixels:
                    # together they cost as much as one convolution.
                    maps = maps.convolution((1, 1), channels, strides)
                case _:
                    raise TypeError(f"{step!r} is no step of `operations`.")
        return maps

    def dense(self, units, bias=True):
        """Reads all maps as one vector."""
        weights = math.prod(self.shape) * units
        return self._then((units,), weights + units * bias, weights)

    def _then(self, shape, parameters=0, multiply_adds=0, elementwise=0):
        return Layer(
            self.name,
            shape,
            self.parameters + parameters,
            self.multiply_adds + multiply_adds,
            self.multiply_adds_published + multiply_adds + elementwise,
        )


AUXILIARY_CHANNELS = (128, 768)
_AUXILIARY_SIZE = 2  # Of the maps that the auxiliary head pools to.
# By kind of network: the least that leaves the auxiliary head 2x2 pixels.
_MIN_IMAGE_SIZES = {"cifar": 5, "imagenet": 33}
_MIN_SEGMENTED_SIZE = 9  # The stem leaves 2x2 pixels to tell apart.


class Network(NamedTuple):
    """The arguments of a target network beside its genotype.

    Attributes:
        kind: "cifar", whose stem keeps the size of the images, or "imagenet",
            whose stem divides it by 8.
        num_cells: Number of cells, 3 or more.
        init_channels: C of the first cells, doubled by each reduction; even
            if the kind is "imagenet".
        num_classes: Number of logits.
        image_size: Side of the images in pixels: 5 or more, 33 or more if the
            kind is "imagenet", 9 or more for segmentation.
        image_channels: Channels of the images.
        image_width: Width of images that are not squares, whose height is
            then `image_size`; 0 for squares.
        output_stride: 0 for a classifier. For segmentation, with the kind
            "imagenet", 8, 16 or 32: how many times smaller than the images
            the features are, see `search_space.dilations`.
        head_channels: Channels of the head for segmentation.
    """

    kind: str
    num_cells: int
    init_channels: int
    num_classes: int
    image_size: int
    image_channels: int = 3
    image_width: int = 0
    output_stride: int = 0
    head_channels: int = 256

    @property
    def image_shape(self):
        """(H, W, C) of the images."""
        width = self.image_width or self.image_size
        return (self.image_size, width, self.image_channels)


# The classifiers that papers report, by data set.
CLASSIFIERS = {
    "cifar10": Network("cifar", 20, 36, 10, 32),
    "imagenet": Network("imagenet", 14, 48, 1000, 224),
}
# And DeepLabV3's crops and classes of PASCAL VOC 2012.
NETWORKS = {
    **CLASSIFIERS,
    "segmentation": Network("imagenet", 14, 48, 21, 513, output_stride=16),
}


class Account(NamedTuple):
    """The cost of a target network.

    Attributes:
        layers: Tuple of `Layer`, in the order they run.
        auxiliary: The auxiliary head, as one `Layer`; None in a network for
            segmentation, which has none.
    """

    layers: tuple[Layer, ...]
    auxiliary: Layer | None = None

    def totals(self):
        """Returns the sums over the layers, a dict of integers.

        They are "parameters", "parameters_with_auxiliary" if there is an
        auxiliary head, "multiply_adds" and "multiply_adds_published".
        """
        parameters, multiply_adds, published = (
            sum(getattr(layer, field) for layer in self.layers)
            for field in Layer._fields[2:]
        )
        sums = {"parameters": parameters}
        if self.auxiliary:
            trained = parameters + self.auxiliary.parameters
            sums["parameters_with_auxiliary"] = trained
        return {
            **sums,
            "multiply_adds": multiply_adds,
            "multiply_adds_published": published,
        }


def count(genotype, network):
    """Counts a target network.

    Args:
        genotype: A `genotypes.Genotype`. A node that does not lead to the
            output of its cell is not built, and costs nothing.
        network: A `Network`, or the name of one of `NETWORKS`.

    Returns:
        An `Account`.

    Raises:
        ValueError: If a value of the network is out of its range, or nothing
            flows to the output of a cell of the genotype.

    Example:

    >>> import entrannas_tf
    >>> genotype = entrannas_tf.load_genotype("DARTS_V2")
    >>> totals = entrannas_tf.count(genotype, "cifar10").totals()
    >>> totals["parameters"], totals["multiply_adds"]
    (3349342, 528359040)
    """
    if isinstance(network, str):
        if network not in NETWORKS:
            raise ValueError(
                f"Unknown network {network!r}; expected a `cost.Network` or "
                f"one of {', '.join(NETWORKS)}."
            )
        network = NETWORKS[network]
    _check(network)
    layers = _count_stem(network)
    before, last = layers[0].shape, layers[-1].shape  # Of cells k-2 and k-1.
    reductions = search_space.reduction_indices(network.num_cells)
    cells = search_space.cells(
        network.num_cells, network.init_channels, network.kind
    )
    strides = _reduction_strides(network)
    for index, cell in enumerate(cells):
        around = strides[index : index + 2]
        counted, shape = _count_cell(genotype, cell, (before, last), around)
        layers += [c._replace(name=f"cell_{index}.{c.name}") for c in counted]
        before, last = last, shape
        if index == reductions[-1]:
            auxiliary = _count_auxiliary(network, last)
    if network.output_stride:
        return Account((*layers, *_count_segmentation_head(network, last)))
    layers.append(Layer("head", last[-1:]).dense(network.num_classes))
    return Account(tuple(layers), auxiliary)


def to_text(account, with_layers=False):
    """Returns an account as lines to read.

    Args:
        account: An `Account`.
        with_layers: Whether a table of the layers comes before the sums.
    """
    rows = [(name, f"{value:,}") for name, value in account.totals().items()]
    text = _align(rows)
    if not with_layers:
        return text
    rows = [("layer", "output", *Layer._fields[2:])]
    for layer in filter(None, (*account.layers, account.auxiliary)):
        shape = "x".join(map(str, layer.shape))
        rows.append((layer.name, shape, *(f"{n:,}" for n in layer[2:])))
    return f"{_align(rows)}\n\n{text}"


def to_dict(account, with_layers=False):
    """Returns an account as values that JSON has.

    Args:
        account: An `Account`.
        with_layers: Whether there are "layers", a list of dicts by the fields
            of `Layer`, and "auxiliary_head", one such dict, if there is one.
    """
    content = account.totals()
    if with_layers:
        content["layers"] = [layer._asdict() for layer in account.layers]
        if account.auxiliary:
            content["auxiliary_head"] = account.auxiliary._asdict()
    return content


def _align(rows):
    """Returns rows of texts as lines, the first column aligned left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:>{width}}}" for width in widths).replace(">", "<", 1)
    return "\n".join(form.format(*row) for row in rows)


def _count_stem(network):
    """Returns the stem's layers; the first cell reads its first and last."""
    shape, channels = network.image_shape, network.init_channels
    if network.kind == "cifar":
        width = search_space.STEM_MULTIPLIER * channels
        return [Layer("stem", shape).run(operations.CONV_BN, width, 1)]
    maps = Layer("stem_0", shape).run(operations.CONV_BN, channels // 2, 2)
    first = maps.relu().run(operations.CONV_BN, channels, 2)
    maps = Layer("stem_1", first.shape).relu()
    return [first, maps.run(operations.CONV_BN, channels, 2)]


def _reduction_strides(network):
    """Returns the strides of what reduces, in the stem and in each cell."""
    if not network.output_stride:
        return [2] * (1 + network.num_cells)
    dilations = search_space.dilations(network.num_cells, network.output_stride)
    return [2, *(2 * before // after for before, after in dilations)]


def _count_cell(genotype, cell, shapes, strides):
    """Returns the layers of a cell, and the shape of its output.

    `cell` is one of `search_space.cells`. `shapes` are those of the outputs of
    cells k-2 and k-1. `strides` are of what reduces in cell k-1 and in this.
    """
    kind, channels, halve_first = cell
    stride_before, stride = strides
    layers, nodes = [], {}  # Shape of each node.
    for node, entry in genotype.entries(kind, halve_first).items():
        shape = shapes[node - genotype.space.num_input_nodes]
        layer = Layer(f"preprocess_{node}", shape)
        # A stride acts on factorized reductions alone. It is that of cell k-1:
        # the output of cell k-2 comes to the size of its output.
        layers.append(layer.run(entry.steps, channels, stride_before))
        nodes[node] = layers[-1].shape
    for c in genotype.named_connections(kind):
        if c.used:
            steps = operations.find(c.primitive).at_stride(c.stride).steps
            layer = Layer(c.name, nodes[c.source])
            # A cell that keeps the size has the same weights, at stride 1.
            layers.append(layer.run(steps, channels, min(c.stride, stride)))
            nodes[c.node] = layers[-1].shape
    outputs = genotype.outputs(kind)
    height, width, _ = nodes[outputs[0]]
    return layers, (height, width, channels * len(outputs))


def _count_auxiliary(network, shape):
    """Counts the head that training puts after the last reduction cell."""
    narrow, wide = AUXILIARY_CHANNELS
    pooled = (_AUXILIARY_SIZE, _AUXILIARY_SIZE, shape[-1])
    maps = Layer("auxiliary_head", shape).relu()._replace(shape=pooled)
    maps = maps.convolution((1, 1), narrow).norm().relu()
    maps = maps.dense(wide, bias=False)  # A 2x2 convolution without padding.
    if network.kind == "cifar":
        # DARTS forgot it in the other kind, and published counts lack it.
        maps = maps.norm()
    return maps.relu().dense(network.num_classes)


def _count_segmentation_head(network, shape):
    """Returns the layers of DeepLabV3's head (Chen et al. 2017, section 3.3).

    Four convolutions, three of them atrous, and the mean of all pixels, brought
    back to their number, are concatenated and projected. The logits are then
    enlarged to the size of the images.
    """
    channels = network.head_channels

    def run(name, shape, kernel):
        return Layer(name, shape).convolution(kernel, channels).norm().relu()

    kernels = (1, 1), (3, 3), (3, 3), (3, 3)
    layers = [
        run(f"head.aspp_{index}", shape, kernel)
        for index, kernel in enumerate(kernels)
    ]
    layers.append(run("head.pool", (1, 1, shape[-1]), (1, 1)))
    joined = (*shape[:2], len(layers) * channels)
    layers.append(run("head.project", joined, (1, 1)))
    logits = Layer("head", layers[-1].shape)
    return [
        *layers,
        logits.convolution((1, 1), network.num_classes, bias=True),
    ]


def _check(network):
    """Raises ValueError if a network cannot be built."""
    if network.kind not in _MIN_IMAGE_SIZES:
        raise ValueError(
            f"Unknown kind of network {network.kind!r}; expected one of "
            f"{', '.join(_MIN_IMAGE_SIZES)}."
        )
    size, where = _MIN_IMAGE_SIZES[network.kind], f"of kind {network.kind!r}"
    if network.output_stride:
        search_space.check_output_stride(network.output_stride, network.kind)
        size, where = _MIN_SEGMENTED_SIZE, "for segmentation"
    least = {
        "num_cells": search_space.MIN_CELLS,
        "init_channels": 1,
        "num_classes": 1,
        "image_size": size,
        "image_channels": 1,
        "head_channels": 1,
    }
    if network.image_width:
        least["image_width"] = size
    for name, minimum in least.items():
        value = getattr(network, name)
        if value < minimum:
            raise ValueError(
                f"{name} is {value}; expected {minimum} or more in a network "
                f"{where}."
            )
    search_space.check_init_channels(network.init_channels, network.kind)
