"""Weights of a DARTS network, as PyTorch saved them, for ours.

DARTS names a weight by its place in an `nn.Sequential`: "op.1.weight" is that
of the second module. Its convolutions are [out, in / groups, k_h, k_w].
PyTorch itself is not needed: a state dict is a mapping of names to arrays.
"""

from typing import NamedTuple

import numpy as np

from entrannas_tf.networks.layers import blocks, heads, operations

_LISTED = 5  # names that an error shows
# Counters of PyTorch's batch norms, which take no part in any computation.
_IGNORED = "num_batches_tracked"
_PARALLEL = "module."  # what nn.DataParallel puts before every name


class Weight(NamedTuple):
    """A variable of ours, and what DARTS has for it."""

    variable: object
    name: str
    value: np.ndarray


def port_weights(network, state):
    """Copies the weights of a DARTS network.

    Args:
        network: `target_network.TargetNetwork` of the same genotype, number of
            cells, channels and classes, with an auxiliary head if the other
            has one.
        state: Mapping of the names of a state dict of quark0/darts's
            `NetworkCIFAR` or `NetworkImageNet` to arrays: with PyTorch,
            `{k: v.numpy() for k, v in model.state_dict().items()}`.

    Raises:
        ValueError: If a weight is missing, is left over, or has another
            shape; nothing is copied then.

    Example:

    >>> import entrannas_tf
    >>> network = entrannas_tf.TargetNetwork(
    ...     entrannas_tf.load_genotype("DARTS_V2"), num_classes=10
    ... )
    >>> entrannas_tf.port_weights(network, {})  # Of `model.state_dict()`.
    Traceback (most recent call last):
    ...
    ValueError: The state dict lacks ...
    """
    state = {
        name.removeprefix(_PARALLEL): np.asarray(value)
        for name, value in state.items()
        if not name.endswith(_IGNORED)
    }
    found = _network_weights(network)
    names = {name for _, name, _ in found}
    _check_names("lacks", names - state.keys())
    _check_names("has, and this network does not,", state.keys() - names)
    weights = [
        Weight(variable, name, convert(state[name]))
        for variable, name, convert in found
    ]
    for weight in weights:
        if weight.value.shape != tuple(weight.variable.shape):
            raise ValueError(
                f"{weight.name} has the shape {state[weight.name].shape}, "
                f"which would be {weight.value.shape} here; expected "
                f"{tuple(weight.variable.shape)}. Are genotype, channels and "
                "number of cells the same?"
            )
    copy_weights(weights)


def _check_names(what, names):
    if names:
        listed = ", ".join(sorted(names)[:_LISTED])
        more = ", ..." if len(names) > _LISTED else ""
        raise ValueError(
            f"The state dict {what} {len(names)} weight(s): {listed}{more}. "
            "Are genotype, number of cells and auxiliary head the same?"
        )


def layer_weights(state, prefix, layer):
    """Finds the weights of one operation or block.

    Args:
        state: Mapping of names to arrays. Where the running statistics of a
            batch norm were not saved, the layer keeps its own.
        prefix: What stands before the layer's own names, with its last
            separator: "cells.0._ops.4.".
        layer: A layer of `operations`, `blocks` or `heads`.

    Returns:
        A list of `Weight`, in no particular order.
    """
    return [
        Weight(variable, prefix + name, convert(state[prefix + name]))
        for variable, name, convert in _layer_weights(layer)
        if prefix + name in state or not name.split(".")[-1].startswith("run")
    ]


def copy_weights(weights):
    """Assigns each weight's value to its variable."""
    for weight in weights:
        weight.variable.assign(weight.value)


def _network_weights(network):
    """Returns (variable, DARTS's name, conversion) of a network's weights."""
    found = _stem_weights(network.stem)
    for number, cell in enumerate(network.cells):
        prefix = f"cells.{number}."
        for node, entry in enumerate(cell.entries):
            found += _under(f"{prefix}preprocess{node}.", entry)
        for index, operation in enumerate(cell.operations):
            if operation is not None:
                found += _under(f"{prefix}_ops.{index}.", operation)
    found += _under("classifier.", network.head)
    if network.auxiliary_head is not None:
        found += _under("auxiliary_head.", network.auxiliary_head)
    return found


def _stem_weights(stem):
    if isinstance(stem, blocks.CifarStem):
        return _under("stem.", stem)
    # Two nn.Sequential: conv, norm, ReLU, conv, norm; and ReLU, conv, norm.
    names = [("stem0.0", "stem0.1"), ("stem0.3", "stem0.4")]
    names += [("stem1.1", "stem1.2")]
    found = []
    for kernel, norm, (convolution, normalization) in zip(
        stem.kernels, stem.norms, names, strict=True
    ):
        found.append((kernel, f"{convolution}.weight", _convolution))
        found += _norm(norm, normalization)
    return found


def _under(prefix, layer):
    """Returns `_layer_weights` with a prefix before DARTS's names."""
    return [
        (v, prefix + name, convert)
        for v, name, convert in _layer_weights(layer)
    ]


def _layer_weights(layer):
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
            return _layer_weights(layer.reduce)
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
        case heads.AuxiliaryHead():
            norm = layer.norm
            return [
                (
                    layer.squeeze.convolution.kernel,
                    "features.2.weight",
                    _pointwise,
                ),
                *_norm(layer.squeeze.norm, "features.3"),
                (layer.kernel, "features.5.weight", _convolution),
                *([] if norm is None else _norm(norm, "features.6")),
                *_under("classifier.", layer.head),
            ]
        case heads.Head():
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


def _convolution(kernel):
    """[out, in, k_h, k_w] -> [k_h, k_w, in, out]."""
    return kernel.transpose(2, 3, 1, 0)


def _depthwise(kernel):
    """[C, 1, k, k] -> [k, k, C, 1]."""
    return kernel.transpose(2, 3, 0, 1)


def _pointwise(kernel):
    """[out, in, 1, 1] -> [in, out]."""
    return kernel[:, :, 0, 0].T
