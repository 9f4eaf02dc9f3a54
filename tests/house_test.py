"""The repository keeps the rules of its house, and each rule can fail."""

import pytest

from tests.support import house

TEXTS = house.read_house(house.ROOT)
HOUSE = house.parse_house(TEXTS)


@pytest.mark.parametrize(
    "check",
    [
        house.check_floors,
        house.check_plain,
        house.check_imports,
        house.check_launchers,
    ],
)
def test_modules(check):
    house.report(check(HOUSE))


def test_packages_say_what_they_hold():
    house.report(house.check_packages(TEXTS))


def test_the_house_is_read():
    names = set(HOUSE)
    assert {"entrannas_tf.architecture.genotypes", "tests.support.house"} <= (
        names
    )
    plain = {house.PACKAGE + "." + n for n in (*house.PLAIN, *house.NOT_PLAIN)}
    assert plain <= names
    rooms = {house.room_of(module) for module in HOUSE.values()}
    assert rooms == {*house.ROOMS, *house.OUTSIDE}


IMPORT_CELLS = "from entrannas_tf.networks import cells"


def _package(**texts):
    return {
        f"entrannas_tf/{name.replace('__', '/')}.py": text
        for name, text in texts.items()
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            _package(architecture__genotypes=IMPORT_CELLS, networks__cells=""),
            "architecture/ may import architecture only",
        ),
        (
            _package(data__source=IMPORT_CELLS, networks__cells=""),
            "data/ may import data only",
        ),
        (
            _package(
                networks__cells="from entrannas_tf.training import files",
                training__files="",
            ),
            "networks/ may import architecture, networks only",
        ),
        (
            _package(
                training__loop="from entrannas_tf.search import run",
                search__run="",
            ),
            "training/ may import architecture, data, config, networks, tr",
        ),
        (
            {
                **_package(retraining__export="import launch.export"),
                "launch/export.py": "",
            },
            "networks, training, drawing, retraining only",
        ),
        (
            {"launch/a.py": "from tests import b", "tests/b.py": ""},
            "studies, configs, launch only",
        ),
        (
            _package(
                training__files="from entrannas_tf.training import loop",
                training__loop="import entrannas_tf.training.files",
            ),
            "training.files -> entrannas_tf.training.loop -> entrannas_tf.tra",
        ),
        (_package(novelty=""), "novelty.py stands in no room: the rooms"),
        (_package(novelty__part=""), "novelty/part.py stands in no room"),
    ],
)
def test_check_floors_fails(texts, message):
    errors = house.check_floors(house.parse_house(texts))
    assert len(errors) == 1
    assert message in errors[0]


def test_check_floors_lets_imports_go_down():
    texts = {
        **_package(
            architecture__genotypes="",
            data__source="",
            networks__layers__blocks="",
            networks__cells=(
                "from entrannas_tf.architecture import genotypes\n"
                "from entrannas_tf.networks.layers import blocks"
            ),
            studies__benchmark="import entrannas_tf.networks.cells",
        ),
        "configs/tune.py": "from entrannas_tf.data import source",
        "launch/tune.py": "from configs import tune",
        "tests/launch/tune_test.py": "from launch import tune",
    }
    assert house.check_floors(house.parse_house(texts)) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (_package(config__search="import tensorflow as tf"), "s tensorflow;"),
        (_package(drawing__cells="from keras import ops"), "imports keras;"),
        (
            _package(architecture__derivation="import keras.ops"),
            "imports keras;",
        ),
        (
            _package(architecture__genotypes="def f():\n  import keras"),
            "imports keras;",
        ),
        (
            _package(
                drawing__cells="from entrannas_tf.training import loop",
                training__loop="import tensorflow",
            ),
            "imports tensorflow through entrannas_tf.training.loop",
        ),
    ],
)
def test_check_plain_fails(texts, message):
    errors = house.check_plain(house.parse_house(texts))
    assert len(errors) == 1
    assert message in errors[0]


def test_check_plain_lets_others_use_tensorflow():
    texts = _package(
        architecture__relaxation="import tensorflow",
        architecture__derivation="import numpy",
        training__loop="import tensorflow",
    )
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


def test_check_launchers_fails_past_the_limit():
    limit = house.MAX_LAUNCHER_LINES
    texts = {"launch/search.py": "x = 1\n" * limit}
    assert house.check_launchers(house.parse_house(texts)) == []
    texts = {"launch/search.py": "x = 1\n" * (limit + 1)}
    (error,) = house.check_launchers(house.parse_house(texts))
    assert f"more than {limit}" in error


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "does not say what lives there"),
        ("x = 1", "does not say what lives there"),
        ('"""Doc."""\nimport keras', "__init__.py imports keras"),
        ('"""Doc."""\nfrom . import cells', "__init__.py imports ."),
    ],
)
def test_check_packages_fails(source, message):
    (error,) = house.check_packages({"entrannas_tf/__init__.py": source})
    assert message in error


def test_check_packages_lets_docstrings_be():
    assert house.check_packages({"launch/__init__.py": '"""Doc."""'}) == []
