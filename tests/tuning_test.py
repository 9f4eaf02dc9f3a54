"""Whole tunings at toy size, by the launcher: alone, and chief and workers."""

import json
import os
import signal

import pytest

from entrannas_tf import files, published, retrain_results, tuning
from tests import programs, toy_tune_config, tune_workers

pytestmark = pytest.mark.long

FLAGS = ("--config=tests/toy_tune_config.py",)


def launch(*args):
    done = programs.run(*args, timeout=900)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a tuning that was killed once, and what it said."""
    workdir = tmp_path_factory.mktemp("runs") / "tune"
    flags = (*FLAGS, f"--workdir={workdir}")
    # In the second search: the first has 3 steps.
    died = programs.run(
        "-c", tune_workers.DYING, "launch.tune", 5, *flags, timeout=900
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    trials = workdir / "trials"
    assert (trials / "trial_0000" / "run" / "genotype.json").exists()
    run = trials / "trial_0001" / "run"
    # A checkpoint of the second of its steps is there.
    assert os.listdir(run / "checkpoints")
    return workdir, launch("-m", "launch.tune", *flags)


def test_workdir(finished):
    workdir, done = finished
    assert sorted(os.listdir(workdir)) == [
        "config.json",
        "genotype.json",
        "network",
        "trials",
        "tuning.md",
    ]
    # It did not begin anew.
    assert "The search in " not in done.stderr
    assert "resume" in done.stderr or "goes on" in done.stderr
    table = (workdir / "tuning.md").read_text()
    results = retrain_results.read(workdir / "network")
    accuracy = results["mean"]["test_accuracy"]
    assert f"{accuracy:.2%} of the test images" in table
    assert table.count("| COMPLETED |") == 5
    assert table.partition("\n## The best")[0] in done.stdout


def test_genotype(finished):
    workdir, _ = finished
    values = json.loads((workdir / "genotype.json").read_text())
    provenance = values["provenance"]
    assert provenance["config_name"] == "toy"
    assert {"child_accuracy", "held_out_accuracy"} == set(provenance["metrics"])
    assert published.load(str(workdir)) == published.load(
        str(workdir / "network")
    )
    done = launch("-m", "launch.account", f"--genotype={workdir}")
    assert "multiply_adds" in done.stdout


def test_images(finished):
    """Choices look at held-out images, and the end at test images once."""
    workdir, done = finished
    assert "60 images to train and 40 to choose by" in done.stderr
    assert "100 images to train and 360 to test" in done.stderr
    records = files.read_json_lines(workdir / "network" / "metrics.jsonl")
    assert ["test_accuracy" in record for record in records] == [False, True]


def test_a_finished_tuning_is_not_run_again(finished, capsys):
    workdir, _ = finished
    before = retrain_results.read(workdir / "network")
    assert tuning.tune(toy_tune_config.get_config(), workdir) == before
    assert "epoch" not in capsys.readouterr().err


def test_chief_and_workers_one_of_which_dies(tmp_path):
    workdir = tmp_path / "tune"
    flags = (
        *FLAGS,
        f"--workdir={workdir}",
        "--config.tuning.timeout_seconds=15",
    )
    with tune_workers.started(
        ["-m", "launch.tune", *flags],
        ["-c", tune_workers.DYING, "launch.tune", 2, *flags],
        ["-m", "launch.tune", *flags],
    ) as (chief, dying, living):
        code, said = tune_workers.ended(dying, 900)
        assert code == -signal.SIGKILL, said
        code, said = tune_workers.ended(living, 900)
        assert code == 0, said
        code, said = tune_workers.ended(chief, 300)
        assert code == 0, said
    assert "Worker worker1 has not been heard of for 15 seconds" in said
    table = (workdir / "tuning.md").read_text()
    assert table.count("| COMPLETED |") == 5
    assert retrain_results.is_finished(workdir / "network")
