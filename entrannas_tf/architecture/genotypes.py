"""Genotypes: which connections a cell has, as plain values.

A genotype is made by `derivation`, passed on, and never edited. It is nested
by intermediate node because a node may have any number of connections.
"""

import json
from typing import NamedTuple

import numpy as np

from entrannas_tf.architecture import search_space

FORMAT = "entrannas-genotype"
VERSION = 1


class Connection(NamedTuple):
    """A primitive applied to the output of an earlier node of the cell."""

    primitive: str
    source: int


KINDS = ("normal", "reduction")

_CONCATS = tuple(f"{kind}_concat" for kind in KINDS)

# One tuple of connections for each intermediate node.
Cell = tuple[tuple[Connection, ...], ...]


class Genotype(NamedTuple):
    """A normal and a reduction cell.

    Attributes:
        normal: The normal cell, a tuple of connections per intermediate node.
        reduction: The reduction cell, likewise.
        space: Name of the search space that the primitives belong to.
        normal_concat: Numbers of the nodes that form the normal cell's output,
            in order; None for all that anything arrives at, see `live_nodes`.
        reduction_concat: The same of the reduction cell.

    Example:

    >>> import entrannas_tf
    >>> from entrannas_tf.architecture import genotypes
    >>> node = [("sep_conv_3x3", 0), ("skip_connect", 1)]
    >>> cell = genotypes.make_cell([node] * 4)
    >>> genotype = entrannas_tf.Genotype(normal=cell, reduction=cell)
    >>> genotype.outputs("normal")  # Nodes 0 and 1 are the cell's inputs.
    (2, 3, 4, 5)
    """

    normal: Cell
    reduction: Cell
    space: str = "standard"
    normal_concat: tuple[int, ...] | None = None
    reduction_concat: tuple[int, ...] | None = None

    def outputs(self, kind):
        """Returns the numbers of the nodes that form a cell's output.

        Those that nothing arrives at are not among them.

        Args:
            kind: One of `KINDS`.
        """
        connected = connected_nodes(getattr(self, kind))
        concat = getattr(self, f"{kind}_concat")
        if concat is None:
            return connected
        return tuple(node for node in concat if node in connected)


def make_cell(nodes, space="standard"):
    """Builds a checked cell from nested sequences of (primitive, source).

    Args:
        nodes: For each intermediate node a sequence of pairs.
        space: Name of the search space that the primitives must belong to.

    Raises:
        ValueError: If a primitive is not in the space, or a source is not an
            earlier node.
    """
    known = search_space.primitives(space, with_none=False)
    cell = []
    for index, pairs in enumerate(nodes):
        target = search_space.NUM_INPUT_NODES + index
        connections = []
        for primitive, source in pairs:
            if primitive not in known:
                raise ValueError(
                    f"Node {target} uses the primitive {primitive!r}, which "
                    f"the {space!r} space does not have; expected one of "
                    f"{', '.join(known)}."
                )
            if not isinstance(source, int) or not 0 <= source < target:
                raise ValueError(
                    f"Node {target} has a connection from node {source!r}; "
                    f"expected an integer from 0 to {target - 1}."
                )
            connections.append(Connection(primitive, source))
        cell.append(tuple(connections))
    return tuple(cell)


def make_concat(concat, cell):
    """Returns checked numbers of nodes for `Genotype.normal_concat`.

    Args:
        concat: Sequence of numbers of nodes, or None.
        cell: The `Cell` that they belong to.

    Returns:
        A tuple; None if these are the nodes that None stands for.

    Raises:
        ValueError: If a number is not that of an intermediate node that has a
            connection, or occurs twice, or there is none.
    """
    known = connected_nodes(cell)
    if concat is None:
        concat = known
    wrong = [n for n in concat if n not in known or isinstance(n, bool)]
    if wrong or not concat or len(set(concat)) < len(concat):
        raise ValueError(
            f"The cell's output is made of the nodes {list(concat)}; expected "
            "each once, and of those that have a connection: "
            f"{', '.join(map(str, known)) or 'but none has any'}."
        )
    return None if tuple(concat) == known else tuple(concat)


def draw(seed, space="standard"):
    """Returns a random genotype, such as a search may find by top-2.

    Each node has two connections, from two different nodes, with any
    primitives of the space: all such genotypes are equally likely.

    Args:
        seed: Non-negative integer, or a tuple of them.
        space: Name of the search space.
    """
    rng = np.random.default_rng(seed)
    names = search_space.primitives(space, with_none=False)
    cells = [
        make_cell(
            [
                [
                    (names[rng.integers(len(names))], int(source))
                    for source in sorted(rng.permutation(node)[:2])
                ]
                for node in range(
                    search_space.NUM_INPUT_NODES, search_space.NUM_NODES
                )
            ],
            space,
        )
        for _ in KINDS
    ]
    return Genotype(*cells, space)


def live_nodes(cell):
    """Returns the set of the nodes that anything arrives at.

    These are the input nodes, and the nodes with a connection from one of
    these. What would come from another node is 0: published genotypes have
    such connections.
    """
    live = set(range(search_space.NUM_INPUT_NODES))
    for node, connections in enumerate(cell, search_space.NUM_INPUT_NODES):
        if any(source in live for _, source in connections):
            live.add(node)
    return live


def connected_nodes(cell):
    """Returns the intermediate nodes among `live_nodes`, a tuple in order."""
    inputs = range(search_space.NUM_INPUT_NODES)
    return tuple(sorted(live_nodes(cell) - set(inputs)))


def num_connections(cell):
    """Returns the number of connections of a cell."""
    return sum(len(connections) for connections in cell)


def num_skip_connections(cell):
    """Returns how many connections of a cell are `skip_connect`."""
    return sum(
        connection.primitive == search_space.SKIP_CONNECT
        for connections in cell
        for connection in connections
    )


def num_changed(before, after):
    """Returns how many connections of two cells stand in only one of them."""

    def keyed(cell):
        return {(node, c) for node, cs in enumerate(cell) for c in cs}

    return len(keyed(before) ^ keyed(after))


def describe(cell):
    """Returns a cell in a line: `2: skip_connect(0) sep_conv_3x3(1) | ...`."""
    return " | ".join(
        f"{search_space.NUM_INPUT_NODES + index}: "
        + (" ".join(f"{c.primitive}({c.source})" for c in connections) or "-")
        for index, connections in enumerate(cell)
    )


def to_json(genotype, **extra):
    """Returns the genotype as a JSON text that others can read.

    Args:
        genotype: A `Genotype`.
        **extra: Further top-level members, such as `provenance`.
    """
    concats = {f: getattr(genotype, f) for f in _CONCATS}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "space": genotype.space,
        "normal": genotype.normal,
        "reduction": genotype.reduction,
        **{f: list(nodes) for f, nodes in concats.items() if nodes},
        **extra,
    }
    members = (f"  {json.dumps(k)}: {_dumps(v)}" for k, v in content.items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def from_json(text):
    """Returns the `Genotype` that a JSON text describes.

    Raises:
        ValueError: If the text is not JSON, is of another format or version,
            or names unknown primitives or nodes.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"Not a genotype: not valid JSON ({error}).") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f'Not a genotype: expected a JSON object with "format": "{FORMAT}".'
        )
    if content.get("version") != VERSION:
        raise ValueError(
            f"The genotype has version {content.get('version')!r}; this "
            f"software reads version {VERSION}."
        )
    missing = [k for k in ("space", *KINDS) if k not in content]
    if missing:
        raise ValueError(f"The genotype lacks {', '.join(missing)}.")
    space = str(content["space"])
    cells = [
        make_cell(_check_nesting(content[kind], kind), space) for kind in KINDS
    ]
    concats = (
        make_concat(_check_concat(content.get(field), field), cell)
        for field, cell in zip(_CONCATS, cells, strict=True)
    )
    return Genotype(*cells, space, *concats)


def _check_nesting(nodes, kind):
    """Returns the nodes of a cell that was read if `make_cell` can take it."""
    nested = (
        isinstance(nodes, list)
        and nodes
        and all(isinstance(pairs, list) for pairs in nodes)
        and all(
            isinstance(pair, list) and len(pair) == 2
            for pairs in nodes
            for pair in pairs
        )
    )
    if not nested:
        raise ValueError(
            f"The genotype's {kind} cell is not a list that has, for each "
            "intermediate node, a list of [primitive, source] pairs."
        )
    return nodes


def _check_concat(concat, field):
    """Returns a concat that was read if `make_concat` can take it."""
    if concat is None or (
        isinstance(concat, list) and all(isinstance(n, int) for n in concat)
    ):
        return concat
    raise ValueError(
        f"The genotype's {field} is {concat!r}; expected a list of numbers of "
        "nodes."
    )


def _dumps(value):
    """Renders a member on one line, a cell with one node a line."""
    is_cell = isinstance(value, tuple)
    if not is_cell:
        return json.dumps(value)
    nodes = (f"    {json.dumps(node)}" for node in value)
    return "[\n" + ",\n".join(nodes) + "\n  ]"
