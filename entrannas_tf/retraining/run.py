"""A retraining as a `Run`: its rates, its reports, its best network."""

import dataclasses
import os
from typing import NamedTuple

from entrannas_tf.training import checkpoints, distribution, provenance
from entrannas_tf.training import run as training_run

BEST_FILE = "best.checkpoint"


@dataclasses.dataclass(kw_only=True)
class Progress(training_run.Progress):
    """Where a retraining stands, beside its variables.

    Attributes:
        best_epoch: Number of the epoch whose network was the most accurate on
            the test images, the first of equals; 0 before one was measured.
        best_accuracy: Its share of test images, from 0 to 1; -1 likewise.
    """

    best_epoch: int = 0
    best_accuracy: float = -1.0


class StepReport(NamedTuple):
    """What is known after a step.

    Attributes:
        epoch: Number of epochs done, this one not included.
        step: Number of steps done in this epoch, this one included.
        metrics: {name: float}, the epoch's means so far: `loss`, `accuracy`.
    """

    epoch: int
    step: int
    metrics: dict

    def summary(self):
        """Returns the step's numbers in a line."""
        return _summary(self.metrics)


class EpochReport(NamedTuple):
    """What is known after an epoch.

    Attributes:
        record: Dict that JSON can hold, a line of metrics.jsonl; what depends
            on the clock is in "timing".
    """

    record: dict

    @property
    def evaluated(self):
        """Whether the network was measured on the test images."""
        return "test_accuracy" in self.record

    def lines(self):
        """Returns the epoch's numbers in a line."""
        line = _summary(self.record)
        if self.evaluated:
            line += (
                f", test {self.record['test_accuracy']:.1%}, among five "
                f"{self.record['test_top5_accuracy']:.1%}"
            )
        return (line,)


class RetrainingRun(training_run.Run):
    """A retraining, for `training_loop.TrainingLoop`.

    Args:
        trainer: `retraining_step.RetrainTrainer` at the start.
        directory: Directory of the checkpoints, for that of the best network.
        batch_size: Images of a step.
        learning_rate: Maps the number of steps done since the start to the
            learning rate.
        drop_path_rate: Maps the number of epochs done to the share of paths
            that are dropped.
        evaluate: Called without arguments, returns what `evaluation.test`
            does.
    """

    remedy = (
        "Train again in another workdir with a lower training.learning_rate."
    )

    def __init__(
        self,
        trainer,
        directory,
        *,
        batch_size,
        learning_rate,
        drop_path_rate,
        evaluate,
    ):
        variables = checkpoints.retrain_variables(trainer)
        super().__init__(trainer, variables, evaluate)
        self._best_path = os.path.join(directory, BEST_FILE)
        self._batch_size = batch_size
        self._learning_rate = learning_rate
        self._drop_path_rate = drop_path_rate

    def make_progress(self, saved):
        return Progress() if saved is None else Progress.from_dict(saved)

    def prepare_epoch(self, epoch):
        if self.trainer.drop_path_rate is not None:
            self.trainer.drop_path_rate.assign(self._drop_path_rate(epoch))

    def prepare_step(self, num_steps):
        self.trainer.sgd.learning_rate = self._learning_rate(num_steps)

    def end_step(self, progress, seconds):
        progress.end_step(seconds)

    def report_step(self, progress, metrics):
        return StepReport(progress.epoch, progress.step, metrics)

    def report_epoch(self, progress, scores):
        accuracy = scores.get("test_accuracy", -1.0)
        if accuracy > progress.best_accuracy:
            progress.best_accuracy = accuracy
            progress.best_epoch = progress.epoch + 1
            self._save_best(progress)
        images = progress.step * self._batch_size
        return EpochReport(
            {
                "epoch": progress.epoch + 1,
                **self.read_metrics(),
                **scores,
                "learning_rate": float(self.trainer.sgd.learning_rate.numpy()),
                "drop_path_rate": self._drop_path_rate(progress.epoch),
                "timing": {
                    "seconds": progress.epoch_seconds,
                    "elapsed_seconds": progress.elapsed_seconds,
                    "images_per_second": images
                    / max(progress.epoch_seconds, 1e-9),
                    "peak_memory_mib": provenance.peak_memory_mib(),
                },
            }
        )

    def _save_best(self, progress):
        arrays = checkpoints.values(checkpoints.network_variables(self.trainer))
        if distribution.is_chief(self.trainer.distribute_strategy):
            checkpoints.write(self._best_path, arrays, progress.to_dict())


def _summary(metrics):
    return f"loss {metrics['loss']:.3f} acc {metrics['accuracy']:.1%}"
