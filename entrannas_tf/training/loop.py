"""Epochs and steps, from the newest checkpoint on: of a search or a training.

A `run.Run` says what a step needs and what is reported; this module takes care
that a run may be killed at any moment.
"""

import contextlib
import math
import os
import time

import tensorflow as tf
from absl import logging

from entrannas_tf.networks.execution import profiling
from entrannas_tf.training import checkpoints, distribution, interruptions


class TrainingLoop:
    """Runs epochs to their end.

    Args:
        run: A `run.Run`, at its start. Its settings say how many epochs there
            are, and when to evaluate, to read the metrics and to save.
        workdir: Directory of the run, which holds that of the checkpoints.
        callbacks: Sequence of `callbacks.Callback`. The chief alone calls them.
        make_batches: Maps the number of epochs done, and of steps done in the
            next, to an iterable of batches for the trainer's `train_step`.
        start: Value of `time.monotonic` when the program was started.
    """

    def __init__(self, run, workdir, callbacks, make_batches, start):
        self._run = run
        self._settings = run.settings
        self._directory = os.path.join(workdir, checkpoints.DIRECTORY)
        self._make_batches = make_batches
        self._start = start
        self._strategy = run.trainer.distribute_strategy
        self._is_chief = distribution.is_chief(self._strategy)
        self._is_alone = distribution.num_workers(self._strategy) == 1
        self._callbacks = callbacks if self._is_chief else ()
        self._progress = None
        self._metrics = None

    def run(self):
        """Runs what is left.

        Returns:
            The `run.Progress` at the end.

        Raises:
            FloatingPointError: If a loss or a variable is not finite.
            OSError: If a file cannot be written.
            interruptions.Preempted: If the process was told to end; it writes
                a checkpoint first.
            RuntimeError: If replicas have come apart.
        """
        run = self._run
        saved = checkpoints.restore(
            self._directory, run.variables, self._strategy
        )
        self._progress = progress = run.make_progress(saved)
        if saved is not None:
            logging.info(
                "Resumes after %d epochs and %d steps of the next.",
                progress.epoch,
                progress.step,
            )
        self._start -= progress.elapsed_seconds
        for callback in self._callbacks:
            callback.on_begin(progress)
        while progress.epoch < self._settings.epochs:
            self._run_steps()
            scores = self._evaluate()
            self._stop_clock()
            with self._advised():
                report = run.report_epoch(progress, scores)
            for callback in self._callbacks:
                callback.on_epoch_end(report)
            run.end_epoch(progress, report)
            self._save()
            if progress.epoch < self._settings.epochs and self._is_to_stop():
                raise interruptions.Preempted
        return progress

    def _run_steps(self):
        """Runs the steps that are left of the epoch."""
        run, progress = self._run, self._progress
        run.prepare_epoch(progress.epoch)
        if progress.step == 0:
            for metric in run.trainer.metrics:
                metric.reset_state()
        before = time.monotonic()
        batches = self._make_batches(progress.epoch, progress.step)
        for batch in distribution.batches(self._strategy, batches):
            run.prepare_step(self._num_steps_done())
            self._take_step(batch)
            looks = self._metrics is None or self._is_nth(
                self._settings.read_every_steps, self._progress.step + 1
            )
            if looks:
                self._look()
            run.end_step(progress, time.monotonic() - before)
            report = run.report_step(progress, self._metrics)
            for callback in self._callbacks:
                callback.on_step_end(report)
            self._save_or_stop(looks)
            before = time.monotonic()

    def _is_nth(self, every, step):
        """Whether a step of the epoch is the last, or a multiple."""
        return step == self._run.num_steps or step % every == 0

    def _save_or_stop(self, looked):
        """Writes a checkpoint where it is due, or the process is to end."""
        stops = (looked or self._is_alone) and self._is_to_stop()
        every = self._settings.checkpoint_every_steps
        if stops or (every and self._num_steps_done() % every == 0):
            self._save()
        if stops:
            raise interruptions.Preempted

    def _is_to_stop(self):
        """Whether a worker was told to end; all ask at the same step."""
        return distribution.any_worker(self._strategy, interruptions.is_due())

    def _take_step(self, batch):
        try:
            self._run.trainer.train_step(batch)
        except tf.errors.OpError:
            raise
        except Exception:
            # A NaN may break a step before it is over.
            self._look()
            raise

    def _look(self):
        """Reads the metrics, which waits for the devices, and checks them."""
        run = self._run
        with profiling.Part(profiling.READING):
            self._metrics = run.read_metrics()
        for name in run.losses:
            if not math.isfinite(self._metrics[name]):
                raise FloatingPointError(
                    f"The {name} is {self._metrics[name]} in epoch "
                    f"{self._progress.epoch + 1}, step "
                    f"{self._progress.step + 1} or shortly before. "
                    f"{self._advice()}"
                )
        run.check_replicas()

    def _evaluate(self):
        """Returns the scores of the epoch that ends, {} if none are due."""
        epoch = self._progress.epoch + 1
        if (
            epoch % self._settings.eval_every_epochs
            and epoch != self._settings.epochs
        ):
            return {}
        return self._run.evaluate()

    def _advice(self):
        return (
            f"The last good checkpoint stays in {self._directory}. "
            f"{self._run.remedy}"
        )

    def _num_steps_done(self):
        return self._progress.epoch * self._run.num_steps + self._progress.step

    def _stop_clock(self):
        self._progress.elapsed_seconds = time.monotonic() - self._start

    def _save(self):
        self._stop_clock()
        with self._advised():
            arrays = checkpoints.values(self._run.variables)
            if self._is_chief:
                checkpoints.save(
                    self._directory,
                    self._num_steps_done(),
                    arrays,
                    self._progress.to_dict(),
                    self._settings.checkpoints_to_keep,
                )

    @contextlib.contextmanager
    def _advised(self):
        """Adds to errors of variables where they arose and what to do."""
        try:
            yield
        except FloatingPointError as error:
            progress = self._progress
            raise FloatingPointError(
                f"Epoch {progress.epoch + 1}, step {progress.step}: {error} "
                f"{self._advice()}"
            ) from None
