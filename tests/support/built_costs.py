"""Costs counted from the layers of a network that is built."""

import math

import keras


def measured(network):
    """Returns parameters and the two counts of multiply-adds of a model."""
    parameters = sum(math.prod(v.shape) for v in network.trainable_variables)
    multiply_adds = others = 0
    for layer in network.layers:
        shape = layer.output.shape[1:]
        if layer.name.endswith(".odd"):  # Its padding is cropped afterwards.
            name = layer.name.replace(".odd", ".crop")
            shape = network.get_layer(name).output.shape[1:]
        if isinstance(
            layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D
        ):
            kernel = math.prod(layer.kernel.shape)
            multiply_adds += kernel * shape[0] * shape[1]
        elif isinstance(layer, keras.layers.Dense):
            multiply_adds += math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.ReLU):
            others += math.prod(shape)
        elif isinstance(layer, keras.layers.BatchNormalization):
            others += 2 * math.prod(shape)
    return {
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "multiply_adds_published": multiply_adds + others,
    }
