"""A retraining as a `Run`: its rates, its reports, its best network."""

import dataclasses
import os

from entrannas_tf.training import checkpoints, distribution, schedules
from entrannas_tf.training import run as training_run

BEST_FILE = "best.checkpoint"


@dataclasses.dataclass(kw_only=True)
class Progress(training_run.Progress):
    """Where a retraining stands, beside its variables.

    Attributes:
        best_epoch: Number of the epoch whose network did best on the test
            images, the first of equals; 0 before one was measured.
        best_score: Its first score, from 0 to 1; -1 before.
    """

    best_epoch: int = 0
    best_score: float = -1.0


class RetrainingRun(training_run.Run):
    """A retraining, for `loop.TrainingLoop`.

    Args:
        trainer: `retraining_step.RetrainTrainer` at the start.
        directory: Directory of the checkpoints, for that of the best network.
        settings: `retrain_config.SgdConfig`.
        num_steps: Number of steps of an epoch.
        evaluate: Called without arguments; returns the scores as
            `evaluation.test` does.
    """

    remedy = (
        "Train again in another workdir with a lower training.learning_rate."
    )

    def __init__(self, trainer, directory, settings, num_steps, evaluate):
        variables = checkpoints.retrain_variables(trainer)
        super().__init__(trainer, variables, settings, num_steps, evaluate)
        self._best_path = os.path.join(directory, BEST_FILE)

    def make_progress(self, saved):
        return Progress() if saved is None else Progress.from_dict(saved)

    def prepare_epoch(self, epoch):
        if self.trainer.drop_path_rate is not None:
            self.trainer.drop_path_rate.assign(self._drop_path_rate(epoch))

    def prepare_step(self, num_steps):
        settings = self.settings
        self.trainer.sgd.learning_rate = schedules.warmed_up(
            settings.warmup_epochs * self.num_steps,
            schedules.SCHEDULES[settings.schedule],
            settings.learning_rate,
            num_steps,
            settings.epochs * self.num_steps,
        )

    def report_epoch(self, progress, scores):
        task = self.trainer.task
        score = scores.get(task.scores[0], -1.0)
        if score > progress.best_score:
            progress.best_score = score
            progress.best_epoch = progress.epoch + 1
            self._save_best(progress)
        record = {
            "epoch": progress.epoch + 1,
            **self.read_metrics(),
            **scores,
            "learning_rate": float(self.trainer.sgd.learning_rate.numpy()),
        }
        if self.trainer.drop_path_rate is not None:
            record["drop_path_rate"] = self._drop_path_rate(progress.epoch)
        record["timing"] = self.timing(progress)
        line = training_run.summary(record)
        if scores:
            line += f", {task.summary(scores)}"
        return training_run.EpochReport(
            record=record, evaluated=bool(scores), lines=(line,)
        )

    def _drop_path_rate(self, epoch):
        return self.settings.drop_path_rate * epoch / self.settings.epochs

    def _save_best(self, progress):
        arrays = checkpoints.values(checkpoints.network_variables(self.trainer))
        if distribution.is_chief(self.trainer.distribute_strategy):
            checkpoints.write(self._best_path, arrays, progress.to_dict())
