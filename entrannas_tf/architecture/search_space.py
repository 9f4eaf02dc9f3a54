"""The search space as a value: primitives by name, nodes, edges and kinds.

A cell has input nodes, the outputs of cells k-2 and k-1 or of cell k-1 alone,
and intermediate nodes. An edge (i, j) joins node i to a later intermediate
node j. Edges are numbered by target, then by source, as in DARTS: with two
input nodes (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), ... No edge joins two input
nodes, so a cell of the paper, with two and four of them, has E = 14.
"""

from typing import NamedTuple

from entrannas_tf.architecture import operations as definitions

NONE = "none"
SKIP_CONNECT = "skip_connect"

# The kinds that cells can be of, which are the fields of a genotype.
KINDS = ("normal", "reduction")

# A number of skip connections that sets no limit: the paper's cells, derived
# by top-2, have no more connections.
ANY_SKIPS = 8

MIN_CELLS = 3  # Of a network: the least whose two reduction cells differ.
STEM_MULTIPLIER = 3  # DARTS: CIFAR's stem has three times the first cells' C.

STEM_REDUCTIONS = {"cifar": 0, "imagenet": 3}  # How often a stem halves.
# How many times smaller than an image a backbone's features may be.
OUTPUT_STRIDES = (8, 16, 32)
ENGINE_CELLS = ("first", "last", "half", "all", "none")


class SearchSpace(NamedTuple):
    """A search space; `make` and `get` return checked ones.

    Attributes:
        name: Name of the space.
        primitives: Names of the K candidate primitives, in the order of
            alpha's columns. "none" may be among them for EnTranNAS;
            EnTranNAS-DST, which can leave an edge empty by itself, ignores it.
        num_input_nodes: 2 for cells that read the outputs of cells k-2 and
            k-1, 1 for cells that read that of cell k-1 alone.
        num_intermediate_nodes: M, 1 or more.
        kinds: Kinds of cell that are searched, ("normal", "reduction") or
            ("normal",). With one kind, reduction cells are normal cells whose
            edges from the input nodes have stride 2.

    Example:

    >>> from entrannas_tf.architecture import search_space
    >>> space = search_space.make(
    ...     "small",
    ...     primitives=("none", "skip_connect", "sep_conv_3x3"),
    ...     num_intermediate_nodes=2,
    ... )
    >>> space.edges
    ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    >>> space.operations
    ('skip_connect', 'sep_conv_3x3')
    """

    name: str
    primitives: tuple[str, ...]
    num_input_nodes: int = 2
    num_intermediate_nodes: int = 4
    kinds: tuple[str, ...] = KINDS

    @property
    def num_nodes(self):
        """Number of input and of intermediate nodes."""
        return self.num_input_nodes + self.num_intermediate_nodes

    @property
    def intermediate_nodes(self):
        """Numbers of the intermediate nodes, a range."""
        return range(self.num_input_nodes, self.num_nodes)

    @property
    def edges(self):
        """(source, target) of the E edges, a tuple; it numbers alpha's rows."""
        return tuple(
            (source, target)
            for target in self.intermediate_nodes
            for source in range(target)
        )

    @property
    def targets(self):
        """Each edge's target, as the number of an intermediate node from 0."""
        return tuple(t - self.num_input_nodes for _, t in self.edges)

    @property
    def operations(self):
        """The primitives other than "none", a tuple."""
        return tuple(name for name in self.primitives if name != NONE)

    def edges_into(self, target):
        """Returns the numbers of the edges that end in node `target`."""
        return tuple(e for e, (_, t) in enumerate(self.edges) if t == target)

    def edges_from(self, source):
        """Returns the numbers of the edges that start in node `source`."""
        return tuple(e for e, (s, _) in enumerate(self.edges) if s == source)

    def without_none(self):
        """Returns the space without "none" among its primitives."""
        return self._replace(primitives=self.operations)

    def kind_of(self, is_reduction):
        """Returns the kind of a network's reduction or other cells."""
        return "reduction" if is_reduction and len(self.kinds) > 1 else "normal"


# The order within a space is DARTS's.
STANDARD = SearchSpace(
    "standard",
    (
        NONE,
        "max_pool_3x3",
        "avg_pool_3x3",
        SKIP_CONNECT,
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
)
EXTENDED = SearchSpace(
    "extended",
    (
        *STANDARD.primitives,
        "conv_1x1",
        "conv_3x3",
        "conv_1x3_3x1",
        "conv_1x5_5x1",
        "conv_1x7_7x1",
    ),
)
# Of published cells that were not found by gradients.
NASNET = SearchSpace(
    "nasnet", (*STANDARD.primitives, "sep_conv_7x7", "conv_7x1_1x7")
)
# One of each kind: a search of it builds its graphs in a third of the time, for
# tests and for trying things out.
TINY = SearchSpace("tiny", (NONE, "max_pool_3x3", SKIP_CONNECT, "sep_conv_3x3"))

SPACES = {space.name: space for space in (STANDARD, EXTENDED, NASNET, TINY)}


def get(identifier):
    """Returns a checked `SearchSpace`.

    Args:
        identifier: "standard" (8 primitives) or "extended" (13), appendix A.2;
            "nasnet" (10), of published networks; "tiny" (4), to try things
            out; a dict such as `serialize` returns; or a `SearchSpace`.

    Raises:
        ValueError: If the space is not known, or `check` refuses it.
    """
    if isinstance(identifier, SearchSpace):
        return check(identifier)
    if isinstance(identifier, dict):
        needed = {"name", "primitives"}
        if not needed <= set(identifier) <= set(SearchSpace._fields):
            raise ValueError(
                "The search space has the fields "
                f"{', '.join(map(str, identifier)) or '(none)'}; expected "
                f"{', '.join(SearchSpace._fields)}."
            )
        values = {
            field: tuple(value) if type(value) is list else value
            for field, value in identifier.items()
        }
        return check(SearchSpace(**values))
    if not isinstance(identifier, str) or identifier not in SPACES:
        raise ValueError(
            f"Unknown search space {identifier!r}; expected one of "
            f"{sorted(SPACES)}."
        )
    return SPACES[identifier]


def serialize(space):
    """Returns a space for JSON and `get`: its name in `SPACES`, or a dict."""
    if SPACES.get(space.name) == space:
        return space.name
    return {
        field: list(value) if isinstance(value, tuple) else value
        for field, value in space._asdict().items()
    }


def make(
    name,
    primitives=(),
    num_input_nodes=2,
    num_intermediate_nodes=4,
    kinds=KINDS,
    prefix="",
):
    """Returns a checked `SearchSpace`.

    Args:
        name: Name of the space.
        primitives: Names of the primitives; empty for those of the known
            space of this name.
        num_input_nodes: 1 or 2.
        num_intermediate_nodes: M, 1 or more.
        kinds: Kinds of cell that are searched, see `SearchSpace`.
        prefix: Text before the name of a field in messages.

    Raises:
        ValueError: If there are no primitives and the name is not known, or
            `check` refuses the space.
    """
    primitives = tuple(primitives) or get(name).primitives
    sizes = num_input_nodes, num_intermediate_nodes
    return check(SearchSpace(name, primitives, *sizes, tuple(kinds)), prefix)


def check(space, prefix=""):
    """Returns a `SearchSpace` whose fields are valid.

    Args:
        space: The `SearchSpace`.
        prefix: Text before the name of a field in messages, such as
            "network.".

    Raises:
        ValueError: If a field is invalid.
    """
    if not isinstance(space.name, str) or not space.name.strip():
        raise ValueError(
            f"{prefix}name is {space.name!r}; expected a text that is not "
            "empty."
        )
    _check_primitives(space.primitives, f"{prefix}primitives")
    inputs, inner = space.num_input_nodes, space.num_intermediate_nodes
    if type(inputs) is not int or inputs not in (1, 2):
        raise ValueError(
            f"{prefix}num_input_nodes is {inputs!r}; expected 2, for the "
            "outputs of cells k-2 and k-1, or 1, for that of cell k-1."
        )
    if type(inner) is not int or inner < 1:
        raise ValueError(
            f"{prefix}num_intermediate_nodes is {inner!r}; expected 1 or more."
        )
    if space.kinds not in (KINDS, KINDS[:1]):
        raise ValueError(
            f"{prefix}kinds is {space.kinds!r}; expected {KINDS!r}, or "
            f"{KINDS[:1]!r} for reduction cells that are normal cells at "
            "stride 2."
        )
    return space


def reduction_indices(num_cells):
    """Returns the numbers of a network's reduction cells: at 1/3 and 2/3."""
    return (num_cells // 3, 2 * num_cells // 3)


def cells(num_cells, init_channels, stem):
    """Yields how each cell of a network differs from the others.

    Args:
        num_cells: Number of cells, 3 or more.
        init_channels: C of the first cells.
        stem: "cifar" or "imagenet".

    Yields:
        (kind, channels, halve_first): "normal" or "reduction", C, and whether
        the output of cell k-2 is twice as large as that of cell k-1.
    """
    channels, halve_first = init_channels, stem == "imagenet"
    for index in range(num_cells):
        reduction = index in reduction_indices(num_cells)
        channels *= 2 if reduction else 1
        yield "reduction" if reduction else "normal", channels, halve_first
        halve_first = reduction


def dilations(num_cells, output_stride):
    """Returns how far each cell of a segmentation backbone spreads its kernels.

    The stem for ImageNet divides the size of an image by 8. A reduction cell
    that would divide it by more than the output stride keeps the size, at
    stride 1, and all that follows is dilated twice as much (Chen et al. 2017,
    DeepLabV3, section 3.1).

    Args:
        num_cells: Number of cells, 3 or more.
        output_stride: 8, 16 or 32; at 32 no cell is dilated.

    Returns:
        A list of (before, after) by cell: the dilation, 1, 2 or 4, of the
        output of cell k-1 and of the cell's own. They differ in a reduction
        cell that keeps the size, and in no other.

    Example:

    >>> from entrannas_tf.architecture import search_space
    >>> search_space.dilations(6, output_stride=16)
    [(1, 1), (1, 1), (1, 1), (1, 1), (1, 2), (2, 2)]
    """
    pairs, dilation = [], 1
    stride = 2 ** STEM_REDUCTIONS["imagenet"]
    for index in range(num_cells):
        before = dilation
        if index in reduction_indices(num_cells):
            if stride < output_stride:
                stride *= 2
            else:
                dilation *= 2
        pairs.append((before, dilation))
    return pairs


def engine_indices(num_cells, which):
    """Returns the numbers of the Engine-cells, a set.

    Args:
        num_cells: Number of cells, 3 or more.
        which: "first", "last", "half" (the earlier half, at least one) or
            "all" of the normal and of the reduction cells (Table 1), or
            "none", for random search.

    Raises:
        ValueError: If `which` is another word.
    """
    if which not in ENGINE_CELLS:
        raise ValueError(
            f"Unknown placement of Engine-cells {which!r}; expected one of "
            f"{', '.join(ENGINE_CELLS)}."
        )
    reductions = reduction_indices(num_cells)
    normals = tuple(k for k in range(num_cells) if k not in reductions)
    chosen = set()
    for cells in (normals, reductions):
        part = {
            "first": cells[:1],
            "last": cells[-1:],
            "half": cells[: max(1, len(cells) // 2)],
            "all": cells,
            "none": (),
        }[which]
        chosen.update(part)
    return chosen


def check_stem(stem):
    """Raises ValueError if a stem is not known."""
    if stem not in STEM_REDUCTIONS:
        raise ValueError(
            f"Unknown stem {stem!r}; expected one of "
            f"{', '.join(STEM_REDUCTIONS)}."
        )


def check_init_channels(init_channels, stem):
    """Raises ValueError if a network with a stem cannot have these channels."""
    if stem == "imagenet" and init_channels % 2:
        raise ValueError(
            f"init_channels is {init_channels}; expected an even number, as "
            "the network for ImageNet begins with half of them."
        )


def check_output_stride(output_stride, stem):
    """Raises ValueError if a backbone with a stem cannot have this stride."""
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(
            f"output_stride is {output_stride!r}; expected one of "
            f"{', '.join(map(str, OUTPUT_STRIDES))}."
        )
    if stem != "imagenet":
        raise ValueError(
            f"output_stride is {output_stride} with the stem {stem!r}; "
            "expected the stem 'imagenet', which divides the images' size by "
            "8."
        )


def _check_primitives(names, field):
    """Raises ValueError if the primitives of a space are invalid."""
    known = (NONE, *definitions.OPERATIONS)
    listed = f"names among {', '.join(known)}"
    is_list = isinstance(names, tuple)
    if not is_list or not names or any(not isinstance(n, str) for n in names):
        raise ValueError(f"{field} is {names!r}; expected {listed}.")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"{field} has {unknown[0]!r}, which is not known; expected "
            f"{listed}. Add an operation of your own by "
            "entrannas_tf.architecture.operations.add."
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"{field} has {twice[0]!r} more than once; expected each name once."
        )
    if set(names) == {NONE}:
        raise ValueError(
            f"{field} is {names!r}; expected an operation beside none."
        )
