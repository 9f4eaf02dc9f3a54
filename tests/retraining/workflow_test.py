"""Whole retrainings at toy size, by the launcher, killed and not."""

import json
import os
import signal

import pytest

from entrannas_tf.architecture import published
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.training import files
from tests.support import programs, toy_genotype, toy_retrain_config

# Trains, and dies at a moment as if by the system's hand.
KILLED = """
import os, signal, sys
from entrannas_tf.training import files
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.retraining import workflow as retraining_workflow
from tests.support import toy_retrain_config

moment, genotype, workdir = sys.argv[1:]
step, replace, seen = retraining_step.RetrainTrainer.train_step, os.replace, []

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

retraining_step.RetrainTrainer.train_step = train_step
os.replace = replace_file
retraining_workflow.retrain(toy_retrain_config.get_config(), genotype, workdir)
"""


def launch(genotype, workdir, *flags, run=programs.run):
    """Runs the launcher."""
    done = run(
        "-m",
        "launch.retrain",
        "--config=tests/support/toy_retrain_config.py",
        f"--genotype={genotype}",
        f"--workdir={workdir}",
        *flags,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def genotype(tmp_path_factory):
    return toy_genotype.write(tmp_path_factory.mktemp("genotype"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, genotype):
    """The workdir of a run that nobody interrupted, and what it said."""
    workdir = tmp_path_factory.mktemp("runs") / "toy"
    return workdir, launch(genotype, workdir, run=programs.run_afresh)


def without_clock(workdir):
    """Returns all that is to be the same however often one interrupts."""
    records = files.read_json_lines(workdir / "metrics.jsonl")
    for record in records:
        del record["timing"]
    return records, (workdir / "results.json").read_text()


def test_workdir(finished):
    workdir, _ = finished
    assert sorted(os.listdir(workdir)) == [
        "checkpoints",
        "config.json",
        "genotype.json",
        "metrics.jsonl",
        "results.json",
        "tensorboard",
    ]
    assert sorted(os.listdir(workdir / "checkpoints")) == [
        "best.checkpoint",
        "step_00000004.checkpoint",
        "step_00000006.checkpoint",
    ]
    assert published.load_genotype(str(workdir)) == toy_genotype.GENOTYPE
    (first, last), _ = without_clock(workdir)
    assert (first["drop_path_rate"], last["drop_path_rate"]) == (0, 0.2)
    assert last["learning_rate"] < first["learning_rate"] < 0.1
    results = retraining_results.read(workdir)
    (run,) = results["runs"]
    assert run["test_accuracy"] == last["test_accuracy"]
    best = max((first, last), key=lambda record: record["test_accuracy"])
    assert run["best_epoch"] == best["epoch"]
    assert results["mean"]["test_accuracy"] == last["test_accuracy"]
    assert results["standard_deviation"]["test_accuracy"] is None


def test_what_is_said(finished):
    workdir, done = finished
    told = done.stderr.splitlines()
    assert told[0].startswith("device   ")
    assert told[1] == (
        "data     digits/train, 100 images to train and 360 to test, 10 "
        "classes, 16x16x1"
    )
    assert told[2].startswith("network  3 cells, 4 channels at first, ")
    assert "epoch 2/2" in done.stderr
    assert done.stdout.strip() == retraining_results.summary(str(workdir))


def test_a_finished_run_is_not_run_again(
    finished, genotype, capsys, monkeypatch
):
    workdir, done = finished
    monkeypatch.setattr(retraining_workflow, "_train_all", None)
    config = toy_retrain_config.get_config()
    results = retraining_workflow.retrain(config, genotype, str(workdir))
    assert results == retraining_results.read(workdir)
    assert capsys.readouterr().out == done.stdout


@pytest.mark.long
def test_python_gives_the_bits_of_the_launcher(finished, genotype, tmp_path):
    program = (
        "import sys, entrannas_tf\n"
        "from tests.support import toy_retrain_config\n"
        "config = toy_retrain_config.get_config()\n"
        "entrannas_tf.retrain(config, *sys.argv[1:])"
    )
    workdir = tmp_path / "toy"
    done = programs.run("-c", program, genotype, workdir, timeout=600)
    assert done.returncode == 0, done.stderr
    assert without_clock(workdir) == without_clock(finished[0])


@pytest.mark.long
def test_kill_and_resume(finished, genotype, tmp_path):
    """SIGKILL in an epoch, then while the last checkpoint is written."""
    workdir = tmp_path / "toy"
    for moment in ("step 3", "step_00000006.checkpoint"):
        done = programs.run("-c", KILLED, moment, genotype, workdir, timeout=99)
        assert done.returncode == -signal.SIGKILL, done.stderr
    launch(genotype, workdir)
    assert without_clock(workdir) == without_clock(finished[0])
    assert sorted(os.listdir(workdir / "checkpoints")) == sorted(
        os.listdir(finished[0] / "checkpoints")
    )


@pytest.mark.long
def test_several_runs(finished, genotype, tmp_path):
    workdir = tmp_path / "toys"
    config = toy_retrain_config.get_config()
    config.num_runs = 2
    config.training.epochs = 1
    results = retraining_workflow.retrain(config, genotype, str(workdir))
    first, second = results["runs"]
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["test_loss"] != second["test_loss"]
    both = [first["test_loss"], second["test_loss"]]
    assert results["mean"]["test_loss"] == pytest.approx(sum(both) / 2)
    deviation = abs(both[0] - both[1]) / 2**0.5
    assert results["standard_deviation"]["test_loss"] == pytest.approx(
        deviation
    )
    # It goes on where it was stopped: the first is not run again.
    (workdir / "results.json").unlink()
    (workdir / "runs" / "02" / "results.json").unlink()
    for path in (workdir / "runs" / "01" / "checkpoints").iterdir():
        path.unlink()
    assert (
        retraining_workflow.retrain(config, genotype, str(workdir)) == results
    )
    assert not os.listdir(workdir / "runs" / "01" / "checkpoints")


def test_another_genotype_or_configuration_is_refused(finished, genotype):
    workdir = str(finished[0])
    config = toy_retrain_config.get_config()
    with pytest.raises(ValueError, match=r"a network of another genotype, gen"):
        retraining_workflow.retrain(config, "DARTS_V2", workdir)
    config.training.epochs = 3
    with pytest.raises(
        ValueError, match=r"training\.epochs is 2 there and 3 here"
    ):
        retraining_workflow.retrain(config, genotype, workdir)


def test_the_workdir_of_a_search_is_refused(tmp_path, genotype):
    (tmp_path / "config.json").write_text(json.dumps({"search": {"epochs": 2}}))
    with pytest.raises(ValueError, match=r"a run of another configuration"):
        retraining_workflow.retrain(
            toy_retrain_config.get_config(), genotype, str(tmp_path)
        )
