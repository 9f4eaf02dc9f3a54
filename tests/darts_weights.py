"""Copies weights that PyTorch's DARTS saved into our layers.

DARTS names a weight by its place in an `nn.Sequential`: "op.1.weight" is that
of the second module. Its convolutions are [out, in / groups, k_h, k_w].
Without scale and offset, a batch norm has neither "weight" nor "bias"; where
the running statistics were not saved, the layer keeps its own.
"""

from typing import NamedTuple

import numpy as np

from entrannas_tf import blocks, operations, search_space


class Weight(NamedTuple):
    """A variable of ours, and what DARTS has for it."""

    variable: object
    name: str
    value: np.ndarray


def operation_weights(arrays, prefix, layer):
    """Finds the weights of one operation or block.

    Args:
        arrays: Mapping of names to arrays, such as an open npz file.
        prefix: What stands before the layer's own names, with its last
            separator: "sep_conv_3x3/stride1/affine0/weights/" or
            "weights/cells.0._ops.0._ops.4.".
        layer: A layer of `operations` or `blocks`.

    Returns:
        A list of `Weight`, in no particular order.
    """
    return [
        Weight(variable, prefix + name, convert(arrays[prefix + name]))
        for variable, name, convert in _places(layer)
        if prefix + name in arrays or not name.split(".")[-1].startswith("run")
    ]


def supernet_weights(arrays, supernet):
    """Finds the weights of a super-net that is DARTS's own.

    Args:
        arrays: Mapping of names, "weights/..." each, to arrays.
        supernet: `supernet.Supernet` with Engine-cells only, without feature
            sharing and bottleneck.

    Returns:
        A list of `Weight`; `PackedLayer.pack` takes them over.
    """
    found = operation_weights(arrays, "weights/stem.", supernet.stem.layer)
    for number, cell in enumerate(supernet.cells):
        prefix = f"weights/cells.{number}."
        nodes = [unit.layer for unit in cell.nodes]
        for node in range(search_space.NUM_INPUT_NODES):
            block = f"{prefix}preprocess{node}."
            found += operation_weights(arrays, block, nodes[node].form)
        for edge, (source, target) in enumerate(search_space.EDGES):
            first = max(source + 1, search_space.NUM_INPUT_NODES)
            group = nodes[source].groups[target - first]
            for name, operation in group.items():
                column = search_space.STANDARD.index(name)
                place = f"{prefix}_ops.{edge}._ops.{column}."
                found += operation_weights(arrays, place, operation)
    head = operation_weights(arrays, "weights/classifier.", supernet.head.layer)
    return found + head


def copy_weights(weights):
    """Assigns each weight's value to its variable."""
    for weight in weights:
        weight.variable.assign(weight.value)


def _places(layer):
    """Returns (variable, DARTS's name, conversion) of a layer's weights."""
    match layer:
        case operations.SepConv():
            return [
                *_separable(layer, 0, "op.1", "op.2", "op.3"),
                *_separable(layer, 1, "op.5", "op.6", "op.7"),
            ]
        case operations.DilConv():
            return [
                (layer.depthwise, "op.1.weight", _depthwise),
                (layer.pointwise.kernel, "op.2.weight", _pointwise),
                *_norm(layer.norm, "op.3"),
            ]
        case operations.SkipConnect(stride=1):
            return []
        case operations.SkipConnect():
            return _places(layer.reduce)
        case operations.Pool():
            # Its batch norm follows it in an nn.Sequential of two.
            return [] if layer.affine else _norm(layer.norm, "1")
        case operations.Convolution():
            number = len(layer.kernels)
            return [
                (kernel, f"{i}.weight", _convolution)
                for i, kernel in enumerate(layer.kernels, start=1)
            ] + _norm(layer.norm, f"{number + 1}")
        case blocks.FactorizedReduce():
            return [
                (layer.even.kernel, "conv_1.weight", _pointwise),
                (layer.odd.kernel, "conv_2.weight", _pointwise),
                *_norm(layer.norm, "bn"),
            ]
        case blocks.CifarStem():
            return [
                (layer.kernel, "0.weight", _convolution),
                *_norm(layer.norm, "1"),
            ]
        case blocks.Head():
            return [
                (layer.kernel, "weight", np.transpose),
                (layer.bias, "bias", np.asarray),
            ]
        case blocks.ReLUConvBN():
            return [
                (layer.convolution.kernel, "op.1.weight", _pointwise),
                *_norm(layer.norm, "op.2"),
            ]
    raise TypeError(f"DARTS has no counterpart of {type(layer).__name__}.")


def _separable(layer, number, depthwise, pointwise, norm):
    """One round of a separable convolution."""
    return [
        (layer.depthwise[number], f"{depthwise}.weight", _depthwise),
        (layer.pointwise[number].kernel, f"{pointwise}.weight", _pointwise),
        *_norm((layer.inner_norm, layer.norm)[number], norm),
    ]


def _norm(norm, name):
    places = [
        (norm.moving_mean, f"{name}.running_mean", np.asarray),
        (norm.moving_variance, f"{name}.running_var", np.asarray),
    ]
    if norm.affine:
        places += [
            (norm.scale, f"{name}.weight", np.asarray),
            (norm.offset, f"{name}.bias", np.asarray),
        ]
    return places


def _convolution(kernel):
    """[out, in, k_h, k_w] -> [k_h, k_w, in, out]."""
    return kernel.transpose(2, 3, 1, 0)


def _depthwise(kernel):
    """[C, 1, k, k] -> [k, k, C, 1]."""
    return kernel.transpose(2, 3, 0, 1)


def _pointwise(kernel):
    """[out, in, 1, 1] -> [in, out]."""
    return kernel[:, :, 0, 0].T
