"""The surroundings of a run: devices, locked workdir, repeated runs."""

import contextlib
import dataclasses
import os
import time

from absl import logging

from entrannas_tf.training import (
    distribution,
    files,
    interruptions,
    runtime,
    strategies,
    workdirs,
)


@contextlib.contextmanager
def prepare_devices(config, strategy, batch_size_field):
    """Prepares the devices of a run, and explains errors.

    Args:
        config: `common_config.RunConfig`.
        strategy: Name that replaces that of the configuration, or None.
        batch_size_field: Dotted path of the batch size in the configuration.

    Yields:
        The `tf.distribute.Strategy`.

    Raises:
        ValueError: If the devices are not there, memory runs out, or an image
            is broken.
        interruptions.WorkerLost: If another worker is gone.
        interruptions.Preempted: If the process got SIGTERM.
    """
    settings = config.distribution
    made = strategies.make_strategy(
        strategy or settings.strategy,
        settings.num_devices,
        settings.timeout_seconds,
    )
    if not distribution.is_chief(made):
        logging.info(
            "worker   %d, which follows the chief; that one logs and writes",
            distribution.worker_number(made),
        )
        logging.set_verbosity(logging.WARNING)
    with (
        strategies.plain_errors(made),
        runtime.plain_errors(batch_size_field),
        interruptions.watch(),
    ):
        yield made


@contextlib.contextmanager
def locked_workdir(workdir, config, strategy, directories=()):
    """Makes a run's directory, which is the chief's alone while it runs.

    Args:
        workdir: Path of the directory.
        config: `common_config.RunConfig`.
        strategy: `tf.distribute.Strategy`; nothing is done on other workers
            than the chief.
        directories: Names of directories to make in it.

    Raises:
        ValueError: If the directory is that of another configuration.
        OSError: If the directory cannot be made, or is in use.
    """
    if not distribution.is_chief(strategy):
        yield
        return
    workdirs.make_workdir(workdir, config)
    with workdirs.locked(workdir):
        for name in (".", *directories):
            path = os.path.join(workdir, name)
            os.makedirs(path, exist_ok=True)
            files.remove_leftovers(path)
        yield


def is_finished(strategy, rule, workdir, config):
    """Returns on each worker whether the chief finds a run finished.

    Args:
        strategy: `tf.distribute.Strategy`.
        rule: Callable of a workdir: whether the run in it has ended.
        workdir: Path of the directory, checked by `workdirs.check_workdir`.
        config: The run's configuration.
    """
    is_chief = distribution.is_chief(strategy)
    if is_chief:
        workdirs.check_workdir(workdir, config)
    return distribution.any_worker(strategy, is_chief and rule(workdir))


def tell(strategy, source, counts):
    """Logs the devices and the data of a run; counts says which images."""
    height, width, channels = source.image_shape
    size = f"{width}x{height}x{channels}" if width else "of any size"
    logging.info("device   %s", runtime.device_name(strategy))
    logging.info(
        "data     %s, %s, %d classes, %s",
        source.name,
        counts,
        source.num_classes,
        size,
    )


def repeated_runs(config, workdir, field, directory, start):
    """Goes through the single runs of a configuration of several.

    Args:
        config: The configuration of the whole.
        workdir: Its directory.
        field: The field of `config` that counts them: "num_searches".
        directory: Maps the workdir and a number from 1 on to the directory of
            a run.
        start: Value of `time.monotonic` when the program was started.

    Yields:
        For each run its configuration, its directory and when it started.
    """
    count = getattr(config, field)
    for number in range(1, count + 1):
        path = directory(workdir, number)
        seed = config.seed + number - 1
        logging.info(
            "%-8s %d of %d, seed %d, in %s",
            {"num_searches": "search", "num_runs": "run"}[field],
            number,
            count,
            seed,
            path,
        )
        single = dataclasses.replace(config, seed=seed, **{field: 1})
        yield single, path, start
        start = time.monotonic()
