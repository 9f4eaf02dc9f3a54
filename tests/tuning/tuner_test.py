"""The tuner, with searches and trainings that take no time."""

import json
import os
import signal

import keras_tuner
import pytest

from entrannas_tf.architecture import genotypes
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import interruptions
from entrannas_tf.tuning import oracle, trials, tuner
from tests.support import played_tuner, toy_config, toy_retrain_config


@pytest.fixture(autouse=True)
def played(monkeypatch):
    return played_tuner.stand_in(monkeypatch)


def test_search_ends_with_the_best_trained_network(tmp_path, capsys):
    made = played_tuner.make(tmp_path)
    made.search(verbose=0)
    assert made.remaining_trials == 0
    best = made.get_best_genotypes(10)
    assert best == [genotypes.draw(seed) for seed in range(5)]
    hyperparameters = made.get_best_hyperparameters(2)
    assert [hp.values["seed"] for hp in hyperparameters] == [0, 1]
    assert hyperparameters[0].values["epochs"] == 4
    capsys.readouterr()
    made.results_summary(num_trials=2)
    shown = capsys.readouterr().out
    assert "| 1 | 0012 | 0000 | 4 | 80.40% | seed 0 |" in shown
    assert "| 2 | 0011 | 0001 | 2 | 79.20% | seed 1 |" in shown
    assert "| 3 |" not in shown
    assert best[0].describe("normal") in shown


def test_before_all_there_is_no_best_network(tmp_path, capsys):
    made = played_tuner.make(tmp_path)
    made.results_summary()
    assert "No network is trained." in capsys.readouterr().out
    assert made.get_best_genotypes() == made.get_best_models() == []


def test_a_finished_tuning_is_not_run_again(tmp_path, played):
    played_tuner.make(tmp_path).search(verbose=0)
    assert len(played) == len(set(played)) == 13
    again = played_tuner.make(tmp_path)
    again.search(verbose=0)
    assert len(played) == 13
    assert again.get_best_genotypes() == [genotypes.draw(0)]
    played_tuner.make(tmp_path, overwrite=True).search(verbose=0)
    assert len(played) == 26


def test_killed_in_every_trial_it_goes_on(tmp_path, monkeypatch):
    begun = []

    def killed_once(run):
        def wrapped(*args):
            begun.append(args[-1])
            if begun.count(args[-1]) == 1:
                raise KeyboardInterrupt
            return run(*args)

        return wrapped

    for module, name in (
        (search_workflow, "search"),
        (retraining_workflow, "retrain"),
    ):
        run = getattr(module, name)
        monkeypatch.setattr(module, name, killed_once(run))
    for _ in range(13):
        with pytest.raises(KeyboardInterrupt):
            played_tuner.make(tmp_path).search(verbose=0)
    made = played_tuner.make(tmp_path)
    made.search(verbose=0)
    # Each trial twice, in the same workdir, and one after the other.
    assert len(set(begun)) == 13
    assert begun[::2] == begun[1::2] == sorted(set(begun))
    assert made.get_best_genotypes() == [genotypes.draw(0)]


def test_hyperparameters_reach_the_search(tmp_path, monkeypatch):
    seen = []

    def search(config_dict, workdir):
        seen.append(config_dict)
        return played_tuner.search({"seed": len(seen)}, workdir)

    monkeypatch.setattr(search_workflow, "search", search)
    parameters = keras_tuner.HyperParameters()
    parameters.Float("search.threshold_penalty", 0.1, 0.5, sampling="log")
    parameters.Choice("network.space", ["standard", "extended"])
    made = played_tuner.make(
        tmp_path,
        [("num_searches", 5), ("seed", 3)],
        hyperparameters=parameters,
        num_searches=3,
    )
    made.search(verbose=0)
    assert len(seen) == 3
    penalties = {c["search"]["threshold_penalty"] for c in seen}
    assert len(penalties) == 3 and all(0.1 <= p <= 0.5 for p in penalties)
    assert {c["num_searches"] for c in seen} == {1}
    assert {c["seed"] for c in seen} == {3}
    best = made.get_best_hyperparameters()[0]
    assert best.get("search.threshold_penalty") in penalties


@pytest.mark.parametrize(
    ("epochs", "warmup_epochs", "rungs"),
    [
        (2, 0, [(1, 5), (2, 1)]),
        (2, 1, [(2, 5)]),
        (600, 5, [(66, 5), (600, 1)]),  # 198 would be for one network.
        (90, 30, [(31, 5), (90, 1)]),
    ],
)
def test_the_default_is_five_searches(tmp_path, epochs, warmup_epochs, rungs):
    config = toy_retrain_config.get_config()
    config.data.validation_fraction = 0.4
    config.training.epochs = epochs
    config.training.warmup_epochs = warmup_epochs
    search_config = toy_config.get_config()
    search_config.seed = 9
    made = tuner.EnTranNASTuner(
        search_config, config, directory=tmp_path, overwrite=True
    )
    assert made.oracle.num_searches == 5
    assert [*map(tuple, made.oracle.rungs)] == rungs
    values = made.oracle.populate_space("0000")["values"]
    assert values == {"seed": 9, trials.STAGE: trials.SEARCH}


def test_another_configuration_is_refused(tmp_path):
    played_tuner.make(tmp_path).search(verbose=0)
    with pytest.raises(
        ValueError,
        match=r"another search_config: search.epochs is 2 there and 3 here",
    ):
        played_tuner.make(tmp_path, [("search.epochs", 3)])


def test_a_search_that_diverges_fails_and_the_others_go_on(
    tmp_path, monkeypatch
):
    def search(config_dict, workdir):
        if config_dict["seed"] == 1:
            raise FloatingPointError("The loss is NaN in step 3.")
        return played_tuner.search(config_dict, workdir)

    monkeypatch.setattr(search_workflow, "search", search)
    made = played_tuner.make(tmp_path)
    made.search(verbose=0)
    failed = made.oracle.trials["0001"]
    assert failed.status == "FAILED"
    assert trials.error(failed) == (
        "FloatingPointError: The loss is NaN in step 3."
    )
    assert len(made.get_best_genotypes(10)) == 4


def test_a_retry_may_succeed(tmp_path, monkeypatch):
    tried = []

    def search(config_dict, workdir):
        tried.append(config_dict["seed"])
        if tried == [0]:
            raise OSError("The disk is away.")
        return played_tuner.search(config_dict, workdir)

    monkeypatch.setattr(search_workflow, "search", search)
    made = played_tuner.make(tmp_path, max_retries_per_trial=1)
    made.search(verbose=0)
    assert tried[:2] == [0, 0]
    assert len(made.get_best_genotypes(10)) == 5
    assert "error" not in made.oracle.trials["0000"].hyperparameters.values


def test_too_many_failures_end_the_search(tmp_path, monkeypatch):
    def search(config_dict, workdir):
        raise ValueError("There are no images.")

    monkeypatch.setattr(search_workflow, "search", search)
    made = played_tuner.make(tmp_path)
    with pytest.raises(
        interruptions.RunFailed, match=r"exceeded the limit of 3.*no imag"
    ):
        made.search(verbose=0)
    assert len(made.oracle.trials) == 3


def test_sigterm_ends_the_process_and_not_the_trial(tmp_path, monkeypatch):
    def search(config_dict, workdir):
        raise interruptions.Preempted("Told to end.")

    monkeypatch.setattr(search_workflow, "search", search)
    with pytest.raises(interruptions.Preempted):
        played_tuner.make(tmp_path).search(verbose=0)
    state = json.loads((tmp_path / "project" / "oracle.json").read_text())
    assert (state["retry_queue"], state["ongoing_trials"]) == (["0000"], {})
    monkeypatch.setattr(search_workflow, "search", played_tuner.search)
    made = played_tuner.make(tmp_path)
    made.search(verbose=0)
    assert made.get_best_genotypes() == [genotypes.draw(0)]


def test_sigterm_at_the_end_of_a_trial_begins_no_other(
    tmp_path, monkeypatch, played
):
    def search(config_dict, workdir):
        with interruptions.watch():
            os.kill(os.getpid(), signal.SIGTERM)
        return played_tuner.search(config_dict, workdir)

    with monkeypatch.context() as patch:
        patch.setattr(search_workflow, "search", search)
        made = played_tuner.make(tmp_path)
        with pytest.raises(interruptions.Preempted):
            made.search(verbose=0)
    assert [t.status for t in made.oracle.trials.values()] == ["COMPLETED"]
    played_tuner.make(tmp_path).search(verbose=0)
    assert len(played) == 12  # The others.


def test_it_waits_before_it_asks_again(tmp_path, monkeypatch):
    made = played_tuner.make(tmp_path)
    slept = []
    monkeypatch.setattr(tuner.time, "sleep", slept.append)
    made.pre_create_trial()
    assert not slept
    made.pre_create_trial()  # The oracle was idle.
    assert len(slept) == 1
    made.on_trial_begin(None)
    made.pre_create_trial()
    assert len(slept) == 1


def test_it_waits_for_the_process_in_the_workdir(tmp_path, monkeypatch):
    tried, slept = [], []

    def search(config_dict, workdir):
        tried.append(workdir)
        if len(tried) == 1:
            raise BlockingIOError(11, "is in use by another process", workdir)
        return played_tuner.search(config_dict, workdir)

    monkeypatch.setattr(search_workflow, "search", search)
    made = played_tuner.make(tmp_path)
    monkeypatch.setattr(tuner.time, "sleep", slept.append)
    scores = made.run_trial(made.oracle.create_trial("a"))
    assert scores[oracle.OBJECTIVE] == 0.5
    assert tried[0] == tried[1] and len(slept) == 1


def test_what_it_saves_is_whole(tmp_path):
    made = played_tuner.make(tmp_path)
    made.search(verbose=0)
    path = tmp_path / "project" / "tuner.json"
    state = json.loads(json.dumps(made.get_state()))  # Tuples are lists.
    assert json.loads(path.read_text()) == state
