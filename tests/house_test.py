"""The repository keeps the rules of its house, and each rule can fail."""

import pytest

from tests import house

TEXTS = house.read_house(house.ROOT)
HOUSE = house.parse_house(TEXTS)


@pytest.mark.parametrize(
    "check",
    [
        house.check_floors,
        house.check_plain,
        house.check_imports,
        house.check_lengths,
    ],
)
def test_modules(check):
    house.report(check(HOUSE))


def test_packages_are_empty():
    house.report(house.check_packages(TEXTS))


def test_the_house_is_read():
    assert {"entrannas_tf.genotypes", "tests.house"} <= set(HOUSE)


IMPORT_CELLS = "from entrannas_tf import cells"


def _package(**texts):
    return {
        f"entrannas_tf/{name.replace('__', '/')}.py": text
        for name, text in texts.items()
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (_package(genotypes=IMPORT_CELLS, cells=""), "above its own floor"),
        (_package(operations=IMPORT_CELLS, cells=""), "above its own floor"),
        (_package(data__split=IMPORT_CELLS, cells=""), "above its own floor"),
        (
            {
                **_package(export="import launch.export"),
                "launch/export.py": "",
            },
            "above its own floor",
        ),
        (
            _package(
                files="from entrannas_tf import layout",
                layout="import entrannas_tf.files",
            ),
            "files -> entrannas_tf.layout -> entrannas_tf.files",
        ),
        (_package(novelty=""), "add 'novelty' to FLOORS"),
        (_package(novelty__part=""), "add 'novelty.part' to FLOORS"),
    ],
)
def test_check_floors_fails(texts, message):
    errors = house.check_floors(house.parse_house(texts))
    assert len(errors) == 1
    assert message in errors[0]


def test_check_floors_lets_imports_go_down():
    texts = {
        **_package(
            genotypes="",
            layout="from entrannas_tf import genotypes",
            data__split="from entrannas_tf import layout",
            blocks="",
            cells="from entrannas_tf import blocks\nimport entrannas_tf.layout",
            oracle="from entrannas_tf.data import split",
        ),
        "launch/tune.py": "from entrannas_tf import oracle",
        "tests/tune_test.py": "from launch import tune",
    }
    assert house.check_floors(house.parse_house(texts)) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (_package(config="import tensorflow as tf"), "imports tensorflow;"),
        (_package(drawing="from keras import ops"), "imports keras;"),
        (_package(derivation="import keras.ops"), "imports keras;"),
        (_package(genotypes="def f():\n  import keras"), "imports keras;"),
        (
            _package(
                drawing="from entrannas_tf import layout",
                layout="import tensorflow",
            ),
            "imports tensorflow through entrannas_tf.layout",
        ),
    ],
)
def test_check_plain_fails(texts, message):
    errors = house.check_plain(house.parse_house(texts))
    assert len(errors) == 1
    assert message in errors[0]


def test_check_plain_lets_others_use_tensorflow():
    texts = _package(relaxation="import tensorflow", derivation="import numpy")
    assert house.check_plain(house.parse_house(texts)) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("from keras.src import layers", "keras.src"),
        ("from keras import src", "keras.src"),
        ("import keras.src.layers", "keras.src"),
        ("import keras\nx = keras.src", "keras.src"),
        ("import tensorflow as tf\nx = tf.keras", "tf.keras"),
        ("from tensorflow import keras", "tf.keras"),
        ("import tensorflow.keras", "tf.keras"),
        ("from numpy import *", "import *"),
        ("from entrannas_tf.genotypes import Genotype", "not a module of ours"),
        ("from entrannas_tf import Genotype", "not a module of ours"),
        ("from entrannas_tf import data", "not a module of ours"),
        ("from . import genotypes", "not a module of ours"),
        ("from .data import cifar10", "not a module of ours"),
        ("import entrannas_tf", "not a module of ours"),
        ("def f():\n  from entrannas_tf import genotypes", "in a function"),
        (
            "class A:\n  async def f():\n    import entrannas_tf.genotypes",
            "in a function",
        ),
        ("assert True", "asserts"),
    ],
)
def test_check_imports_fails(source, message):
    texts = _package(genotypes="", data__cifar10="", export=source)
    errors = house.check_imports(house.parse_house(texts))
    assert len(errors) == 1
    assert message in errors[0]
    assert errors[0].startswith("entrannas_tf/export.py:")


def test_check_imports_lets_modules_be_imported():
    source = (
        "import keras\n"
        "from keras import ops\n"
        "from entrannas_tf import genotypes\n"
        "from entrannas_tf.data import cifar10\n"
    )
    texts = {
        **_package(genotypes="", data__cifar10="", export=source),
        "tests/export_test.py": "assert True",
    }
    assert house.check_imports(house.parse_house(texts)) == []


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("launch/search.py", house.MAX_LAUNCHER_LINES),
        ("entrannas_tf/cells.py", house.MAX_MODULE_LINES),
    ],
)
def test_check_lengths_fails_past_the_limit(path, limit):
    assert (
        house.check_lengths(house.parse_house({path: "x = 1\n" * limit})) == []
    )
    errors = house.check_lengths(
        house.parse_house({path: "x = 1\n" * (limit + 1)})
    )
    assert len(errors) == 1
    assert f"more than {limit}" in errors[0]


@pytest.mark.parametrize("source", ["x = 1", '"""Doc."""\nimport keras'])
def test_check_packages_fails(source):
    assert house.check_packages({"entrannas_tf/__init__.py": source})


@pytest.mark.parametrize("source", ["", '"""Doc."""'])
def test_check_packages_lets_docstrings_be(source):
    assert house.check_packages({"entrannas_tf/__init__.py": source}) == []
