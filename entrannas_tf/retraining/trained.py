"""Reads the network of a finished training."""

import dataclasses
import os
from typing import NamedTuple

from absl import logging

from entrannas_tf.architecture import published
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import run as retraining_run
from entrannas_tf.retraining import tasks
from entrannas_tf.training import checkpoints, workdirs

WEIGHTS = ("last", "best")


class Images(NamedTuple):
    """The images of a training, as results.json describes them.

    Attributes:
        image_shape: (H, W, C); H and W are None for any size.
        label_names: Name of each class.
        mean: Floats [C], of images scaled to [0, 1].
        std: Floats [C], the standard deviation of these.
    """

    image_shape: tuple
    label_names: tuple
    mean: tuple
    std: tuple

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.label_names)


class Trained(NamedTuple):
    """A finished training.

    Attributes:
        workdir: Its directory; of several runs that of the first.
        config: Its configuration.
        cells: The `genotypes.Genotype`, or None.
        results: What `results.read` returns.
        images: `Images`.
        network: The network, a `keras.Model`, with its trained weights.
    """

    workdir: str
    config: object
    cells: object
    results: dict
    images: Images
    network: object

    @property
    def task(self):
        """The `task.Task`."""
        return tasks.of(self.config)

    def make_server(self):
        """Returns the network with its preprocessing, `Task.make_server`."""
        return self.task.make_server(
            self.network, self.images.mean, self.images.std
        )


def read(workdir, weights="last"):
    """Returns the `Trained` of a directory.

    Args:
        workdir: Directory of the training. Of several runs the first is taken:
            a choice by test accuracy would flatter.
        weights: "last", those after the last epoch, or "best", those that did
            best on the test images.

    Raises:
        ValueError: If the training has not ended, or it is none.
        OSError: If a file cannot be read.
    """
    config = read_config(workdir)
    if not retraining_results.is_finished(workdir):
        raise ValueError(
            f"The training in {workdir} has not ended; the command that "
            "started it goes on with it."
        )
    if config.num_runs > 1:
        first = retraining_results.directory(workdir, 1)
        logging.info(
            "takes    %s, the first of %d runs", first, config.num_runs
        )
        return read(first, weights)
    cells = None
    if os.path.exists(os.path.join(workdir, published.GENOTYPE_FILE)):
        cells = published.load_genotype(workdir)
    results = retraining_results.read(workdir)
    images = _images(config, results)
    training = dataclasses.replace(
        config.training, precision="float32", xla=False
    )
    trainer = tasks.make_trainer(
        dataclasses.replace(config, training=training), cells, images
    )
    directory = os.path.join(workdir, checkpoints.DIRECTORY)
    path = os.path.join(directory, retraining_run.BEST_FILE)
    if weights == "last":
        path = checkpoints.newest(directory)
    if path is None or not os.path.exists(path):
        raise ValueError(f"{directory} holds no checkpoint of the network.")
    checkpoints.read(path, checkpoints.network_variables(trainer))
    return Trained(workdir, config, cells, results, images, trainer.network)


def read_config(workdir):
    """Returns the configuration of a training, of whatever task.

    Raises:
        ValueError: If it is no training's.
        OSError: If there is none.
    """
    name = workdirs.read_member(workdir, "task", "classification")
    task = tasks.TASKS.get(name, tasks.TASKS["classification"])
    return workdirs.read_config(workdir, task.config_kind)


def _images(config, results):
    """Returns the `Images`; results of older versions do not have them."""
    found = results.get("images")
    if found is None:
        source = tasks.of(config).load_data(config).source
        found = retraining_results.describe(source)
    return Images(*map(tuple, (found[name] for name in Images._fields)))
