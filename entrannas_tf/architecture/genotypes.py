"""Genotypes: which connections a cell has, as plain values.

A genotype is made by `derivation`, passed on, and never edited. It is nested
by intermediate node because a node may have any number of connections.
"""

import collections
import json
from typing import NamedTuple

import numpy as np

from entrannas_tf.architecture import operations, search_space

FORMAT = "entrannas-genotype"
VERSION = 1


class Connection(NamedTuple):
    """A primitive applied to the output of an earlier node of the cell."""

    primitive: str
    source: int


# One tuple of connections for each intermediate node.
Cell = tuple[tuple[Connection, ...], ...]


class NamedConnection(NamedTuple):
    """A connection as networks have it.

    Attributes:
        name: Such as "node_4.sep_conv_3x3_from_1"; if a node has the same
            connection twice, the second ends with "_2".
        node: Number of the node that it ends in.
        primitive: Its primitive.
        source: Number of the node that it reads.
        stride: 2 from an input node of a reduction cell, else 1.
        used: Whether its value reaches the cell's output; if not, target
            networks leave it out.
    """

    name: str
    node: int
    primitive: str
    source: int
    stride: int
    used: bool


class Genotype(NamedTuple):
    """A normal and a reduction cell.

    Attributes:
        normal: The normal cell, a tuple of connections per intermediate node.
        reduction: The reduction cell, such a tuple too.
        space: The `search_space.SearchSpace` that the cells belong to. Where
            it has one kind of cell, both cells are the same.
        normal_concat: Numbers of the nodes that form the normal cell's output,
            in order; None for all `connected_nodes`.
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
    space: search_space.SearchSpace = search_space.STANDARD
    normal_concat: tuple[int, ...] | None = None
    reduction_concat: tuple[int, ...] | None = None

    def outputs(self, kind):
        """Returns the numbers of the connected nodes that form a cell's output.

        Args:
            kind: "normal" or "reduction".
        """
        connected = connected_nodes(
            getattr(self, kind), self.space.num_input_nodes
        )
        concat = getattr(self, f"{kind}_concat")
        if concat is None:
            return connected
        return tuple(node for node in concat if node in connected)

    def describe(self, kind):
        """Returns a cell in a line: `2: skip_connect(0) conv_1x1(1) | ...`.

        Args:
            kind: "normal" or "reduction".
        """
        nodes = enumerate(getattr(self, kind), self.space.num_input_nodes)
        return " | ".join(
            f"{node}: {' '.join(f'{p}({s})' for p, s in connections) or '-'}"
            for node, connections in nodes
        )

    def entries(self, kind, halve_first):
        """Returns {node: `Operation` that matches it to a cell} of used inputs.

        Args:
            kind: "normal" or "reduction".
            halve_first: Whether the output of cell k-2 is twice as large as
                that of cell k-1.
        """
        num_inputs = self.space.num_input_nodes
        used = sorted(self._used_nodes(kind) & set(range(num_inputs)))
        entries = dict.fromkeys(used, operations.RELU_CONV_BN)
        if halve_first and num_inputs - 2 in entries:
            entries[num_inputs - 2] = operations.FACTORIZED_REDUCE
        return entries

    def named_connections(self, kind):
        """Returns a list of `NamedConnection`, by node and in DARTS's order.

        Args:
            kind: "normal" or "reduction".

        Raises:
            ValueError: If nothing flows to the output.
        """
        named, names = [], collections.Counter()
        num_inputs, used = self.space.num_input_nodes, self._used_nodes(kind)
        for node, connections in enumerate(getattr(self, kind), num_inputs):
            for primitive, source in connections:
                name = f"node_{node}.{primitive}_from_{source}"
                names[name] += 1
                if names[name] > 1:
                    name += f"_{names[name]}"
                halves = kind == "reduction" and source < num_inputs
                stride = 2 if halves else 1
                acts = {node, source} <= used
                named.append(
                    NamedConnection(name, node, primitive, source, stride, acts)
                )
        return named

    def _used_nodes(self, kind):
        """Returns the set of the nodes whose values reach a cell's output."""
        cell, num_inputs = getattr(self, kind), self.space.num_input_nodes
        connected = connected_nodes(cell, num_inputs)
        used = set(self.outputs(kind))
        if not used:
            raise ValueError(
                f"Nothing flows to the output of the {kind} cell "
                f"({self.describe(kind)}); expected connections from an input "
                "node to a node of the output, through others or not."
            )
        for node in reversed(connected):
            if node in used:
                sources = {source for _, source in cell[node - num_inputs]}
                used |= sources & {*range(num_inputs), *connected}
        return used


def make_cell(nodes, space=search_space.STANDARD):
    """Builds a checked cell from nested sequences of (primitive, source).

    Args:
        nodes: For each intermediate node a sequence of pairs. Published cells
            may have another number of nodes than the space.
        space: The `search_space.SearchSpace` whose operations and input nodes
            the cell may use.

    Raises:
        ValueError: If a primitive is not in the space, or a source is not an
            earlier node.
    """
    known = space.operations
    cell = []
    for index, pairs in enumerate(nodes):
        target = space.num_input_nodes + index
        connections = []
        for primitive, source in pairs:
            if primitive not in known:
                raise ValueError(
                    f"Node {target} uses the primitive {primitive!r}, which "
                    f"the {space.name!r} space does not have; expected one of "
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


def make_concat(concat, cell, num_input_nodes=2):
    """Returns checked numbers of nodes for `Genotype.normal_concat`.

    Args:
        concat: Sequence of numbers of nodes, or None.
        cell: The `Cell` that they belong to.
        num_input_nodes: Number of its input nodes.

    Returns:
        A tuple; None if these are all `connected_nodes`.

    Raises:
        ValueError: If a number is not that of an intermediate node that has a
            connection, or occurs twice, or there is none.
    """
    known = connected_nodes(cell, num_input_nodes)
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


def draw(seed, space=search_space.STANDARD):
    """Returns a random genotype, such as a search may find by top-2.

    Each node has two connections, from two different nodes, with any
    primitives of the space: all such genotypes are equally likely. A node that
    comes after one node alone has one connection.

    Args:
        seed: Non-negative integer, or a tuple of them.
        space: The `search_space.SearchSpace`.
    """
    rng = np.random.default_rng(seed)
    names = space.operations
    cells = {}
    for kind in space.kinds:
        nodes = []
        for node in space.intermediate_nodes:
            sources = sorted(rng.permutation(node)[:2])
            nodes.append(
                [(names[rng.integers(len(names))], int(s)) for s in sources]
            )
        cells[kind] = make_cell(nodes, space)
    return of_cells(cells, space)


def of_cells(cells, space):
    """Returns the genotype of a cell of each kind.

    Args:
        cells: {kind: `Cell`} of the space's kinds. The normal cell is used as
            the reduction cell where the space has no such kind.
        space: The `search_space.SearchSpace`.
    """
    normal = cells["normal"]
    return Genotype(normal, cells.get("reduction", normal), space)


def connected_nodes(cell, num_input_nodes=2):
    """Returns the intermediate nodes that have a value, a tuple in order.

    These have a connection from an input node or from one of these. Published
    genotypes have connections from other nodes, which would carry 0.
    """
    live = set(range(num_input_nodes))
    for node, connections in enumerate(cell, num_input_nodes):
        if any(source in live for _, source in connections):
            live.add(node)
    return tuple(sorted(live))[num_input_nodes:]


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
    found = [
        {
            (node, c)
            for node, connections in enumerate(cell)
            for c in connections
        }
        for cell in (before, after)
    ]
    return len(found[0] ^ found[1])


def to_json(genotype, **extra):
    """Returns the genotype as a JSON text that others can read.

    Args:
        genotype: A `Genotype`.
        **extra: Further top-level members, such as `provenance`.
    """
    own = operations.own(genotype.space.operations)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "space": search_space.serialize(genotype.space),
        "normal": genotype.normal,
        "reduction": genotype.reduction,
    }
    for kind in search_space.KINDS:
        concat = getattr(genotype, f"{kind}_concat")
        if concat:
            content[f"{kind}_concat"] = list(concat)
    if own:
        content["operations"] = own
    members = (
        f"  {json.dumps(name)}: {_dumps(value)}"
        for name, value in {**content, **extra}.items()
    )
    return "{\n" + ",\n".join(members) + "\n}\n"


def from_json(text):
    """Returns the `Genotype` that a JSON text describes.

    Operations that the text defines are added to `operations`.

    Raises:
        ValueError: If the text is not JSON, is of another format or version,
            names unknown primitives or nodes, or defines a known operation
            differently.
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
    kinds = search_space.KINDS
    missing = [k for k in ("space", *kinds) if k not in content]
    if missing:
        raise ValueError(f"The genotype lacks {', '.join(missing)}.")
    definitions = content.get("operations", {})
    if not isinstance(definitions, dict):
        raise ValueError(
            f"The genotype's operations are {definitions!r}; expected an "
            "object of definitions by name."
        )
    for name, values in definitions.items():
        operations.add(name, operations.from_dict(values))
    space = search_space.get(content["space"])
    cells, concats = [], []
    for kind in kinds:
        _check_members(content, kind)
        cell = make_cell(content[kind], space)
        concat = content.get(f"{kind}_concat")
        cells.append(cell)
        concats.append(make_concat(concat, cell, space.num_input_nodes))
    is_one = len(set(cells)) == len(set(concats)) == 1
    if len(space.kinds) == 1 and not is_one:
        raise ValueError(
            "The genotype's reduction cell is not its normal cell; expected "
            f"the same, as its space has the kinds {space.kinds!r}."
        )
    return Genotype(*cells, space, *concats)


def _check_members(content, kind):
    """Checks the types of a cell and its concat that were read."""
    nodes = content[kind]
    nested = isinstance(nodes, list) and nodes
    nested = nested and all(isinstance(pairs, list) for pairs in nodes)
    if not nested or any(
        not isinstance(pair, list) or len(pair) != 2
        for pairs in nodes
        for pair in pairs
    ):
        raise ValueError(
            f"The genotype's {kind} cell is not a list that has, for each "
            "intermediate node, a list of [primitive, source] pairs."
        )
    concat = content.get(f"{kind}_concat")
    is_list = concat is None or isinstance(concat, list)
    if not is_list or any(not isinstance(node, int) for node in concat or ()):
        raise ValueError(
            f"The genotype's {kind}_concat is {concat!r}; expected a list of "
            "numbers of nodes."
        )


def _dumps(value):
    """Renders a member on one line, a cell with one node a line."""
    if not isinstance(value, tuple):
        return json.dumps(value)
    nodes = (f"    {json.dumps(node)}" for node in value)
    return "[\n" + ",\n".join(nodes) + "\n  ]"
