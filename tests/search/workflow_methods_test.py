"""Whole searches of a few steps, by every method."""

import pytest

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.search import methods, random_search
from entrannas_tf.search import step as search_step
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files
from tests.support import programs, toy_config

_LONG = ("darts", "darts_second_order", "p_darts", "pc_darts")


def make_config(name):
    """Returns the configuration of a search of two steps."""
    config = toy_config.get_config()
    config.deterministic = False
    config.data.num_examples = 64
    config.search.epochs = 1
    config.search.checkpoint_every_steps = 1
    config = methods.apply(config, name)
    if config.progressive.num_cells:
        config.progressive.num_cells = (3, 3)
        config.progressive.num_primitives = (4, 3)
        config.progressive.skip_dropout_rates = (0.0, 0.4)
    return config


def search(config, workdir):
    """Runs a search; returns its genotype and its record without the clock."""
    genotype = search_workflow.search(config, workdir)
    (record,) = files.read_json_lines(workdir / "metrics.jsonl")
    del record["timing"]
    return genotype, record


@pytest.mark.parametrize(
    "name",
    ["random", *(pytest.param(name, marks=pytest.mark.long) for name in _LONG)],
)
def test_two_steps(name, tmp_path):
    genotype, record = search(make_config(name), tmp_path)
    for kind in search_space.KINDS:
        cell = getattr(genotype, kind)
        assert record["num_connections"][kind] == (
            genotypes.num_connections(cell)
        )
    assert 0 < record["loss"] < 10
    assert 0 < record["validation_loss"] < 10
    assert 0 <= record["child_accuracy"] <= 1
    if name == "random":
        found = random_search.RandomSearch(0, search_space.TINY, 1)
        assert [genotype] == found.candidates()
        assert record["supernet_accuracy"] == record["child_accuracy"]
        assert record["num_derivations"] == 2


@pytest.mark.long
def test_random_search_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    config = make_config("random")
    expected = search(config, tmp_path / "whole")
    step, seen = search_step.SearchTrainer.train_step, []

    def stop_at_second(self, data):
        seen.append(data)
        if len(seen) == 2:
            raise RuntimeError("stopped")
        step(self, data)

    monkeypatch.setattr(search_step.SearchTrainer, "train_step", stop_at_second)
    with pytest.raises(RuntimeError, match="stopped"):
        search(config, tmp_path / "parts")
    monkeypatch.undo()
    genotype, record = search(config, tmp_path / "parts")
    assert genotype == expected[0]
    for metric in ("loss", "validation_loss", "child_accuracy"):
        assert record[metric] == pytest.approx(expected[1][metric], rel=1e-3)


def launch(*flags):
    return programs.run(
        "-m",
        "launch.search",
        "--config=tests/support/toy_config.py",
        "--workdir=unused",
        *flags,
        timeout=600,
    )


def test_launcher_takes_a_method_and_then_what_the_user_says():
    done = launch("--method=random", "--config.network.sparse=True")
    assert done.returncode == 2
    assert "'random' and network.sparse is True; expected" in done.stderr


def test_launcher_names_the_methods():
    done = launch("--method=dart")
    assert done.returncode == 2
    assert f"one of <{'|'.join(methods.METHODS)}>" in done.stderr
