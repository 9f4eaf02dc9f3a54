"""Who may import whom in this repository, and other rules of its house.

Files are read with `ast`; nothing of the package is imported. A check takes
a house and returns what is wrong with it, one message each.
"""

import ast
import graphlib
import pathlib
import re
from typing import NamedTuple

import pytest

from tests import floors

ROOT = pathlib.Path(__file__).resolve().parent.parent

PACKAGE = "entrannas_tf"
OWN = (PACKAGE, "launch", "configs", "tests")

# Lines of a file.
MAX_LAUNCHER_LINES = 60
MAX_MODULE_LINES = 320


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


def floor_of(module):
    """Returns (floor, step) of a module, None if it has no place."""
    top = top_of(module.name)
    if top != PACKAGE:
        return floors.OUTSIDE[top]
    name = short_name(module)
    return floors.FLOORS.get(name) or floors.FLOORS.get(
        name.rpartition(".")[0] + ".*"
    )


def check_floors(house):
    """Imports go downward, and never round in a circle."""
    errors = []
    for module in house.values():
        floor = floor_of(module)
        if floor is None:
            errors.append(
                f"{module.path} has no floor: add {short_name(module)!r} to "
                "FLOORS in tests/floors.py."
            )
            continue
        for node, name, imported in own_imports(module, house):
            above = imported and floor_of(imported)
            if above and above > floor:
                errors.append(
                    f"{module.path}:{node.lineno} imports {name} of floor "
                    f"{above}, above its own floor {floor}: pass the value as "
                    "an argument, or move what is shared down."
                )
    try:
        graphlib.TopologicalSorter(import_graph(house)).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        errors.append(f"Imports go round in a circle: {circle}.")
    return errors


def check_plain(house):
    """Floor 0 and the modules of floors.PLAIN know no TensorFlow."""
    graph = import_graph(house)
    errors = []
    for module in house.values():
        floor = floor_of(module)
        if floor is None or (
            floor[0] > 0 and short_name(module) not in floors.PLAIN
        ):
            continue
        reached, waiting = set(), [module.name]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += graph[name]
        for name in sorted(reached):
            for foreign in foreign_imports(house[name]):
                if foreign in floors.TENSORFLOW:
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
            if imported is None:
                errors.append(
                    f"{where} imports {name}, which is not a module of ours by "
                    "its full name: `from entrannas_tf import genotypes`, then "
                    "`genotypes.Genotype`."
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


def check_lengths(house):
    """Launchers hold no logic, and no module is a heap."""
    errors = []
    for module in house.values():
        limit = {
            "launch": MAX_LAUNCHER_LINES,
            PACKAGE: MAX_MODULE_LINES,
        }.get(top_of(module.name))
        length = len(module.text.splitlines())
        if limit and length > limit:
            errors.append(
                f"{module.path} has {length} lines, more than {limit}: move a "
                "part that has a name of its own into its own module."
            )
    return errors


def check_packages(texts):
    """Importing a module imports nothing beside it."""
    errors = []
    for path, text in texts.items():
        if path.endswith("__init__.py"):
            tree = ast.parse(text)
            if len(tree.body) > (ast.get_docstring(tree) is not None):
                errors.append(f"{path} holds more than a docstring.")
    return errors


def report(errors):
    """Fails the test with all errors in full."""
    if errors:
        pytest.fail("\n" + "\n".join(errors), pytrace=False)
