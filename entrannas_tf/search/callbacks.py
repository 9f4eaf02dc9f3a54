"""Callbacks of a search: one verb each."""

import time

import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes
from entrannas_tf.drawing import cells as cell_drawing
from entrannas_tf.drawing import heat_maps
from entrannas_tf.search import results as search_results
from entrannas_tf.training import callbacks, files, tensorboard

MAX_SKIPS = 2  # Of a good normal cell, by experience (Liang et al., DARTS+).


class WarnOfSkips(callbacks.Callback):
    """Warns when the normal cell collapses into skip connections.

    It looks after evaluations and at the end. Nearly all connections of
    EnTranNAS-DST begin alive; so before the end skips must also be more than
    twice their share.

    Args:
        num_epochs: Number of epochs of the search.
    """

    def __init__(self, num_epochs):
        self._num_epochs = num_epochs

    def on_epoch_end(self, report):
        cell = report.genotype.normal
        skips = genotypes.num_skip_connections(cell)
        total = genotypes.num_connections(cell)
        at_end = report.record["epoch"] == self._num_epochs
        twice_the_share = 2 * total / len(report.primitives)
        if not report.evaluated or skips <= MAX_SKIPS:
            return
        if at_end or skips > twice_the_share:
            logging.warning(
                "%d of the %d connections of the normal cell are skip "
                "connections; more than %d are a sign that the search "
                "collapses into them, and such networks are weak. Take the "
                "cell of an earlier epoch from %s, or search again with fewer "
                "search.epochs or a lower search.architecture_learning_rate.",
                skips,
                total,
                MAX_SKIPS,
                search_results.GENOTYPES,
            )


class WriteGenotypes(callbacks.Callback):
    """Writes the genotype of each epoch, with what a film of it needs.

    Args:
        workdir: Directory of the search.
    """

    def __init__(self, workdir):
        self._workdir = workdir

    def on_epoch_end(self, report):
        record = report.record
        files.write_text(
            search_results.epoch_file(self._workdir, record["epoch"]),
            genotypes.to_json(
                report.genotype,
                epoch=record["epoch"],
                temperature=record["temperature"],
                validation_accuracy=record["validation_accuracy"],
                primitives=list(report.primitives),
                coefficients={
                    kind: values.tolist()
                    for kind, values in report.coefficients.items()
                },
            ),
        )


class WriteSearch(tensorboard.WriteTensorBoard):
    """Writes curves each epoch, and pictures where networks are evaluated.

    Pictures take a second or two. Except in the last epoch they are left out
    if they would take more than a twentieth of the time.

    Args:
        workdir: Directory of the search.
        num_epochs: Number of epochs of the search.

    Raises:
        OSError: If the files cannot be written.
    """

    def __init__(self, workdir, num_epochs):
        super().__init__(workdir)
        self._num_epochs = num_epochs
        self._next_pictures = time.monotonic()

    def write(self, report):
        super().write(report)
        if report.evaluated and self._has_time(report):
            start = time.monotonic()
            _write_pictures(report)
            end = time.monotonic()
            self._next_pictures = end + 20 * (end - start)

    def _has_time(self, report):
        is_last = report.record["epoch"] == self._num_epochs
        return is_last or time.monotonic() >= self._next_pictures


def _write_pictures(report):
    title, space = f"epoch {report.record['epoch']}", report.genotype.space
    for name, panels in (
        ("alpha", report.alpha),
        ("coefficients", report.coefficients),
    ):
        picture = heat_maps.draw(
            panels, space.edges, report.primitives, f"{name}, {title}"
        )
        tf.summary.image(name, picture[None])  # [1, H, W, 3]
    for kind in space.kinds:
        picture = cell_drawing.cell_figure(
            report.genotype, kind, f"{kind} cell, {title}"
        )
        tf.summary.image(f"cell/{kind}", picture[None])
        tf.summary.text(f"cell/{kind}", report.genotype.describe(kind))
