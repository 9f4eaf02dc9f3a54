"""A search as a `Run`: its rates, its temperature, its reports."""

import dataclasses

from entrannas_tf.architecture import derivation, genotypes
from entrannas_tf.training import checkpoints, schedules
from entrannas_tf.training import run as training_run

_GENOTYPES = "before", "genotype"  # The fields that hold one.


@dataclasses.dataclass(kw_only=True)
class Progress(training_run.Progress):
    """Where a search stands, beside its variables.

    Attributes:
        before: `Genotype` at the end of the epoch before, or at the start.
        genotype: `Genotype` of the last step, or at the start.
        num_derivations: Number of steps of the current epoch whose genotype
            differs from that of the step before.
    """

    before: genotypes.Genotype
    genotype: genotypes.Genotype
    num_derivations: int = 0

    def to_dict(self):
        cells = {n: genotypes.to_json(getattr(self, n)) for n in _GENOTYPES}
        return {**vars(self), **cells}

    @classmethod
    def from_dict(cls, values):
        cells = {name: genotypes.from_json(values[name]) for name in _GENOTYPES}
        return cls(**{**values, **cells})


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochReport(training_run.EpochReport):
    """The report of a search's epoch to callbacks.

    Attributes:
        genotype: `Genotype` at the end of the epoch.
        primitives: Names of the K candidates.
        alpha: {kind of cell: float32 [E, K]}.
        coefficients: {kind of cell: float32 [E, K]}.
    """

    genotype: genotypes.Genotype
    primitives: tuple
    alpha: dict
    coefficients: dict


class SearchRun(training_run.Run):
    """A search, for `loop.TrainingLoop`.

    Args:
        trainer: `search_step.SearchTrainer` at the search's start.
        settings: `search_config.SearchConfig`.
        num_steps: Number of steps of an epoch.
        evaluate: Called without arguments; returns the accuracies as
            `search_evaluation.accuracies` does.
        draw: Callable of the number of steps done, which returns the
            `Genotype` that the next one runs, in a random search: alpha then
            takes no steps. None for a search by gradients.
    """

    losses = ("loss", "validation_loss")
    remedy = (
        "Search again in another workdir with a lower "
        "search.weight_learning_rate or search.architecture_learning_rate."
    )

    def __init__(self, trainer, settings, num_steps, evaluate, draw=None):
        variables = checkpoints.search_variables(trainer)
        super().__init__(trainer, variables, settings, num_steps, evaluate)
        self._draw = draw

    def make_progress(self, saved):
        if saved is not None:
            return Progress.from_dict(saved)
        genotype = self.trainer.derive()
        return Progress(before=genotype, genotype=genotype)

    def prepare_epoch(self, epoch):
        trainer = self.trainer
        trainer.architecture.temperature.assign(self._temperature(epoch))
        if trainer.skip_dropout is not None:
            rate = schedules.skip_dropout(
                self.settings.skip_dropout_rate,
                self.settings.architecture_warmup_epochs,
                epoch,
                self.settings.epochs,
            )
            trainer.skip_dropout.rate.assign(rate)

    def prepare_step(self, num_steps):
        trainer, settings = self.trainer, self.settings
        num_all = settings.epochs * self.num_steps
        trainer.weight_optimizer.learning_rate = schedules.cosine(
            settings.weight_learning_rate, num_steps, num_all
        )
        if self._draw is not None:
            trainer.holds_architecture = True
            trainer.architecture.fix(self._draw(num_steps))
            return
        # At a rate of 0 Adam's moments gather: steps without a past are large.
        trainer.architecture_optimizer.learning_rate = schedules.after(
            settings.architecture_warmup_epochs * self.num_steps,
            schedules.SCHEDULES[settings.architecture_schedule],
            settings.architecture_learning_rate,
            num_steps,
            num_all,
        )

    def check_replicas(self):
        self.trainer.check_replicas()

    def end_step(self, progress, seconds):
        super().end_step(progress, seconds)
        genotype = self.trainer.genotype
        progress.num_derivations += genotype != progress.genotype
        progress.genotype = genotype

    def report_step(self, progress, metrics):
        temperature = self._temperature(progress.epoch)
        line = summary(metrics, temperature, self.trainer.genotype)
        return training_run.StepReport(progress.epoch, progress.step, line)

    def report_epoch(self, progress, scores):
        trainer, architecture = self.trainer, self.trainer.architecture
        tensors = trainer.coefficients()
        coefficients = {kind: c.numpy() for kind, c in tensors.items()}
        genotype = trainer.derive(tensors)
        kinds = architecture.space.kinds
        cells = {kind: getattr(genotype, kind) for kind in kinds}
        cache = trainer.supernet.cache
        record = {
            "epoch": progress.epoch + 1,
            **self.read_metrics(),
            **scores,
            "temperature": float(architecture.temperature.numpy()),
            "learning_rate": float(
                trainer.weight_optimizer.learning_rate.numpy()
            ),
            "num_connections": _map(genotypes.num_connections, cells),
            "num_skip_connections": _map(genotypes.num_skip_connections, cells),
            "num_changed": {
                kind: genotypes.num_changed(
                    getattr(progress.before, kind), cell
                )
                for kind, cell in cells.items()
            },
            "num_derivations": progress.num_derivations,
            "mean_entropy": _map(derivation.mean_entropy, coefficients),
            "thresholds": {
                kind: t.numpy().tolist()
                for kind, t in architecture.thresholds().items()
            },
            "timing": {
                **self.timing(progress),
                # Since the program was started last.
                "num_graphs_built": cache.num_built,
                "graph_build_seconds": cache.build_seconds,
            },
        }
        line = summary(record, record["temperature"], genotype)
        if scores:
            line += (
                f", super-net {scores['supernet_accuracy']:.1%}, child network "
                f"{scores['child_accuracy']:.1%}"
            )
        return EpochReport(
            record=record,
            evaluated=bool(scores),
            lines=(line, f"  {genotype.describe('normal')}"),
            genotype=genotype,
            primitives=architecture.searched_space.primitives,
            alpha={k: alpha.numpy() for k, alpha in architecture.alpha.items()},
            coefficients=coefficients,
        )

    def end_epoch(self, progress, report):
        super().end_epoch(progress, report)
        progress.before = report.genotype
        progress.num_derivations = 0

    def _temperature(self, epoch):
        """Returns tau of Eq. 5, the same in all steps of an epoch."""
        settings = self.settings
        return settings.initial_temperature * settings.temperature_decay**epoch


def _map(function, values):
    return {kind: function(value) for kind, value in values.items()}


def summary(metrics, temperature, genotype):
    """Returns losses, accuracies, temperature and counts of connections.

    Args:
        metrics: Dict that holds `loss`, `accuracy`, `validation_loss` and
            `validation_accuracy`.
        temperature: tau of Eq. 5.
        genotype: A `Genotype`.
    """
    connections = "+".join(
        str(genotypes.num_connections(getattr(genotype, kind)))
        for kind in genotype.space.kinds
    )
    skips = genotypes.num_skip_connections(genotype.normal)
    return (
        f"{training_run.summary(metrics)}, "
        f"val {metrics['validation_loss']:.3f} "
        f"{metrics['validation_accuracy']:.1%}, tau {temperature:.3g}, "
        f"{connections} connections, {skips} skip{'' if skips == 1 else 's'}"
    )
