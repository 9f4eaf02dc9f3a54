"""The search's workflow: from a configuration to files.

Workflows unpack configurations; layers, steps and loops take plain arguments.
"""

import dataclasses
import os
import time

import numpy as np
import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.data import augment, datasets, pipeline
from entrannas_tf.networks import supernet
from entrannas_tf.networks.execution import graphs
from entrannas_tf.search import callbacks as search_callbacks
from entrannas_tf.search import evaluation as search_evaluation
from entrannas_tf.search import (
    methods,
    random_search,
    repeats,
    second_order,
    stages,
)
from entrannas_tf.search import results as search_results
from entrannas_tf.search import run as search_run
from entrannas_tf.search import step as search_step
from entrannas_tf.training import (
    callbacks,
    checkpoints,
    distribution,
    loop,
    optimizers,
    runtime,
    session,
)


def search(config_dict, workdir, strategy=None, profile=False):
    """Searches the cells of a network; resumes an interrupted search.

    Args:
        config_dict: A `ConfigDict` of configs/, or nested dicts.
        workdir: Directory of the search, made if it is not there. Of several
            workers the chief alone reads and writes it.
        strategy: Replaces `distribution.strategy` unless it is None.
        profile: Whether to say where a step's time goes, and write a trace.

    Returns:
        The `genotypes.Genotype` that was found.

    Raises:
        ValueError: If the configuration, the workdir or the data are not as
            they should be; nothing is written then.
        OSError: If a file cannot be read or written.
        FloatingPointError: If a loss is not a number or infinite. The last
            good checkpoint stays.
        interruptions.WorkerLost: If another worker is gone. The last
            checkpoint stays.
        interruptions.Preempted: If the process got SIGTERM; there is a
            checkpoint of the last step.
    """
    start = time.monotonic()
    config = schema.read(search_config.Config, config_dict)
    workdir = os.fspath(workdir)
    with session.prepare_devices(
        config, strategy, "search.batch_size"
    ) as devices:
        if session.is_finished(
            devices, search_results.is_finished, workdir, config
        ):
            logging.info("The search in %s is finished already.", workdir)
        else:
            _search(config, workdir, start, devices, profile)
        found = None
        if distribution.is_chief(devices):
            found = genotypes.to_json(search_results.read_genotype(workdir))
            found = found.encode()
        found = distribution.from_chief(devices, found)
    if distribution.is_chief(devices):
        if config.num_searches > 1:
            print(repeats.read_table(workdir), flush=True)
        print(search_results.summary(workdir), flush=True)
    return genotypes.from_json(found.decode())


def _search(config, workdir, start, devices, profile, masks=None):
    """Runs what is left of a search, of several, or of one in stages.

    Args:
        config: `search_config.Config` of the search.
        workdir: Its directory.
        start: Value of `time.monotonic` when it began.
        devices: `tf.distribute.Strategy`.
        profile: Whether to say where a step's time goes.
        masks: Dict by kind of cell of bool [E, K], the primitives to choose
            from; None for all.
    """
    if config.num_searches > 1:
        keep = repeats.keep
        parts = session.repeated_runs(
            config, workdir, "num_searches", repeats.directory, start
        )
    elif stages.has_stages(config):
        keep, parts = stages.keep, stages.each(config, workdir, devices, start)
    else:
        _search_once(config, workdir, start, devices, profile, masks)
        return
    # If the data are not as they should be, nothing is written.
    load_data(config, devices)
    with session.locked_workdir(workdir, config, devices):
        for part, path, since, *more in parts:
            if not session.is_finished(
                devices, search_results.is_finished, path, part
            ):
                _search(part, path, since, devices, profile, *more)
        if distribution.is_chief(devices):
            keep(workdir, config)


def _search_once(config, workdir, start, devices, profile, masks):
    """Runs what is left of a search without stages, and writes its files."""
    runtime.prepare(config.seed, config.deterministic)
    data = load_data(config, devices)
    names = (checkpoints.DIRECTORY, *search_results.DIRECTORIES)
    with (
        graphs.without_grappler(),
        session.locked_workdir(workdir, config, devices, names),
    ):
        with devices.scope():
            trainer = make_trainer(config, data.source_w, masks)
        _tell(config, data, trainer)
        run = _make_run(config, data, trainer)
        hooks = [
            *callbacks.usual(run, workdir, profile),
            search_callbacks.WarnOfSkips(config.search.epochs),
            search_callbacks.WriteGenotypes(workdir),
            search_callbacks.WriteSearch(workdir, config.search.epochs),
        ]
        progress = loop.TrainingLoop(
            run,
            workdir,
            hooks,
            lambda epoch, step: _batches(config, data, devices, epoch, step),
            start,
        ).run()
        if distribution.is_chief(devices):
            search_results.write(workdir, progress.before, config)


def load_data(config, devices=None):
    """Returns the `datasets.SearchData` of a configuration, checked.

    Args:
        config: A `search_config.Config`.
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
    datasets.check_size(
        train.image_shape,
        search_space.STEM_REDUCTIONS[config.network.stem]
        + len(search_space.reduction_indices(config.network.num_cells)),
    )
    # Only a folder's val/ may train the architecture.
    val = test if config.data.name == "folder" else None
    data = datasets.halve(
        train,
        val,
        indices,
        config.data.weight_fraction,
        config.seed,
        config.data.architecture_fraction,
    )
    # Checks their size.
    _batches(config, data, devices or tf.distribute.get_strategy(), 0, 0)
    return data


def _batches(config, data, devices, epoch, first_step):
    return pipeline.search_batches(
        data.source_w,
        data.indices_w,
        data.source_a,
        data.indices_a,
        config.search.batch_size,
        seed=config.seed,
        epoch=epoch,
        first_step=first_step,
        augmentation=augment.Augmentation.of(config.data),
        **distribution.shares(devices),
    )


def _tell(config, data, trainer):
    """Logs what is about to run."""
    num_weights = sum(
        np.prod(variable.shape)
        for variable in trainer.supernet.trainable_variables
    )
    session.tell(
        trainer.distribute_strategy,
        data.source_w,
        f"{len(data.indices_w)} images for the weights and "
        f"{len(data.indices_a)} for the architecture",
    )
    logging.info(
        "network  %s, %d cells, %d channels at first, %d weights",
        methods.title(config),
        config.network.num_cells,
        config.network.init_channels,
        num_weights,
    )


def _make_run(config, data, trainer):
    """Returns the `search_run.SearchRun` of a `search_config.Config`."""
    settings = config.search
    evaluate, draw = search_evaluation.accuracies, None
    if settings.architecture == "random":
        drawn = random_search.RandomSearch(
            config.seed,
            trainer.architecture.space,
            settings.num_candidates or settings.epochs,
        )
        evaluate, draw = drawn.choose, drawn.draw
        # Its evaluation settles the architecture: at the end alone.
        settings = dataclasses.replace(
            settings, eval_every_epochs=settings.epochs
        )
    return search_run.SearchRun(
        trainer,
        settings,
        len(data.indices_w) // settings.batch_size,
        lambda: evaluate(
            trainer, data.source_a, data.indices_a, settings.batch_size
        ),
        draw,
    )


def make_trainer(config, source, masks):
    """Returns the `search_step.SearchTrainer` of a search's start.

    Args:
        config: `search_config.Config`.
        source: The images, for their channels and their number of classes.
        masks: Dict by kind of cell of bool [E, K], the primitives that edges
            choose from; None for all.
    """
    network, search = config.network, config.search
    is_random = search.architecture == "random"
    parameters = parameters_lib.Architecture(
        search_config.space_of(network),
        network.sparse,
        search.initial_temperature,
        network.edge_normalization,
        masks,
        network.max_skips,
    )
    weights = supernet.Supernet(
        parameters.searched_space,
        image_channels=source.image_shape[-1],
        num_classes=source.num_classes,
        num_cells=network.num_cells,
        init_channels=network.init_channels,
        stem=network.stem,
        engine_cells="none" if is_random else network.engine_cells,
        feature_sharing=network.feature_sharing,
        bottleneck=network.bottleneck,
        partial_channels=network.partial_channels,
        max_fold=network.max_fold,
        max_graphs=search.max_graphs,
        precision=search.precision,
        jit_compile=runtime.use_xla(search.xla),
        masks=masks,
    )
    kind = {
        1: search_step.SearchTrainer,
        2: second_order.SecondOrderTrainer,
    }[search.architecture_order]
    return kind(
        parameters,
        weights,
        optimizers.CoupledAdam(
            search.architecture_learning_rate,
            search.architecture_beta_1,
            search.architecture_beta_2,
            search.architecture_weight_decay,
        ),
        optimizers.CoupledSGD(
            search.weight_learning_rate,
            search.weight_momentum,
            search.weight_decay,
            search.gradient_clip_norm,
        ),
        search.threshold_penalty,
        scale_losses=search.precision == "float16",
        skip_dropout_seed=config.seed if search.skip_dropout_rate else None,
        graph_after_steps=search.graph_after_steps,
    )
