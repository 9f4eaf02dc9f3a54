"""What the oracle saves suffices to go on with, wherever it was stopped."""

import json
import os

import keras_tuner
import pytest

from entrannas_tf.tuning import trials
from tests.support import played_oracle


def make_drawing(directory, **arguments):
    """Returns an oracle that draws seeds, and has trials run again."""
    parameters = keras_tuner.HyperParameters()
    parameters.Choice(trials.SEED, [3, 1, 4, 0, 2, 6, 5])
    return played_oracle.make(
        directory,
        hyperparameters=parameters,
        max_retries_per_trial=1,
        **arguments,
    )


def play_once_invalid(made, trial, invalid):
    """Ends a trial; that of id 0002, if it is run again, as invalid first.

    Args:
        made: The oracle.
        trial: One of its trials.
        invalid: List of the ids of those that were, which grows.
    """
    may_fail = made.max_retries_per_trial and not invalid
    if may_fail and trial.trial_id == "0002":
        invalid.append(trial.trial_id)
        played_oracle.play(made, trial, "INVALID")
    else:
        played_oracle.play(made, trial)


MAKERS = pytest.mark.parametrize("make", [played_oracle.make, make_drawing])


@MAKERS
def test_state_round_trips_after_every_trial(tmp_path, make):
    made, invalid = make(tmp_path), []
    while True:
        trial = made.create_trial("a")
        for moment in ("begun", "ended"):
            again = make(tmp_path, reload=True)
            assert again.trials.keys() == made.trials.keys()
            state = made.get_state()
            state["ongoing_trials"] = {}
            if moment == "begun" and trial.status == "RUNNING":
                state["retry_queue"] = [trial.trial_id]
            assert json.dumps(again.get_state()) == json.dumps(state)
            if trial.status == "STOPPED":
                assert len(made.trials) == 13
                return
            if moment == "begun":
                play_once_invalid(made, trial, invalid)


class Killed(Exception):
    """Stands for SIGKILL."""


@MAKERS
def test_resumes_at_every_cut_point(tmp_path, monkeypatch, make):
    """Killed at any of its writes, an oracle ends as one that was not."""
    monkeypatch.setattr(os, "fsync", lambda file: None)  # Thousands of files.

    def play_all(made, invalid):
        while (trial := made.create_trial("tuner0")).status == "RUNNING":
            play_once_invalid(made, trial, invalid)

    whole = make(tmp_path / "whole")
    play_all(whole, [])
    replace, left = os.replace, [0]

    def cut(source, target):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        replace(source, target)

    for moment in range(1, 200):
        directory, left[0] = tmp_path / str(moment), moment
        invalid = []
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", cut)
            try:
                play_all(make(directory), invalid)
            except Killed:
                pass
            else:
                break
        fresh = not (directory / "project" / "oracle.json").exists()
        again = make(directory, reload=not fresh)
        play_all(again, invalid)
        assert played_oracle.outcome(again) == played_oracle.outcome(whole)
    assert 50 < moment < 199
