"""Who may import whom in this repository, and other rules of its house.

Files are read with `ast`; nothing of the package is imported. A check takes
a house and returns what is wrong with it, one message each.
"""

import ast
import graphlib
import pathlib
import re
import sys
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

PACKAGE = "entrannas_tf"
OWN = (PACKAGE, "launch", "configs", "tests")

# The rooms of the package from the ground up; imports go downward. What may
# import less than all that is below is in `LIMITS`.
ROOMS = (
    "architecture",
    "data",
    "config",
    "networks",
    "training",
    "drawing",
    "retraining",
    "search",
    "tuning",
    "studies",
)
LIMITS = {
    "data": (),
    "config": ("architecture",),
    "networks": ("architecture",),
    "drawing": ("architecture", "training"),
}
OUTSIDE = ("configs", "launch", "tests")  # May import all, and each below it.

# Modules that know no TensorFlow, neither directly nor through another module:
# those of two rooms, but for the second list, and these.
PLAIN_ROOMS = ("architecture", "config")
NOT_PLAIN = ("architecture.parameters", "architecture.relaxation")
PLAIN = (
    "drawing.artist",
    "drawing.cells",
    "drawing.film",
    "drawing.geometry",
    "drawing.heat_maps",
    "networks.cost",
    "retraining.model_card",
    "retraining.results",
    "search.methods",
    "search.pictures",
    "search.repeats",
    "search.results",
    "studies.ablations.config",
    "studies.ablations.report",
    "training.command_line",
    "training.files",
    "training.formatting",
    "training.interruptions",
    "training.provenance",
    "training.workdirs",
    "tuning.config",
    "tuning.halving",
)
TENSORFLOW = ("tensorflow", "keras", "keras_tuner", "tensorflow_datasets")

MAX_LAUNCHER_LINES = 60


class Module(NamedTuple):
    """A parsed source file; `name` is dotted: "entrannas_tf.data.cifar10"."""

    name: str
    path: str
    text: str
    tree: ast.Module


def read_house(root):
    """Returns path -> text of the Python files that the house is made of."""
    files = (p for top in OWN for p in (root / top).rglob("*.py"))
    return {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in files}


def parse_house(texts):
    """Returns name -> Module of path -> text; packages are left out."""
    house = {}
    for path, text in sorted(texts.items()):
        if not path.endswith("__init__.py"):
            name = path.removesuffix(".py").replace("/", ".")
            house[name] = Module(name, path, text, ast.parse(text, path))
    return house


def short_name(module):
    """Returns the dotted name within the package."""
    return module.name.removeprefix(PACKAGE + ".")


def top_of(name):
    return name.partition(".")[0]


def own_imports(module, house):
    """Returns (node, imported name, Module or None) of imports of our own."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (
                f"{node.module}." if node.module else ""
            )
            names = [start + alias.name for alias in node.names]
        else:
            continue
        found += [
            (node, name, house.get(name))
            for name in names
            if top_of(name) in (*OWN, "")
        ]
    return found


def foreign_imports(module):
    """Returns the sorted first names of imports from elsewhere."""
    names = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {top_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(top_of(node.module))
    return sorted(names - set(OWN))


def import_graph(house):
    """Returns name -> set of names of the modules that it imports."""
    return {m.name: imported_modules(m, house) for m in house.values()}


def imported_modules(module, house):
    """Returns the names of the modules of ours that one imports, a set."""
    return {m.name for _, _, m in own_imports(module, house) if m}


def room_of(module):
    """Returns the room of a module: its folder in the package, or outside."""
    top = top_of(module.name)
    return top_of(short_name(module)) if top == PACKAGE else top


def reachable(room):
    """Returns the rooms that the modules of one may import, itself included."""
    if room in OUTSIDE:
        return (*ROOMS, *OUTSIDE[: OUTSIDE.index(room) + 1])
    below = ROOMS[: ROOMS.index(room)]
    return (*LIMITS.get(room, below), room)


def check_floors(house):
    """Imports go downward, between rooms and inside of one."""
    errors = []
    for module in house.values():
        room = room_of(module)
        if room not in (*ROOMS, *OUTSIDE):
            errors.append(
                f"{module.path} stands in no room: the rooms of {PACKAGE}/ are "
                f"{', '.join(ROOMS)}."
            )
            continue
        for node, name, imported in own_imports(module, house):
            if imported and room_of(imported) not in reachable(room):
                errors.append(
                    f"{module.path}:{node.lineno} imports {name}, and "
                    f"{room}/ may import {', '.join(reachable(room))} only: "
                    "pass the value as an argument, or move what is shared "
                    "down."
                )
    try:
        graphlib.TopologicalSorter(import_graph(house)).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        errors.append(f"Imports go round in a circle: {circle}.")
    return errors


def is_plain(module):
    """Whether a module must know no TensorFlow."""
    name = short_name(module)
    if top_of(module.name) != PACKAGE or name in NOT_PLAIN:
        return False
    return room_of(module) in PLAIN_ROOMS or name in PLAIN


def check_plain(house):
    """What `is_plain` reaches no TensorFlow through any import."""
    graph = import_graph(house)
    errors = []
    for module in filter(is_plain, house.values()):
        reached, waiting = set(), [module.name]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += graph[name]
        for name in sorted(reached):
            for foreign in foreign_imports(house[name]):
                if foreign in TENSORFLOW:
                    through = "" if name == module.name else f" through {name}"
                    errors.append(
                        f"{module.path} imports {foreign}{through}; its values "
                        "are tuples and NumPy."
                    )
    return errors


def check_imports(house):
    """Whole modules are imported, at the top, from public places."""
    errors = []
    for module in house.values():
        in_function = {
            inner
            for outer in ast.walk(module.tree)
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(outer)
        }
        for node, name, imported in own_imports(module, house):
            where = f"{module.path}:{node.lineno}"
            # Tests look at the public names, which `entrannas_tf` itself has.
            of_package = name == PACKAGE and top_of(module.name) == "tests"
            if imported is None and not of_package:
                errors.append(
                    f"{where} imports {name}, which is not a module of ours by "
                    "its full name: `from entrannas_tf.architecture import "
                    "genotypes`, then `genotypes.Genotype`."
                )
            if node in in_function:
                errors.append(
                    f"{where} imports {name} in a function: import it at the "
                    "top."
                )
        for node in ast.walk(module.tree):
            errors += [
                f"{module.path}:{node.lineno} {what}"
                for what in _forbidden(node, top_of(module.name) == "tests")
            ]
    return errors


def _forbidden(node, in_tests):
    """Yields what is wrong with a node by itself."""
    if isinstance(node, ast.Assert) and not in_tests:
        yield "asserts: raise ValueError with what to do."
    names = []
    if isinstance(node, ast.Attribute):
        names = [ast.unparse(node)]
    elif isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        if any(alias.name == "*" for alias in node.names):
            yield "uses `import *`: name the module."
    if any(re.match(r"keras\.src\b", name) for name in names):
        yield "uses keras.src, which is private: use keras."
    if any(re.match(r"(tf|tensorflow)\.keras\b", name) for name in names):
        yield "uses tf.keras: `import keras`."


def check_launchers(house):
    """Launchers hold no logic."""
    errors = []
    for module in house.values():
        length = len(module.text.splitlines())
        if top_of(module.name) == "launch" and length > MAX_LAUNCHER_LINES:
            errors.append(
                f"{module.path} has {length} lines, more than "
                f"{MAX_LAUNCHER_LINES}: move its logic into the package."
            )
    return errors


def _imported_names(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def check_packages(texts):
    """A room says what lives in it; importing it imports nothing beside it."""
    errors = []
    for path, text in texts.items():
        if path.endswith("__init__.py"):
            tree = ast.parse(text)
            if not ast.get_docstring(tree):
                errors.append(f"{path} does not say what lives there.")
            imported = [
                name
                for node in ast.walk(tree)
                for name in _imported_names(node)
                if top_of(name) not in sys.stdlib_module_names
            ]
            if imported:
                errors.append(f"{path} imports {', '.join(imported)}.")
    return errors


def report(errors):
    """Fails the test with all errors in full."""
    if errors:
        pytest.fail("\n" + "\n".join(errors), pytrace=False)
