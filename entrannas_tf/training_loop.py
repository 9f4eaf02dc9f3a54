"""Epochs and steps, from the newest checkpoint on: of a search or a training.

A `Course` says what a step needs and what is reported; that a run may be killed
at any moment is taken care of here.
"""

import contextlib
import dataclasses
import math
import time

from absl import logging

from entrannas_tf import checkpoints


@dataclasses.dataclass(kw_only=True)
class Progress:
    """Where a run stands, beside its variables.

    Attributes:
        epoch: Number of epochs done.
        step: Number of steps done of the epoch that runs.
        epoch_seconds: Time that these took.
        elapsed_seconds: Time that the run took, all starts together.
    """

    epoch: int = 0
    step: int = 0
    epoch_seconds: float = 0.0
    elapsed_seconds: float = 0.0

    def end_step(self, seconds):
        """Counts a step that took this long."""
        self.step += 1
        self.epoch_seconds += seconds

    def end_epoch(self):
        """Goes to the start of the next epoch."""
        self.epoch += 1
        self.step = 0
        self.epoch_seconds = 0.0

    def to_dict(self):
        """Returns it as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Returns what `to_dict` described."""
        return cls(**values)


class Course:
    """What a `TrainingLoop` follows: a search, or a training.

    Args:
        trainer: What takes the steps: `train_step` of a batch returns
            {name: scalar tensor}, `metrics` are the `keras.metrics` of an
            epoch.
        variables: {name: variable}, all that changes while it trains.
        evaluate: Measures the network: called without arguments, returns
            {name: float}.
    """

    # Names of the metrics that must be finite, and what to do if one is not.
    losses = ("loss",)
    remedy = ""

    def __init__(self, trainer, variables, evaluate):
        self.trainer = trainer
        self.variables = variables
        self.evaluate = evaluate

    def make_progress(self, saved):
        """Returns the `Progress` at the start, or that of a checkpoint.

        Args:
            saved: What its `to_dict` gave; None at the start.
        """
        raise NotImplementedError

    def prepare_epoch(self, epoch):
        """Sets what is the same for all steps after so many epochs."""

    def prepare_step(self, num_steps):
        """Sets what changes from step to step, after so many of all steps."""

    def end_step(self, progress, metrics, seconds):
        """Counts a step; returns the report that callbacks get of it.

        Args:
            progress: The `Progress` to count it in.
            metrics: {name: float}, the epoch's means so far.
            seconds: Time that the step took.
        """
        raise NotImplementedError

    def report_epoch(self, progress, scores):
        """Returns the report of an epoch whose last step is done.

        Args:
            progress: The `Progress`, not yet at the next epoch.
            scores: What `evaluate` gave; {} where it was not due.
        """
        raise NotImplementedError

    def end_epoch(self, progress, report):
        """Goes to the start of the next epoch."""
        del report
        progress.end_epoch()


class TrainingLoop:
    """Runs epochs to their end.

    Args:
        course: A `Course`, at its start.
        directory: Directory of the checkpoints, which exists.
        callbacks: Sequence of `callbacks.Callback`.
        num_epochs: Number of epochs.
        num_steps: Number of steps of an epoch.
        make_batches: Maps the number of epochs done, and of steps done in the
            next, to an iterable of what the trainer's `train_step` takes.
        eval_every_epochs: Epochs between evaluations; the last epoch is always
            evaluated.
        checkpoint_every_steps: Steps between checkpoints beside the one at
            the end of each epoch; 0 for that one alone.
        checkpoints_to_keep: Number of checkpoints that stay.
        start: What `time.monotonic` was when the program was started.
    """

    def __init__(
        self,
        course,
        directory,
        callbacks,
        *,
        num_epochs,
        num_steps,
        make_batches,
        eval_every_epochs,
        checkpoint_every_steps,
        checkpoints_to_keep,
        start,
    ):
        self._course = course
        self._directory = directory
        self._callbacks = callbacks
        self._num_epochs = num_epochs
        self._num_steps = num_steps
        self._make_batches = make_batches
        self._eval_every_epochs = eval_every_epochs
        self._checkpoint_every_steps = checkpoint_every_steps
        self._checkpoints_to_keep = checkpoints_to_keep
        self._start = start
        self._progress = None

    def run(self):
        """Runs what is left.

        Returns:
            The `Progress` at the end.

        Raises:
            FloatingPointError: If a loss or a variable is not finite.
            OSError: If a file cannot be written.
        """
        course = self._course
        saved = checkpoints.restore(self._directory, course.variables)
        self._progress = progress = course.make_progress(saved)
        if saved is not None:
            logging.info(
                "Goes on after %d epochs and %d steps of the next.",
                progress.epoch,
                progress.step,
            )
        self._start -= progress.elapsed_seconds
        for callback in self._callbacks:
            callback.on_begin(progress)
        while progress.epoch < self._num_epochs:
            self._run_steps()
            scores = self._evaluate()
            self._stop_clock()
            with self._advised():
                report = course.report_epoch(progress, scores)
            for callback in self._callbacks:
                callback.on_epoch_end(report)
            course.end_epoch(progress, report)
            self._save()
        return progress

    def _run_steps(self):
        """Runs the steps that are left of the epoch."""
        course, progress = self._course, self._progress
        course.prepare_epoch(progress.epoch)
        if progress.step == 0:
            for metric in course.trainer.metrics:
                metric.reset_state()
        before = time.monotonic()
        for batch in self._make_batches(progress.epoch, progress.step):
            course.prepare_step(self._num_steps_done())
            metrics = self._take_step(batch)
            seconds = time.monotonic() - before
            report = course.end_step(progress, metrics, seconds)
            for callback in self._callbacks:
                callback.on_step_end(report)
            every = self._checkpoint_every_steps
            if every and self._num_steps_done() % every == 0:
                self._save()
            before = time.monotonic()

    def _take_step(self, batch):
        """Takes a step; returns {name: float}, the epoch's means so far."""
        trainer = self._course.trainer
        try:
            metrics = trainer.train_step(batch)
        except Exception:
            # A NaN may break a step before it is over.
            self._check({m.name: m.result() for m in trainer.metrics})
            raise
        return self._check(metrics)

    def _check(self, metrics):
        """Returns metrics as floats; raises if a loss is not finite."""
        metrics = {name: float(value) for name, value in metrics.items()}
        for name in self._course.losses:
            if not math.isfinite(metrics[name]):
                raise FloatingPointError(
                    f"The {name} is {metrics[name]} in epoch "
                    f"{self._progress.epoch + 1}, step "
                    f"{self._progress.step + 1}. {self._advice()}"
                )
        return metrics

    def _evaluate(self):
        """Returns the scores of the epoch that ends, {} if none are due."""
        epoch = self._progress.epoch + 1
        if epoch % self._eval_every_epochs and epoch != self._num_epochs:
            return {}
        return self._course.evaluate()

    def _advice(self):
        return (
            f"The last good checkpoint stays in {self._directory}. "
            f"{self._course.remedy}"
        )

    def _num_steps_done(self):
        return self._progress.epoch * self._num_steps + self._progress.step

    def _stop_clock(self):
        self._progress.elapsed_seconds = time.monotonic() - self._start

    def _save(self):
        self._stop_clock()
        with self._advised():
            checkpoints.save(
                self._directory,
                self._num_steps_done(),
                self._course.variables,
                self._progress.to_dict(),
                self._checkpoints_to_keep,
            )

    @contextlib.contextmanager
    def _advised(self):
        """Says when a variable is not finite, and what to do about it."""
        try:
            yield
        except FloatingPointError as error:
            progress = self._progress
            raise FloatingPointError(
                f"Epoch {progress.epoch + 1}, step {progress.step}: {error} "
                f"{self._advice()}"
            ) from None
