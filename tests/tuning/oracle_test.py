"""The oracle alone, as Keras-Tuner tests its own: nothing is trained."""

import concurrent.futures
import itertools
import json
import math
import threading

import keras_tuner
import pytest

from entrannas_tf.tuning import trials as trials_lib
from tests.support import played_oracle


def stages(played):
    """Returns (search or training, its seed, epochs) of trials."""
    found = []
    for trial in played:
        values = trial.hyperparameters.values
        stage, seed = values[trials_lib.STAGE], values[trials_lib.SEED]
        found.append((stage, seed, values.get(trials_lib.EPOCHS)))
    return found


def test_five_searches_then_halving(tmp_path):
    made = played_oracle.make(tmp_path)
    assert made.remaining_trials() == 5 + 5 + 2 + 1
    played = played_oracle.play_all(made)
    assert stages(played[:5]) == [("search", seed, None) for seed in range(5)]
    assert sorted(stages(played[5:10])) == [
        ("retrain", seed, 1) for seed in range(5)
    ]
    # The best trained networks go on; those of the best searches do not.
    assert stages(played[10:]) == [
        ("retrain", 0, 2),
        ("retrain", 1, 2),
        ("retrain", 0, 4),
    ]
    assert made.remaining_trials() == 0
    for trial in played[5:]:
        values = trial.hyperparameters.values
        search = made.trials[values[trials_lib.OF]]
        assert trials_lib.genotype(trial) == trials_lib.genotype(search)


def test_best_trials_are_trainings_the_longest_first(tmp_path):
    made = played_oracle.make(tmp_path)
    trials = []
    for _ in range(12):
        trials.append(made.create_trial("a"))
        played_oracle.play(made, trials[-1])
        if len(trials) == 5:
            assert made.get_best_trials() == []
    last = made.create_trial("a")
    # It scores less than each shorter training, and than each search.
    played_oracle.play(made, last, value=0.1)
    best = made.get_best_trials(10)
    assert best[0] is last
    assert stages(best) == [
        ("retrain", 0, 4),
        ("retrain", 1, 2),
        *(("retrain", seed, 1) for seed in (2, 3, 4)),
    ]
    assert made.get_best_trials() == [last]


def test_the_papers_choice_trains_one(tmp_path):
    made = played_oracle.make(tmp_path, num_candidates=1)
    played = played_oracle.play_all(made)
    assert len(played) == 6
    assert stages(played[5:]) == [("retrain", 4, 4)]  # The best search's.


def test_the_first_seed(tmp_path):
    made = played_oracle.make(tmp_path, seed=7, num_searches=1)
    assert stages(played_oracle.play_all(made)) == [
        ("search", 7, None),
        ("retrain", 7, 4),
    ]
    # Keras-Tuner takes a seed of 0 for none.
    assert played_oracle.make(tmp_path, seed=0).seed == 0
    assert played_oracle.make(tmp_path, seed=None).seed > 0


def test_equal_genotypes_are_trained_once(tmp_path, monkeypatch):
    monkeypatch.setattr(played_oracle, "genotype", lambda n: json.dumps(n // 2))
    played = played_oracle.play_all(played_oracle.make(tmp_path))
    epochs = [epochs for _, _, epochs in stages(played[5:])]
    assert epochs == [1, 1, 1, 2, 2, 4]


def test_a_network_stays_that_of_its_first_search(tmp_path, monkeypatch):
    monkeypatch.setattr(played_oracle, "genotype", lambda n: json.dumps(0))
    made = played_oracle.make(tmp_path, num_searches=2)
    first, second = made.create_trial("a"), made.create_trial("b")
    played_oracle.play(made, first)
    played_oracle.play(made, made.create_trial("a"))
    played_oracle.play(made, second)  # It is more accurate.
    last = made.create_trial("a")
    assert stages([last]) == [("retrain", 0, 4)]
    assert last.hyperparameters.values["of"] == first.trial_id


def test_hyperparameters_are_sampled_until_there_are_no_more(tmp_path):
    parameters = keras_tuner.HyperParameters()
    parameters.Choice("network.space", ["standard", "extended"])
    parameters.Boolean("network.sparse")
    arguments = {"num_searches": 9, "hyperparameters": parameters}
    made = played_oracle.make(tmp_path, **arguments)
    played = played_oracle.play_all(made)
    searches = [
        t for t in played if t.hyperparameters.values["stage"][0] == "s"
    ]
    found = {tuple(trials_lib.hyperparameters(t).values()) for t in searches}
    assert len(searches) == len(found) == 4
    trained = [t for t in played if t not in searches]
    assert [t.hyperparameters.values["epochs"] for t in trained] == (
        [1, 1, 1, 1, 2, 2, 2, 2, 4, 4]
    )
    # A training carries the hyperparameters of its search.
    for trial in trained:
        search = made.trials[trial.hyperparameters.values["of"]]
        assert trials_lib.hyperparameters(trial) == trials_lib.hyperparameters(
            search
        )
    assert trained[0].hyperparameters.get("network.space") in (
        "standard",
        "extended",
    )
    again = played_oracle.make(tmp_path, reload=True, **arguments)
    assert again.create_trial("a").status == "STOPPED"


def test_a_tuner_gets_its_running_trial_back(tmp_path):
    made = played_oracle.make(tmp_path)
    first, second = made.create_trial("a"), made.create_trial("b")
    assert first.trial_id != second.trial_id
    assert made.create_trial("a") is first
    assert made.create_trial("b") is second
    assert len(made.trials) == 2


def test_idle_only_while_others_run(tmp_path):
    made = played_oracle.make(tmp_path, num_searches=2)
    first, second = made.create_trial("a"), made.create_trial("b")
    assert made.create_trial("c").status == "IDLE"
    played_oracle.play(made, first)
    # Its network may be trained before the other search has ended.
    third = made.create_trial("a")
    assert stages([third]) == [("retrain", 0, 1)]
    assert made.create_trial("c").status == "IDLE"
    played_oracle.play(made, second)
    fourth = made.create_trial("b")
    assert stages([fourth]) == [("retrain", 1, 1)]
    played_oracle.play(made, third)
    # The next rung is that of the better one, which is not known yet.
    assert made.create_trial("a").status == "IDLE"
    played_oracle.play(made, fourth)
    last = made.create_trial("a")
    assert stages([last]) == [("retrain", 0, 4)]
    assert made.create_trial("b").status == "IDLE"  # Should the other die.
    played_oracle.play(made, last)
    assert {made.create_trial(t).status for t in "abc"} == {"STOPPED"}
    assert not made.tuner_ids


def test_retry(tmp_path):
    made = played_oracle.make(tmp_path, max_retries_per_trial=1)
    trial = made.create_trial("a")
    played_oracle.play(made, trial, "INVALID")
    assert trial.status == "INVALID"
    again = made.create_trial("b")
    assert (again.trial_id, again.status) == (trial.trial_id, "RUNNING")
    played_oracle.play(made, again, "INVALID")
    assert made.trials[trial.trial_id].status == "FAILED"
    assert made.create_trial("a").trial_id != trial.trial_id


def test_no_retry(tmp_path):
    made = played_oracle.make(tmp_path)
    trial = made.create_trial("a")
    played_oracle.play(made, trial, "INVALID")
    assert trial.status == "FAILED"
    assert made.create_trial("a").trial_id != trial.trial_id


def test_nan_is_invalid_and_forgotten_by_the_retry(tmp_path):
    made = played_oracle.make(tmp_path, max_retries_per_trial=1)
    trial = made.create_trial("a")
    played_oracle.play(made, trial, value=math.nan)
    assert trial.status == "INVALID"
    again = made.create_trial("a")
    assert again.trial_id == trial.trial_id
    assert not again.metrics.exists("val_accuracy")
    played_oracle.play(made, again, value=0.5)
    assert (again.status, again.score) == ("COMPLETED", 0.5)


def test_too_many_failures_in_a_row(tmp_path):
    made = played_oracle.make(tmp_path, num_searches=9)
    for status in ("FAILED", "FAILED", "COMPLETED", "FAILED", "FAILED"):
        played_oracle.play(made, made.create_trial("a"), status)
        assert made.failure is None
    trial, other = made.create_trial("a"), made.create_trial("b")
    trial.hyperparameters.values["error"] = "ValueError: No such images."
    played_oracle.play(made, trial, "FAILED")
    assert made.failure.startswith(
        "Number of consecutive failures exceeded the limit of 3. That of trial "
        "0005: ValueError: No such images. Mend it;"
    )
    assert made.create_trial("a").status == "STOPPED"
    # What runs may end, and the chief with it.
    played_oracle.play(made, other)
    assert made.create_trial("b").status == "STOPPED"
    assert not made.tuner_ids and not made.ongoing_trials
    # The next process tries again.
    again = played_oracle.make(tmp_path, reload=True, num_searches=9)
    assert again.failure is None
    played = played_oracle.play_all(again)
    assert {"0000", "0001", "0003", "0004", "0005"} <= {
        trial.trial_id for trial in played
    }
    assert all(t.status == "COMPLETED" for t in again.trials.values())


@pytest.mark.parametrize(
    ("statuses", "last"),
    [("FF", None), ("FFCF", None), ("CFFF", "0003"), ("FFFCFFF", "0002")],
)
def test_failures_in_a_row(tmp_path, statuses, last):
    made = played_oracle.make(tmp_path, num_searches=9)
    trials = [made.create_trial(str(n)) for n in range(len(statuses))]
    for trial, status in zip(trials, statuses, strict=True):
        trial.status = {"F": "FAILED", "C": "COMPLETED"}[status]
        made.end_order.append(trial.trial_id)
    if last is None:
        assert made.failure is None
    else:
        assert f"That of trial {last}: " in made.failure


def test_other_settings_are_refused(tmp_path):
    played_oracle.play_all(played_oracle.make(tmp_path))
    with pytest.raises(ValueError) as caught:
        played_oracle.make(tmp_path, reload=True, num_searches=6)
    assert "num_searches is 5 there and 6 here. Go back" in str(caught.value)
    assert "overwrite=True" in str(caught.value)


def test_another_seed_is_refused(tmp_path):
    played_oracle.make(tmp_path, seed=None).create_trial("a")
    assert played_oracle.make(tmp_path, reload=True, seed=None).trials
    with pytest.raises(ValueError, match=r"seed is None there and 0 here"):
        played_oracle.make(tmp_path, reload=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_searches": 0}, "num_searches is 0 and num_candidates 0; expec"),
        ({"num_candidates": 6}, "num_searches is 5 and num_candidates 6; exp"),
        ({"first_epochs": 5}, "last_epochs is 4; expected first_epochs, whic"),
        ({"max_trials": 9}, "max_trials is 9; expected none: num_searches, f"),
        ({"objective": "loss"}, "objective is loss; expected none: it is val_"),
        (
            {"max_consecutive_failed_trials": 0},
            "max_consecutive_failed_trials is 0; expected 1 or more",
        ),
        ({"timeout_seconds": 0}, "timeout_seconds is 0; expected more than 0"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        played_oracle.make(tmp_path, **arguments)


def test_threads(tmp_path):
    """Eight tuners at once: no trial is lost, and none runs twice."""
    made = played_oracle.make(tmp_path, num_searches=20)
    all_there, some_ended = threading.Barrier(8), threading.Condition()

    def run(tuner_id):
        played = []
        all_there.wait(timeout=300)
        while True:
            trial = made.create_trial(tuner_id)
            if trial.status == "STOPPED":
                return played
            if trial.status == "RUNNING":
                played.append(trial.trial_id)
                played_oracle.play(made, trial)
            with some_ended:
                some_ended.notify_all()
                if trial.status == "IDLE":  # Some may have ended just before.
                    some_ended.wait(timeout=0.02)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = pool.map(run, map(str, range(8)))
        played = list(itertools.chain.from_iterable(found))
    assert sorted(played) == sorted(made.trials)
    assert len(played) == 20 + 20 + 10 + 5
    assert all(t.status == "COMPLETED" for t in made.trials.values())


def test_has_ended(tmp_path):
    made = played_oracle.make(tmp_path, num_searches=2)
    ended = []
    while not made.has_ended():
        trial = made.create_trial("tuner0")
        ended.append(made.has_ended())
        played_oracle.play(made, trial)
    assert not any(ended)
    assert made.create_trial("tuner0").status == "STOPPED"
