"""The search's workflow: from a configuration to files.

Workflows unpack configurations; layers, steps and loops take plain arguments.
"""

import os
import time

import numpy as np
import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.data import datasets, pipeline
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
    distribution,
    optimizers,
    runtime,
    schedules,
    session,
    workdirs,
)
from entrannas_tf.training import loop as training_loop


def search(config_dict, workdir, strategy=None, profile=False):
    """Searches the cells of a network; resumes where a search has been.

    Args:
        config_dict: A `ConfigDict` of configs/, or a dict likewise.
        workdir: Directory of the search, made if it is not there. Of several
            workers the chief alone reads and writes it.
        strategy: Stands in for `distribution.strategy` where it is not None.
        profile: Whether to say where a step's time goes, and write a trace.

    Returns:
        The `genotypes.Genotype` that was found.

    Raises:
        ValueError: If the configuration, the workdir or the data are not as
            they should be; nothing is written then.
        OSError: If a file cannot be read or written.
        FloatingPointError: If a loss is not a number or infinite. The last
            good checkpoint stays.
        interruptions.WorkerLost: If another worker is gone; likewise.
        interruptions.Preempted: If the process got SIGTERM; there is a
            checkpoint of the last step.
    """
    start = time.monotonic()
    config = schema.read(search_config.Config, config_dict)
    workdir = os.fspath(workdir)
    with session.prepare_devices(
        config, strategy, "search.batch_size"
    ) as devices:
        is_chief = distribution.is_chief(devices)
        if is_chief:
            workdirs.check_workdir(workdir, config)
        if session.is_finished(devices, search_results.is_finished, workdir):
            logging.info("The search in %s is finished already.", workdir)
        else:
            run = _search_one if config.num_searches == 1 else _search_several
            run(config, workdir, start, devices, profile)
        found = None
        if is_chief:
            found = genotypes.to_json(search_results.read_genotype(workdir))
            found = found.encode()
        found = distribution.from_chief(devices, found)
    if is_chief:
        if config.num_searches > 1:
            print(repeats.read_table(workdir), flush=True)
        print(search_results.summary(workdir), flush=True)
    return genotypes.from_json(found.decode())


def _search_one(config, workdir, start, devices, profile, masks=None):
    """Runs what is left of a search, perhaps one in stages.

    Args:
        config: `search_config.Config` of the search.
        workdir: Its directory.
        start: What `time.monotonic` was when it began.
        devices: `tf.distribute.Strategy`.
        profile: As for `search`.
        masks: Dict by kind of cell of bool [E, K], the primitives to choose
            from; None for all.
    """
    if distribution.is_chief(devices):
        workdirs.check_workdir(workdir, config)
    if not session.is_finished(devices, search_results.is_finished, workdir):
        if stages.has_stages(config):
            _search_in_stages(config, workdir, start, devices, profile)
        else:
            _search(config, workdir, start, devices, profile, masks)


def _search(config, workdir, start, devices, profile, masks):
    """Runs what is left of a search without stages, and writes its files."""
    runtime.prepare(config.seed, config.deterministic)
    data = load_data(config, devices)
    names = (session.CHECKPOINTS, *search_results.DIRECTORIES)
    with (
        graphs.without_grappler(),
        session.locked_workdir(workdir, config, devices, names),
    ):
        with devices.scope():
            trainer = make_trainer(config, data.source_w, masks)
        _tell(config, data, trainer)
        loop = _make_loop(config, workdir, data, trainer, start, profile)
        progress = loop.run()
        if distribution.is_chief(devices):
            search_results.write(workdir, progress.before, config)


def _search_several(config, workdir, start, devices, profile):
    """Runs what is left of several searches, and keeps the best."""
    # Where the data are not as they should be, nothing is written.
    load_data(config, devices)
    with session.locked_workdir(workdir, config, devices):
        for single, path, since in session.repeated_runs(
            config, workdir, "num_searches", repeats.directory, start
        ):
            _search_one(single, path, since, devices, profile)
        if distribution.is_chief(devices):
            repeats.keep(workdir, config.num_searches)


def _search_in_stages(config, workdir, start, devices, profile):
    """Runs what is left of a search's stages, and keeps the last one's."""
    # Where the data are not as they should be, nothing is written.
    load_data(config, devices)
    with session.locked_workdir(workdir, config, devices):
        for stage, path, masks, since in stages.each(
            config, workdir, devices, start
        ):
            _search_one(stage, path, since, devices, profile, masks)
        if distribution.is_chief(devices):
            stages.keep(workdir, config)


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
    datasets.check_colors(train.image_shape, config.data.color_jitter)
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
    devices = devices or tf.distribute.get_strategy()
    # Checks its size.
    _search_batches(config, data, devices, epoch=0, first_step=0)
    return data


def _search_batches(config, data, devices, epoch, first_step):
    return pipeline.search_batches(
        data.source_w,
        data.indices_w,
        data.source_a,
        data.indices_a,
        config.search.batch_size,
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


def _tell(config, data, trainer):
    """Says what is about to run."""
    height, width, channels = data.source_w.image_shape
    num_weights = sum(
        np.prod(variable.shape)
        for unit in trainer.supernet.units
        for variable in unit.trainable_variables
    )
    logging.info(
        "device   %s", runtime.device_name(trainer.distribute_strategy)
    )
    logging.info(
        "data     %s, %d images for the weights and %d for the architecture, "
        "%d classes, %dx%dx%d",
        data.source_w.name,
        len(data.indices_w),
        len(data.indices_a),
        data.source_w.num_classes,
        width,
        height,
        channels,
    )
    logging.info(
        "network  %s, %d cells, %d channels at first, %d weights",
        methods.title(config),
        config.network.num_cells,
        config.network.init_channels,
        num_weights,
    )


def _make_loop(config, workdir, data, trainer, start, profile):
    """Returns the `training_loop.TrainingLoop` of a search."""
    settings = config.search
    num_steps = len(data.indices_w) // settings.batch_size
    num_epochs = settings.epochs
    devices = trainer.distribute_strategy
    hooks = []
    if distribution.is_chief(devices):
        hooks = [
            callbacks.ShowProgress(num_epochs, num_steps),
            search_callbacks.WarnOfSkips(num_epochs),
            callbacks.WriteMetrics(workdir),
            search_callbacks.WriteGenotypes(workdir),
            search_callbacks.WriteSearch(workdir, num_epochs),
            *([callbacks.Profile(workdir)] if profile else []),
        ]
    return training_loop.TrainingLoop(
        _make_run(config, data, trainer, num_steps),
        os.path.join(workdir, session.CHECKPOINTS),
        hooks,
        num_epochs=num_epochs,
        num_steps=num_steps,
        make_batches=lambda epoch, step: _search_batches(
            config, data, devices, epoch, step
        ),
        eval_every_epochs=num_epochs
        if settings.architecture == "random"
        else settings.eval_every_epochs,
        read_every_steps=settings.read_every_steps,
        checkpoint_every_steps=settings.checkpoint_every_steps,
        checkpoints_to_keep=settings.checkpoints_to_keep,
        start=start,
    )


def _make_run(config, data, trainer, num_steps):
    """Returns the `search_run.SearchRun` of a `search_config.Config`."""
    settings = config.search
    num_epochs = settings.epochs
    evaluate, draw = search_evaluation.accuracies, None
    if settings.architecture == "random":
        drawn = random_search.RandomSearch(
            config.seed,
            trainer.architecture.space,
            settings.num_candidates or num_epochs,
        )
        evaluate, draw = drawn.choose, drawn.draw
    return search_run.SearchRun(
        trainer,
        batch_size=settings.batch_size,
        learning_rate=lambda step: schedules.cosine(
            settings.weight_learning_rate, step, num_epochs * num_steps
        ),
        architecture_learning_rate=lambda step: schedules.after(
            settings.architecture_warmup_epochs * num_steps,
            schedules.SCHEDULES[settings.architecture_schedule],
            settings.architecture_learning_rate,
            step,
            num_epochs * num_steps,
        ),
        temperature=lambda epoch: schedules.temperature(
            settings.initial_temperature, settings.temperature_decay, epoch
        ),
        skip_dropout_rate=lambda epoch: schedules.skip_dropout(
            settings.skip_dropout_rate,
            settings.architecture_warmup_epochs,
            epoch,
            num_epochs,
        ),
        evaluate=lambda: evaluate(
            trainer, data.source_a, data.indices_a, settings.batch_size
        ),
        draw=draw,
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
    )
