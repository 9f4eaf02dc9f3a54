"""A chief and its workers, which may die; their trials then go to others.

Workers send the chief a heartbeat now and then.
"""

import contextlib
import json
import os
import signal
import threading
import time

import grpc
import keras_tuner
from absl import logging
from keras_tuner.engine import trial as trial_lib

from entrannas_tf.training import files, interruptions
from entrannas_tf.tuning import trials as trials_lib

# Variables by which Keras-Tuner knows of a chief and its workers.
_IP, _PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
_TUNER_ID = "KERASTUNER_TUNER_ID"

_MAX_LOSSES = 3  # Of workers by one trial, which is then taken as the cause.


def is_chief():
    """Returns whether this process serves Keras-Tuner's oracle to workers.

    Raises:
        ValueError: If the environment gives only the address of the chief.
    """
    return _has_chief() and "chief" in os.environ[_TUNER_ID]


def is_worker():
    """Returns whether this process is one of Keras-Tuner's workers.

    Raises:
        ValueError: If the environment gives only the address of the chief.
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
def beating(beat, seconds, is_vital=False):
    """Calls a function at intervals, on a thread, while the body runs.

    Args:
        beat: Called without arguments.
        seconds: Time between two calls.
        is_vital: Whether an error of the function ends the body, which then
            raises it. Else it is ignored: the chief notices the silence.
    """
    ended = threading.Event()
    errors = []

    def run():
        while not ended.wait(seconds):
            try:
                beat()
            except Exception as error:
                if is_vital:
                    errors.append(error)
                    # It wakes the body even where that waits for a lock.
                    main = threading.main_thread().ident
                    signal.pthread_kill(main, signal.SIGINT)
                    return
                logging.debug("No heartbeat: %s", error)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if errors:
            raise errors[0] from None
        raise
    finally:
        ended.set()  # Not waited for: it may hang on a chief that is gone.


class HeartbeatOracle(keras_tuner.Oracle):
    """Misses silent workers, and resumes after being killed itself.

    Args:
        timeout_seconds: Time after which a silent worker is taken for dead,
            more than 0. Its trial then goes to another.
        **kwargs: Arguments of `keras_tuner.Oracle`.

    Attributes:
        clock: Returns the time in seconds.

    Raises:
        ValueError: If `timeout_seconds` is not more than 0.
    """

    def __init__(self, timeout_seconds, **kwargs):
        super().__init__(**kwargs)
        if timeout_seconds <= 0:
            raise ValueError(
                f"timeout_seconds is {timeout_seconds}; expected more than 0."
            )
        self.timeout_seconds = timeout_seconds
        self.clock = time.monotonic
        self._deadlines = {}  # Id of a worker: when it is taken for dead.
        self._losses = {}  # Id of a trial: number of workers that died with it.
        # Keras-Tuner makes the lock at its first use; two threads that do so
        # at once would have a lock each.
        self._hear_of(None)

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """Returns the next trial of a tuner, or its running one."""
        self._attend(tuner_id)
        if self._retry_queue and tuner_id not in self.ongoing_trials:
            # A trial that has reported before could not end otherwise.
            trial = self.trials[self._retry_queue[-1]]
            trial.metrics = type(trial.metrics)()
            trial.score = trial.message = None
            trial.hyperparameters.values.pop(trials_lib.ERROR, None)
        return super().create_trial(tuner_id)

    def _attend(self, tuner_id):
        """Takes a heartbeat, and looks for workers that are silent."""
        self._hear(tuner_id)
        self.forget_silent()

    def _hear(self, tuner_id, timeouts=1):
        deadline = self.clock() + timeouts * self.timeout_seconds
        self._deadlines[tuner_id] = deadline

    def get_trial(self, trial_id):
        """Returns a trial, as a heartbeat of its tuner."""
        self._hear_of(trial_id)
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def _hear_of(self, trial_id):
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self._hear(tuner_id)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        """Ends a trial, or has it run again.

        A trial that is still running is given back: its worker was told to
        end, and another one goes on with it.
        """
        trial_id = trial.trial_id
        self._hear_of(trial_id)
        if trial_id in self.end_order:
            # By another worker, when this one was taken for dead.
            self._take(trial_id)
            return
        if trial.status == trial_lib.TrialStatus.RUNNING:
            if self._take(trial_id):
                self._retry_queue.append(trial_id)
                self.save()
            return
        if trial_id in self._retry_queue:
            # Its worker was taken for dead, and no other has begun it.
            self._retry_queue.remove(trial_id)
        if trial_id not in self._display.trial_start:
            # The file written when a trial begins does not have it.
            self._display.on_trial_begin(self.trials[trial_id])
        super().end_trial(trial)

    def _take(self, trial_id):
        """Takes a trial from its workers; returns whether it had any."""
        kept = {
            tuner_id: trial
            for tuner_id, trial in self.ongoing_trials.items()
            if trial.trial_id != trial_id
        }
        found = len(kept) < len(self.ongoing_trials)
        self.ongoing_trials = kept
        return found

    @keras_tuner.synchronized
    def forget_silent(self):
        """Takes their trials from workers that are taken for dead.

        The chief calls it now and then: it ends when no worker is left.
        """
        now = self.clock()
        silent = [
            tuner_id
            for tuner_id in sorted({*self.tuner_ids, *self.ongoing_trials})
            if self._deadlines.get(tuner_id, now) <= now
        ]
        self.tuner_ids.difference_update(silent)
        lost = [name for name in silent if name in self.ongoing_trials]
        for tuner_id in lost:
            self._lose(self.ongoing_trials.pop(tuner_id), tuner_id)
        if lost:
            self.save()

    def _lose(self, trial, tuner_id):
        if trial.trial_id in self.end_order:
            return  # By another worker, to which it went.
        logging.warning(
            "Worker %s has not been heard of for %g seconds; its trial %s "
            "goes to another.",
            tuner_id,
            self.timeout_seconds,
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
        # Keras-Tuner's `reload` would have all of them run again.
        self._resumed, self.ongoing_trials = self.ongoing_trials, {}

    def reload(self):
        """Resumes from the files, whenever the process before was killed."""
        super().reload()
        begun = self.start_order  # Without the last one, if cut short.
        self.trials = {k: t for k, t in self.trials.items() if k in begun}
        # The workers of a chief may have gone on meanwhile.
        self.ongoing_trials = {
            tuner_id: trial
            for tuner_id, trial in self._resumed.items()
            if is_chief() and trial.trial_id not in self.end_order
        }
        for tuner_id, trial in self.ongoing_trials.items():
            self.tuner_ids.add(tuner_id)
            # gRPC may call a chief that was away only every 2 minutes.
            self._hear(tuner_id, timeouts=3)
            self._display.on_trial_begin(trial)
        # All other trials that have begun are run again.
        running = (trial.trial_id for trial in self.ongoing_trials.values())
        kept = {*self.end_order, *running}
        waiting = dict.fromkeys([*self._retry_queue, *begun])
        self._retry_queue = [k for k in waiting if k not in kept]

    def save(self):
        files.write_text(self._get_oracle_fname(), json.dumps(self.get_state()))

    def _save_trial(self, trial):
        directory = self._get_trial_dir(trial.trial_id)
        path = os.path.join(directory, "trial.json")
        files.write_text(path, json.dumps(trial.get_state()))


class Preempted(keras_tuner.errors.FatalError, interruptions.Preempted):
    """The process got SIGTERM; another process resumes the trial."""


class ChiefLost(keras_tuner.errors.FatalError, interruptions.WorkerLost):
    """The chief is gone; the results of the trial are in its workdir.

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
