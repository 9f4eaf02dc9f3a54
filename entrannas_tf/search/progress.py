"""Where a search stands, and what it reports of a step and of an epoch."""

import dataclasses
from typing import NamedTuple

from entrannas_tf.architecture import derivation, genotypes
from entrannas_tf.training import progress_bar, provenance
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

    def course(self):
        """Returns the step's numbers in a line."""
        return progress_bar.course(
            self.metrics, self.temperature, self.genotype
        )


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
        line = progress_bar.course(record, record["temperature"], self.genotype)
        if self.evaluated:
            line += (
                f", super-net {record['supernet_accuracy']:.1%}, child "
                f"network {record['child_accuracy']:.1%}"
            )
        return line, f"  {genotypes.describe(self.genotype.normal)}"


def report_epoch(trainer, progress, numbers, batch_size):
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
    cells = {kind: getattr(genotype, kind) for kind in genotypes.KINDS}
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
        architecture.primitives,
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
