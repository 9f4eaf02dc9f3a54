"""Rules of the BUILD files: a room depends on the rooms that it imports."""

import ast
import re
import sys
from typing import NamedTuple

from tests.support import house

# Import -> distributions, where it is not the one distribution of that name.
# Keras needs a backend; the others import what they do not require. One that
# is optional, imported where it is used, has none: `"torch": ()`.
DISTRIBUTIONS = {
    "PIL": ("pillow",),
    "absl": ("absl-py",),
    "grpc": ("grpcio",),
    "keras": ("keras", "tensorflow"),
    "keras_tuner": ("keras-tuner", "tensorboard", "tensorflow"),
    "sklearn": ("scikit-learn",),
    "tensorflow_datasets": ("importlib-resources", "tensorflow-datasets"),
    "torch": (),
}

# Folder of a BUILD file -> the target that has the deps.
TARGETS = {
    **{f"{house.PACKAGE}/{room}": room for room in house.ROOMS},
    "configs": "configs",
    "launch": "launch",
    "tests": "support",
}
WHOLE = f"//{house.PACKAGE}"  # All rooms, for launch and tests.


class Library(NamedTuple):
    """A `py_library` as far as its files decide it.

    Attributes:
        name: Name of the target.
        deps: Its labels, sorted.
    """

    name: str
    deps: tuple[str, ...]

    def text(self):
        """Returns its deps as they stand in a BUILD file."""
        lines = [f'        "{label}",' for label in self.deps]
        return "\n".join(["    deps = [", *lines, "    ],"])


def folder_of(path):
    """Returns the folder whose BUILD file is about a path."""
    top, _, rest = path.partition("/")
    return f"{top}/{rest.partition('/')[0]}" if top == house.PACKAGE else top


def _labels(module, modules):
    """Returns the labels of what a module imports, its own folder's too."""
    own = set()
    for name in house.imported_modules(module, modules):
        folder = folder_of(modules[name].path)
        if folder.startswith(house.PACKAGE + "/"):
            own.add(f"//{house.PACKAGE}:package")
        own.add(f"//{folder}")
    foreign = set()
    for name in house.foreign_imports(module):
        if name not in sys.stdlib_module_names:
            foreign |= set(DISTRIBUTIONS.get(name, (name,)))
    return own | {"@pypi//" + re.sub(r"[-.]", "_", name) for name in foreign}


def expected_libraries(texts):
    """Returns folder -> `Library` for path -> text."""
    modules = house.parse_house(texts)
    deps = {folder_of(module.path): set() for module in modules.values()}
    for module in modules.values():
        deps[folder_of(module.path)] |= _labels(module, modules)
    found = {}
    for folder, labels in deps.items():
        labels = labels - {f"//{folder}"}
        rooms = {n for n in labels if n.startswith(WHOLE)}
        if rooms and folder in ("launch", "tests"):
            labels = (labels - rooms) | {WHOLE}
        if folder == "tests" and "launch" in deps:
            labels = labels | {"//launch"}  # They run launchers as modules.
        found[folder] = Library(TARGETS[folder], tuple(_in_order(labels)))
    return found


def _in_order(labels):
    """Sorts labels: own ones first, then those of PyPI."""
    return sorted(labels, key=lambda label: (label[0] == "@", label))


def read_libraries(build):
    """Returns name -> `Library` of the py_library rules of a BUILD's text."""
    found = {}
    for statement in ast.parse(build).body:
        call = getattr(statement, "value", None)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == (
            "py_library"
        ):
            values = {k.arg: k.value for k in call.keywords}
            name = ast.literal_eval(values["name"])
            deps = ast.literal_eval(values.get("deps", ast.List([])))
            found[name] = Library(name, tuple(_in_order(deps)))
    return found


def check_builds(texts, builds):
    """Each folder's BUILD has its deps.

    Args:
        texts: path -> text of Python files.
        builds: folder -> text of its BUILD file.

    Returns:
        What is wrong, a list of messages.
    """
    errors = []
    for folder, expected in expected_libraries(texts).items():
        found = read_libraries(builds.get(folder, "")).get(expected.name)
        if found is None:
            errors.append(f"{folder}/BUILD lacks {expected.name!r}.")
        elif found != expected:
            errors.append(
                f"The deps of {expected.name!r} in {folder}/BUILD are not "
                f"what its files import; expected:\n\n{expected.text()}\n"
            )
    return errors


def check_requirements(texts, requirements, lock):
    """Checks that imports are required, and requirements locked."""

    def names(text):
        found = re.findall(r"^[A-Za-z0-9][\w.-]*", text, flags=re.MULTILINE)
        return {re.sub(r"[-_.]+", "-", name).lower() for name in found}

    libraries = expected_libraries(texts).values()
    labels = {d for each in libraries for d in each.deps if d[0] == "@"}
    imported = names("\n".join(d.removeprefix("@pypi//") for d in labels))
    required = names(requirements)
    return [
        f"{name} is imported and not in requirements.txt: add it."
        for name in sorted(imported - required - {"pytest"})
    ] + [
        f"{name} is not in requirements_lock.txt: run `make lock`."
        for name in sorted((imported | required) - names(lock))
    ]
