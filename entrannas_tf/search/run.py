"""A search as a `Run`: its rates, its temperature, its reports."""

import dataclasses
from typing import NamedTuple

from entrannas_tf.architecture import derivation, genotypes
from entrannas_tf.training import checkpoints, provenance
from entrannas_tf.training import run as training_run

_GENOTYPES = "before", "genotype"  # The fields that hold one.


@dataclasses.dataclass(kw_only=True)
class Progress(training_run.Progress):
    """Where a search stands, beside its variables.

    Attributes:
        before: `Genotype` at the end of the epoch before, or at the start.
        genotype: `Genotype` of the last step, or at the start.
        num_derivations: Number of steps of the epoch that runs whose genotype
            was another than that of the step before.
    """

    before: genotypes.Genotype
    genotype: genotypes.Genotype
    num_derivations: int = 0

    def end_step(self, seconds, genotype):
        """Counts a step that took this long and ran this `Genotype`."""
        super().end_step(seconds)
        self.num_derivations += genotype != self.genotype
        self.genotype = genotype

    def end_epoch(self, genotype):
        """Goes to the start of the next epoch; this one ended so."""
        super().end_epoch()
        self.before = genotype
        self.num_derivations = 0

    def to_dict(self):
        values = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self)
        }
        cells = {name: genotypes.to_json(values[name]) for name in _GENOTYPES}
        return {**values, **cells}

    @classmethod
    def from_dict(cls, values):
        cells = {name: genotypes.from_json(values[name]) for name in _GENOTYPES}
        return cls(**{**values, **cells})


class StepReport(NamedTuple):
    """What is known after a step.

    Attributes:
        epoch: Number of epochs done, this one not included.
        step: Number of steps done in this epoch, this one included.
        metrics: {name: float}, the epoch's means so far: `loss`, `accuracy`,
            `validation_loss`, `validation_accuracy`.
        temperature: tau of Eq. 5.
        genotype: `Genotype` that the weights' step ran.
    """

    epoch: int
    step: int
    metrics: dict
    temperature: float
    genotype: genotypes.Genotype

    def summary(self):
        """Returns the step's numbers in a line."""
        return _summary(self.metrics, self.temperature, self.genotype)


class EpochReport(NamedTuple):
    """What is known after an epoch.

    Attributes:
        record: Dict that JSON can hold, a line of metrics.jsonl; what depends
            on the clock, or on when the search was resumed, is in "timing".
        genotype: `Genotype` at the end of the epoch.
        primitives: Names of the K candidates.
        alpha: {kind of cell: float32 [E, K]}.
        coefficients: {kind of cell: float32 [E, K]}.
    """

    record: dict
    genotype: genotypes.Genotype
    primitives: tuple
    alpha: dict
    coefficients: dict

    @property
    def evaluated(self):
        """Whether the accuracies of the networks were measured."""
        return "child_accuracy" in self.record

    def lines(self):
        """Returns the epoch's numbers in a line, and the normal cell."""
        record = self.record
        line = _summary(record, record["temperature"], self.genotype)
        if self.evaluated:
            line += (
                f", super-net {record['supernet_accuracy']:.1%}, child "
                f"network {record['child_accuracy']:.1%}"
            )
        return line, f"  {self.genotype.describe('normal')}"


def make_epoch_report(trainer, progress, numbers, batch_size):
    """Returns the `EpochReport` of an epoch whose last step is done.

    Args:
        trainer: A `search_step.SearchTrainer`.
        progress: `Progress`, not yet at the next epoch.
        numbers: {name: float}, the epoch's metrics, and where it was due what
            `search_evaluation.accuracies` gave.
        batch_size: Images of each of a step's two batches.
    """
    architecture = trainer.architecture
    tensors = trainer.coefficients()
    coefficients = {kind: c.numpy() for kind, c in tensors.items()}
    genotype = trainer.derive(tensors)
    kinds = architecture.space.kinds
    cells = {kind: getattr(genotype, kind) for kind in kinds}
    record = {
        "epoch": progress.epoch + 1,
        **numbers,
        "temperature": float(architecture.temperature.numpy()),
        "learning_rate": float(trainer.weight_optimizer.learning_rate.numpy()),
        "num_connections": _map(genotypes.num_connections, cells),
        "num_skip_connections": _map(genotypes.num_skip_connections, cells),
        "num_changed": {
            kind: genotypes.num_changed(getattr(progress.before, kind), cell)
            for kind, cell in cells.items()
        },
        "num_derivations": progress.num_derivations,
        "mean_entropy": _map(derivation.mean_entropy, coefficients),
        "thresholds": {
            kind: t.numpy().tolist()
            for kind, t in architecture.thresholds().items()
        },
        "timing": _timing(trainer.supernet.cache, progress, batch_size),
    }
    return EpochReport(
        record,
        genotype,
        architecture.searched_space.primitives,
        {kind: alpha.numpy() for kind, alpha in architecture.alpha.items()},
        coefficients,
    )


def _map(function, values):
    return {kind: function(value) for kind, value in values.items()}


def _timing(cache, progress, batch_size):
    """Returns times and memory, from the program's last start on if total."""
    images = progress.step * batch_size  # That trained the weights.
    return {
        "seconds": progress.epoch_seconds,
        "elapsed_seconds": progress.elapsed_seconds,
        "images_per_second": images / max(progress.epoch_seconds, 1e-9),
        "num_graphs_built": cache.num_built,
        "graph_build_seconds": cache.build_seconds,
        "peak_memory_mib": provenance.peak_memory_mib(),
    }


class SearchRun(training_run.Run):
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
            return Progress.from_dict(saved)
        genotype = self.trainer.derive()
        return Progress(before=genotype, genotype=genotype)

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
            trainer.architecture.fix(self._draw(num_steps))
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
        return StepReport(
            progress.epoch,
            progress.step,
            metrics,
            self._temperature(progress.epoch),
            self.trainer.genotype,
        )

    def report_epoch(self, progress, scores):
        return make_epoch_report(
            self.trainer,
            progress,
            {**self.read_metrics(), **scores},
            self._batch_size,
        )

    def end_epoch(self, progress, report):
        progress.end_epoch(report.genotype)


def _summary(metrics, temperature, genotype):
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
        f"loss {metrics['loss']:.3f} acc {metrics['accuracy']:.1%}, "
        f"val {metrics['validation_loss']:.3f} "
        f"{metrics['validation_accuracy']:.1%}, tau {temperature:.3g}, "
        f"{connections} connections, {skips} skip{'' if skips == 1 else 's'}"
    )
