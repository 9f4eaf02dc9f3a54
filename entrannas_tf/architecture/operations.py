"""The operations: the layers of each, its color, and DARTS's names for them.

`OPERATIONS` is the one place where an operation is defined, as a sequence of
steps. The layers of the super-net (`networks.layers.operations`), the layers of
the target network (`networks.target`), parameters and multiply-adds
(`networks.cost`) and the weights that DARTS has for it (`networks.porting`) all
follow from the steps. The definitions are DARTS's.

To add an operation for everyone, add an entry to the table. To add one of your
own, call `add` in the configuration file of the search:

    operations.add(
        "conv_5x5",
        operations.Operation(
            steps=(
                operations.ReLU(),
                operations.Convolution((5, 5)),
                operations.BatchNorm(),
            ),
            color="#8CD17D",
        ),
    )

The genotype file that the search writes holds the definition, so that whatever
reads the file knows the operation. "none" has no entry: it is the lack of a
connection.
"""

import dataclasses
import re


class Step:
    """A step of an operation: a class below."""

    def strides(self, stride):
        """Returns the vertical and the horizontal stride of the step.

        Args:
            stride: The operation's, 1 or 2.
        """
        del stride
        return (1, 1)


class _Strided(Step):
    """A step at which the operation's stride acts both ways."""

    def strides(self, stride):
        return (stride, stride)


@dataclasses.dataclass(frozen=True)
class ReLU(Step):
    """Sets negative values to 0."""


@dataclasses.dataclass(frozen=True)
class Convolution(Step):
    """Convolution of all channels, without bias.

    Attributes:
        kernel: Height and width, both odd. Padding is symmetric and keeps the
            size at stride 1.
        strided: Whether the operation's stride acts vertically, and whether
            it acts horizontally.
    """

    kernel: tuple[int, int]
    strided: tuple[bool, bool] = (True, True)

    def strides(self, stride):
        return tuple(stride if strided else 1 for strided in self.strided)


@dataclasses.dataclass(frozen=True)
class Depthwise(Step):
    """Convolution of each channel by itself, without bias.

    Attributes:
        size: Of the square kernel, odd; padded as `Convolution`.
        dilation: Distance of the pixels that the kernel reads, 1 or 2.
        strided: Whether the operation's stride acts.
    """

    size: int
    dilation: int = 1
    strided: bool = True

    @property
    def kernel(self):
        """Height and width."""
        return (self.size, self.size)

    def strides(self, stride):
        return (stride, stride) if self.strided else (1, 1)


@dataclasses.dataclass(frozen=True)
class BatchNorm(Step):
    """Batch normalization; with scale and offset in target networks only."""


@dataclasses.dataclass(frozen=True)
class MaxPool(_Strided):
    """3x3 max pooling, in the super-net followed by a batch norm."""


@dataclasses.dataclass(frozen=True)
class AveragePool(_Strided):
    """3x3 average pooling that does not count the padding.

    A batch norm follows it in the super-net.
    """


@dataclasses.dataclass(frozen=True)
class FactorizedReduce(_Strided):
    """Halves the resolution without losing pixels.

    Half of the channels come from a 1x1 convolution of the even pixels, the
    others from one of the odd pixels.
    """

    @staticmethod
    def half(channels):
        """Returns half of the channels.

        Raises:
            ValueError: If their number is odd.
        """
        if channels % 2:
            raise ValueError(
                f"A factorized reduction got {channels} channels; expected an "
                "even number, as each half comes from other pixels."
            )
        return channels // 2


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


_BUILT_IN = frozenset(OPERATIONS)
_STEPS = {
    step.__name__: step
    for step in (
        ReLU,
        Convolution,
        Depthwise,
        BatchNorm,
        MaxPool,
        AveragePool,
        FactorizedReduce,
    )
}


def find(primitive):
    """Returns the `Operation` of a name.

    Raises:
        ValueError: If there is none.
    """
    if primitive not in OPERATIONS:
        raise ValueError(
            f"Unknown operation {primitive!r}; expected one of "
            f"{', '.join(OPERATIONS)}. Add one of your own by "
            "entrannas_tf.architecture.operations.add."
        )
    return OPERATIONS[primitive]


def add(name, operation):
    """Adds an operation of one's own. To add it again changes nothing.

    Args:
        name: Name of the primitive: letters, digits and underscores.
        operation: An `Operation`.

    Raises:
        ValueError: If the name or a field of the operation is not as it should
            be, or another operation has the name.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z]\w*", name):
        raise ValueError(
            f"An operation is called {name!r}; expected letters, digits and "
            "underscores."
        )
    if name == "none":
        raise ValueError(
            'An operation is called "none"; expected another name: "none" is '
            "the lack of a connection."
        )
    if OPERATIONS.get(name, operation) != operation:
        raise ValueError(
            f"There is another operation {name!r}, {OPERATIONS[name]}; "
            f"expected a new name for {operation}."
        )
    _check(name, operation)
    OPERATIONS[name] = operation


def own(names):
    """Returns the definitions of those operations that were added.

    Args:
        names: Names of primitives.

    Returns:
        Dict by name of what `from_dict` takes, of values that JSON has.
    """
    return {
        name: to_dict(OPERATIONS[name])
        for name in names
        if name in OPERATIONS and name not in _BUILT_IN
    }


def to_dict(operation):
    """Returns an `Operation` as a dict of values that JSON has."""
    reduction = operation.reduction
    return {
        "steps": [
            {"step": type(step).__name__, **dataclasses.asdict(step)}
            for step in operation.steps
        ],
        "color": operation.color,
        "modules": list(operation.modules),
        "reduction": to_dict(reduction) if reduction else None,
    }


def from_dict(values):
    """Returns the `Operation` of a dict such as `to_dict` returns.

    Raises:
        ValueError: If it is none.
    """
    try:
        steps = [dict(step) for step in values["steps"]]
        return Operation(
            tuple(_STEPS[s.pop("step")](**_to_tuples(s)) for s in steps),
            values["color"],
            tuple(values["modules"]),
            from_dict(values["reduction"]) if values["reduction"] else None,
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"The definition of an operation is {values!r}; expected its "
            f"steps, of {', '.join(_STEPS)}, color, modules and reduction."
        ) from None


def _to_tuples(values):
    return {k: tuple(v) if type(v) is list else v for k, v in values.items()}


def _check(name, operation):
    """Raises ValueError if an operation cannot be built or drawn."""
    if not isinstance(operation, Operation):
        raise ValueError(
            f"The operation {name!r} is {operation!r}; expected an `Operation`."
        )
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", str(operation.color)):
        raise ValueError(
            f"The operation {name!r} has the color {operation.color!r}; "
            'expected one such as "#0064A4".'
        )
    _check_steps(name, operation)


def _check_steps(name, operation):
    """Checks the steps of an operation, and of what it is at stride 2."""
    for step in operation.steps:
        if type(step) not in _STEPS.values():
            raise ValueError(
                f"The operation {name!r} has the step {step!r}; expected one "
                f"of {', '.join(_STEPS)}."
            )
        kernel = getattr(step, "kernel", ())
        if any(type(n) is not int or n < 1 or n % 2 == 0 for n in kernel):
            raise ValueError(
                f"The operation {name!r} has the step {step!r}; expected odd "
                "sizes, so that padding is symmetric."
            )
    if len(operation.modules) not in (0, len(operation.steps)):
        raise ValueError(
            f"The operation {name!r} has {len(operation.modules)} modules; "
            f"expected one for each of its {len(operation.steps)} steps, or "
            "none."
        )
    if operation.reduction:
        _check_steps(name, operation.reduction)
        return
    for axis in range(2):
        count = sum(step.strides(2)[axis] > 1 for step in operation.steps)
        if count != 1:
            raise ValueError(
                f"The operation {name!r} applies the stride {count} times "
                f"along the {('height', 'width')[axis]}; expected once. Set "
                "`strided` of its steps, or give a `reduction`."
            )
