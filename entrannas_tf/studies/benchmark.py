"""Measures steps on synthetic batches: of Table 3's rows, of a retraining."""

import itertools
import json
import statistics
import subprocess
import sys
import time
import types
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.config import search as search_config
from entrannas_tf.data import sampling
from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.execution import graphs, profiling
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import (
    distribution,
    formatting,
    interruptions,
    optimizers,
    provenance,
    runtime,
    strategies,
)

# What each row of Table 3 adds; a row includes those above it.
ROWS = {
    "darts": {"engine_cells": "all", "feature_sharing": False, "bottleneck": 1},
    "engine_transit": {"feature_sharing": False, "bottleneck": 1},
    "feature_sharing": {"bottleneck": 1},
    "bottleneck": {},
}
_NUM_CLASSES = 10  # CIFAR-10's.


class Settings(NamedTuple):
    """The steps that are measured, and their super-net.

    Attributes:
        batch_size: Global batch size of each of a step's two batches.
        num_steps: Number of steady steps, and of steps with a derivation that
            was never seen, to take the medians of.
        strategy: Name of a strategy, see `strategies.make_strategy`.
        num_cells: Number of cells.
        init_channels: Channels of the first cells, a multiple of 4.
        image_size: Side of the images in pixels.
    """

    batch_size: int
    num_steps: int
    strategy: str = "one_device"
    num_cells: int = 8
    init_channels: int = 16
    image_size: int = 32


@graphs.without_grappler()
def measure_row(row, settings, num_devices, start_time):
    """Measures one row in this process.

    Args:
        row: Name of a row of `ROWS`.
        settings: The `Settings`.
        num_devices: Number of devices, 0 for all.
        start_time: Time at which the process started, in seconds since the
            Unix epoch; None for now.

    Returns:
        Dict: `row`, `batch_size`, `device` (its name), `num_replicas`,
        `step_seconds` (a step for alpha and one for the weights),
        `milliseconds_per_image`, `parts` (`profiling.stop`, per step),
        `bare_step_seconds` (a step of one 8x8 image per replica),
        `graph_step_seconds` and `bare_graph_step_seconds` (the same when the
        derivation has stayed and the step is one graph),
        `peak_memory_mib` (of the first GPU; without one, of the process),
        `graph_peak_memory_mib` (the same, with that graph),
        `first_step_seconds` (from the start of the process to the end of the
        first step), `new_derivation_seconds` (additional time of a step with a
        new derivation), `num_graphs`.

    Raises:
        ValueError: If the batch does not divide among the devices, or as
            `strategies.make_strategy`.
    """
    start_time = start_time or time.time()
    batch_size, num_steps = settings.batch_size, settings.num_steps
    devices = strategies.make_strategy(settings.strategy, num_devices)
    num_replicas = devices.num_replicas_in_sync
    sampling.check_replicas(batch_size, num_replicas, None)
    keras.utils.set_random_seed(0)
    with devices.scope():
        trainer = _make_trainer(row, settings)
    data = _deal_batches(devices, batch_size, settings.image_size)
    _seconds(trainer, data)
    first_step_seconds = time.time() - start_time
    _seconds(trainer, data)  # The second use of a graph is not yet typical.
    profiling.start()
    steady = _median_seconds(trainer, data, num_steps)
    parts = {k: v / num_steps for k, v in profiling.stop().items()}
    num_graphs = len(trainer.supernet.cache)
    fresh = []
    for seed in range(num_steps):
        _draw_alpha(trainer, seed)
        fresh.append(_seconds(trainer, data))
    peak = _peak_memory_mib()
    small = _deal_batches(devices, num_replicas, 8)
    _median_seconds(trainer, small, 2)
    bare = _median_seconds(trainer, small, num_steps)
    trainer.graph_after_steps = 1  # The derivation stays from here on.
    _median_seconds(trainer, small, 3)
    bare_graph = _median_seconds(trainer, small, num_steps)
    _median_seconds(trainer, data, 3)
    return {
        "row": row,
        "batch_size": batch_size,
        "device": runtime.device_name(devices),
        "num_replicas": num_replicas,
        "step_seconds": steady,
        "milliseconds_per_image": 1000 * steady / batch_size,
        "parts": parts,
        "bare_step_seconds": bare,
        "graph_step_seconds": _median_seconds(trainer, data, num_steps),
        "bare_graph_step_seconds": bare_graph,
        "peak_memory_mib": peak,
        "graph_peak_memory_mib": _peak_memory_mib(),
        "first_step_seconds": first_step_seconds,
        "new_derivation_seconds": statistics.median(fresh) - steady,
        "num_graphs": num_graphs,
    }


def measure_retraining(genotype, network, batch_size, num_steps, start_time):
    """Measures a training step of a target network with its auxiliary head.

    Args:
        genotype: A `genotypes.Genotype`.
        network: A `cost.Network`.
        batch_size: Number of images per step.
        num_steps: Number of steps to take the median of.
        start_time: Time at which the process started, in seconds since the
            Unix epoch.

    Returns:
        Dict: `step_seconds`, `images_per_second`, `first_step_seconds`,
        `peak_memory_mib`, as those of `measure_row`.
    """
    target = target_network.TargetNetwork(
        genotype,
        network.num_classes,
        (network.image_size, network.image_size, network.image_channels),
        network.num_cells,
        network.init_channels,
        network.kind,
    )
    trainer = retraining_step.RetrainTrainer(
        target, optimizers.CoupledSGD(), drop_path=True
    )
    data = _batch(batch_size, 0, network.image_size, network.image_channels)
    _seconds(trainer, data)
    first_step_seconds = time.time() - start_time
    step = _median_seconds(trainer, data, num_steps)
    return {
        "step_seconds": step,
        "images_per_second": batch_size / step,
        "first_step_seconds": first_step_seconds,
        "peak_memory_mib": _peak_memory_mib(),
    }


def measure(rows, settings, nums_devices=(0,)):
    """Measures rows, each in its own process; yields `measure_row`'s dicts.

    Args:
        rows: Names of rows of `ROWS`.
        settings: The `Settings`.
        nums_devices: Numbers of devices; each row is measured on each.

    Raises:
        interruptions.RunFailed: If a row's process fails, for instance because
            it runs out of memory.
    """
    for row, num_devices in itertools.product(rows, nums_devices):
        command = [
            sys.executable,
            "-m",
            "launch.benchmark",
            f"--row={row}",
            f"--num_devices={num_devices}",
            f"--start_time={time.time()}",
            f"--batch_size={settings.batch_size}",
            f"--num_steps={settings.num_steps}",
            f"--strategy={settings.strategy}",
            f"--size={settings.num_cells},{settings.init_channels},"
            f"{settings.image_size}",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise interruptions.RunFailed(
                f"The row {row} ended with exit code {done.returncode}: "
                f"{done.stderr.strip()[-500:]}"
            )
        yield json.loads(done.stdout.strip().splitlines()[-1])


def table(measurements):
    """Returns measurements as a Markdown table, with ratios to the first.

    "host" is Python between graphs, "bare" a step of next to no images: the
    cost of calling all graphs, including the kernels' own overhead. "graph" is
    a step when the derivation has stayed.
    """
    columns = {
        "row": lambda m: m["row"],
        "devices": lambda m: m["num_replicas"],
        "step s": lambda m: f"{m['step_seconds']:.2f}",
        "ratio": lambda m: (
            f"{measurements[0]['step_seconds'] / m['step_seconds']:.1f}"
        ),
        "ms/image": lambda m: f"{m['milliseconds_per_image']:.1f}",
        "host s": lambda m: f"{m['parts'][profiling.HOST]:.3f}",
        "bare s": lambda m: f"{m['bare_step_seconds']:.3f}",
        "graph s": lambda m: f"{m['graph_step_seconds']:.2f}",
        "bare graph s": lambda m: f"{m['bare_graph_step_seconds']:.3f}",
        "peak MiB": lambda m: f"{m['peak_memory_mib']:.0f}",
        "first step s": lambda m: f"{m['first_step_seconds']:.1f}",
        "new derivation s": lambda m: f"{m['new_derivation_seconds']:.2f}",
        "graphs": lambda m: m["num_graphs"],
    }
    rows = [[value(m) for value in columns.values()] for m in measurements]
    return formatting.table(columns, rows)


def _make_trainer(row, settings):
    """Returns the trainer of a search, see `search_workflow.make_trainer`."""
    config = search_config.Config(
        name="benchmark",
        data=search_config.DataConfig(name="cifar10"),
        network=search_config.NetworkConfig(
            num_cells=settings.num_cells,
            init_channels=settings.init_channels,
            **ROWS[row],
        ),
        search=search_config.SearchConfig(
            epochs=1,
            batch_size=settings.batch_size,
            weight_learning_rate=0.025,
            weight_decay=3e-4,
            architecture_learning_rate=0.0,  # So that the derivation stays.
            initial_temperature=1.0,
            temperature_decay=1.0,
            max_graphs=512,
        ),
    )
    images = types.SimpleNamespace(image_shape=(3,), num_classes=_NUM_CLASSES)
    return search_workflow.make_trainer(config, images, masks=None)


def _deal_batches(devices, batch_size, image_size):
    """Returns a step's two batches, dealt out to the replicas."""
    return [
        distribution.deal_batch(devices, _batch(batch_size, seed, image_size))
        for seed in range(2)
    ]


def _batch(batch_size, seed, size, channels=3):
    rng = np.random.default_rng(seed)
    shape = (batch_size, size, size, channels)
    images = rng.normal(size=shape).astype(np.float32)
    labels = rng.integers(_NUM_CLASSES, size=batch_size)
    return tf.constant(images), tf.constant(labels, tf.int32)


def _peak_memory_mib():
    """Returns the peak of the first GPU's tensors, else of the process."""
    if not tf.config.list_logical_devices("GPU"):
        return provenance.peak_memory_mib()
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20


def _draw_alpha(trainer, seed):
    rng = np.random.default_rng(seed)
    for alpha in trainer.architecture.alpha.values():
        alpha.assign(rng.normal(size=alpha.shape).astype(np.float32))


def _median_seconds(trainer, data, num_steps):
    return statistics.median(_seconds(trainer, data) for _ in range(num_steps))


def _seconds(trainer, data):
    start = time.monotonic()
    trainer.train_step(data)
    float(trainer.metrics[0].result())  # Waits for the step to end.
    return time.monotonic() - start
