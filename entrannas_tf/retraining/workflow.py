"""Trainings as workflows: from a genotype and a configuration to files."""

import json
import os
import time
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import segment as segment_config
from entrannas_tf.data import pipeline
from entrannas_tf.retraining import backbone as backbone_lib
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import run as retraining_run
from entrannas_tf.retraining import tasks
from entrannas_tf.training import (
    callbacks,
    checkpoints,
    distribution,
    evaluation,
    files,
    loop,
    runtime,
    session,
    tensorboard,
)


def retrain(config_dict, genotype, workdir, strategy=None, profile=False):
    """Trains the network of a genotype; resumes an interrupted retraining.

    Args:
        config_dict: A `ConfigDict` of configs/, or nested dicts.
        genotype: A `Genotype`, or what `published.load_genotype` takes: the
            name of a published one, a file, or the workdir of a search.
        workdir: Directory of the retraining, made if it is not there. Of
            several workers the chief alone reads and writes it.
        strategy: Replaces `distribution.strategy` unless it is None.
        profile: Whether to say where a step's time goes, and write a trace.

    Returns:
        The content of results.json, a dict: "mean", "runs" and more.

    Raises:
        ValueError: If the configuration, the genotype, the workdir or the data
            are not as they should be; nothing is written then.
        OSError: If a file cannot be read or written.
        FloatingPointError: If a loss is not a number or infinite. The last
            good checkpoint stays.
        interruptions.WorkerLost: If another worker is gone. The last
            checkpoint stays.
        interruptions.Preempted: If the process got SIGTERM; there is a
            checkpoint of the last step.

    Example:

    >>> import entrannas_tf
    >>> from configs import retrain_digits
    >>> config = retrain_digits.get_config()
    >>> config.training.epochs = 1
    >>> config.network.num_cells = 3
    >>> config.network.init_channels = 4
    >>> genotype = entrannas_tf.load_genotype("DARTS_V2")
    >>> results = entrannas_tf.retrain(config, genotype, "runs/digits_net")
    normal cell ...
    >>> 0 <= results["mean"]["test_accuracy"] <= 1
    True
    """
    start = time.monotonic()
    config = schema.read(retrain_config.RetrainConfig, config_dict)
    cells = published.load_genotype(genotype)
    return _run(config, workdir, cells, None, start, strategy, profile)


def segment(
    config_dict,
    workdir,
    genotype=None,
    backbone=None,
    strategy=None,
    profile=False,
):
    """Trains a network for semantic segmentation; resumes an interrupted one.

    Args:
        config_dict: A `ConfigDict` of configs/, or nested dicts, that describe
            a `segment_config.SegmentConfig`.
        workdir: Directory of the training, made if it is not there.
        genotype: As `retrain` takes it; None with ResNet-50 as the backbone,
            or for that of `backbone`, where that is a workdir.
        backbone: Where the backbone's weights are, see `backbone.read`; None
            to train them from scratch.
        strategy: As `retrain` takes it.
        profile: As `retrain` takes it.

    Returns:
        The content of results.json, a dict: "mean", "runs" and more.

    Raises:
        ValueError: If the configuration, the genotype, the backbone, the
            workdir or the data are not as they should be; nothing is written
            then.
        Exception: As `retrain` does.

    Example:

    >>> import entrannas_tf
    >>> from configs import segment_small
    >>> config = segment_small.get_config()
    >>> config.data.dir = "camvid"
    >>> config.data.crop_size = 65
    >>> config.network.num_cells = 3
    >>> config.network.init_channels = 4
    >>> config.training.epochs = 1
    >>> config.training.steps_per_epoch = 2
    >>> results = entrannas_tf.segment(config, "runs/seg", "DARTS_V2")
    normal cell ...
    >>> 0 <= results["mean"]["test_miou"] <= 1
    True
    """
    start = time.monotonic()
    config = schema.read(segment_config.SegmentConfig, config_dict)
    cells = None
    if config.network.backbone == "cells":
        if genotype is None and not os.path.isdir(backbone or ""):
            raise ValueError(
                "Missing --genotype; expected --genotype=DARTS_V2, a file or a "
                "workdir; or --config.network.backbone=resnet50, which needs "
                "none."
            )
        cells = published.load_genotype(genotype or os.fspath(backbone))
    elif genotype is not None:
        raise ValueError(
            f"--genotype={genotype} came with network.backbone="
            f"{config.network.backbone}, which has no cells; expected one of "
            "them."
        )
    return _run(config, workdir, cells, backbone, start, strategy, profile)


def load_data(config, devices=None):
    """Returns the `datasets.RetrainData` of a configuration, checked.

    Args:
        config: Of the `config_kind` of a task.
        devices: `tf.distribute.Strategy` that shares the batches, or None.

    Raises:
        ValueError: If the data are not as they should be.
    """
    data = tasks.of(config).load_data(config)
    # Checks their size.
    _batches(config, data, devices or tf.distribute.get_strategy(), 0, 0)
    return data


class _Origin(NamedTuple):
    """The genotype and the first weights of a network.

    Attributes:
        cells: A `genotypes.Genotype`, or None.
        weights: The `backbone.Weights` that it begins with, or None.
    """

    cells: genotypes.Genotype | None
    weights: backbone_lib.Weights | None

    def check(self, workdir):
        """Raises ValueError if a workdir is that of another origin."""
        path = os.path.join(workdir, published.GENOTYPE_FILE)
        if os.path.exists(path) and published.read(path) != self.cells:
            raise ValueError(
                f"{workdir} holds a network of another genotype, "
                f"{published.GENOTYPE_FILE}. Choose another --workdir, or give "
                f"--genotype={path} to resume it."
            )
        backbone_lib.check(workdir, self.weights)

    def write(self, workdir):
        """Writes it to a workdir."""
        if self.cells is not None:
            path = os.path.join(workdir, published.GENOTYPE_FILE)
            files.write_text(path, genotypes.to_json(self.cells))
        if self.weights is not None:
            self.weights.write(workdir)


def _run(config, workdir, cells, backbone, start, strategy, profile):
    """Trains a network of any task; returns the content of results.json."""
    workdir = os.fspath(workdir)
    with session.prepare_devices(
        config, strategy, "training.batch_size"
    ) as devices:
        is_chief = distribution.is_chief(devices)
        is_finished = session.is_finished(
            devices, retraining_results.is_finished, workdir, config
        )
        weights = None
        if backbone is not None:
            weights = backbone_lib.read(backbone, config, cells)
        origin = _Origin(cells, weights)
        if is_chief:
            origin.check(workdir)
        if is_finished:
            logging.info("The training in %s is finished already.", workdir)
        else:
            _train_all(config, origin, workdir, start, devices, profile)
        found = retraining_results.read(workdir) if is_chief else None
        found = distribution.from_chief(devices, json.dumps(found).encode())
    if is_chief:
        print(retraining_results.summary(workdir), flush=True)
    return json.loads(found)


def _train_all(config, origin, workdir, start, devices, profile):
    """Runs what is left of one training or several."""
    task = tasks.of(config)
    data = load_data(config, devices)
    if origin.weights is not None:
        data = origin.weights.normalize(data)
    totals = task.count(config, origin.cells, data.source)
    is_chief = distribution.is_chief(devices)

    def run(config, workdir, start):
        with session.locked_workdir(
            workdir, config, devices, (checkpoints.DIRECTORY,)
        ):
            if is_chief:
                origin.write(workdir)
            if not session.is_finished(
                devices, retraining_results.is_finished, workdir, config
            ):
                _tell(config, data, totals, devices, origin.weights)
                progress = _train(
                    config, origin, workdir, start, devices, profile, data
                )
                if is_chief:
                    retraining_results.write(
                        workdir,
                        progress,
                        totals,
                        config,
                        data.source,
                        task.scores,
                    )

    if config.num_runs == 1:
        run(config, workdir, start)
        return
    with session.locked_workdir(workdir, config, devices):
        if is_chief:
            origin.write(workdir)
        for part in session.repeated_runs(
            config, workdir, "num_runs", retraining_results.directory, start
        ):
            run(*part)
        if is_chief:
            retraining_results.write_several(workdir, config, task.scores)


def _train(config, origin, workdir, start, devices, profile, data):
    """Runs what is left of one run; returns its `Progress` at the end."""
    runtime.prepare(config.seed, config.deterministic)
    training = config.training
    num_steps = tasks.of(config).steps_per_epoch(config)
    if num_steps is None:
        num_steps = len(data.indices) // training.batch_size
    with devices.scope():
        trainer = tasks.make_trainer(config, origin.cells, data.source)
        if origin.weights is not None:
            origin.weights.put(trainer.network)
    run = retraining_run.RetrainingRun(
        trainer,
        os.path.join(workdir, checkpoints.DIRECTORY),
        training,
        num_steps,
        lambda: evaluation.test(
            trainer, data.test_source, data.test_indices, training.batch_size
        ),
    )
    hooks = [
        *callbacks.usual(run, workdir, profile),
        tensorboard.WriteTensorBoard(workdir),
    ]
    return loop.TrainingLoop(
        run,
        workdir,
        hooks,
        lambda epoch, step: _batches(config, data, devices, epoch, step),
        start,
    ).run()


def _batches(config, data, devices, epoch, first_step):
    task = tasks.of(config)
    return pipeline.training_batches(
        data.source,
        data.indices,
        config.training.batch_size,
        seed=config.seed,
        epoch=epoch,
        first_step=first_step,
        augmentation=task.augmentation(config),
        num_steps=task.steps_per_epoch(config),
        **distribution.shares(devices),
    )


def _tell(config, data, totals, devices, weights):
    """Logs what is about to run."""
    task = tasks.of(config)
    session.tell(devices, data.source, task.describe_data(config, data))
    logging.info("network  %s", task.describe_network(config, totals))
    if weights is not None:
        logging.info("backbone %s", weights.description)
