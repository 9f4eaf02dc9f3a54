"""The epochs and steps of a search, from its newest checkpoint on."""

import math
import time

from absl import logging

from entrannas_tf import checkpoints, search_progress


class SearchLoop:
    """Runs a search to its end.

    Args:
        trainer: `search_trainer.SearchTrainer` at the search's start.
        directory: Directory of the checkpoints, which exists.
        callbacks: Sequence of `callbacks.Callback`.
        num_epochs: Number of epochs.
        num_steps: Number of steps of an epoch.
        batch_size: Images of each of a step's two batches.
        make_batches: Maps the number of epochs done, and of steps done in the
            next, to an iterable of what `trainer.train_step` takes.
        learning_rate: Maps the number of steps done since the search began to
            the weights' learning rate.
        architecture_learning_rate: The same for alpha and beta.
        temperature: Maps the number of epochs done to tau.
        evaluate: Maps the number of epochs done, that which ends included, to
            what `evaluation.accuracies` returns, or to {}.
        checkpoint_every_steps: Steps between checkpoints beside the one at
            the end of each epoch; 0 for that one alone.
        checkpoints_to_keep: Number of checkpoints that stay.
        start: What `time.monotonic` was when the program was started.
    """

    def __init__(
        self,
        trainer,
        directory,
        callbacks,
        *,
        num_epochs,
        num_steps,
        batch_size,
        make_batches,
        learning_rate,
        architecture_learning_rate,
        temperature,
        evaluate,
        checkpoint_every_steps,
        checkpoints_to_keep,
        start,
    ):
        self._trainer = trainer
        self._directory = directory
        self._callbacks = callbacks
        self._num_epochs = num_epochs
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._make_batches = make_batches
        self._learning_rates = learning_rate, architecture_learning_rate
        self._temperature = temperature
        self._evaluate = evaluate
        self._checkpoint_every_steps = checkpoint_every_steps
        self._checkpoints_to_keep = checkpoints_to_keep
        self._start = start
        self._variables = checkpoints.search_variables(trainer)
        self._progress = None

    def run(self):
        """Runs what is left of the search.

        Returns:
            The `genotypes.Genotype` at the end.

        Raises:
            FloatingPointError: If a loss or a weight is not finite.
            OSError: If a file cannot be written.
        """
        self._progress = progress = self._restore()
        self._start -= progress.elapsed_seconds
        for callback in self._callbacks:
            callback.on_search_begin(progress)
        while progress.epoch < self._num_epochs:
            self._run_steps()
            report = self._report_epoch()
            for callback in self._callbacks:
                callback.on_epoch_end(report)
            progress.end_epoch(report.genotype)
            self._save()
        return progress.before

    def _restore(self):
        """Returns where the search stands, its variables put back."""
        saved = checkpoints.restore(self._directory, self._variables)
        if saved is None:
            genotype = self._trainer.derive()
            return search_progress.Progress(before=genotype, genotype=genotype)
        progress = search_progress.from_dict(saved)
        logging.info(
            "Goes on after %d epochs and %d steps of the next.",
            progress.epoch,
            progress.step,
        )
        return progress

    def _run_steps(self):
        """Runs the steps that are left of the epoch."""
        progress, trainer = self._progress, self._trainer
        temperature = self._temperature(progress.epoch)
        trainer.architecture.temperature.assign(temperature)
        if progress.step == 0:
            for metric in trainer.metrics:
                metric.reset_state()
        before = time.monotonic()
        for batch in self._make_batches(progress.epoch, progress.step):
            metrics = self._take_step(batch)
            now = time.monotonic()
            progress.end_step(trainer.genotype, now - before)
            report = search_progress.StepReport(
                progress.epoch,
                progress.step,
                metrics,
                temperature,
                trainer.genotype,
            )
            for callback in self._callbacks:
                callback.on_step_end(report)
            every = self._checkpoint_every_steps
            if every and self._num_steps_done() % every == 0:
                self._save()
            before = time.monotonic()

    def _take_step(self, batch):
        """Takes a step; returns {name: float}, the epoch's means so far."""
        trainer = self._trainer
        optimizers = trainer.weight_optimizer, trainer.architecture_optimizer
        for optimizer, rate in zip(
            optimizers, self._learning_rates, strict=True
        ):
            optimizer.learning_rate = rate(self._num_steps_done())
        try:
            metrics = trainer.train_step(batch)
        except Exception:
            # A NaN may break the derivation before the step is over.
            self._check({m.name: m.result() for m in trainer.metrics})
            raise
        return self._check(metrics)

    def _check(self, metrics):
        """Returns metrics as floats; raises if a loss is not finite."""
        metrics = {name: float(value) for name, value in metrics.items()}
        for name in ("loss", "validation_loss"):
            if not math.isfinite(metrics[name]):
                raise FloatingPointError(
                    f"The {name} is {metrics[name]} in epoch "
                    f"{self._progress.epoch + 1}, step "
                    f"{self._progress.step + 1}. {self._advice()}"
                )
        return metrics

    def _advice(self):
        return (
            f"The last good checkpoint stays in {self._directory}. Search "
            "again in another workdir with a lower "
            "search.weight_learning_rate or "
            "search.architecture_learning_rate."
        )

    def _report_epoch(self):
        progress = self._progress
        accuracies = self._evaluate(progress.epoch + 1)
        progress.elapsed_seconds = time.monotonic() - self._start
        return search_progress.report_epoch(
            self._trainer, progress, accuracies, self._batch_size
        )

    def _num_steps_done(self):
        return self._progress.epoch * self._num_steps + self._progress.step

    def _save(self):
        progress = self._progress
        progress.elapsed_seconds = time.monotonic() - self._start
        try:
            checkpoints.save(
                self._directory,
                self._num_steps_done(),
                self._variables,
                progress.to_dict(),
                self._checkpoints_to_keep,
            )
        except FloatingPointError as error:
            raise FloatingPointError(
                f"Epoch {progress.epoch + 1}, step {progress.step}: {error} "
                f"{self._advice()}"
            ) from None
