"""The course of a search: its rates, its temperature, its reports."""

from entrannas_tf.search import progress as search_progress
from entrannas_tf.training import checkpoints
from entrannas_tf.training import run as training_run


class SearchCourse(training_run.Course):
    """A search, for `training_loop.TrainingLoop`.

    Args:
        trainer: `search_step.SearchTrainer` at the search's start.
        batch_size: Images of each of a step's two batches.
        learning_rate: Maps the number of steps done since the search began to
            the weights' learning rate.
        architecture_learning_rate: The same for alpha and beta.
        temperature: Maps the number of epochs done to tau.
        skip_dropout_rate: Likewise, to the rate of the trainer's
            `skip_dropout`; without that it does not act.
        evaluate: Called without arguments, returns what
            `search_evaluation.accuracies` does.
        draw: Maps the number of steps done to the `Genotype` that the next one
            runs, in a random search: alpha then takes no steps. None for a
            search by gradients.
    """

    losses = ("loss", "validation_loss")
    remedy = (
        "Search again in another workdir with a lower "
        "search.weight_learning_rate or search.architecture_learning_rate."
    )

    def __init__(
        self,
        trainer,
        *,
        batch_size,
        learning_rate,
        architecture_learning_rate,
        temperature,
        evaluate,
        draw=None,
        skip_dropout_rate=None,
    ):
        variables = checkpoints.search_variables(trainer)
        super().__init__(trainer, variables, evaluate)
        self._batch_size = batch_size
        self._learning_rate = learning_rate
        self._architecture_learning_rate = architecture_learning_rate
        self._temperature = temperature
        self._draw = draw
        self._skip_dropout_rate = skip_dropout_rate

    def make_progress(self, saved):
        if saved is not None:
            return search_progress.Progress.from_dict(saved)
        genotype = self.trainer.derive()
        return search_progress.Progress(before=genotype, genotype=genotype)

    def prepare_epoch(self, epoch):
        trainer = self.trainer
        trainer.architecture.temperature.assign(self._temperature(epoch))
        if trainer.skip_dropout is not None:
            trainer.skip_dropout.rate.assign(self._skip_dropout_rate(epoch))

    def prepare_step(self, num_steps):
        trainer = self.trainer
        trainer.weight_optimizer.learning_rate = self._learning_rate(num_steps)
        if self._draw is not None:
            trainer.holds_architecture = True
            trainer.architecture.settle(self._draw(num_steps))
            return
        # At a rate of 0 Adam's moments gather: steps without a past are large.
        trainer.architecture_optimizer.learning_rate = (
            self._architecture_learning_rate(num_steps)
        )

    def check_replicas(self):
        self.trainer.check_replicas()

    def end_step(self, progress, seconds):
        progress.end_step(seconds, self.trainer.genotype)

    def report_step(self, progress, metrics):
        return search_progress.StepReport(
            progress.epoch,
            progress.step,
            metrics,
            self._temperature(progress.epoch),
            self.trainer.genotype,
        )

    def report_epoch(self, progress, scores):
        return search_progress.report_epoch(
            self.trainer,
            progress,
            {**self.read_metrics(), **scores},
            self._batch_size,
        )

    def end_epoch(self, progress, report):
        progress.end_epoch(report.genotype)
