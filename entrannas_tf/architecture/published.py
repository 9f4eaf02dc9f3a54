"""Published genotypes by name, and the two forms in which others write them.

DARTS's list has two (primitive, source) a node, one node after another; a
triple is (primitive, target, source), and a node has any number of them.
published.json holds each genotype in the form in which it was published.
"""

import functools
import importlib.resources
import json
import os
import re

from entrannas_tf.architecture import genotypes, search_space

GENOTYPE_FILE = "genotype.json"

_PER_NODE = 2  # connections of a node in DARTS's list
_NUM_INPUT_NODES = 2  # Of a cell in both forms.
_KINDS = {"normal": "normal", "reduction": "reduce"}  # ours: DARTS's


def names():
    """Returns the names of the published genotypes, a tuple."""
    return tuple(_published())


def name_of(where):
    """Returns the last part of a name or path of a genotype, for titles.

    Args:
        where: As `load_genotype` takes it, not a `Genotype`. Of the file in a
            workdir it is the name of that.
    """
    path = os.path.abspath(where)
    if os.path.basename(path) == GENOTYPE_FILE:
        path = os.path.dirname(path)
    return os.path.basename(path)


def load_genotype(where):
    """Returns the `genotypes.Genotype` of a name or path.

    Args:
        where: The name of a published genotype; the path of a file of
            `genotypes.to_json`, or of a search's workdir; "random:" and a
            seed for `genotypes.draw`; or a `Genotype`, which is returned.

    Raises:
        ValueError: If it is none of these, or the file is no genotype.
        OSError: If the file cannot be read.

    Example:

    >>> import entrannas_tf
    >>> genotype = entrannas_tf.load_genotype("DARTS_V2")
    >>> genotype.normal[0][1]
    Connection(primitive='sep_conv_3x3', source=1)
    """
    if isinstance(where, genotypes.Genotype):
        return where
    if where in _published():
        return _published()[where]
    drawn = re.fullmatch(r"random:(\d+)", where)
    if drawn:
        return genotypes.draw(int(drawn[1]))
    path = where
    if os.path.isdir(where):
        path = os.path.join(where, GENOTYPE_FILE)
        if not os.path.exists(path):
            raise ValueError(
                f"{where} holds no {GENOTYPE_FILE}; expected the workdir of a "
                "search that has ended."
            )
    if not os.path.exists(path):
        raise ValueError(
            f"There is no genotype {where!r}; expected a file, the workdir of "
            "a search, random:SEED, or a published one: "
            f"{', '.join(names())}."
        )
    return read(path)


def read(path):
    """Returns the `genotypes.Genotype` of a file.

    Raises:
        ValueError: If the file is no genotype; the message names it.
        OSError: If the file cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return genotypes.from_json(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def from_list(content):
    """Returns the genotype that a mapping in DARTS's form describes.

    Args:
        content: Mapping of "normal" and "reduce" to sequences of (primitive,
            source), two for each intermediate node in order, and of
            "normal_concat" and "reduce_concat" to numbers of nodes.

    Raises:
        ValueError: If the number of pairs is odd, or as `genotypes.make_cell`
            and `genotypes.make_concat`.
    """
    nested = {}
    for kind in _KINDS.values():
        pairs = content[kind]
        if len(pairs) % _PER_NODE:
            raise ValueError(
                f"The list of the {kind} cell has {len(pairs)} connections; "
                f"expected {_PER_NODE} for each intermediate node."
            )
        starts = range(0, len(pairs), _PER_NODE)
        nested[kind] = [pairs[i : i + _PER_NODE] for i in starts]
    return _make(nested, content)


def from_triples(content):
    """Returns the genotype that triples describe.

    Args:
        content: Mapping of "normal" and "reduce" to sequences of (primitive,
            target, source); it may have "normal_concat" and "reduce_concat".

    Raises:
        ValueError: If a target is not an intermediate node, or as
            `genotypes.make_cell` and `genotypes.make_concat`.
    """
    first = _NUM_INPUT_NODES
    nested = {}
    for kind in _KINDS.values():
        triples = content[kind]
        wrong = [
            t for _, t, _ in triples if not isinstance(t, int) or t < first
        ]
        if wrong:
            raise ValueError(
                f"A triple of the {kind} cell has the target {wrong[0]!r}; "
                f"expected an integer from {first} on."
            )
        last = max((target for _, target, _ in triples), default=first)
        nested[kind] = [
            [(name, source) for name, target, source in triples if target == n]
            for n in range(first, last + 1)
        ]
    return _make(nested, content)


def _make(nested, content):
    """Returns the genotype of cells by DARTS's names, and their concats."""
    used = {
        name for cell in nested.values() for node in cell for name, _ in node
    }
    space = search_space.STANDARD  # Where none fits, make_cell says why.
    for known in reversed(search_space.SPACES.values()):
        if used <= set(known.primitives):
            space = known
    cells = [genotypes.make_cell(nested[k], space) for k in _KINDS.values()]
    concats = [
        genotypes.make_concat(content.get(f"{kind}_concat"), cell)
        for kind, cell in zip(_KINDS.values(), cells, strict=True)
    ]
    return genotypes.Genotype(*cells, space, *concats)


@functools.cache
def _published():
    """Returns name -> Genotype."""
    package = importlib.resources.files(__package__)
    content = json.loads((package / "published.json").read_text("utf-8"))
    found = {name: from_list(g) for name, g in content["list"].items()}
    return found | {n: from_triples(g) for n, g in content["triples"].items()}
