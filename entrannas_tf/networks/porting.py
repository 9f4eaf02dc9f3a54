"""Weights of a DARTS network, as PyTorch saved them, for a target network.

DARTS names a weight by its place in an `nn.Sequential`: "op.1.weight" is that
of the second module. Its convolutions are [out, in / groups, k_h, k_w].
PyTorch itself is not needed: a state dict is a mapping of names to arrays.
"""

from typing import NamedTuple

import numpy as np

from entrannas_tf.architecture import operations, search_space
from entrannas_tf.networks import target
from entrannas_tf.networks.layers import fast

_LISTED = 5  # names that an error shows
# Counters of PyTorch's batch norms, which take no part in any computation.
_IGNORED = "num_batches_tracked"
_PARALLEL = "module."  # what nn.DataParallel puts before every name


class Weight(NamedTuple):
    """A variable, and DARTS's weight for it.

    Attributes:
        variable: A `keras.Variable`.
        name: DARTS's name.
        convert: Callable that brings DARTS's array into the variable's shape.
    """

    variable: object
    name: str
    convert: object


def port_weights(network, genotype, state):
    """Copies the weights of a DARTS network.

    Args:
        network: A `TargetNetwork`, or its `target.training_network`, of the
            same number of cells, channels and classes. Only the latter may
            have an auxiliary head.
        genotype: The `genotypes.Genotype` of both.
        state: Mapping of the names of a state dict of quark0/darts's
            `NetworkCIFAR` or `NetworkImageNet` to arrays: with PyTorch,
            `{k: v.numpy() for k, v in model.state_dict().items()}`. Weights of
            an auxiliary head are ignored where the network has none, and so
            are those that do not act on the output.

    Raises:
        ValueError: If a weight is missing, unexpected or of another shape, or
            DARTS lacks an operation; nothing is copied then.

    Example:

    >>> import entrannas_tf
    >>> genotype = entrannas_tf.load_genotype("DARTS_V2")
    >>> network = entrannas_tf.TargetNetwork(genotype, num_classes=10)
    >>> entrannas_tf.port_weights(network, genotype, {})
    Traceback (most recent call last):
    ...
    ValueError: The state dict lacks ...
    """
    layers = {layer.name: layer for layer in network.layers}
    found, unused = _network_weights(layers, genotype)
    state = {
        name.removeprefix(_PARALLEL): np.asarray(value)
        for name, value in state.items()
        if not name.endswith(_IGNORED)
    }
    state = {k: v for k, v in state.items() if not k.startswith(unused)}
    names = {weight.name for weight in found}
    _check_names("lacks", names - state.keys())
    _check_names("has, and this network does not,", state.keys() - names)
    values = [weight.convert(state[weight.name]) for weight in found]
    for weight, value in zip(found, values, strict=True):
        if value.shape != tuple(weight.variable.shape):
            raise ValueError(
                f"{weight.name} has the shape {state[weight.name].shape}, "
                f"which would be {value.shape} here; expected "
                f"{tuple(weight.variable.shape)}. Are genotype, channels and "
                "number of cells the same?"
            )
    for weight, value in zip(found, values, strict=True):
        weight.variable.assign(value)


def _check_names(what, names):
    if names:
        listed = ", ".join(sorted(names)[:_LISTED])
        more = ", ..." if len(names) > _LISTED else ""
        raise ValueError(
            f"The state dict {what} {len(names)} weight(s): {listed}{more}. "
            "Are genotype, number of cells and auxiliary head the same?"
        )


def _network_weights(layers, genotype):
    """Returns the `Weight`s of a network, and which of DARTS's it lacks.

    The latter is a tuple of prefixes of names: these do not act on its output.
    """
    found, unused = _stem_weights(layers), []
    stem = "cifar" if "stem" in layers else "imagenet"
    cells = search_space.cells(target.count_cells(layers), 1, stem)
    for index, (kind, _, halve_first) in enumerate(cells):
        cell, place = f"cell_{index}", f"cells.{index}."
        entries = genotype.entries(kind, halve_first)
        for node in range(genotype.space.num_input_nodes):
            prefix = f"{place}preprocess{node}."
            if node not in entries:
                unused.append(prefix)
                continue
            name = f"{cell}.preprocess_{node}"
            found += _operation_weights(layers, name, entries[node], prefix)
        for number, c in enumerate(genotype.named_connections(kind)):
            prefix = f"{place}_ops.{number}."
            if not c.used:
                unused.append(prefix)
                continue
            operation = operations.find(c.primitive).at_stride(c.stride)
            if operation.steps and not operation.modules:
                raise ValueError(
                    f"DARTS has no operation {c.primitive!r}; its weights "
                    "cannot be ported."
                )
            name = f"{cell}.{c.name}"
            found += _operation_weights(layers, name, operation, prefix)
    found += _dense_weights(layers["head"], "classifier")
    if target.AUXILIARY_HEAD in layers:
        found += _auxiliary_weights(layers)
    else:
        unused.append("auxiliary_head.")
    return found, tuple(unused)


def _stem_weights(layers):
    relu, steps = operations.ReLU(), operations.CONV_BN
    if "stem" in layers:
        return _steps_weights(layers, "stem", steps, ("stem.0", "stem.1"))
    # Two nn.Sequential: conv, norm, ReLU, conv, norm; and ReLU, conv, norm.
    half = ("stem0.0", "stem0.1", "stem0.2")
    first = ("stem0.3", "stem0.4")
    second = ("stem1.0", "stem1.1", "stem1.2")
    return [
        *_steps_weights(layers, "stem_0.half", (*steps, relu), half),
        *_steps_weights(layers, "stem_0", steps, first),
        *_steps_weights(layers, "stem_1", (relu, *steps), second),
    ]


def _auxiliary_weights(layers):
    ours, theirs = target.AUXILIARY_HEAD, "auxiliary_head"
    modules = (f"{theirs}.features.2", f"{theirs}.features.3")
    found = _steps_weights(layers, f"{ours}.narrow", target.NARROW, modules)
    kernel = layers[f"{ours}.wide"].kernel
    found.append(Weight(kernel, f"{theirs}.features.5.weight", _convolution))
    if f"{ours}.norm" in layers:
        found += _norm_weights(layers[f"{ours}.norm"], f"{theirs}.features.6")
    return found + _dense_weights(layers[ours], f"{theirs}.classifier")


def _operation_weights(layers, name, operation, prefix):
    modules = [prefix + module for module in operation.modules]
    return _steps_weights(layers, name, operation.steps, modules)


def _steps_weights(layers, name, steps, modules):
    """Returns the `Weight`s of steps, for DARTS's names of their modules."""
    found = []
    for index, (step, module) in enumerate(zip(steps, modules, strict=False)):
        own = target.layer_name(name, steps, index)
        match step:
            case operations.Convolution():
                kernel = _keras(layers[own]).kernel
                found.append(Weight(kernel, f"{module}.weight", _convolution))
            case operations.Depthwise():
                kernel = layers[own].kernel
                found.append(Weight(kernel, f"{module}.weight", _depthwise))
            case operations.BatchNorm():
                found += _norm_weights(layers[own], module)
            case operations.FactorizedReduce():
                for part, theirs in (("even", "conv_1"), ("odd", "conv_2")):
                    kernel = _keras(layers[f"{own}.{part}"]).kernel
                    theirs = f"{module}{theirs}.weight"
                    found.append(Weight(kernel, theirs, _convolution))
    return found


def _keras(layer):
    """Returns the layer of Keras that a layer stands in for, or itself."""
    standing_in = (fast.FusedBatchNorm, fast.PointwiseConvolution)
    return layer.layer if isinstance(layer, standing_in) else layer


def _norm_weights(layer, module):
    norm = _keras(layer)
    variables = {
        "weight": norm.gamma,
        "bias": norm.beta,
        "running_mean": norm.moving_mean,
        "running_var": norm.moving_variance,
    }
    return [
        Weight(variable, f"{module}.{name}", np.asarray)
        for name, variable in variables.items()
    ]


def _dense_weights(layer, module):
    return [
        Weight(layer.kernel, f"{module}.weight", np.transpose),
        Weight(layer.bias, f"{module}.bias", np.asarray),
    ]


def _convolution(kernel):
    """[out, in, k_h, k_w] -> [k_h, k_w, in, out]."""
    return kernel.transpose(2, 3, 1, 0)


def _depthwise(kernel):
    """[C, 1, k, k] -> [k, k, C, 1]."""
    return kernel.transpose(2, 3, 0, 1)
