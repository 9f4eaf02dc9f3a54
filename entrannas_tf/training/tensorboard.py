"""Curves of a search or a retraining for TensorBoard."""

import os

import tensorflow as tf

from entrannas_tf.training import callbacks

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
        """Writes the summaries of an epoch; called with the writer set."""
        _write_scalars(report.record)


def _write_scalars(record, prefix=""):
    """Writes the numbers of nested dicts and lists, by their paths.

    None stands for a number that there is not.
    """
    for name, value in record.items():
        if isinstance(value, list):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            _write_scalars(value, f"{prefix}{name}/")
        elif value is not None:
            tf.summary.scalar(f"{prefix}{name}", value)
