"""The super-net as plain Keras layers, without the engine."""

from entrannas_tf.networks import cells


def weights(supernet):
    """Returns the weights of each layer, lists of tensors."""
    return [
        [variable.value for variable in layer.layer.trainable_variables]
        for layer in supernet.engine.layers
    ]


def logits(supernet, values, images, coefficients, genotype):
    """Runs the layers one after another, in training.

    Args:
        supernet: `supernet.Supernet`.
        values: The weights to run with, as `weights` returns them.
        images: float32 [B, H, W, C].
        coefficients: {kind of cell: float32 [E, K]}.
        genotype: The `genotypes.Genotype` of the Transit-cells.
    """
    layers = [layer.layer for layer in supernet.engine.layers]

    def run(number, *arguments):
        outputs, _ = layers[number].stateless_call(
            values[number],
            [v.value for v in layers[number].non_trainable_variables],
            *arguments,
            training=True,
        )
        return outputs

    stem = run(0, images)
    before, x = stem if isinstance(stem, tuple) else (stem, stem)
    for number, cell in enumerate(layers[1:-1], 1):
        kind = "reduction" if cell.reduction else "normal"
        last = getattr(genotype, kind)
        if isinstance(cell, cells.EngineCell):
            last = coefficients[kind]
        before, x = x, run(number, (before, x), last)
    return run(len(layers) - 1, x)
