"""What BUILD must hold: a target for each file, its deps the file's imports."""

import ast
import re
import sys
from typing import NamedTuple

from tests.support import house

# What runs the tests under Bazel, whatever their file.
RUNNER = "tests/support/main.py"

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
}
# Module -> files that it reads.
DATA = {"architecture_published": ("entrannas_tf/architecture/published.json",)}

RULES = ("py_library", "py_binary", "py_test")


class Target(NamedTuple):
    """What BUILD says of a file, as far as the file decides it."""

    rule: str
    name: str
    srcs: tuple[str, ...]
    deps: tuple[str, ...] = ()
    main: str | None = None
    args: tuple[str, ...] = ()

    def text(self):
        """Returns the target as it stands in BUILD."""
        lines = [f"{self.rule}(", f'    name = "{self.name}",']
        lines += _list_lines("srcs", self.srcs)
        lines += _list_lines("args", self.args)
        data = ("pyproject.toml",) if self.rule == "py_test" else ()
        lines += _list_lines("data", DATA.get(self.name, data))
        if self.main:
            lines.append(f'    main = "{self.main}",')
        lines += _list_lines("deps", self.deps)
        return "\n".join([*lines, ")"])


def _list_lines(name, values):
    if len(values) < 2:
        return [f'    {name} = ["{v}"],' for v in values]
    return [f"    {name} = [", *(f'        "{v}",' for v in values), "    ],"]


def target_name(name):
    """Returns the BUILD target of a module by its dotted name."""
    if house.top_of(name) == "configs":
        return "configs"
    name = name.removeprefix(house.PACKAGE + ".")
    if name.endswith("_test"):
        name = name.removeprefix("tests.")
    return name.replace(".", "_")


def _uses_configs(module):
    """Tells whether a program opens files of configs/ by their path."""
    return "ml_collections" in house.foreign_imports(module) or any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"configs([/.]\S*)?", node.value)
        for node in ast.walk(module.tree)
    )


def _deps(module, modules):
    """Returns the labels of what a module imports."""
    imported = house.imported_modules(module, modules)
    has_configs = any(house.top_of(name) == "configs" for name in modules)
    own = {target_name(name) for name in imported}
    if house.top_of(module.name) in ("launch", "tests"):
        if any(house.top_of(name) == house.PACKAGE for name in imported):
            own.add("package")
        if has_configs and _uses_configs(module):
            own.add("configs")
    foreign = set()
    for name in house.foreign_imports(module):
        if name not in sys.stdlib_module_names:
            foreign |= set(DISTRIBUTIONS.get(name, (name,)))
    labels = {"@pypi//" + re.sub(r"[-.]", "_", name) for name in foreign}
    return {f":{name}" for name in own}, labels


def expected_targets(texts):
    """Returns the targets that BUILD must hold for path -> text."""
    modules = house.parse_house(texts)
    inits = tuple(sorted(p for p in texts if p.endswith("__init__.py")))
    targets = [Target("py_library", "package", inits)] if inits else []
    configs = {m for m in modules if house.top_of(m) == "configs"}
    if configs:
        own, foreign = set(), set()
        for name in configs:
            labels = _deps(modules[name], modules)
            own, foreign = own | labels[0], foreign | labels[1]
        srcs = tuple(sorted(modules[name].path for name in configs))
        deps = (*sorted(own - {":configs"}), *sorted(foreign))
        targets.append(Target("py_library", "configs", srcs, deps))
    for module in modules.values():
        name, path = target_name(module.name), module.path
        own, foreign = _deps(module, modules)
        if name == "configs" or path == RUNNER:
            continue
        if path.endswith("_test.py"):
            foreign = foreign | {"@pypi//pytest"}
            rule, srcs, main, args = "py_test", (path, RUNNER), RUNNER, (path,)
        elif path.startswith("launch/"):
            rule, srcs, main, args = "py_binary", (path,), path, ()
        else:
            rule, srcs, main, args = "py_library", (path,), None, ()
        deps = (*sorted(own), *sorted(foreign))
        targets.append(
            Target(rule, name, tuple(sorted(srcs)), deps, main, args)
        )
    return targets


def read_targets(build):
    """Returns the Python targets of a BUILD file's text."""
    targets = []
    for statement in ast.parse(build).body:
        call = getattr(statement, "value", None)
        if not isinstance(call, ast.Call):
            continue
        rule = ast.unparse(call.func)
        if rule in RULES:
            values = {
                keyword.arg: ast.literal_eval(keyword.value)
                for keyword in call.keywords
                if keyword.arg in Target._fields
            }
            for key in ("srcs", "deps", "args"):
                values[key] = tuple(values.get(key, ()))
            targets.append(Target(rule, **values))
    return targets


def check_build(texts, build):
    """BUILD holds one target for each file, and its deps are the imports."""
    errors = []
    expected = {}
    for target in expected_targets(texts):
        if target.name in expected:
            errors.append(
                f"{target.srcs} and {expected[target.name].srcs} would share "
                f"the target {target.name!r} of BUILD: rename one."
            )
        expected[target.name] = target
    actual = {}
    for target in read_targets(build):
        if target.name in actual:
            errors.append(f"BUILD has {target.name!r} twice: remove one.")
        if target.name not in expected:
            errors.append(
                f"BUILD has {target.name!r}, for which there is no file: "
                "remove it."
            )
        actual[target.name] = target
    for name, target in expected.items():
        if name not in actual:
            errors.append(f"BUILD lacks {name!r}; add:\n\n{target.text()}\n")
        elif _in_order(actual[name]) != _in_order(target):
            errors.append(
                f"BUILD's {name!r} is not what {target.srcs[0]} imports; "
                f"expected:\n\n{target.text()}\n"
            )
    return errors


def _in_order(target):
    return target._replace(
        srcs=tuple(sorted(target.srcs)), deps=tuple(sorted(target.deps))
    )


def check_requirements(texts, requirements, lock):
    """What is imported is required, and what is required is locked."""

    def names(text):
        found = re.findall(r"^[A-Za-z0-9][\w.-]*", text, flags=re.MULTILINE)
        return {re.sub(r"[-_.]+", "-", name).lower() for name in found}

    labels = {d for t in expected_targets(texts) for d in t.deps if d[0] == "@"}
    imported = names("\n".join(d.removeprefix("@pypi//") for d in labels))
    required = names(requirements)
    return [
        f"{name} is imported and not in requirements.txt: add it."
        for name in sorted(imported - required - {"pytest"})
    ] + [
        f"{name} is not in requirements_lock.txt: run `make lock`."
        for name in sorted((imported | required) - names(lock))
    ]
