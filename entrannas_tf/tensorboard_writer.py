"""The course of a search or a training for TensorBoard."""

import os
import time

import tensorflow as tf

from entrannas_tf import callbacks, drawing, genotypes, heat_maps

_DIRECTORY = "tensorboard"


class WriteTensorBoard(callbacks.Callback):
    """Writes curves of all numbers of an epoch's record.

    Args:
        workdir: Directory of the run.

    Raises:
        OSError: If the files cannot be written.
    """

    def __init__(self, workdir):
        self._path = os.path.join(workdir, _DIRECTORY)
        self._writer = None

    def on_epoch_end(self, report):
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(self._path)
            with self._writer.as_default(step=report.record["epoch"]):
                self.write(report)
            self._writer.flush()
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0]
            raise OSError(f"{self._path} cannot be written: {reason}") from None

    def write(self, report):
        """Writes what belongs to an epoch."""
        _write_scalars(report.record)


class WriteSearch(WriteTensorBoard):
    """Writes curves each epoch, and pictures where networks are evaluated.

    Pictures take a second or two: but for the last epoch's they are left out
    where they would take more than a twentieth of the time.

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


def _write_scalars(record, prefix=""):
    """Writes the numbers of nested dicts and lists, by their paths."""
    for name, value in record.items():
        if isinstance(value, list):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            _write_scalars(value, f"{prefix}{name}/")
        else:
            tf.summary.scalar(f"{prefix}{name}", value)


def _write_pictures(report):
    title = f"epoch {report.record['epoch']}"
    for name, panels in (
        ("alpha", report.alpha),
        ("coefficients", report.coefficients),
    ):
        picture = heat_maps.draw(panels, report.primitives, f"{name}, {title}")
        tf.summary.image(name, picture[None])  # [1, H, W, 3]
    for kind in genotypes.KINDS:
        cell = getattr(report.genotype, kind)
        text = f"{kind} cell, {title}"
        picture = drawing.cell_figure(cell, text)
        tf.summary.image(f"cell/{kind}", picture[None])
        tf.summary.text(f"cell/{kind}", genotypes.describe(cell))
