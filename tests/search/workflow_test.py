"""Whole searches at toy size, by the launcher, killed and not."""

import json
import os
import signal

import pytest

from entrannas_tf.search import results as search_results
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files
from tests.support import programs, toy_config

# Searches, and dies at a moment as if by the system's hand.
KILLED = """
import os, signal, sys
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files
from entrannas_tf.search import step as search_step
from tests.support import toy_config

moment, workdir = sys.argv[1:]
step, replace, seen = search_step.SearchTrainer.train_step, os.replace, []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def train_step(self, data):
    step(self, data)
    seen.append("step")
    if moment == f"step {len(seen)}":
        die()

def replace_file(source, target):
    if moment == os.path.basename(target):
        die()
    replace(source, target)

search_step.SearchTrainer.train_step = train_step
os.replace = replace_file
search_workflow.search(toy_config.get_config(), workdir)
"""


def launch(workdir, *flags, run=programs.run):
    """Runs the launcher."""
    done = run(
        "-m",
        "launch.search",
        "--config=tests/support/toy_config.py",
        f"--workdir={workdir}",
        *flags,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a search that nobody interrupted, and what it said."""
    workdir = tmp_path_factory.mktemp("runs") / "toy"
    return workdir, launch(workdir, run=programs.run_afresh)


def without_clock(workdir):
    """Returns all that is to be the same however often one interrupts."""
    records = files.read_json_lines(workdir / "metrics.jsonl")
    for record in records:
        del record["timing"]
    paths = [workdir / "genotype.json", *(workdir / "genotypes").iterdir()]
    return records, {path.name: path.read_text() for path in paths}


def test_workdir(finished):
    workdir, _ = finished
    assert sorted(os.listdir(workdir)) == [
        "cells",
        "checkpoints",
        "config.json",
        "genotype.json",
        "genotypes",
        "metrics.jsonl",
        "search.gif",
        "tensorboard",
    ]
    assert sorted(os.listdir(workdir / "checkpoints")) == [
        "step_00000004.checkpoint",
        "step_00000006.checkpoint",
    ]
    values = json.loads((workdir / "genotype.json").read_text())
    assert values["provenance"]["config_name"] == "toy"
    assert set(values["provenance"]["metrics"]) >= {
        "supernet_accuracy",
        "child_accuracy",
    }
    records, _ = without_clock(workdir)
    assert "child_accuracy" not in records[0]
    assert 0 <= records[1]["child_accuracy"] <= 1
    assert records[1]["temperature"] == pytest.approx(0.85)


def test_what_is_said(finished):
    workdir, done = finished
    told = done.stderr.splitlines()
    assert told[0].startswith("device   ")
    assert told[1] == (
        "data     digits/train, 49 images for the weights and 51 for the "
        "architecture, 10 classes, 16x16x1"
    )
    assert told[2].startswith("network  EnTranNAS, 3 cells, 4 channels at")
    assert "epoch 1/2" in done.stderr
    assert "Traceback" not in done.stderr
    genotype = search_results.read_genotype(workdir)
    last = done.stdout.splitlines()
    assert last[0].endswith(genotype.describe("normal"))
    assert last[1].endswith(genotype.describe("reduction"))
    assert "% as super-net" in last[2]
    assert last[3].startswith("wall time")
    assert str(workdir / "genotype.json") in last[4]


def test_a_finished_search_is_not_run_again(finished, capsys, monkeypatch):
    workdir, done = finished
    before = without_clock(workdir)
    monkeypatch.setattr(search_workflow, "_search", None)
    genotype = search_workflow.search(toy_config.get_config(), workdir)
    assert genotype == search_results.read_genotype(workdir)
    assert capsys.readouterr().out == done.stdout
    assert without_clock(workdir) == before


@pytest.mark.long
def test_python_gives_the_bits_of_the_launcher(finished, tmp_path):
    program = (
        "import sys, entrannas_tf\n"
        "from tests.support import toy_config\n"
        "entrannas_tf.search(toy_config.get_config(), sys.argv[1])"
    )
    done = programs.run("-c", program, tmp_path / "toy", timeout=600)
    assert done.returncode == 0, done.stderr
    assert without_clock(tmp_path / "toy") == without_clock(finished[0])


@pytest.mark.long
def test_kill_and_resume(finished, tmp_path):
    """SIGKILL in an epoch, then while its checkpoint is written."""
    workdir = tmp_path / "toy"
    for moment in ("step 3", "step_00000004.checkpoint"):
        done = programs.run("-c", KILLED, moment, workdir, timeout=600)
        assert done.returncode == -signal.SIGKILL, done.stderr
    leftovers = [n for n in os.listdir(workdir / "checkpoints") if "tmp" in n]
    assert len(leftovers) == 1
    # And the newest that is whole did not reach the disk.
    newest = workdir / "checkpoints" / "step_00000003.checkpoint"
    newest.write_bytes(newest.read_bytes()[:1000])
    done = launch(workdir)
    assert f"{newest} is cut short or damaged" in done.stderr
    assert without_clock(workdir) == without_clock(finished[0])
    assert sorted(os.listdir(workdir / "checkpoints")) == [
        "step_00000004.checkpoint",
        "step_00000006.checkpoint",
    ]


@pytest.mark.long
def test_the_best_of_several_searches(finished, tmp_path):
    workdir, flag = tmp_path / "toys", "--config.num_searches=2"
    done = launch(workdir, flag)
    first, second = (workdir / "searches" / name for name in ("01", "02"))
    # The first is the search of one; the best of both is the result.
    assert without_clock(first) == without_clock(finished[0])
    both = {
        path: files.read_json_lines(path / "metrics.jsonl")[-1]
        for path in (first, second)
    }
    assert both[first]["loss"] != both[second]["loss"]
    best = max(both, key=lambda path: both[path]["child_accuracy"])
    assert without_clock(workdir) == without_clock(best)
    assert (workdir / "searches.md").read_text() in done.stdout
    # It goes on where it was stopped: the first is not run again.
    for path in (workdir / "search.gif", second / "search.gif"):
        path.unlink()
    first_checkpoint = first / "checkpoints" / "step_00000006.checkpoint"
    first_checkpoint.unlink()
    again = launch(workdir, flag)
    assert not first_checkpoint.exists()
    assert again.stdout == done.stdout


def test_another_configuration_is_refused(finished):
    workdir, _ = finished
    config = toy_config.get_config()
    config.search.epochs = 3
    with pytest.raises(
        ValueError, match=r"search\.epochs is 2 there and 3 here"
    ):
        search_workflow.search(config, workdir)
