"""BUILD and the requirements say what the files import."""

import pytest

from tests.support import build_file, house

TEXTS = house.read_house(house.ROOT)


def test_build_is_the_import_graph():
    house.report(
        build_file.check_build(TEXTS, (house.ROOT / "BUILD").read_text())
    )


def test_requirements_cover_the_imports():
    requirements = (house.ROOT / "requirements.txt").read_text()
    lock = (house.ROOT / "requirements_lock.txt").read_text()
    house.report(build_file.check_requirements(TEXTS, requirements, lock))


SMALL = {
    "entrannas_tf/__init__.py": "",
    "entrannas_tf/config.py": "",
    "entrannas_tf/data/split.py": (
        "import numpy\nfrom entrannas_tf import config"
    ),
    "configs/digits.py": "from entrannas_tf import config",
    "configs/tiny.py": "from configs import digits",
    "launch/search.py": "from ml_collections import config_flags",
    "tests/support/main.py": "import pytest",
    "tests/split_test.py": (
        "import keras\nfrom entrannas_tf.data import split\n"
        'PATH = "configs/tiny.py"'
    ),
}
SMALL_BUILD = """
load("@rules_python//python:defs.bzl", "py_library")
py_library(name = "package", srcs = ["entrannas_tf/__init__.py"])
py_library(name = "config", srcs = ["entrannas_tf/config.py"])
py_library(
    name = "data_split",
    srcs = ["entrannas_tf/data/split.py"],
    deps = [":config", "@pypi//numpy"],
)
py_library(
    name = "configs",
    srcs = ["configs/digits.py", "configs/tiny.py"],
    deps = [":config"],
)
py_binary(
    name = "launch_search",
    srcs = ["launch/search.py"],
    main = "launch/search.py",
    deps = [":configs", "@pypi//ml_collections"],
)
py_test(
    name = "split_test",
    size = "small",
    srcs = ["tests/support/main.py", "tests/split_test.py"],
    args = ["tests/split_test.py"],
    main = "tests/support/main.py",
    deps = [
        ":configs",
        ":data_split",
        ":package",
        "@pypi//keras",
        "@pypi//pytest",
        "@pypi//tensorflow",
    ],
)
"""


def test_check_build_accepts_the_import_graph():
    assert build_file.check_build(SMALL, SMALL_BUILD) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('":config", "@pypi', '"@pypi', "BUILD's 'data_split' is not"),
        ('[":config"]', '[":config", ":split"]', "BUILD's 'configs' is not"),
        (', "@pypi//numpy"', "", "BUILD's 'data_split' is not"),
        ('"configs/digits.py", ', "", "BUILD's 'configs' is not"),
        ('    args = ["tests/split_test.py"],\n', "", "'split_test' is not"),
        ("py_binary", "py_library", "BUILD's 'launch_search' is not"),
        ('py_library(name = "config"', 'print("a"', "BUILD lacks 'config'"),
        ("load(", 'py_test(name = "x")\nload(', "there is no file"),
        ("load(", 'py_test(name = "config")\nload(', "'config' twice"),
    ],
)
def test_check_build_fails(old, new, message):
    assert old in SMALL_BUILD
    errors = build_file.check_build(SMALL, SMALL_BUILD.replace(old, new, 1))
    assert len(errors) == 1
    assert message in errors[0]


def test_check_build_fails_on_one_name_for_two_files():
    texts = {"entrannas_tf/data/split.py": "", "entrannas_tf/data_split.py": ""}
    errors = build_file.check_build(texts, "".join(_texts_of(texts)))
    assert len(errors) == 1
    assert "rename one" in errors[0]


def _texts_of(texts):
    """Returns BUILD as the failures ask for it: each target once."""
    return {
        t.name: t.text() + "\n" for t in build_file.expected_targets(texts)
    }.values()


def test_the_printed_targets_are_accepted():
    errors = build_file.check_build(SMALL, "")
    assert len(errors) == len(build_file.expected_targets(SMALL))
    pasted = "\n".join(error.partition("add:\n\n")[2] for error in errors)
    assert build_file.check_build(SMALL, pasted) == []


def test_target_text_is_formatted():
    target = build_file.Target(
        "py_library", "cells", ("a.py",), (":blocks", ":config")
    )
    assert target.text() == (
        "py_library(\n"
        '    name = "cells",\n'
        '    srcs = ["a.py"],\n'
        "    deps = [\n"
        '        ":blocks",\n'
        '        ":config",\n'
        "    ],\n"
        ")"
    )


def test_check_requirements_fails_on_what_is_missing():
    source = "import PIL.Image\nimport tensorflow_datasets"
    texts = {"entrannas_tf/drawing.py": source}
    names = "Pillow\ntensorflow-datasets>=4.9\nimportlib_resources  # why\n"
    lock = "importlib_resources==6\npillow==1\ntensorflow-datasets==4.9.10"
    assert build_file.check_requirements(texts, names, lock) == []
    assert build_file.check_requirements(
        texts, names, lock.replace("-datasets", "")
    ) == [
        "tensorflow-datasets is not in requirements_lock.txt: run `make lock`."
    ]
    assert build_file.check_requirements(
        texts, names.replace("Pillow", ""), lock
    ) == ["pillow is imported and not in requirements.txt: add it."]
