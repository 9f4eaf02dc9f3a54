"""Whole tunings at toy size, by the launcher: alone, and chief and workers."""

import json
import os
import signal

import pytest

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.config import schema
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files, interruptions
from entrannas_tf.training import loop as training_loop
from entrannas_tf.tuning import config as tuning_config
from entrannas_tf.tuning import workflow as tuning_workflow
from tests.support import (
    played_tuner,
    programs,
    toy_tune_config,
    tune_workers,
    workers,
)

LONG = pytest.mark.long
FLAGS = ("--config=tests/support/toy_tune_config.py",)


def dying(num_steps):
    """Returns Python's arguments: a tuning that dies after so many steps."""
    return "-c", workers.STRUCK, "launch.tune", int(signal.SIGKILL), num_steps


def launch(*args):
    done = programs.run(*args, timeout=900)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a tuning that was killed once, and what it said."""
    workdir = tmp_path_factory.mktemp("runs") / "tune"
    flags = (*FLAGS, f"--workdir={workdir}")
    # In the last of the 3 steps of the second search.
    died = programs.run(*dying(6), *flags, timeout=900)
    assert died.returncode == -signal.SIGKILL, died.stderr
    trials = workdir / "trials"
    assert (trials / "trial_0000" / "run" / "genotype.json").exists()
    assert os.listdir(trials / "trial_0001" / "run" / "checkpoints")
    return workdir, launch("-m", "launch.tune", *flags)


@LONG
def test_workdir(finished):
    workdir, done = finished
    assert sorted(os.listdir(workdir)) == [
        "config.json",
        "genotype.json",
        "network",
        "trials",
        "tuning.md",
    ]
    # The first search had ended, the second goes on.
    assert "Resumes after 0 epochs and 2 steps of the next." in done.stderr
    assert "trial_0000/run/cells" not in done.stdout
    table = (workdir / "tuning.md").read_text()
    results = retraining_results.read(workdir / "network")
    accuracy = results["mean"]["test_accuracy"]
    assert f"{accuracy:.2%} of the test images" in table
    assert table.count("| COMPLETED |") == 5
    assert table.partition("\n## The best")[0] in done.stdout


@LONG
def test_genotype(finished):
    workdir, _ = finished
    values = json.loads((workdir / "genotype.json").read_text())
    provenance = values["provenance"]
    assert provenance["config_name"] == "toy"
    assert {"child_accuracy", "held_out_accuracy"} == set(provenance["metrics"])
    assert published.load_genotype(str(workdir)) == published.load_genotype(
        str(workdir / "network")
    )
    done = launch("-m", "launch.account", f"--genotype={workdir}")
    assert "multiply_adds" in done.stdout


@LONG
def test_best_model(finished):
    workdir, _ = finished
    config = schema.read(tuning_config.TuneConfig, toy_tune_config.get_config())
    made = tuning_workflow.make_tuner(config, str(workdir))
    (model,) = made.get_best_models()
    (trial,) = made.oracle.get_best_trials()
    data = retraining_workflow.load_data(config.retraining)
    images, labels = data.test_source.fetch(data.test_indices)
    _, accuracy = model.evaluate(images, labels, verbose=0)
    assert accuracy == pytest.approx(trial.score)


@LONG
def test_images(finished):
    """Choices look at held-out images, and the end at test images once."""
    workdir, done = finished
    config = schema.read(tuning_config.TuneConfig, toy_tune_config.get_config())
    data = retraining_workflow.load_data(config.retraining)
    train, held_out = len(data.indices), len(data.test_indices)
    assert (train + held_out, round(held_out, -1)) == (100, 40)
    assert f"{train} images to train and {held_out} to choose by" in done.stderr
    assert "100 images to train and 360 to test" in done.stderr
    records = files.read_json_lines(workdir / "network" / "metrics.jsonl")
    assert ["test_accuracy" in record for record in records] == [False, True]


@LONG
def test_a_finished_tuning_is_not_run_again(finished, monkeypatch):
    def run(*_):
        raise AssertionError("It trains.")

    monkeypatch.setattr(training_loop.TrainingLoop, "run", run)
    workdir, _ = finished
    before = retraining_results.read(workdir / "network")
    assert tuning_workflow.tune(toy_tune_config.get_config(), workdir) == before


@LONG
def test_chief_and_workers_one_of_which_dies(tmp_path):
    workdir = tmp_path / "tune"
    flags = (
        *FLAGS,
        f"--workdir={workdir}",
        "--config.tuning.timeout_seconds=15",
    )
    with tune_workers.group() as start:
        chief = start("chief", "-m", "launch.tune", *flags)
        lost = start("worker1", *dying(2), *flags)
        code, said = tune_workers.ended(lost, 900)
        assert code == -signal.SIGKILL, said
        living = start("worker2", "-m", "launch.tune", *flags)
        code, said = tune_workers.ended(living, 900)
        assert code == 0, said
        code, said = tune_workers.ended(chief, 300)
        assert code == 0, said
    assert "Worker worker1 has not been heard of for 15 seconds" in said
    table = (workdir / "tuning.md").read_text()
    assert table.count("| COMPLETED |") == 5
    assert retraining_results.is_finished(workdir / "network")


@pytest.fixture
def played(monkeypatch):
    """Has searches and trainings take no time; returns configurations."""
    seen = {"search": [], "retrain": []}

    def search(config_dict, workdir):
        seen["search"].append(config_dict)
        return played_tuner.search(config_dict, workdir)

    def retrain(config_dict, genotype, workdir):
        seen["retrain"].append(config_dict)
        return played_tuner.retrain(config_dict, genotype, workdir)

    monkeypatch.setattr(search_workflow, "search", search)
    monkeypatch.setattr(retraining_workflow, "retrain", retrain)
    return seen


def test_a_tuning_from_start_to_end(tmp_path, played, capsys):
    config = toy_tune_config.get_config()
    config.search.seed = 3
    tuning_workflow.tune(config, tmp_path)
    assert [c["seed"] for c in played["search"]] == [3, 4]
    *chosen_by, last = played["retrain"]
    for values in chosen_by:
        assert values["data"]["validation_fraction"] == 0.4
    assert [c["training"]["epochs"] for c in chosen_by] == [1, 1, 2]
    assert last["data"]["validation_fraction"] == 0
    assert last["training"]["eval_every_epochs"] == last["training"]["epochs"]
    assert published.load_genotype(str(tmp_path)) == genotypes.draw(3)
    assert (
        "| 1 | 0004 | 0000 | 2 | 77.20% | seed 3 |" in capsys.readouterr().out
    )


def test_hyperparameters(tmp_path, played):
    config = toy_tune_config.get_config()
    config.tuning.num_searches = 4
    config.tuning.hyperparameters = (
        "search.initial_temperature: 1 .. 5 log; search.epochs: 2 .. 3; "
        "network.sparse: true; data.flip: true, false; seed: 1, 2"
    )
    tuning_workflow.tune(config, tmp_path)
    assert len(played["search"]) == 4
    for values in played["search"]:
        assert 1 <= values["search"]["initial_temperature"] <= 5
        assert values["search"]["epochs"] in (2, 3)
        assert values["network"]["sparse"] is True
        assert isinstance(values["data"]["flip"], bool)
        assert values["seed"] in (1, 2)


def test_another_configuration_is_refused(tmp_path, played):
    config = toy_tune_config.get_config()
    tuning_workflow.tune(config, tmp_path)
    config.tuning.num_searches = 3
    with pytest.raises(
        ValueError, match=r"tuning\.num_searches is 2 there and 3 here"
    ):
        tuning_workflow.tune(config, tmp_path)


@pytest.mark.parametrize("section", ["search", "retraining"])
def test_nothing_is_written_where_there_are_no_data(tmp_path, played, section):
    config = toy_tune_config.get_config()
    config[section].data.name = "folder"
    config[section].data.dir = str(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"nowhere"):
        tuning_workflow.tune(config, tmp_path / "tune")
    assert not (tmp_path / "tune").exists()


def test_the_table_is_written_where_failures_end_it(
    tmp_path, played, monkeypatch
):
    def search(*_):
        raise FloatingPointError("The loss is NaN.")

    monkeypatch.setattr(search_workflow, "search", search)
    config = toy_tune_config.get_config()
    config.tuning.max_consecutive_failed_trials = 2
    with pytest.raises(interruptions.RunFailed, match=r"limit of 2"):
        tuning_workflow.tune(config, tmp_path)
    table = (tmp_path / "tuning.md").read_text()
    assert table.count("| FAILED | FloatingPointError: The loss is NaN.") == 2


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("tuning.num_candidates", 9, r"num_searches is 2 and num_candidates 9"),
        ("tuning.first_epochs", 3, r"last_epochs is 2; expected first_epochs"),
        ("tuning.hyperparameters", "search.epochs: 0, 1", r"epochs is 0; exp"),
        ("retraining.data.validation_fraction", 0.0, r"chosen by the test im"),
        ("retraining.training.warmup_epochs", 1, r"warmup_epochs is 1; expe"),
    ],
)
@pytest.mark.parametrize("tuner_id", [None, "worker1"])
def test_nothing_is_written_where_a_setting_is_bad(
    tmp_path, played, monkeypatch, path, value, message, tuner_id
):
    if tuner_id:
        tune_workers.be_one_of_several(monkeypatch, tuner_id)
    config = toy_tune_config.get_config()
    config.update_from_flattened_dict({path: value})
    with pytest.raises(ValueError, match=message):
        tuning_workflow.tune(config, tmp_path / "tune")
    assert not (tmp_path / "tune").exists()


def test_a_worker_of_another_configuration_is_refused(
    tmp_path, played, monkeypatch
):
    config = toy_tune_config.get_config()
    tuning_workflow.tune(config, tmp_path)
    tune_workers.be_one_of_several(monkeypatch, "worker1")
    config.tuning.timeout_seconds = 7
    with pytest.raises(
        ValueError, match=r"another configuration: tuning.timeout_seconds is 60"
    ):
        tuning_workflow.tune(config, tmp_path)


def test_where_all_trainings_fail(tmp_path, played, monkeypatch):
    def retrain(*_):
        raise FloatingPointError("The loss is NaN.")

    monkeypatch.setattr(retraining_workflow, "retrain", retrain)
    with pytest.raises(
        interruptions.RunFailed, match=r"all trials failed\. .*tuning\.md"
    ):
        tuning_workflow.tune(toy_tune_config.get_config(), tmp_path)
    assert (
        "FloatingPointError: The loss is NaN."
        in (tmp_path / "tuning.md").read_text()
    )
