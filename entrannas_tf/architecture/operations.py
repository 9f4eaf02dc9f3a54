"""The operations: the layers of each, its color, and DARTS's names for them.

`OPERATIONS` is the one place where an operation is defined, as a sequence of
steps. The layers of the super-net (`networks.layers.operations`), the layers of
the target network (`networks.target`), parameters and multiply-adds
(`networks.cost`) and the weights that DARTS has for it (`networks.porting`) all
follow from the steps. The definitions are DARTS's.

To add an operation for everyone, add an entry to the table. To add one to a
single search, call `add` in its configuration file, as in docs/extending.md:
the genotype file that the search writes holds the definition. "none" has no
entry: it is the lack of a connection.
"""

import dataclasses
import re


class Step:
    """A step of an operation: a class below.

    Attributes:
        strided: Whether the operation's stride acts on the step, both ways or
            (vertically, horizontally).
    """

    strided = False

    def strides(self, stride):
        """Returns the vertical and the horizontal stride of the step.

        Args:
            stride: The operation's, 1 or 2.
        """
        acts = self.strided
        acts = acts if isinstance(acts, tuple) else (acts, acts)
        return tuple(stride if each else 1 for each in acts)


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


@dataclasses.dataclass(frozen=True)
class BatchNorm(Step):
    """Batch normalization; with scale and offset in target networks only."""


@dataclasses.dataclass(frozen=True)
class MaxPool(Step):
    """3x3 max pooling, in the super-net followed by a batch norm."""

    strided = True


@dataclasses.dataclass(frozen=True)
class AveragePool(Step):
    """3x3 average pooling that does not count the padding.

    A batch norm follows it in the super-net.
    """

    strided = True


@dataclasses.dataclass(frozen=True)
class FactorizedReduce(Step):
    """Halves the resolution without losing pixels.

    Half of the channels come from a 1x1 convolution of the even pixels, the
    others from one of the odd pixels.
    """

    strided = True

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
            weights, under that of the operation; empty if DARTS lacks the
            operation, whose weights then cannot be ported.
        reduction: The `Operation` that replaces it at stride 2; None for the
            same steps.
    """

    steps: tuple
    color: str
    modules: tuple[str, ...] = ()
    reduction: "Operation | None" = None

    def at_stride(self, stride):
        """Returns the `Operation` that runs at a stride of 1 or 2."""
        return self.reduction if stride == 2 and self.reduction else self


_POINTWISE = Convolution((1, 1), strided=(False, False))


def _sequential(prefix, color, *convolutions):
    """Returns ReLU, convolutions, batch norm, an `nn.Sequential` of DARTS."""
    steps = (ReLU(), *convolutions, BatchNorm())
    modules = tuple(f"{prefix}{number}" for number in range(len(steps)))
    return Operation(steps, color, modules)


def _separable(size, color):
    """Returns two rounds of ReLU, depthwise, 1x1 convolution, batch norm."""
    again = (Depthwise(size, strided=False), _POINTWISE)
    between = (BatchNorm(), ReLU())
    return _sequential(
        "op.", color, Depthwise(size), _POINTWISE, *between, *again
    )


def _dilated(size, color):
    """Returns a depthwise convolution with dilation 2, then a 1x1."""
    return _sequential("op.", color, Depthwise(size, dilation=2), _POINTWISE)


def _ordinary(size, color):
    """Returns an ordinary square convolution."""
    return _sequential("", color, Convolution((size, size)))


def _one_sided(size, color):
    """Returns a pair of convolutions, each strided along its long side."""
    across = Convolution((1, size), strided=(False, True))
    down = Convolution((size, 1), strided=(True, False))
    return _sequential("", color, across, down)


# The steps of the stems, but for ReLUs.
CONV_BN = (Convolution((3, 3)), BatchNorm())

# At the entry of a cell, where they match channels and resolution.
RELU_CONV_BN = _sequential("op.", "", _POINTWISE)
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
    "conv_1x1": _ordinary(1, "#5B2A6E"),
    "conv_3x3": _ordinary(3, "#8C4A96"),
    "conv_1x3_3x1": _one_sided(3, "#B0568F"),
    "conv_1x5_5x1": _one_sided(5, "#CC79A7"),
    "conv_1x7_7x1": _one_sided(7, "#E3A9C8"),
    "sep_conv_7x7": _separable(7, "#00305C"),
    # DARTS names it so, and runs 1x7 first.
    "conv_7x1_1x7": _one_sided(7, "#7D2248"),
}


_BUILT_IN = frozenset(OPERATIONS)
_STEPS = {step.__name__: step for step in Step.__subclasses__()}


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
    """Adds an operation to the table. Adding it again changes nothing.

    Args:
        name: Name of the primitive: letters, digits and underscores.
        operation: An `Operation`.

    Raises:
        ValueError: If the name or a field of the operation is invalid, or
            another operation has the name.
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
    OPERATIONS[name] = operation


def own(names):
    """Returns {name: `to_dict`} of those operations that are not built in."""
    return {
        name: to_dict(OPERATIONS[name])
        for name in names
        if name in OPERATIONS and name not in _BUILT_IN
    }


def to_dict(operation):
    """Returns an `Operation` as a dict that JSON can hold."""
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
    """Returns the `Operation` of a dict that `to_dict` returned.

    Raises:
        ValueError: If the dict holds no operation.
    """
    try:
        steps = []
        for step in values["steps"]:
            fields = {
                k: tuple(v) if type(v) is list else v for k, v in step.items()
            }
            steps.append(_STEPS[fields.pop("step")](**fields))
        return Operation(
            tuple(steps),
            values["color"],
            tuple(values["modules"]),
            from_dict(values["reduction"]) if values["reduction"] else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(
            f"The definition of an operation is {values!r}; expected its "
            f"steps, of {', '.join(_STEPS)}, color, modules and reduction."
        ) from None


def _check_steps(name, operation):
    """Raises ValueError if an operation cannot be built at each stride."""
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
