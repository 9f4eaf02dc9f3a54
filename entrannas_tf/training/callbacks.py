"""Callbacks that searches and retrainings share: one verb each."""

import collections
import json
import os
import shutil
import statistics
import sys
import textwrap
import time

from absl import logging

from entrannas_tf.networks.execution import profiling
from entrannas_tf.training import files, formatting, workdirs

_DRAW_SECONDS = 0.1  # Between two pictures of the bar.
_LINE_SECONDS = 30.0  # Between two lines where there is no terminal.

# Codes of terminals: go to the line's start and clear it; go up a line.
_ERASE = "\r\x1b[K"
_UP = "\x1b[1A"


class Callback:
    """Does something at fixed places of a run; by default nothing."""

    def on_begin(self, progress):
        """Called before the first step, and when a run is resumed.

        Args:
            progress: `run.Progress`.
        """

    def on_step_end(self, report):
        """Called after each step.

        Args:
            report: `run.StepReport`.
        """

    def on_epoch_end(self, report):
        """Called after each epoch, before its checkpoint is written.

        A run that is killed between the two calls it again.

        Args:
            report: `run.EpochReport`.
        """


class ShowProgress(Callback):
    """Shows a bar on a terminal, and lines where there is none.

    Args:
        num_epochs: Number of epochs of the run.
        num_steps: Number of steps of an epoch.
        stream: Text stream that the bar is drawn on if it is a terminal.
    """

    def __init__(self, num_epochs, num_steps, stream=None):
        self._num_epochs = num_epochs
        self._num_steps = num_steps
        self._stream = sys.stderr if stream is None else stream
        # Seconds from step to step, what lies between two epochs included.
        self._intervals = collections.deque(maxlen=max(num_steps, 2))
        self._last_step = None
        self._last_shown = time.monotonic()
        self._lines_above = 0

    def on_step_end(self, report):
        now = time.monotonic()
        if self._last_step is not None:
            self._intervals.append(now - self._last_step)
        self._last_step = now
        on_terminal = self._stream.isatty()
        pause = _DRAW_SECONDS if on_terminal else _LINE_SECONDS
        if now - self._last_shown < pause and report.step < self._num_steps:
            return
        if on_terminal:
            self._draw(self._step_line(report))
        elif now - self._last_shown >= pause:
            logging.info("%s", self._step_line(report))
        else:
            return
        self._last_shown = now

    def on_epoch_end(self, report):
        record = report.record
        first, *others = report.lines
        if self._stream.isatty():
            self._draw("")
        logging.info(
            "epoch %d/%d %s, %s",
            record["epoch"],
            self._num_epochs,
            formatting.duration(record["timing"]["seconds"]),
            first,
        )
        for line in others:
            logging.info("%s", line)
        self._last_shown = time.monotonic()

    def _step_line(self, report):
        return (
            f"epoch {report.epoch + 1}/{self._num_epochs} "
            f"{formatting.bar(report.step, self._num_steps)}"
            f"{self._time_left(report)}, {report.summary}"
        )

    def _time_left(self, report):
        if not self._intervals:  # The first step builds graphs.
            return ""
        in_epoch = self._num_steps - report.step
        epochs_after = self._num_epochs - report.epoch - 1
        in_all = in_epoch + epochs_after * self._num_steps
        epoch = in_epoch * statistics.median(self._intervals)
        whole = in_all * statistics.fmean(self._intervals)
        return (
            f" {formatting.duration(epoch)} left, of all "
            f"{formatting.duration(max(epoch, whole))}"
        )

    def _draw(self, text):
        """Replaces the text drawn before, on as many lines as it takes."""
        columns = shutil.get_terminal_size().columns
        lines = textwrap.wrap(text, columns - 1)
        self._stream.write(_ERASE + f"{_UP}{_ERASE}" * self._lines_above)
        self._stream.write("\n".join(lines))
        self._stream.flush()
        self._lines_above = max(len(lines) - 1, 0)


class WriteMetrics(Callback):
    """Writes a line of JSON an epoch.

    Args:
        workdir: Directory of the run.
    """

    def __init__(self, workdir):
        self._path = os.path.join(workdir, workdirs.METRICS_FILE)

    def on_begin(self, progress):
        files.truncate_lines(self._path, progress.epoch)

    def on_epoch_end(self, report):
        files.append_line(self._path, json.dumps(report.record))


class Profile(Callback):
    """Says where a step's time goes, and writes a trace for TensorBoard.

    The first steps, which build graphs, are left out. Steps are measured
    first and traced later, as a trace slows them down.

    Args:
        workdir: Directory of the run.
    """

    _FIRST, _TIMED, _TRACED = 2, 5, 2  # Numbers of steps.

    def __init__(self, workdir):
        self._logdir = os.path.join(workdir, "tensorboard")
        self._num_steps = 0

    def on_step_end(self, report):
        self._num_steps += 1
        timed = self._FIRST + self._TIMED
        if self._num_steps == self._FIRST:
            profiling.start()
        elif self._num_steps == timed:
            seconds = profiling.stop()
            for line in profiling.table(seconds, self._TIMED):
                logging.info("profile  %s", line)
            profiling.start_trace(self._logdir)
        elif self._num_steps == timed + self._TRACED:
            profiling.stop_trace()
            logging.info(
                "profile  trace of %d steps: tensorboard --logdir=%s",
                self._TRACED,
                self._logdir,
            )

    def on_epoch_end(self, report):
        """Gives up where an epoch ends before all is measured."""
        needed = self._FIRST + self._TIMED + self._TRACED
        if self._num_steps < needed:
            logging.warning(
                "profile  an epoch has %d steps, too few; expected %d or more",
                self._num_steps,
                needed,
            )
            profiling.abandon()
        self._num_steps = needed


def usual(run, workdir, profile):
    """Returns the callbacks of every run; `profile` adds `Profile`."""
    show = ShowProgress(run.settings.epochs, run.num_steps)
    made = [show, WriteMetrics(workdir)]
    return [*made, Profile(workdir)] if profile else made
