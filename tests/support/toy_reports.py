"""Reports of a search that nobody ran."""

from entrannas_tf.architecture import derivation, genotypes, search_space
from entrannas_tf.search import run as search_run
from entrannas_tf.training import run as training_run

NAMES = search_space.STANDARD.primitives
SKIP = NAMES.index("skip_connect")


def make_genotype(num_skips=0):
    """Returns cells of two connections a node, some of them skips."""
    pairs = [
        [("skip_connect" if 2 * n + s < num_skips else "sep_conv_3x3", s)]
        for n in range(4)
        for s in range(2)
    ]
    nodes = [pairs[2 * n] + pairs[2 * n + 1] for n in range(4)]
    cell = genotypes.make_cell(nodes)
    return genotypes.Genotype(cell, cell)


def make_report(epoch=1, num_skips=0, evaluated=True, genotype=None):
    genotype = genotype or make_genotype(num_skips)
    record = {
        "epoch": epoch,
        "loss": 1.25,
        "accuracy": 0.5,
        "validation_loss": 1.5,
        "validation_accuracy": 0.4375,
        "temperature": 0.5,
        "timing": {"seconds": 61.0},
    }
    if evaluated:
        record |= {"supernet_accuracy": 0.5, "child_accuracy": 0.25}
    coefficients = {
        kind: derivation.indicator(
            getattr(genotype, kind), search_space.STANDARD
        )
        for kind in ("normal", "reduction")
    }
    line = search_run.summary(record, record["temperature"], genotype)
    return search_run.EpochReport(
        record=record,
        evaluated=evaluated,
        lines=(line, "  the normal cell"),
        genotype=genotype,
        primitives=NAMES,
        alpha=coefficients,
        coefficients=coefficients,
    )


def make_step(epoch, step):
    metrics = dict.fromkeys(("loss", "validation_loss"), 1.5) | dict.fromkeys(
        ("accuracy", "validation_accuracy"), 0.5
    )
    summary = search_run.summary(metrics, 0.25, make_genotype(1))
    return training_run.StepReport(epoch, step, summary)
