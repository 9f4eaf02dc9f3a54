"""A chief and its workers, which may die: heartbeats, and whose trials go on.

Workers let the chief hear of them now and then; what a silent one ran goes to
another.
"""

import contextlib
import json
import os
import threading
import time

import grpc
import keras_tuner
from absl import logging
from keras_tuner.engine import trial as trial_lib

from entrannas_tf.training import files, interruptions
from entrannas_tf.tuning import trials as trials_lib

# What tells Keras-Tuner of a chief and its workers.
_IP, _PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
_TUNER_ID = "KERASTUNER_TUNER_ID"

_MAX_LOSSES = 3  # Of workers by one trial, which is then taken for the cause.


class Heartbeats:
    """When each of several workers was last heard of.

    Args:
        timeout_seconds: Time after which a silent one is taken for dead, more
            than 0.

    Attributes:
        clock: Returns the time in seconds.

    Raises:
        ValueError: If the time is not more than 0.
    """

    def __init__(self, timeout_seconds):
        if timeout_seconds <= 0:
            raise ValueError(
                f"timeout_seconds is {timeout_seconds}; expected more than 0."
            )
        self.timeout_seconds = timeout_seconds
        self.clock = time.monotonic
        self._heard = {}

    def hear(self, name, seconds=0.0):
        """Takes note that a worker is alive, or will be in so many seconds."""
        self._heard[name] = self.clock() + seconds

    def is_silent(self, name):
        """Returns whether a worker has not been heard of for too long."""
        latest = self.clock() - self.timeout_seconds
        return self._heard.get(name, latest) <= latest


def is_chief():
    """Whether this process serves Keras-Tuner's oracle to workers.

    Raises:
        ValueError: If the environment says where the chief is and no more.
    """
    return _has_chief() and "chief" in os.environ[_TUNER_ID]


def is_worker():
    """Whether this process is one of Keras-Tuner's workers.

    Raises:
        ValueError: As `is_chief`.
    """
    return _has_chief() and "chief" not in os.environ[_TUNER_ID]


def chief_address():
    """Returns "HOST:PORT" of the chief, where there is one."""
    return f"{os.environ[_IP]}:{os.environ[_PORT]}"


def _has_chief():
    if _IP not in os.environ:
        return False
    for name, example in ((_PORT, "8000"), (_TUNER_ID, "chief or worker0")):
        if not os.environ.get(name):
            raise ValueError(
                f"{_IP} is set and {name} is not; set it, such as to "
                f"{example}, or unset the other to work alone."
            )
    return True


@contextlib.contextmanager
def beating(beat, seconds):
    """Calls a function now and then, on a thread, while the body runs.

    Args:
        beat: Called without arguments. Its errors are passed over: whoever
            waits for it will notice the silence.
        seconds: Time between two calls.
    """
    ended = threading.Event()

    def run():
        while not ended.wait(seconds):
            try:
                beat()
            except Exception as error:
                logging.debug("No heartbeat: %s", error)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    finally:
        ended.set()  # Not waited for: it may hang on a chief that is gone.


class HeartbeatOracle(keras_tuner.Oracle):
    """Misses workers that are silent, and goes on when it was killed itself.

    Args:
        timeout_seconds: Time after which a worker that is not heard of is
            taken for dead, and its trial goes to another.
        **kwargs: Of `keras_tuner.Oracle`.

    Attributes:
        heartbeats: The `Heartbeats` of the workers.

    Raises:
        ValueError: If the time is not more than 0.
    """

    def __init__(self, timeout_seconds, **kwargs):
        super().__init__(**kwargs)
        self.heartbeats = Heartbeats(timeout_seconds)
        self._losses = {}  # Id of a trial: workers that died with it.
        # Keras-Tuner makes the lock when it is first used; two threads that do
        # so at once would have a lock each.
        self._hear_of(None)

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """Returns the next trial of a tuner, or the one that it has."""
        self._hear_from(tuner_id)
        if self._retry_queue and tuner_id not in self._ongoing_trials:
            # With what it reported before, it could not end otherwise.
            trial = self.trials[self._retry_queue[-1]]
            trial.metrics = type(trial.metrics)()
            trial.score = trial.message = None
            trial.hyperparameters.values.pop(trials_lib.ERROR, None)
        return super().create_trial(tuner_id)

    def _hear_from(self, tuner_id):
        """Takes note that a worker is there, and which ones are not."""
        self.heartbeats.hear(tuner_id)
        self._forget_silent()

    def get_trial(self, trial_id):
        """Returns a trial, and takes note that its tuner is alive."""
        self._hear_of(trial_id)
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def _hear_of(self, trial_id):
        for tuner_id, trial in self._ongoing_trials.items():
            if trial.trial_id == trial_id:
                self.heartbeats.hear(tuner_id)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        """Ends a trial, or has it run again.

        One that is still running is given back: its worker ends in good order,
        and another goes on with it.
        """
        self._hear_of(trial.trial_id)
        if trial.trial_id in self.end_order:
            # By another, when this tuner was taken for dead.
            self._take(trial.trial_id)
            return
        if trial.status == trial_lib.TrialStatus.RUNNING:
            if self._take(trial.trial_id):
                self._retry_queue.append(trial.trial_id)
                self.save()
            return
        if trial.trial_id in self._retry_queue:  # Likewise, not yet begun.
            self._retry_queue.remove(trial.trial_id)
        if trial.trial_id not in self._display.trial_start:
            # That is not in the file of a trial's beginning.
            self._display.on_trial_begin(self.trials[trial.trial_id])
        super().end_trial(trial)

    def _take(self, trial_id):
        """Takes a trial from its workers; returns whether there are any."""
        found = [
            tuner_id
            for tuner_id, trial in self._ongoing_trials.items()
            if trial.trial_id == trial_id
        ]
        for tuner_id in found:
            del self._ongoing_trials[tuner_id]
        return bool(found)

    @property
    def tuner_ids(self):
        """Ids of the workers that are alive, a set; the chief waits for them.

        To read it, as the chief does to know when to end, takes their trials
        from workers that are taken for dead.
        """
        self._forget_silent()
        return self._tuner_ids

    @tuner_ids.setter
    def tuner_ids(self, ids):
        self._tuner_ids = ids

    @property
    def ongoing_trials(self):
        """What each worker runs, {its id: `Trial`}.

        To read it does what reading `tuner_ids` does.
        """
        self._forget_silent()
        return self._ongoing_trials

    @ongoing_trials.setter
    def ongoing_trials(self, trials):
        self._ongoing_trials = trials

    def _forget_silent(self):
        """Takes their trials from workers that are taken for dead."""
        known = sorted({*self._tuner_ids, *self._ongoing_trials})
        silent = list(filter(self.heartbeats.is_silent, known))
        self._tuner_ids.difference_update(silent)
        lost = [name for name in silent if name in self._ongoing_trials]
        for tuner_id in lost:
            self._lose(self._ongoing_trials.pop(tuner_id), tuner_id)
        if lost:
            self.save()

    def _lose(self, trial, tuner_id):
        if trial.trial_id in self.end_order:
            return  # By another worker, to which it went.
        logging.warning(
            "Worker %s has not been heard of for %g seconds; its trial %s "
            "goes to another.",
            tuner_id,
            self.heartbeats.timeout_seconds,
            trial.trial_id,
        )
        losses = self._losses.get(trial.trial_id, 0) + 1
        self._losses[trial.trial_id] = losses
        if losses < _MAX_LOSSES:
            self._retry_queue.append(trial.trial_id)
        else:
            trial.status = trial_lib.TrialStatus.FAILED
            error = f"{losses} workers died with it."
            trial.hyperparameters.values[trials_lib.ERROR] = error
            self.end_order.append(trial.trial_id)
            self._save_trial(trial)

    def get_state(self):
        return {
            **super().get_state(),
            "tried_so_far": sorted(self._tried_so_far),  # The same each time.
            "losses": self._losses,
        }

    def set_state(self, state):
        super().set_state(state)
        self._losses = state["losses"]
        # Nobody has been heard of yet: to read it would take them for lost.
        self._resumed, self._ongoing_trials = self._ongoing_trials, {}

    def reload(self):
        """Goes on from the files, whenever the process before was killed."""
        super().reload()
        begun = set(self.start_order)  # Without the last one, if cut short.
        self.trials = {k: t for k, t in self.trials.items() if k in begun}
        resumed = self._resumed if is_chief() else {}
        for tuner_id, trial in resumed.items():
            if trial.trial_id not in self.end_order:
                # Its worker may have gone on meanwhile.
                self._ongoing_trials[tuner_id] = trial
                self._tuner_ids.add(tuner_id)
                # gRPC calls a chief that is away at up to 2 minutes' distance.
                grace = 2 * self.heartbeats.timeout_seconds
                self.heartbeats.hear(tuner_id, grace)
                self._display.on_trial_begin(trial)
        # All else that has begun is to be run again.
        kept = {*self.end_order, *(t.trial_id for t in resumed.values())}
        waiting = dict.fromkeys([*self._retry_queue, *self.start_order])
        self._retry_queue = [k for k in waiting if k not in kept]

    def save(self):
        files.write_text(self._get_oracle_fname(), json.dumps(self.get_state()))

    def _save_trial(self, trial):
        directory = self._get_trial_dir(trial.trial_id)
        path = os.path.join(directory, "trial.json")
        files.write_text(path, json.dumps(trial.get_state()))


class Preempted(keras_tuner.errors.FatalError, interruptions.Preempted):
    """The process got SIGTERM; the trial goes on elsewhere, or later."""


class ChiefLost(keras_tuner.errors.FatalError, interruptions.WorkerLost):
    """The chief is gone; what the trial came to is in its workdir.

    Args:
        error: The `grpc.RpcError` of a call to the chief.
    """

    def __init__(self, error):
        silent = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
        words, remedy = "failed", "See what it says; then start"
        if error.code() in silent:
            words, remedy = "does not answer", "Start"
        super().__init__(
            f"The chief at {chief_address()} {words} "
            f"({error.code().name}: {error.details()}). {remedy} it, and this "
            "worker again, with the same commands."
        )
