"""Prepares TensorFlow for a run, and explains its errors."""

import contextlib
import os
import re

import keras
import tensorflow as tf
from absl import logging

from entrannas_tf.training import distribution, interruptions


def prepare(seed, deterministic):
    """Seeds all random numbers; `deterministic` asks for bitwise equality."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def cleared():
    """Frees the memory of a run, also if it fails."""
    try:
        yield
    finally:
        keras.backend.clear_session()


def device_name(strategy):
    """Returns what a run computes on, such as "CPU, 2 cores"."""
    gpus = tf.config.list_physical_devices("GPU")
    name = f"CPU, {os.cpu_count()} cores"
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        name = details.get("device_name", "GPU")
    replicas = strategy.num_replicas_in_sync
    workers = distribution.num_workers(strategy)
    if replicas > 1:
        name += f", {replicas} replicas"
    if workers > 1:
        name += f" on {workers} workers"
    return name


def use_xla(wanted):
    """Returns whether XLA is to compile graphs: if wanted, and on a GPU.

    Measured: on a CPU it runs depthwise convolutions 10 to 20 times slower.
    """
    if wanted and not tf.config.list_physical_devices("GPU"):
        logging.info(
            "xla      is off: it pays on a GPU alone, and none is here"
        )
        return False
    return wanted


@contextlib.contextmanager
def plain_errors(batch_size_field):
    """Explains the errors that TensorFlow reports from inside a graph.

    Args:
        batch_size_field: Dotted path of the batch size in the configuration.

    Raises:
        interruptions.OutOfMemory: If the device runs out of memory.
        ValueError: If an image is broken.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise interruptions.OutOfMemory(
            "The device has too little memory: choose a smaller "
            f"{batch_size_field} or network.init_channels."
        ) from error
    except tf.errors.OpError as error:
        broken = re.search(r"\d+ image\(s\) cannot be decoded.*", error.message)
        if broken is None:
            raise
        raise ValueError(broken[0]) from error
