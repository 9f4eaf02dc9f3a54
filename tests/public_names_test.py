"""The names that `import entrannas_tf` offers, and their examples."""

import doctest
import pathlib
import pickle

import pytest

import entrannas_tf
from tests.support import house, programs, voc_folder

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_LONG = ("draw_masks", "export", "retrain", "search", "segment")  # They train.
# What an example goes on from.
_BEFORE = {"draw_masks": ("segment",), "export": ("retrain",)}


def example(name):
    """Returns the `doctest.DocTest` of a public name, with a namespace."""
    found = getattr(entrannas_tf, name)
    if name == "search":
        found = type(found).__call__
    return doctest.DocTestParser().get_doctest(
        found.__doc__, {}, name, None, None
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in _LONG else [])
        for name in sorted(entrannas_tf.__all__)
    ],
)
def test_example(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    voc_folder.write(tmp_path / "camvid")
    for one in (*_BEFORE.get(name, ()), name):
        test = example(one)
        assert test.examples
        said = []
        doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=said.append)
        assert not said, "".join(said)


def test_names_are_those_of_the_documentation():
    text = pathlib.Path(entrannas_tf.__file__).read_text("utf-8")
    known = {*entrannas_tf._MODULES, *entrannas_tf._ROOMS}
    assert set(entrannas_tf.__all__) == {*entrannas_tf._MODULES, "search"}
    assert set(dir(entrannas_tf)) >= known
    assert set(entrannas_tf._ROOMS) == set(house.ROOMS)
    assert entrannas_tf.drawing.__doc__.startswith("Pictures")
    assert pickle.loads(pickle.dumps(entrannas_tf.search)) is (
        entrannas_tf.search
    )
    for name in ("search", "retrain", "export"):
        assert f"entrannas_tf.{name}(" in text


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        entrannas_tf.serach


def test_search_is_a_room_and_a_function():
    program = (
        "import entrannas_tf\n"
        "from entrannas_tf.search import methods\n"  # As a room, first.
        "assert callable(entrannas_tf.search)\n"
        "entrannas_tf.search({}, 'nowhere')"
    )
    done = programs.run("-c", program)
    assert "ValueError" in done.stderr


def test_what_is_dear_is_imported_when_it_is_used():
    program = (
        "import sys, entrannas_tf\n"
        "entrannas_tf.load_genotype('DARTS_V2')\n"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = programs.run_afresh("-c", program)
    assert done.stdout == "False False\n", done.stderr
