"""Layers against counts by hand and against the weights of DARTS's own."""

import numpy as np
import pytest

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import layer_costs
from tests.support import programs

FIXTURE = programs.ROOT / "tests" / "fixtures" / "darts_operations.npz"

SHAPE = (4, 4, 2)

# Parameters, then multiply-adds and those of ReLUs and batch norms, first at
# stride 1 (16 pixels, 32 values) and then at stride 2 (4 pixels, 8 values).
BY_HAND = {
    "max_pool_3x3": (0, (0, 0), (0, 0)),
    "avg_pool_3x3": (0, (0, 0), (0, 0)),
    # Two halves of 2 -> 1 channels on 4 pixels each, at stride 2 alone.
    "skip_connect": ((0, 2 * 2 + 4), (0, 0), (4 * 4, 32 + 2 * 8)),
    # Twice: 9 weights a channel, 2 -> 2 channels, a batch norm.
    "sep_conv_3x3": (
        2 * (18 + 4 + 4),
        (2 * 16 * 22, 2 * (32 + 2 * 32)),
        (2 * 4 * 22, 32 + 8 + 2 * 2 * 8),
    ),
    "sep_conv_5x5": (
        2 * (50 + 4 + 4),
        (2 * 16 * 54, 2 * (32 + 2 * 32)),
        (2 * 4 * 54, 32 + 8 + 2 * 2 * 8),
    ),
    "sep_conv_7x7": (
        2 * (98 + 4 + 4),
        (2 * 16 * 102, 2 * (32 + 2 * 32)),
        (2 * 4 * 102, 32 + 8 + 2 * 2 * 8),
    ),
    "dil_conv_3x3": (
        18 + 4 + 4,
        (16 * 22, 32 + 2 * 32),
        (4 * 22, 32 + 2 * 8),
    ),
    "dil_conv_5x5": (
        50 + 4 + 4,
        (16 * 54, 32 + 2 * 32),
        (4 * 54, 32 + 2 * 8),
    ),
    "conv_1x1": (4 + 4, (16 * 4, 32 + 2 * 32), (4 * 4, 32 + 2 * 8)),
    "conv_3x3": (36 + 4, (16 * 36, 32 + 2 * 32), (4 * 36, 32 + 2 * 8)),
    # At stride 2 the first has an output of 4x2 pixels.
    "conv_1x3_3x1": (
        2 * 12 + 4,
        (2 * 16 * 12, 32 + 2 * 32),
        ((8 + 4) * 12, 32 + 2 * 8),
    ),
    "conv_1x5_5x1": (
        2 * 20 + 4,
        (2 * 16 * 20, 32 + 2 * 32),
        ((8 + 4) * 20, 32 + 2 * 8),
    ),
    "conv_1x7_7x1": (
        2 * 28 + 4,
        (2 * 16 * 28, 32 + 2 * 32),
        ((8 + 4) * 28, 32 + 2 * 8),
    ),
    "conv_7x1_1x7": (
        2 * 28 + 4,
        (2 * 16 * 28, 32 + 2 * 32),
        ((8 + 4) * 28, 32 + 2 * 8),
    ),
}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("primitive", BY_HAND)
def test_operations_by_hand(primitive, stride):
    parameters, *costs = BY_HAND[primitive]
    if isinstance(parameters, tuple):
        parameters = parameters[stride - 1]
    multiply_adds, others = costs[stride - 1]
    assert layer_costs.operation(primitive, SHAPE, stride) == (
        primitive,
        (4 // stride, 4 // stride, 2),
        parameters,
        multiply_adds,
        multiply_adds + others,
    )


def test_each_primitive_was_counted_by_hand():
    spaces = search_space.SPACES.values()
    known = {name for space in spaces for name in space}
    assert set(BY_HAND) == known - {search_space.NONE}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("primitive", search_space.NASNET[1:])
def test_parameters_are_those_of_darts(primitive, stride):
    start = f"{primitive}/stride{stride}/affine1/"
    with np.load(FIXTURE) as arrays:
        height, width, channels = arrays["input"].shape[1:]
        output = arrays[start + "eval_output"].shape[1:]
        sizes = [
            arrays[name].size
            for name in arrays
            if name.startswith(start + "weights/")
            and name.endswith((".weight", ".bias"))
        ]
    layer = layer_costs.operation(primitive, (height, width, channels), stride)
    assert (layer.parameters, layer.shape) == (sum(sizes), output)


@pytest.mark.parametrize("primitive", BY_HAND)
def test_an_odd_size_is_rounded_up(primitive):
    layer = layer_costs.operation(primitive, (5, 7, 2), 2)
    assert layer.shape == (3, 4, 2)
    even = layer_costs.operation(primitive, (6, 8, 2), 2)
    assert layer.parameters == even.parameters
    assert layer.multiply_adds <= even.multiply_adds


def test_a_dense_layer_takes_the_maps_for_one_vector():
    layer = layer_costs.Maps((2, 2, 3)).dense(5).layer("dense")
    assert layer == ("dense", (5,), 12 * 5 + 5, 12 * 5, 12 * 5)
    layer = layer_costs.Maps((2, 2, 3)).dense(5, bias=False).layer("dense")
    assert layer.parameters == 12 * 5
