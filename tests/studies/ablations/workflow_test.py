"""The runs of the tables: which there are, and that each is done once."""

import collections
import dataclasses
import json
import os
import signal
import time

import keras
import pytest

from configs import ablate_toy
from entrannas_tf.architecture import genotypes
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.studies.ablations import workflow as ablation_workflow
from entrannas_tf.training import files, interruptions, workdirs
from tests.support import programs

CONFIG = ablation_config.read(ablate_toy.get_config())


class Runs:
    """Stands in for searches and retrainings: leaves what they leave.

    Attributes:
        done: Counts the seeds and penalties of the searches, and "trained".
        is_told: Whether SIGTERM comes at each run's end.
        last: How many searches there may be before Ctrl-C.
        failures: {lambda: the error of its searches}.
        num_cleared: How often Keras was told to free its memory.
    """

    def __init__(self):
        self.done = collections.Counter()
        self.is_told = False
        self.last = None
        self.failures = {}
        self.num_cleared = 0

    def tell(self):
        with interruptions.watch():
            if self.is_told:
                os.kill(os.getpid(), signal.SIGTERM)

    def clear(self):
        self.num_cleared += 1

    def search(self, values, workdir):
        if self.last == self.done.total():
            raise KeyboardInterrupt
        config = schema.read(search_config.Config, values)
        self.done[config.seed, config.search.threshold_penalty] += 1
        if config.search.threshold_penalty in self.failures:
            raise self.failures[config.search.threshold_penalty]
        workdirs.make_workdir(workdir, config)
        connections = ["sep_conv_3x3", 0], ["skip_connect", 1]
        cell = genotypes.make_cell([connections] * 4)
        genotype = genotypes.Genotype(cell, cell)
        record = {
            "supernet_accuracy": 0.5,
            "child_accuracy": 0.25,
            "mean_entropy": {"normal": 0.5, "reduction": 0.7},
            "timing": {"elapsed_seconds": 60.0},
        }
        _write(workdir, "metrics.jsonl", record)
        files.write_text(
            os.path.join(workdir, "genotype.json"), genotypes.to_json(genotype)
        )
        files.write_text(os.path.join(workdir, "search.gif"), "film")
        self.tell()

    def retrain(self, values, genotype, workdir):
        assert genotype == os.path.join(os.path.dirname(workdir), "search")
        assert "training" in values
        self.done["trained"] += 1
        os.makedirs(workdir)
        network = {
            "parameters": 200_000,
            "multiply_adds": 8_000_000,
            "multiply_adds_published": 9_000_000,
        }
        results = {"mean": {"test_accuracy": 0.75}, "network": network}
        _write(workdir, "metrics.jsonl", {"timing": {"elapsed_seconds": 30.0}})
        _write(workdir, "results.json", results)
        self.tell()


def _write(workdir, name, values):
    text = json.dumps(values) + "\n"
    files.write_text(os.path.join(workdir, name), text)


@pytest.fixture
def runs(monkeypatch):
    made = Runs()
    monkeypatch.setattr(search_workflow, "search", made.search)
    monkeypatch.setattr(retraining_workflow, "retrain", made.retrain)
    monkeypatch.setattr(keras.backend, "clear_session", made.clear)
    return made


def ablate(result, workdir, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    values = dataclasses.asdict(config)
    return ablation_workflow.ablate(values, result, workdir, "the command")


def list_runs(result):
    return {r.row: r for r in ablation_workflow.list_runs(CONFIG, result)}


def test_rows_change_what_they_are_about():
    placements = {
        row: run.config.network.engine_cells
        for row, run in list_runs("table1").items()
    }
    assert list(placements) == ["all", "half", "last", "first"]
    assert all(row == place for row, place in placements.items())
    found = list_runs("table4")
    assert [r.config.search.threshold_penalty for r in found.values()] == [
        0.2,
        0.1,
        0.05,
    ]
    assert all(r.config.network.sparse for r in found.values())
    assert not found["0.1"].retrain_config
    assert list_runs("figure5")["0.1"].retrain_config.seed == 0


def test_seeds_are_counted_from_the_first():
    search = dataclasses.replace(CONFIG.search, seed=7)
    config = dataclasses.replace(CONFIG, search=search)
    found = ablation_workflow.list_runs(config, "table2")
    assert [r.config.seed for r in found] == 3 * [7, 8, 9]
    assert [r.retrain_config.seed for r in found] == 3 * [7, 8, 9]
    assert len({r.directory for r in found}) == 9


def test_tables_share_their_runs():
    rows, methods = list_runs("table1"), list_runs("table2")
    assert rows["first"].config.seed == 0
    assert os.path.dirname(rows["first"].directory) == os.path.dirname(
        methods["entrannas"].directory
    )
    assert os.path.dirname(
        list_runs("table4")["0.1"].directory
    ) == os.path.dirname(methods["entrannas_dst"].directory)


def test_each_run_is_done_once(tmp_path, runs):
    ablate("table4", tmp_path)
    assert runs.done == {(0, 0.2): 1, (0, 0.1): 1, (0, 0.05): 1}
    paths = ablate("figure5", tmp_path)
    assert runs.done.total() == 6
    assert runs.done["trained"] == 3
    assert runs.num_cleared == 6
    with open(paths[0], encoding="utf-8") as file:
        assert "| 0.05 | 0.200 | 9.00 | 75.00 | 6.99 | 779 | - |" in file.read()
    ablate("figure5", tmp_path)
    assert runs.done.total() == 6


def test_what_was_interrupted_goes_on(tmp_path, runs):
    runs.last = 2
    with pytest.raises(KeyboardInterrupt):
        ablate("table1", tmp_path)
    assert runs.done == {(0, 0.0): 2}
    assert not (tmp_path / "table1.md").exists()
    with pytest.raises(ValueError, match=r"num_seeds is 1 there and 2 here"):
        ablate("table1", tmp_path, num_seeds=2)
    runs.last = None
    ablate("table1", tmp_path)
    assert runs.done == {(0, 0.0): 4}
    assert (tmp_path / "table1.md").exists()


def test_sigterm_at_the_end_of_a_run_ends_the_table(tmp_path, runs):
    runs.is_told = True
    for count in (1, 2, 3):
        with pytest.raises(interruptions.Preempted):
            ablate("figure5", tmp_path)
        # The network of a search is another run.
        assert runs.done.total() == count
    runs.is_told = False
    ablate("figure5", tmp_path)
    assert runs.done.total() == 6


def test_a_table_does_without_runs_that_fail(tmp_path, runs):
    runs.failures = {
        0.1: FloatingPointError("The loss is nan."),
        0.05: interruptions.OutOfMemory("Too little memory."),
    }
    paths = ablate("table4", tmp_path)
    with open(paths[0], encoding="utf-8") as file:
        text = file.read()
    assert "- missing: 0.1, seed 0: The loss is nan." in text
    assert "- missing: 0.05, seed 0: Too little memory." in text
    assert "| 0.2 | " in text
    assert "| 0.05 | " not in text
    assert "| 0.1 | " not in text


def test_a_table_of_runs_that_all_fail(tmp_path, runs):
    error = FloatingPointError("The loss is nan.")
    runs.failures = dict.fromkeys((0.2, 0.1, 0.05), error)
    with pytest.raises(interruptions.RunFailed, match=r"All 3 runs .* is nan"):
        ablate("table4", tmp_path)
    assert not (tmp_path / "table4.md").exists()


def test_a_run_of_another_process_is_left_to_it(tmp_path, runs, monkeypatch):
    first, *_ = ablation_workflow.list_runs(CONFIG, "table4")
    path = tmp_path / first.directory / "search"
    workdirs.make_workdir(path, first.config)
    lock = workdirs.locked(path)

    def wait(seconds):
        """The other process ends, its run unfinished."""
        assert seconds > 0
        assert runs.done == {(0, 0.1): 1, (0, 0.05): 1}
        lock.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", wait)
    with lock:
        ablate("table4", tmp_path)
    assert runs.done == {(0, 0.1): 1, (0, 0.05): 1, (0, 0.2): 1}


def test_a_workdir_is_not_taken_before_the_data_are_there(tmp_path, runs):
    data = dataclasses.replace(
        CONFIG.retraining.data, name="cifar10", data_dir=str(tmp_path / "none")
    )
    retraining_config = dataclasses.replace(CONFIG.retraining, data=data)
    with pytest.raises(ValueError, match="cifar10"):
        ablate("table1", tmp_path / "ablate", retraining=retraining_config)
    assert not os.path.exists(tmp_path / "ablate")
    assert not runs.done


@pytest.mark.long
@pytest.mark.parametrize("chosen", [(), ("--table=1", "--figure=5")])
def test_choose_one(tmp_path, chosen):
    arguments = "--config=configs/ablate_toy.py", f"--workdir={tmp_path}"
    done = programs.run("-m", "launch.ablate", *arguments, *chosen, timeout=300)
    assert done.returncode
    assert "Expected --table=1, 2, 3, 4 or 5, or --figure=5, a" in done.stderr


@pytest.mark.long
def test_the_command(tmp_path):
    """Searches and retrains; another table of the same runs is quick."""
    arguments = (
        "--config=configs/ablate_toy.py",
        "--config.penalties=(0.2,)",
        "--config.search.network.space=tiny",
        f"--workdir={tmp_path}",
    )
    for option, row in (
        ("--figure=5", "| 0.2 | 0.0"),
        ("--table=4", "| 0.2 |"),
    ):
        command = ("-m", "launch.ablate", option, *arguments)
        done = programs.run(*command, timeout=600)
        assert done.returncode == 0, done.stderr
        assert row in done.stdout
        assert f"`python {' '.join(command)}`" in done.stdout.replace("'", "")
    assert "run      1 of 1: 0.2, seed 0" in done.stderr
    assert "epoch 1/1" not in done.stderr
    assert (tmp_path / "figure5.png").exists()
