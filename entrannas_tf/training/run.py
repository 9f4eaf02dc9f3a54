"""A run, search or retraining, as the training loop sees it."""

import dataclasses
from typing import NamedTuple

from entrannas_tf.training import provenance


@dataclasses.dataclass(kw_only=True)
class Progress:
    """Where a run stands, beside its variables.

    Attributes:
        epoch: Number of epochs done.
        step: Number of steps done of the current epoch.
        epoch_seconds: Time that these took.
        elapsed_seconds: Time that the run took, resumed or not.
    """

    epoch: int = 0
    step: int = 0
    epoch_seconds: float = 0.0
    elapsed_seconds: float = 0.0

    def to_dict(self):
        """Returns it as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Returns the `Progress` of a dict of `to_dict`."""
        return cls(**values)


class StepReport(NamedTuple):
    """The report of a step to callbacks.

    Attributes:
        epoch: Number of epochs done, this one not included.
        step: Number of steps done in this epoch, this one included.
        summary: The epoch's means so far, in a line.
    """

    epoch: int
    step: int
    summary: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochReport:
    """The report of an epoch to callbacks.

    Attributes:
        record: Dict that JSON can hold, a line of metrics.jsonl. Numbers that
            depend on the clock, or on a resumption, are in "timing".
        evaluated: Whether the network was measured.
        lines: Tuple of its numbers in a line, and perhaps further lines.
    """

    record: dict
    evaluated: bool
    lines: tuple


class Run:
    """A search or a training, for `loop.TrainingLoop`.

    Args:
        trainer: `search_step.SearchTrainer` or `retraining_step.RetrainTrainer`
            at the start.
        variables: {name: variable}, all that changes while it trains.
        settings: Its `common_config.LoopConfig`.
        num_steps: Number of steps of an epoch.
        evaluate: Called without arguments; measures the network and returns
            {name: float}.
    """

    # Names of the metrics that must be finite, and what to do if one is not.
    losses = ("loss",)
    remedy = ""

    def __init__(self, trainer, variables, settings, num_steps, evaluate):
        self.trainer = trainer
        self.variables = variables
        self.settings = settings
        self.num_steps = num_steps
        self.evaluate = evaluate

    def make_progress(self, saved):
        """Returns the `Progress` at the start, or that of a checkpoint.

        Args:
            saved: Dict of its `to_dict`; None at the start.
        """
        raise NotImplementedError

    def prepare_epoch(self, epoch):
        """Sets what is constant in an epoch, given the number of those done."""

    def prepare_step(self, num_steps):
        """Sets what changes at each step, given the number done in all."""

    def read_metrics(self):
        """Waits for the devices; returns the epoch's means, {name: float}."""
        return {m.name: float(m.result()) for m in self.trainer.metrics}

    def check_replicas(self):
        """Raises RuntimeError if replicas have come apart."""

    def end_step(self, progress, seconds):
        """Counts a step that took this long in a `Progress`."""
        progress.step += 1
        progress.epoch_seconds += seconds

    def report_step(self, progress, metrics):
        """Returns the `StepReport` of the last step that was counted.

        Args:
            progress: The `Progress`.
            metrics: {name: float}, the last that `read_metrics` returned.
        """
        line = summary(metrics)
        return StepReport(progress.epoch, progress.step, line)

    def report_epoch(self, progress, scores):
        """Returns the `EpochReport` of an epoch whose last step is done.

        Args:
            progress: The `Progress`, not yet at the next epoch.
            scores: {name: float} of `evaluate`; {} if it was not due.
        """
        raise NotImplementedError

    def end_epoch(self, progress, report):
        """Moves a `Progress` to the start of the next epoch."""
        del report
        progress.epoch += 1
        progress.step = 0
        progress.epoch_seconds = 0.0

    def timing(self, progress):
        """Returns the times and the memory of an epoch, {name: float}."""
        images = progress.step * self.settings.batch_size
        return {
            "seconds": progress.epoch_seconds,
            "elapsed_seconds": progress.elapsed_seconds,
            "images_per_second": images / max(progress.epoch_seconds, 1e-9),
            "peak_memory_mib": provenance.peak_memory_mib(),
        }


def summary(metrics):
    """Returns the loss and the accuracy on training batches, a line."""
    return f"loss {metrics['loss']:.3f} acc {metrics['accuracy']:.1%}"
