"""The retraining's workflow: from a genotype and a configuration to files."""

import json
import os
import time

import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.data import augment, datasets, pipeline
from entrannas_tf.networks import cost
from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.layers import precision
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import run as retraining_run
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.training import (
    callbacks,
    checkpoints,
    distribution,
    evaluation,
    files,
    loop,
    optimizers,
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
    workdir = os.fspath(workdir)
    cells = published.load_genotype(genotype)
    with session.prepare_devices(
        config, strategy, "training.batch_size"
    ) as devices:
        is_chief = distribution.is_chief(devices)
        is_finished = session.is_finished(
            devices, retraining_results.is_finished, workdir, config
        )
        if is_chief:
            _check_genotype(workdir, cells)
        if is_finished:
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
    shares = config.data.train_fraction, config.data.validation_fraction
    data = datasets.for_retraining(train, test, indices, *shares)
    # Checks their size.
    _batches(config, data, devices or tf.distribute.get_strategy(), 0, 0)
    return data


def make_trainer(config, cells, source):
    """Returns the `retraining_step.RetrainTrainer` of a run's start.

    Args:
        config: A `retrain_config.RetrainConfig`.
        cells: A `genotypes.Genotype`.
        source: `ImageSource` of the images.
    """
    network, training = config.network, config.training
    policy = training.precision
    if policy != "float32":
        policy = f"mixed_{policy}"
    with precision.policy(policy):
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

    def run(config, workdir, start):
        with session.locked_workdir(
            workdir, config, devices, (checkpoints.DIRECTORY,)
        ):
            _write_genotype(workdir, cells, devices)
            if not session.is_finished(
                devices, retraining_results.is_finished, workdir, config
            ):
                _tell(config, data, totals, devices)
                progress = _train(
                    config, cells, workdir, start, devices, profile, data
                )
                if distribution.is_chief(devices):
                    retraining_results.write(workdir, progress, totals, config)

    if config.num_runs == 1:
        run(config, workdir, start)
        return
    with session.locked_workdir(workdir, config, devices):
        _write_genotype(workdir, cells, devices)
        for part in session.repeated_runs(
            config, workdir, "num_runs", retraining_results.directory, start
        ):
            run(*part)
        if distribution.is_chief(devices):
            retraining_results.write_several(workdir, config)


def _train(config, cells, workdir, start, devices, profile, data):
    """Runs what is left of one run; returns its `Progress` at the end."""
    runtime.prepare(config.seed, config.deterministic)
    training = config.training
    with devices.scope():
        trainer = make_trainer(config, cells, data.source)
    run = retraining_run.RetrainingRun(
        trainer,
        os.path.join(workdir, checkpoints.DIRECTORY),
        training,
        len(data.indices) // training.batch_size,
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
        augmentation=augment.Augmentation.of(config.data),
        **distribution.shares(devices),
    )


def _tell(config, data, totals, devices):
    """Logs what is about to run."""
    use = "choose by" if config.data.validation_fraction else "test"
    session.tell(
        devices,
        data.source,
        f"{len(data.indices)} images to train and {len(data.test_indices)} to "
        f"{use}",
    )
    logging.info(
        "network  %d cells, %d channels at first, %d weights, %d with the "
        "auxiliary head",
        config.network.num_cells,
        config.network.init_channels,
        totals["parameters"],
        totals["parameters_with_auxiliary"],
    )
