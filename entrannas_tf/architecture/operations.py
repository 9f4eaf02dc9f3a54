"""The operations: the layers of each, its color, and DARTS's names for them.

`OPERATIONS` is the one place where an operation is defined, as a sequence of
steps. The layers of the super-net (`networks.layers.operations`), the layers of
the target network (`networks.target`), parameters and multiply-adds
(`networks.cost`) and the weights that DARTS has for it (`networks.porting`) all
follow from the steps. The definitions are DARTS's.

To add an operation, add an entry:

    operations.OPERATIONS["conv_5x5"] = operations.Operation(
        steps=(
            operations.ReLU(),
            operations.Convolution((5, 5)),
            operations.BatchNorm(),
        ),
        color="#4e79a7",
    )

in the configuration file that searches or retrains with it, or here for
everyone. "none" has no entry: it is the lack of a connection.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ReLU:
    """Sets negative values to 0."""


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Convolution of all channels, without bias.

    Attributes:
        kernel: Height and width, both odd. Padding is symmetric and keeps the
            size at stride 1.
        strided: Whether the operation's stride acts vertically, and whether
            it acts horizontally.
    """

    kernel: tuple[int, int]
    strided: tuple[bool, bool] = (True, True)


@dataclasses.dataclass(frozen=True)
class Depthwise:
    """Convolution of each channel by itself, without bias.

    Attributes:
        size: Of the square kernel, odd; padded as `Convolution`.
        dilation: Distance of the pixels that the kernel reads, 1 or 2.
        strided: Whether the operation's stride acts.
    """

    size: int
    dilation: int = 1
    strided: bool = True


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """Batch normalization; with scale and offset in target networks only."""


@dataclasses.dataclass(frozen=True)
class MaxPool:
    """3x3 max pooling, in the super-net followed by a batch norm."""


@dataclasses.dataclass(frozen=True)
class AveragePool:
    """3x3 average pooling that does not count the padding.

    A batch norm follows it in the super-net.
    """


@dataclasses.dataclass(frozen=True)
class FactorizedReduce:
    """Halves the resolution without losing pixels.

    Half of the channels come from a 1x1 convolution of the even pixels, the
    others from one of the odd pixels.
    """


@dataclasses.dataclass(frozen=True)
class Operation:
    """A candidate operation.

    Attributes:
        steps: Tuple of the steps above, in order; empty for the identity.
        color: "#rrggbb", in which it is drawn.
        modules: For each step the name of DARTS's module that holds its
            weights, under that of the operation; empty if DARTS does not have
            the operation, and its weights cannot be ported.
        reduction: The `Operation` that takes its place at stride 2; None for
            the same steps.
    """

    steps: tuple
    color: str
    modules: tuple[str, ...] = ()
    reduction: "Operation | None" = None

    def at_stride(self, stride):
        """Returns the `Operation` that runs at a stride of 1 or 2."""
        return self.reduction if stride == 2 and self.reduction else self


def _numbered(prefix, steps):
    """Returns the modules of an `nn.Sequential`, which numbers its members."""
    return tuple(f"{prefix}{number}" for number in range(len(steps)))


def _separable(size, color):
    """Returns two rounds of ReLU, depthwise, 1x1 convolution, batch norm."""
    steps = ()
    for strided in (True, False):
        depthwise = Depthwise(size, strided=strided)
        steps += (ReLU(), depthwise, _POINTWISE, BatchNorm())
    return Operation(steps, color, _numbered("op.", steps))


def _dilated(size, color):
    """Returns ReLU, depthwise with dilation 2, 1x1 convolution, batch norm."""
    steps = (ReLU(), Depthwise(size, dilation=2), _POINTWISE, BatchNorm())
    return Operation(steps, color, _numbered("op.", steps))


def _ordinary(color, *convolutions):
    """Returns ReLU, ordinary convolutions, batch norm."""
    steps = (ReLU(), *convolutions, BatchNorm())
    return Operation(steps, color, _numbered("", steps))


def _one_sided(size, color):
    """Returns a pair of convolutions, each strided along its long side."""
    return _ordinary(
        color,
        Convolution((1, size), strided=(False, True)),
        Convolution((size, 1), strided=(True, False)),
    )


_POINTWISE = Convolution((1, 1), strided=(False, False))

# At the entry of a cell, where they match channels and resolution.
RELU_CONV_BN = Operation(
    (ReLU(), _POINTWISE, BatchNorm()), "", ("op.0", "op.1", "op.2")
)
FACTORIZED_REDUCE = Operation(
    (ReLU(), FactorizedReduce(), BatchNorm()), "", ("relu", "", "bn")
)

# The colors are Okabe and Ito's hues, which color-blind people tell apart: one
# a family, in two tones or more.
OPERATIONS = {
    "max_pool_3x3": Operation((MaxPool(),), "#D55E00", ("0",)),
    "avg_pool_3x3": Operation((AveragePool(),), "#F0A830", ("0",)),
    "skip_connect": Operation((), "#4D4D4D", reduction=FACTORIZED_REDUCE),
    "sep_conv_3x3": _separable(3, "#0064A4"),
    "sep_conv_5x5": _separable(5, "#56B4E9"),
    "dil_conv_3x3": _dilated(3, "#00795A"),
    "dil_conv_5x5": _dilated(5, "#5CC9A7"),
    "conv_1x1": _ordinary("#5B2A6E", Convolution((1, 1))),
    "conv_3x3": _ordinary("#8C4A96", Convolution((3, 3))),
    "conv_1x3_3x1": _one_sided(3, "#B0568F"),
    "conv_1x5_5x1": _one_sided(5, "#CC79A7"),
    "conv_1x7_7x1": _one_sided(7, "#E3A9C8"),
    "sep_conv_7x7": _separable(7, "#00305C"),
    # DARTS names it so, and runs 1x7 first.
    "conv_7x1_1x7": _one_sided(7, "#7D2248"),
}


def find(primitive):
    """Returns the `Operation` of a name.

    Raises:
        ValueError: If there is none.
    """
    if primitive not in OPERATIONS:
        raise ValueError(
            f"Unknown operation {primitive!r}; expected one of "
            f"{', '.join(OPERATIONS)}. One of your own must be added to "
            "entrannas_tf.architecture.operations.OPERATIONS first."
        )
    return OPERATIONS[primitive]
