"""Makes the `tf.distribute.Strategy` of a run, and explains its errors."""

import contextlib
import functools
import json
import os

import tensorflow as tf

from entrannas_tf.training import distribution, interruptions

_CLUSTER = "TF_CONFIG"
_WORKERS = ("chief", "worker")
# A heartbeat that stopped, a connection that broke, a sum that waited too long.
_LOSSES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


def make_strategy(name, num_devices=0, timeout_seconds=60):
    """Returns the `tf.distribute.Strategy` of a run.

    Call it before anything is computed: TensorFlow takes no further devices or
    workers afterwards.

    Args:
        name: "one_device"; "mirrored", the devices of this machine; or
            "multi_worker", those of all machines that TF_CONFIG lists, which
            this call waits for.
        num_devices: Number of devices of this machine: GPUs, or without any,
            logical devices that the CPU is split into. 0 takes all GPUs, or
            the whole CPU.
        timeout_seconds: Time after which a worker that takes no part in a sum
            is taken for lost. A dead one is noticed after 10 to 20.

    Raises:
        ValueError: If there are too few devices, no GPU to mirror on, or
            TF_CONFIG is not as it should be.
    """
    if name == "one_device":
        return tf.distribute.get_strategy()
    cluster = _read_cluster() if name == "multi_worker" else None
    devices = _choose_devices(num_devices, alone=cluster is None)
    if cluster is None:
        return _mirror(tuple(devices))
    return tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(
            timeout_seconds=timeout_seconds
        )
    )


@functools.cache
def _mirror(devices):
    """Returns this process's only MirroredStrategy of a tuple of devices.

    TensorFlow names the sums of two such strategies alike, so that the second
    may fail: "Shape mismatch in the collective instance".
    """
    return tf.distribute.MirroredStrategy(devices)


def _choose_devices(num_devices, alone):
    """Returns the names of this machine's devices to use."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if num_devices > len(gpus):
            raise ValueError(
                f"distribution.num_devices is {num_devices}; expected at most "
                f"{len(gpus)}, the number of GPUs that TensorFlow finds here."
            )
        chosen = gpus[: num_devices or len(gpus)]
        tf.config.set_visible_devices(chosen, "GPU")
        return [f"GPU:{number}" for number in range(len(chosen))]
    if alone and not num_devices:
        raise ValueError(
            "The strategy is mirrored and TensorFlow finds no GPU here. Choose "
            "--strategy=one_device, or split the CPU to try it: "
            "--config.distribution.num_devices=2."
        )
    count = max(num_devices, 1)
    _split_cpu(count)
    return [f"CPU:{number}" for number in range(count)]


def _split_cpu(count):
    """Splits the CPU into at least this number of logical devices."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if count <= len(tf.config.get_logical_device_configuration(cpu) or [cpu]):
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError:
        raise ValueError(
            f"The CPU cannot be split into {count} devices, as this process "
            "has begun to compute; expected to be the first thing it does. "
            "Restart Python."
        ) from None


def _read_cluster():
    """Returns the dict of TF_CONFIG; raises ValueError if it makes no sense."""
    expected = (
        f"expected {_CLUSTER} to be JSON such as "
        '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": '
        '{"type": "worker", "index": 0}}, with another index on each machine'
    )
    text = os.environ.get(_CLUSTER, "")
    if not text:
        raise ValueError(
            f"The strategy is multi_worker and {_CLUSTER} is not set; "
            f"{expected}."
        )
    try:
        values = json.loads(text)
        cluster, task = values["cluster"], values["task"]
        address = cluster[task["type"]][task["index"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"{_CLUSTER} is {text!r} ({type(error).__name__}: {error}); "
            f"{expected}."
        ) from None
    unknown = set(cluster) - set(_WORKERS)
    if unknown or not isinstance(address, str):
        raise ValueError(f"{_CLUSTER} is {text!r}; {expected}.")
    return values


@contextlib.contextmanager
def plain_errors(strategy):
    """Raises `interruptions.WorkerLost` for errors that mean it."""
    try:
        yield
    except tf.errors.OpError as error:
        alone = distribution.num_workers(strategy) == 1
        if alone or not isinstance(error, _LOSSES):
            raise
        raise interruptions.WorkerLost(
            f"Worker {distribution.worker_number(strategy)} has lost another "
            "worker, which has ended or does not answer. See what that one "
            "said, then start all workers again by the same commands: they go "
            "on from the last checkpoint."
        ) from error
