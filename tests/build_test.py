"""The BUILD files and the requirements say what the files import."""

import re

import pytest

from tests.support import build_files, house

TEXTS = house.read_house(house.ROOT)
MAX_LINES = 400  # Of all BUILD files together.


@pytest.fixture(scope="module")
def builds():
    """Text of each BUILD file by its folder, "" for the root."""
    paths = [
        path
        for path in (house.ROOT / "BUILD", *house.ROOT.glob("*/**/BUILD"))
        if path.exists()
        and not re.match(
            r"\.venv|bazel-", path.relative_to(house.ROOT).parts[0]
        )
    ]
    if not paths:
        pytest.skip("the BUILD files are not here, as in Bazel's sandbox")
    return {
        path.parent.relative_to(house.ROOT).as_posix(): path.read_text()
        for path in paths
    }


def test_deps_are_the_imports(builds):
    house.report(build_files.check_builds(TEXTS, builds))


def test_there_is_one_build_file_a_room(builds):
    assert set(builds) == {".", house.PACKAGE, *build_files.TARGETS}
    lines = sum(len(text.splitlines()) for text in builds.values())
    assert lines <= MAX_LINES


def test_the_package_is_all_rooms(builds):
    whole = build_files.read_libraries(builds[house.PACKAGE])[house.PACKAGE]
    rooms = [f"//{house.PACKAGE}/{room}" for room in sorted(house.ROOMS)]
    assert sorted(whole.deps) == sorted([":package", *rooms])


def test_launchers_are_called_by_name(builds):
    """The root's BUILD has an alias of each."""
    for path in TEXTS:
        folder, _, name = path.removesuffix(".py").rpartition("/")
        if folder == "launch" and name != "__init__":
            assert f'"{name}",' in builds["."], name


def test_requirements_cover_the_imports():
    requirements = (house.ROOT / "requirements.txt").read_text()
    lock = (house.ROOT / "requirements_lock.txt").read_text()
    house.report(build_files.check_requirements(TEXTS, requirements, lock))


SMALL = {
    "entrannas_tf/__init__.py": "",
    "entrannas_tf/architecture/genotypes.py": "",
    "entrannas_tf/config/search.py": (
        "import json\nimport numpy\n"
        "from entrannas_tf.architecture import genotypes\n"
        "from entrannas_tf.config import schema"
    ),
    "entrannas_tf/config/schema.py": "",
    "configs/digits.py": "from entrannas_tf.config import search",
    "configs/tiny.py": "from configs import digits",
    "launch/search.py": (
        "from ml_collections import config_flags\n"
        "from entrannas_tf.config import search"
    ),
    "tests/config/search_test.py": (
        "import keras\nfrom entrannas_tf.config import search\n"
        "from configs import tiny"
    ),
}
SMALL_BUILDS = {
    "entrannas_tf/architecture": (
        'py_library(name = "architecture", srcs = glob(["**/*.py"]))'
    ),
    "entrannas_tf/config": """
py_library(
    name = "config",
    srcs = glob(["**/*.py"]),
    deps = [
        "//entrannas_tf:package",
        "//entrannas_tf/architecture",
        "@pypi//numpy",
    ],
)
""",
    "configs": """
py_library(
    name = "configs",
    deps = ["//entrannas_tf:package", "//entrannas_tf/config"],
)
""",
    "launch": """
py_library(
    name = "launch",
    deps = ["//entrannas_tf", "@pypi//ml_collections"],
)
""",
    "tests": """
py_library(
    name = "support",
    deps = [
        "//configs",
        "//entrannas_tf",
        "//launch",
        "@pypi//keras",
        "@pypi//tensorflow",
    ],
)
""",
}


def test_check_builds_accepts_the_imports():
    assert build_files.check_builds(SMALL, SMALL_BUILDS) == []


@pytest.mark.parametrize(
    ("folder", "old", "new", "message"),
    [
        ("entrannas_tf/config", '"@pypi//numpy",', "", "'config' in entrannas"),
        ("configs", '"//entrannas_tf/config"', "", "'configs' in configs/BUIL"),
        ("configs", "deps = [", 'deps = ["//launch",', "'configs' in configs"),
        ("tests", '"support"', '"helpers"', "tests/BUILD lacks 'support'"),
        ("launch", '"@pypi//ml_collections"', "", '"@pypi//ml_collections",'),
    ],
)
def test_check_builds_fails(folder, old, new, message):
    text = SMALL_BUILDS[folder]
    assert old in text
    changed = {**SMALL_BUILDS, folder: text.replace(old, new, 1)}
    (error,) = build_files.check_builds(SMALL, changed)
    assert message in error


def test_check_builds_fails_without_a_file():
    builds = {k: v for k, v in SMALL_BUILDS.items() if k != "configs"}
    (error,) = build_files.check_builds(SMALL, builds)
    assert "configs/BUILD lacks 'configs'" in error


def test_check_requirements_fails_on_what_is_missing():
    source = "import PIL.Image\nimport tensorflow_datasets"
    texts = {"entrannas_tf/drawing/cells.py": source}
    names = "Pillow\ntensorflow-datasets>=4.9\nimportlib_resources  # why\n"
    lock = "importlib_resources==6\npillow==1\ntensorflow-datasets==4.9.10"
    assert build_files.check_requirements(texts, names, lock) == []
    assert build_files.check_requirements(
        texts, names, lock.replace("-datasets", "")
    ) == [
        "tensorflow-datasets is not in requirements_lock.txt: run `make lock`."
    ]
    assert build_files.check_requirements(
        texts, names.replace("Pillow", ""), lock
    ) == ["pillow is imported and not in requirements.txt: add it."]
