"""Parameters and multiply-adds of a target network, counted unbuilt.

The network is DARTS's for evaluation; all is computed from shapes alone.
Multiply-adds are those of one image in evaluation mode, counted in two ways.
`multiply_adds` are those of convolutions and dense layers, without biases.
`multiply_adds_published` are what papers print after DARTS: the same, one for
each output of a ReLU and two for each output of a batch norm. Neither counts
pools and sums.

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

    def convolution(self, kernel, channels, strides=(1, 1), groups=1):
        """Has no bias, and padding that keeps the size at stride 1."""
        height, width, channels_in = self.pool(strides).shape
        weights = math.prod(kernel) * (channels_in // groups) * channels
        shape = height, width, channels
        return self._then(shape, weights, weights * height * width)

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
                case operations.Depthwise():  # Dilation costs nothing.
                    width = maps.shape[-1]
                    maps = maps.convolution(step.kernel, width, strides, width)
                case operations.MaxPool() | operations.AveragePool():
                    maps = maps.pool(strides)
                case operations.FactorizedReduce():
                    # Each half has half of the channels, on as many pixels:
                    # together they cost as much as one convolution.
                    maps = maps.convolution((1, 1), channels, (2, 2))
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


class Network(NamedTuple):
    """The arguments of a target network beside its genotype.

    Attributes:
        kind: "cifar", whose stem keeps the size of the images, or "imagenet",
            whose stem divides it by 8.
        num_cells: Number of cells, 3 or more.
        init_channels: C of the first cells, doubled by each reduction; even
            if the kind is "imagenet".
        num_classes: Number of logits.
        image_size: Side of the images in pixels, 5 or more, or 33 or more.
        image_channels: Channels of the images.
    """

    kind: str
    num_cells: int
    init_channels: int
    num_classes: int
    image_size: int
    image_channels: int = 3


# The networks that papers report, by data set.
NETWORKS = {
    "cifar10": Network("cifar", 20, 36, 10, 32),
    "imagenet": Network("imagenet", 14, 48, 1000, 224),
}


class Account(NamedTuple):
    """The cost of a target network.

    Attributes:
        layers: Tuple of `Layer`, in the order they run.
        auxiliary: The auxiliary head, as one `Layer`.
    """

    layers: tuple[Layer, ...]
    auxiliary: Layer

    def totals(self):
        """Returns the sums over the layers, a dict of four integers."""
        parameters, multiply_adds, published = (
            sum(getattr(layer, field) for layer in self.layers)
            for field in Layer._fields[2:]
        )
        return {
            "parameters": parameters,
            "parameters_with_auxiliary": parameters + self.auxiliary.parameters,
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
    for index, (kind, channels, halve_first) in enumerate(cells):
        counted, shape = _count_cell(
            genotype, kind, (before, last), channels, halve_first
        )
        layers += [c._replace(name=f"cell_{index}.{c.name}") for c in counted]
        before, last = last, shape
        if index == reductions[-1]:
            auxiliary = _count_auxiliary(network, last)
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
    for layer in (*account.layers, account.auxiliary):
        shape = "x".join(map(str, layer.shape))
        rows.append((layer.name, shape, *(f"{n:,}" for n in layer[2:])))
    return f"{_align(rows)}\n\n{text}"


def to_dict(account, with_layers=False):
    """Returns an account as values that JSON has.

    Args:
        account: An `Account`.
        with_layers: Whether there are "layers", a list of dicts by the fields
            of `Layer`, and "auxiliary_head", one such dict.
    """
    content = account.totals()
    if with_layers:
        content["layers"] = [layer._asdict() for layer in account.layers]
        content["auxiliary_head"] = account.auxiliary._asdict()
    return content


def _align(rows):
    """Returns rows of texts as lines, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = zip(rest, widths[1:], strict=True)
        cells = [text.rjust(width + 2) for text, width in cells]
        lines.append(first.ljust(widths[0]) + "".join(cells))
    return "\n".join(lines)


def _count_stem(network):
    """Returns the stem's layers; the first cell reads its first and last."""
    size, channels = network.image_size, network.init_channels
    shape = size, size, network.image_channels
    if network.kind == "cifar":
        width = search_space.STEM_MULTIPLIER * channels
        return [Layer("stem", shape).run(operations.CONV_BN, width, 1)]
    maps = Layer("stem_0", shape).run(operations.CONV_BN, channels // 2, 2)
    first = maps.relu().run(operations.CONV_BN, channels, 2)
    maps = Layer("stem_1", first.shape).relu()
    return [first, maps.run(operations.CONV_BN, channels, 2)]


def _count_cell(genotype, kind, shapes, channels, halve_first):
    """Returns the layers of a cell, and the shape of its output."""
    layers, nodes = [], {}  # Shape of each node.
    for node, entry in genotype.entries(kind, halve_first).items():
        shape = shapes[node - genotype.space.num_input_nodes]
        layer = Layer(f"preprocess_{node}", shape)
        layers.append(layer.run(entry.steps, channels, 1))
        nodes[node] = layers[-1].shape
    for c in genotype.named_connections(kind):
        if c.used:
            steps = operations.find(c.primitive).at_stride(c.stride).steps
            layer = Layer(c.name, nodes[c.source])
            layers.append(layer.run(steps, channels, c.stride))
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


def _check(network):
    """Raises ValueError if a network cannot be built."""
    if network.kind not in _MIN_IMAGE_SIZES:
        raise ValueError(
            f"Unknown kind of network {network.kind!r}; expected one of "
            f"{', '.join(_MIN_IMAGE_SIZES)}."
        )
    least = {
        "num_cells": search_space.MIN_CELLS,
        "init_channels": 1,
        "num_classes": 1,
        "image_size": _MIN_IMAGE_SIZES[network.kind],
        "image_channels": 1,
    }
    for name, minimum in least.items():
        value = getattr(network, name)
        if value < minimum:
            raise ValueError(
                f"{name} is {value}; expected {minimum} or more in a network "
                f"of kind {network.kind!r}."
            )
    search_space.check_init_channels(network.init_channels, network.kind)
