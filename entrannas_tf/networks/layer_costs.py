"""What layers cost: parameters and multiply-adds, from shapes alone.

Multiply-adds are those of one image in evaluation mode, counted in two ways.
`multiply_adds` are those of convolutions and dense layers, without biases.
`multiply_adds_published` are what papers print after DARTS: the same, one for
each output of a ReLU and two for each output of a batch norm. Neither counts
pools and sums.

Parameters of a batch norm are scale and offset. The moving statistics are not
learnt and not counted.
"""

import math
from typing import NamedTuple


class Layer(NamedTuple):
    """What a layer costs.

    Attributes:
        name: Its path, such as "cell_0.node_2.sep_conv_3x3(1)", which is
            applied to node 1. A node may have two of the same name.
        shape: Of the output, (H, W, C) or (C,).
        parameters: Number of learnt values.
        multiply_adds: Those of convolutions and dense layers.
        multiply_adds_published: These, ReLUs and batch norms.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    multiply_adds_published: int


class Maps(NamedTuple):
    """Maps, and what it took to make them of those one began with.

    Each method does one thing to the maps and returns the result.

    Attributes:
        shape: (H, W, C), or (C,) after a dense layer.
        parameters: As in `Layer`.
        multiply_adds: As in `Layer`.
        elementwise: What the published way counts beside them.
    """

    shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0
    elementwise: int = 0

    def relu(self):
        cost = math.prod(self.shape)
        return self._replace(elementwise=self.elementwise + cost)

    def norm(self):
        cost = 2 * math.prod(self.shape)
        return self._replace(
            parameters=self.parameters + 2 * self.shape[-1],
            elementwise=self.elementwise + cost,
        )

    def pool(self, strides):
        """Takes part of the pixels; an odd size is rounded up."""
        height, width, channels = self.shape
        sizes = -(-height // strides[0]), -(-width // strides[1])
        return self._replace(shape=(*sizes, channels))

    def convolution(self, kernel, channels, strides=(1, 1), groups=1):
        """Has no bias, and padding that keeps the size at stride 1."""
        height, width, channels_in = self.pool(strides).shape
        weights = math.prod(kernel) * (channels_in // groups) * channels
        return self._replace(
            shape=(height, width, channels),
            parameters=self.parameters + weights,
            multiply_adds=self.multiply_adds + weights * height * width,
        )

    def relu_conv_norm(self, channels, stride=1):
        """Is a factorized reduction at stride 2.

        The two 1x1 convolutions of that, each of half of the channels and half
        of the pixels that are left, cost as much as one of stride 2.
        """
        strides = (stride, stride)
        return self.relu().convolution((1, 1), channels, strides).norm()

    def dense(self, units, bias=True):
        """Takes the maps for one vector."""
        weights = math.prod(self.shape) * units
        return self._replace(
            shape=(units,),
            parameters=self.parameters + weights + units * bias,
            multiply_adds=self.multiply_adds + weights,
        )

    def layer(self, name):
        """Returns all that was done as one `Layer`."""
        published = self.multiply_adds + self.elementwise
        return Layer(
            name, self.shape, self.parameters, self.multiply_adds, published
        )


def operation(primitive, shape, stride):
    """Returns what a primitive of a target network costs.

    Args:
        primitive: Its name, one of any search space but "none".
        shape: (H, W, C) of the input, and C of the output.
        stride: 1 or 2.

    Returns:
        A `Layer` of the primitive's name.
    """
    return _OPERATIONS[primitive](Maps(shape), stride).layer(primitive)


def _pool(maps, stride):
    """In target networks no batch norm follows."""
    return maps.pool((stride, stride))


def _skip(maps, stride):
    return maps if stride == 1 else maps.relu_conv_norm(maps.shape[-1], stride)


def _separable(size, rounds):
    """Dilation, which goes with a single round, costs nothing."""

    def cost(maps, stride):
        channels = maps.shape[-1]
        for strides in [(stride, stride), (1, 1)][:rounds]:
            maps = maps.relu().convolution(
                (size, size), channels, strides, groups=channels
            )
            maps = maps.convolution((1, 1), channels).norm()
        return maps

    return cost


def _square(size):
    def cost(maps, stride):
        kernel, strides = (size, size), (stride, stride)
        return maps.relu().convolution(kernel, maps.shape[-1], strides).norm()

    return cost


def _one_sided(size):
    """Two convolutions, each with the stride along its kernel."""

    def cost(maps, stride):
        channels = maps.shape[-1]
        maps = maps.relu().convolution((1, size), channels, (1, stride))
        return maps.convolution((size, 1), channels, (stride, 1)).norm()

    return cost


# Of `Maps` and the stride; "none" is the lack of a connection.
_OPERATIONS = {
    "max_pool_3x3": _pool,
    "avg_pool_3x3": _pool,
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3, rounds=2),
    "sep_conv_5x5": _separable(5, rounds=2),
    "sep_conv_7x7": _separable(7, rounds=2),
    "dil_conv_3x3": _separable(3, rounds=1),
    "dil_conv_5x5": _separable(5, rounds=1),
    "conv_1x1": _square(1),
    "conv_3x3": _square(3),
    "conv_1x3_3x1": _one_sided(3),
    "conv_1x5_5x1": _one_sided(5),
    "conv_1x7_7x1": _one_sided(7),
    "conv_7x1_1x7": _one_sided(7),  # DARTS names it so, and runs 1x7 first.
}
