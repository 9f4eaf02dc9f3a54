"""Copies weights that PyTorch's DARTS saved into layers of our super-net."""

from typing import NamedTuple

import numpy as np

from entrannas_tf.architecture import operations as definitions
from entrannas_tf.networks import porting
from entrannas_tf.networks.layers import blocks, heads, operations


class Weight(NamedTuple):
    """A variable, and the value that DARTS has for it."""

    variable: object
    name: str
    value: np.ndarray


def supernet_weights(arrays, supernet):
    """Finds the weights of a super-net that is DARTS's own.

    Args:
        arrays: Mapping of names, "weights/..." each, to arrays.
        supernet: `supernet.Supernet` with Engine-cells only, without feature
            sharing and bottleneck.

    Returns:
        A list of `Weight`; `pack` of the engine's layers takes them over.
    """
    stem, *cells, head = (layer.layer for layer in supernet.engine.layers)
    found = layer_weights(arrays, "weights/stem.", stem)
    space = supernet.space
    for number, cell in enumerate(cells):
        prefix = f"weights/cells.{number}."
        for node in range(space.num_input_nodes):
            block = f"{prefix}preprocess{node}."
            found += layer_weights(arrays, block, cell.nodes[node].form)
        for edge, (source, target) in enumerate(space.edges):
            first = max(source + 1, space.num_input_nodes)
            for name in space.operations:
                operation = cell.nodes[source].operations[target - first, name]
                column = space.primitives.index(name)
                place = f"{prefix}_ops.{edge}._ops.{column}."
                found += layer_weights(arrays, place, operation)
    return found + layer_weights(arrays, "weights/classifier.", head)


def layer_weights(arrays, prefix, layer):
    """Finds the weights of a layer of the super-net.

    Args:
        arrays: Mapping of names to arrays. Where the running statistics of a
            batch norm were not saved, the layer keeps its own.
        prefix: The part before the layer's own names, with its last separator.
        layer: A layer of `operations`, `blocks` or `heads`.

    Returns:
        A list of `Weight`.
    """
    return [
        Weight(variable, prefix + name, convert(arrays[prefix + name]))
        for variable, name, convert in _named_weights(layer)
        if prefix + name in arrays or not name.split(".")[-1].startswith("run")
    ]


def copy_weights(weights):
    """Assigns each variable its value."""
    for weight in weights:
        weight.variable.assign(weight.value)


def _named_weights(layer):
    """Returns (variable, DARTS's name, conversion) of a layer's weights."""
    match layer:
        case operations.Operation():
            return _operation(layer)
        case blocks.Conv1x1BN(convolution=blocks.EvenAndOdd()):
            return _halves(layer.convolution) + _norm(layer.norm, "bn")
        case blocks.Conv1x1BN():
            kernel = layer.convolution.kernel
            norm = _norm(layer.norm, "op.2")
            return [(kernel, "op.1.weight", _pointwise), *norm]
        case blocks.CifarStem():
            norm = _norm(layer.norm, "1")
            return [(layer.kernel, "0.weight", porting._convolution), *norm]
        case heads.Head():
            return [
                (layer.kernel, "weight", np.transpose),
                (layer.bias, "bias", np.asarray),
            ]
    raise TypeError(layer)


def _operation(layer):
    definition = definitions.find(layer.primitive).at_stride(layer.stride)
    # The batch norm at the end; a pool and its own are an nn.Sequential.
    modules = (*definition.modules, "1")
    found = []
    for step, weights, module in zip(
        layer.steps, layer.step_weights, modules, strict=False
    ):
        match step:
            case definitions.BatchNorm():
                found += _norm(weights, module)
            case definitions.Depthwise():
                found.append((weights, f"{module}.weight", porting._depthwise))
            case definitions.Convolution():
                if isinstance(weights, blocks.Conv1x1):
                    kernel, convert = weights.kernel, _pointwise
                else:
                    kernel, convert = weights, porting._convolution
                found.append((kernel, f"{module}.weight", convert))
            case definitions.FactorizedReduce():
                found += _halves(weights)
    if layer.norm is None:
        return found
    return found + _norm(layer.norm, modules[len(layer.steps)])


def _halves(layer):
    return [
        (layer.even.kernel, "conv_1.weight", _pointwise),
        (layer.odd.kernel, "conv_2.weight", _pointwise),
    ]


def _norm(norm, name):
    found = [
        (norm.moving_mean, f"{name}.running_mean", np.asarray),
        (norm.moving_variance, f"{name}.running_var", np.asarray),
    ]
    if norm.affine:
        found += [
            (norm.scale, f"{name}.weight", np.asarray),
            (norm.offset, f"{name}.bias", np.asarray),
        ]
    return found


def _pointwise(kernel):
    """[out, in, 1, 1] -> [in, out]."""
    return kernel[:, :, 0, 0].T
