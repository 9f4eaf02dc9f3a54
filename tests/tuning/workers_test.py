"""The oracle and workers that die, by a clock that is set by hand."""

import threading
import time

import pytest
from keras_tuner.engine import trial as trial_lib
from keras_tuner.src.distribute import oracle_chief

from entrannas_tf.tuning import workers
from tests.support import played_oracle, tune_workers


@pytest.mark.parametrize(
    ("tuner_id", "roles"),
    [("chief", (True, False)), ("worker1", (False, True)), (None, (0, 0))],
)
def test_roles(monkeypatch, tuner_id, roles):
    for name in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"):
        monkeypatch.delenv(f"KERASTUNER_{name}", raising=False)
    if tuner_id:
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
        monkeypatch.setenv("KERASTUNER_TUNER_ID", tuner_id)
    assert (workers.is_chief(), workers.is_worker()) == roles


@pytest.mark.parametrize("role", [workers.is_chief, workers.is_worker])
@pytest.mark.parametrize("missing", ["ORACLE_PORT", "TUNER_ID"])
def test_half_an_environment(monkeypatch, role, missing):
    for name in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"):
        if name != missing:
            monkeypatch.setenv(f"KERASTUNER_{name}", "1")
    with pytest.raises(
        ValueError,
        match=rf"^KERASTUNER_ORACLE_IP is set and KERASTUNER_{missing} is not;",
    ):
        role()


def test_beats_while_the_body_runs_and_in_spite_of_errors():
    beaten, many = [], threading.Event()

    def beat():
        beaten.append(threading.current_thread())
        if len(beaten) == 3:
            many.set()
        raise RuntimeError("The chief does not answer.")

    with workers.beating(beat, seconds=0.001):
        assert many.wait(timeout=60)
    (thread,) = set(beaten)
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_no_beat_is_owed_to_a_short_body():
    beaten = []
    with workers.beating(lambda: beaten.append(1), seconds=3600):
        pass
    assert not beaten


def living(made):
    """Returns the ids of the workers that have been heard of, a set."""
    made.forget_silent()
    return made.tuner_ids


@pytest.fixture
def timed(tmp_path):
    """An oracle that misses workers after 60 seconds, and its clock."""
    made, now = played_oracle.make(tmp_path), [0.0]
    made.clock = lambda: now[0]
    return made, now


def test_a_silent_workers_trial_goes_to_another(timed):
    made, now = timed
    lost, kept = made.create_trial("a"), made.create_trial("b")
    now[0] = 59.0
    made.get_trial(kept.trial_id)  # A sign of life.
    assert living(made) == {"a", "b"}
    now[0] = 60.0
    assert living(made) == {"b"}
    again = made.create_trial("c")
    assert (again.trial_id, again.status) == (lost.trial_id, "RUNNING")
    assert made.create_trial("b") is kept


def test_a_worker_that_comes_back_is_let_in(timed):
    made, now = timed
    trial = made.create_trial("a")
    now[0] = 60.0
    assert not living(made)
    # It had only been slow, and nobody had begun its trial anew.
    played_oracle.play(made, trial)
    assert trial.status == "COMPLETED"
    assert made.create_trial("a").trial_id != trial.trial_id


def test_a_trial_ends_once(timed):
    made, now = timed
    made.create_trial("a")
    now[0] = 60.0
    trial = made.create_trial("b")
    played_oracle.play(made, trial, value=0.5)
    made.end_trial(trial)  # By the first worker, which is there again.
    assert made.end_order == [trial.trial_id]
    assert made.create_trial("b").trial_id != trial.trial_id


def test_an_ended_trial_is_nobodys(timed):
    made, now = timed
    trial, other = made.create_trial("a"), made.create_trial("b")
    for ended in (trial, other):
        played_oracle.play(made, ended)
    made.ongoing_trials.update(a=trial, b=other)  # By an error in the end.
    made.end_trial(trial)
    assert made.ongoing_trials == {"b": other}
    now[0] = 60.0
    assert not living(made) and not made.ongoing_trials
    assert made.create_trial("c").trial_id not in made.end_order


def test_an_idle_worker_that_dies_is_not_waited_for(tmp_path):
    made, now = played_oracle.make(tmp_path, num_searches=1), [0.0]
    made.clock = lambda: now[0]
    trial = made.create_trial("a")
    assert made.create_trial("b").status == "IDLE"
    now[0] = 50.0
    played_oracle.play(made, trial)
    assert len(played_oracle.play_all(made, "a")) == 1
    assert living(made) == {"b"}
    now[0] = 60.0
    assert not living(made)  # The chief ends.


def test_the_last_worker_takes_over_before_it_is_stopped(tmp_path):
    made, now = played_oracle.make(tmp_path, num_searches=1), [0.0]
    made.clock = lambda: now[0]
    played_oracle.play(made, made.create_trial("a"))
    lost = made.create_trial("a")
    now[0] = 30.0
    assert made.create_trial("b").status == "IDLE"
    now[0] = 60.0
    assert [t.trial_id for t in played_oracle.play_all(made, "b")] == [
        lost.trial_id
    ]
    assert not living(made) and not made.ongoing_trials


def test_a_trial_that_kills_its_workers_fails(timed):
    made, now = timed
    trial = made.create_trial("0")
    for worker in "12":
        now[0] += 60.0
        assert made.create_trial(worker) is trial
    now[0] += 60.0
    assert made.create_trial("3") is not trial
    assert trial.status == "FAILED"
    assert trial.hyperparameters.values["error"] == "3 workers died with it."


def test_a_trial_that_is_given_back_goes_to_the_next_at_once(timed):
    made, _ = timed
    trial = made.create_trial("0")
    for worker in "12345":
        # Running, as its worker got SIGTERM; as it comes by gRPC.
        made.end_trial(trial_lib.Trial.from_proto(trial.to_proto()))
        assert not made.ongoing_trials
        assert made.create_trial(worker) is trial
    played_oracle.play(made, trial)
    assert trial.status == "COMPLETED"
    trial.status = "RUNNING"
    made.end_trial(trial)  # By one that is late.
    assert made.create_trial("5") is not trial


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_chief_that_is_started_again_waits_for_its_workers(
    tmp_path, monkeypatch, verbose
):
    made = played_oracle.make(tmp_path, verbose=1)
    lost, trial = made.create_trial("b"), made.create_trial("a")
    tune_workers.be_one_of_several(monkeypatch, "chief")
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    again = played_oracle.make(tmp_path, reload=True, verbose=verbose)
    again.verbose = 1  # Until then a tuner has no say in it.
    now[0] = 179.0  # They may need long to find it there.
    assert living(again) == {"a", "b"}
    # The one has gone on meanwhile, the other is not there any more.
    played_oracle.play(again, again.get_trial(trial.trial_id))
    assert again.ongoing_trials == {"b": again.trials[lost.trial_id]}
    assert again.create_trial("a").trial_id == "0002"
    now[0] = 180.0
    assert living(again) == {"a"}
    assert again.create_trial("c").trial_id == lost.trial_id


def test_without_a_chief_what_ran_is_run_again(tmp_path):
    trial = played_oracle.make(tmp_path).create_trial("a")
    again = played_oracle.make(tmp_path, reload=True)
    assert not again.ongoing_trials
    assert again.create_trial("b").trial_id == trial.trial_id


def test_the_chief_ends_where_the_last_worker_dies_after_a_failure(timed):
    made, now = timed
    lost = made.create_trial("b")
    for _ in range(3):
        played_oracle.play(made, made.create_trial("a"), "FAILED")
    assert made.create_trial("a").status == "STOPPED"
    assert not oracle_chief.exit_chief(made)
    now[0] = 60.0
    made.forget_silent()
    assert oracle_chief.exit_chief(made)
    assert lost.trial_id not in made.end_order  # Others run it again.


def test_a_trial_that_is_lost_on_the_way_is_run_again(tmp_path):
    made = played_oracle.make(tmp_path)
    trial = made.create_trial("a")
    made.ongoing_trials = {}  # Neither running, nor waiting, nor ended.
    made.save()
    again = played_oracle.make(tmp_path, reload=True)
    assert again.create_trial("a").trial_id == trial.trial_id


def test_an_error_of_a_vital_beat_ends_the_body():
    """Even where the body waits for a lock that the beat left behind."""
    lock = threading.Lock()

    def beat():
        lock.acquire()
        raise OSError(28, "No space left on device")

    with (
        pytest.raises(OSError, match="No space left"),
        workers.beating(beat, 0.01, is_vital=True),
    ):
        while lock.acquire(timeout=10):
            lock.release()


def test_an_error_of_another_beat_is_ignored():
    called = threading.Event()

    def beat():
        called.set()
        raise OSError(28, "No space left on device")

    with workers.beating(beat, 0.01):
        assert called.wait(10)
