"""The retraining's workflow: from a genotype and a configuration to files."""

import json
import os
import time

import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.data import datasets, pipeline
from entrannas_tf.networks import cost
from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.layers import precision
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import run as retraining_run
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.training import (
    callbacks,
    distribution,
    evaluation,
    files,
    optimizers,
    runtime,
    schedules,
    session,
    tensorboard,
    workdirs,
)
from entrannas_tf.training import loop as training_loop

_POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def retrain(config_dict, genotype, workdir, strategy=None, profile=False):
    """Trains the network of a genotype; resumes where one has been.

    Args:
        config_dict: A `ConfigDict` of configs/, or a dict likewise.
        genotype: A `Genotype`, or what `published.load_genotype` takes: the
            name of a published one, a file, or the workdir of a search.
        workdir: Directory of the retraining, made if it is not there. Of
            several workers the chief alone reads and writes it.
        strategy: Stands in for `distribution.strategy` where it is not None.
        profile: As for `search_workflow.search`.

    Returns:
        What `retraining_results.read` does.

    Raises:
        ValueError: If the configuration, the genotype, the workdir or the data
            are not as they should be; nothing is written then.
        OSError: If a file cannot be read or written.
        FloatingPointError: If a loss is not a number or infinite. The last
            good checkpoint stays.
        interruptions.WorkerLost: If another worker is gone; likewise.
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
    workdir = os.fspath(workdir)
    cells = published.load_genotype(genotype)
    with session.prepare_devices(
        config, strategy, "training.batch_size"
    ) as devices:
        is_chief = distribution.is_chief(devices)
        if is_chief:
            workdirs.check_workdir(workdir, config)
            _check_genotype(workdir, cells)
        if session.is_finished(
            devices, retraining_results.is_finished, workdir
        ):
            logging.info("The retraining in %s is finished already.", workdir)
        else:
            _retrain(config, cells, workdir, start, devices, profile)
        found = retraining_results.read(workdir) if is_chief else None
        found = distribution.from_chief(devices, json.dumps(found).encode())
    if is_chief:
        print(retraining_results.summary(workdir), flush=True)
    return json.loads(found)


def load_data(config, devices=None):
    """Returns the `datasets.RetrainData` of a configuration, checked.

    Args:
        config: A `retrain_config.RetrainConfig`.
        devices: `tf.distribute.Strategy` that shares the batches, or None.

    Raises:
        ValueError: If the data are not as they should be.
    """
    train, test, indices = datasets.load(
        config.data.name,
        data_dir=config.data.data_dir,
        directory=config.data.dir,
        num_examples=config.data.num_examples,
        image_size=config.data.image_size,
    )
    datasets.check_colors(train.image_shape, config.data.color_jitter)
    shares = config.data.train_fraction, config.data.validation_fraction
    data = datasets.for_retraining(train, test, indices, *shares)
    devices = devices or tf.distribute.get_strategy()
    _batches(config, data, devices, epoch=0, first_step=0)  # Checks its size.
    return data


def make_trainer(config, cells, source):
    """Returns the `retraining_step.RetrainTrainer` of a run's start.

    Args:
        config: A `retrain_config.RetrainConfig`.
        cells: A `genotypes.Genotype`.
        source: `ImageSource` of the images.
    """
    network, training = config.network, config.training
    with precision.policy(_POLICIES[training.precision]):
        target = target_network.TargetNetwork(
            cells,
            source.num_classes,
            source.image_shape,
            num_cells=network.num_cells,
            init_channels=network.init_channels,
            stem=network.stem,
        )
        return retraining_step.RetrainTrainer(
            target,
            optimizers.CoupledSGD(
                training.learning_rate,
                training.momentum,
                training.weight_decay,
                training.gradient_clip_norm,
            ),
            training.label_smoothing,
            training.auxiliary_weight,
            drop_path=training.drop_path_rate > 0,
            seed=config.seed,
            scale_losses=training.precision == "float16",
            jit_compile=runtime.use_xla(training.xla),
        )


def count(config, cells, source):
    """Returns the `cost.Account.totals` of a configuration's network.

    Args:
        config: A `retrain_config.RetrainConfig`.
        cells: A `genotypes.Genotype`.
        source: `ImageSource` of the images. Where they are not squares, there
            are no multiply-adds: None.

    Raises:
        ValueError: If the images are too small for the network, or nothing
            flows through a cell.
    """
    height, width, channels = source.image_shape
    network = cost.Network(
        config.network.stem,
        config.network.num_cells,
        config.network.init_channels,
        source.num_classes,
        min(height, width),
        channels,
    )
    totals = cost.count(cells, network).totals()
    if height != width:
        totals |= {k: None for k in totals if k.startswith("multiply_adds")}
    return totals


def _check_genotype(workdir, cells):
    """Raises ValueError if a workdir is that of another genotype."""
    path = os.path.join(workdir, published.GENOTYPE_FILE)
    if os.path.exists(path) and published.read(path) != cells:
        raise ValueError(
            f"{workdir} holds a network of another genotype, "
            f"{published.GENOTYPE_FILE}. Choose another --workdir, or give "
            f"--genotype={path} to resume it."
        )


def _retrain(config, cells, workdir, start, devices, profile):
    """Runs what is left of one retraining or several."""
    data = load_data(config, devices)
    totals = count(config, cells, data.source)

    def run(config, path, start):
        with session.locked_workdir(
            path, config, devices, (session.CHECKPOINTS,)
        ):
            _write_genotype(path, cells, devices)
            if not session.is_finished(
                devices, retraining_results.is_finished, path
            ):
                runtime.prepare(config.seed, config.deterministic)
                with devices.scope():
                    trainer = make_trainer(config, cells, data.source)
                _tell(config, data, totals, devices)
                loop = _make_loop(config, path, data, trainer, start, profile)
                progress = loop.run()
                if distribution.is_chief(devices):
                    retraining_results.write(path, progress, totals, config)

    if config.num_runs == 1:
        run(config, workdir, start)
        return
    with session.locked_workdir(workdir, config, devices):
        _write_genotype(workdir, cells, devices)
        for single, path, since in session.repeated_runs(
            config, workdir, "num_runs", retraining_results.directory, start
        ):
            run(single, path, since)
        if distribution.is_chief(devices):
            retraining_results.write_several(workdir, config)


def _write_genotype(workdir, cells, devices):
    if distribution.is_chief(devices):
        path = os.path.join(workdir, published.GENOTYPE_FILE)
        files.write_text(path, genotypes.to_json(cells))


def _batches(config, data, devices, epoch, first_step):
    return pipeline.training_batches(
        data.source,
        data.indices,
        config.training.batch_size,
        seed=config.seed,
        epoch=epoch,
        first_step=first_step,
        crop_padding=config.data.crop_padding,
        flip=config.data.flip,
        cutout_length=config.data.cutout_length,
        min_crop_area=config.data.min_crop_area,
        color_jitter=config.data.color_jitter,
        **distribution.shares(devices),
    )


def _tell(config, data, totals, devices):
    """Says what is about to run."""
    height, width, channels = data.source.image_shape
    logging.info("device   %s", runtime.device_name(devices))
    logging.info(
        "data     %s, %d images to train and %d to %s, %d classes, %dx%dx%d",
        data.source.name,
        len(data.indices),
        len(data.test_indices),
        "choose by" if config.data.validation_fraction else "test",
        data.source.num_classes,
        width,
        height,
        channels,
    )
    logging.info(
        "network  %d cells, %d channels at first, %d weights, %d with the "
        "auxiliary head",
        config.network.num_cells,
        config.network.init_channels,
        totals["parameters"],
        totals["parameters_with_auxiliary"],
    )


def _make_loop(config, workdir, data, trainer, start, profile):
    """Returns the `training_loop.TrainingLoop` of a run."""
    training = config.training
    num_steps = len(data.indices) // training.batch_size
    directory = os.path.join(workdir, session.CHECKPOINTS)
    devices = trainer.distribute_strategy
    hooks = []
    if distribution.is_chief(devices):
        hooks = [
            callbacks.ShowProgress(training.epochs, num_steps),
            callbacks.WriteMetrics(workdir),
            tensorboard.WriteTensorBoard(workdir),
            *([callbacks.Profile(workdir)] if profile else []),
        ]
    return training_loop.TrainingLoop(
        _make_run(training, directory, data, trainer, num_steps),
        directory,
        hooks,
        num_epochs=training.epochs,
        num_steps=num_steps,
        make_batches=lambda epoch, step: _batches(
            config, data, devices, epoch, step
        ),
        eval_every_epochs=training.eval_every_epochs,
        read_every_steps=training.read_every_steps,
        checkpoint_every_steps=training.checkpoint_every_steps,
        checkpoints_to_keep=training.checkpoints_to_keep,
        start=start,
    )


def _make_run(training, directory, data, trainer, num_steps):
    """Returns the `retraining_run.RetrainingRun` of a `TrainingConfig`."""
    num_epochs = training.epochs
    return retraining_run.RetrainingRun(
        trainer,
        directory,
        batch_size=training.batch_size,
        learning_rate=lambda step: schedules.warmed_up(
            training.warmup_epochs * num_steps,
            schedules.SCHEDULES[training.schedule],
            training.learning_rate,
            step,
            num_epochs * num_steps,
        ),
        drop_path_rate=lambda epoch: (
            training.drop_path_rate * epoch / num_epochs
        ),
        evaluate=lambda: evaluation.test(
            trainer, data.test_source, data.test_indices, training.batch_size
        ),
    )
