"""The search space: primitives by name, and the numbering of nodes and edges.

A cell has `NUM_INPUT_NODES` input nodes, 0 (the output of cell k-2) and 1 (of
cell k-1), and `NUM_INTERMEDIATE_NODES` intermediate nodes. An edge (i, j)
joins node i to a later intermediate node j. Edges are numbered by target,
then by source, as in DARTS: (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), ...
No edge joins the two input nodes, so E = 14.
"""

NUM_INPUT_NODES = 2
NUM_INTERMEDIATE_NODES = 4
NUM_NODES = NUM_INPUT_NODES + NUM_INTERMEDIATE_NODES

NONE = "none"
SKIP_CONNECT = "skip_connect"

# Order within a space is DARTS's: it numbers the columns of alpha.
STANDARD = (
    NONE,
    "max_pool_3x3",
    "avg_pool_3x3",
    SKIP_CONNECT,
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
EXTENDED = (
    *STANDARD,
    "conv_1x1",
    "conv_3x3",
    "conv_1x3_3x1",
    "conv_1x5_5x1",
    "conv_1x7_7x1",
)
# Of published cells that were not found by gradients; nothing searches it.
NASNET = (*STANDARD, "sep_conv_7x7", "conv_7x1_1x7")
# One of each kind: a search of it builds its graphs in a third of the time, for
# tests and for trying things out.
TINY = (NONE, "max_pool_3x3", SKIP_CONNECT, "sep_conv_3x3")
SPACES = {
    "standard": STANDARD,
    "extended": EXTENDED,
    "nasnet": NASNET,
    "tiny": TINY,
}

MIN_CELLS = 3  # Of a network: the least whose two reduction cells differ.
STEM_MULTIPLIER = 3  # DARTS: CIFAR's stem has three times the first cells' C.

STEM_REDUCTIONS = {"cifar": 0, "imagenet": 3}  # How often a stem halves.
ENGINE_CELLS = ("first", "last", "half", "all", "none")

# (source, target) of every edge, by number.
EDGES = tuple(
    (source, target)
    for target in range(NUM_INPUT_NODES, NUM_NODES)
    for source in range(target)
)


def primitives(space, with_none):
    """Returns the names of a space's candidate primitives, in alpha's order.

    Args:
        space: "standard" (8 primitives) or "extended" (13), appendix A.2; or
            "nasnet" (10), which target networks can have; or "tiny" (4).
        with_none: Whether "none" is a candidate: it is for EnTranNAS, and is
            not for EnTranNAS-DST, which can leave an edge empty by itself.

    Raises:
        ValueError: If the space is not known.
    """
    if space not in SPACES:
        raise ValueError(
            f"Unknown search space {space!r}; expected one of {sorted(SPACES)}."
        )
    names = SPACES[space]
    return names if with_none else tuple(n for n in names if n != NONE)


def reduction_indices(num_cells):
    """Returns the numbers of a network's reduction cells: at 1/3 and 2/3."""
    return (num_cells // 3, 2 * num_cells // 3)


def engine_indices(num_cells, which):
    """Returns the numbers of the Engine-cells, a set.

    Args:
        num_cells: Number of cells, 3 or more.
        which: "first", "last", "half" or "all" of the normal and of the
            reduction cells (Table 1). Half of them are the earlier half,
            at least one of each kind. "none" is for random search.

    Raises:
        ValueError: If `which` is another word.
    """
    if which not in ENGINE_CELLS:
        raise ValueError(
            f"Unknown placement of Engine-cells {which!r}; expected one of "
            f"{', '.join(ENGINE_CELLS)}."
        )
    reductions = reduction_indices(num_cells)
    kinds = (
        [k for k in range(num_cells) if k not in reductions],
        list(reductions),
    )
    chosen = {
        "first": lambda found: found[:1],
        "last": lambda found: found[-1:],
        "half": lambda found: found[: max(1, len(found) // 2)],
        "all": lambda found: found,
        "none": lambda places: [],
    }[which]
    return {place for kind in kinds for place in chosen(kind)}


def check_stem(stem):
    """Raises ValueError if a stem is not known."""
    if stem not in STEM_REDUCTIONS:
        raise ValueError(
            f"Unknown stem {stem!r}; expected one of "
            f"{', '.join(STEM_REDUCTIONS)}."
        )


def edges_into(target):
    """Returns the numbers of the edges that end in node `target`."""
    return tuple(e for e, (_, t) in enumerate(EDGES) if t == target)


def edges_from(source):
    """Returns the numbers of the edges that start in node `source`."""
    return tuple(e for e, (s, _) in enumerate(EDGES) if s == source)
