"""One device, several, or several machines: what a run is spread over.

A run holds a `tf.distribute.Strategy` and is the same code on all of them:
`strategy.run` takes a step on each replica, and this module does the rest. On
one device the strategy is TensorFlow's default one, at no cost.

Each worker is a process and feeds its own devices, the replicas; the chief is
the worker that writes files.
"""

import itertools

import numpy as np
import tensorflow as tf

from entrannas_tf.networks.execution import profiling

# A sum of that many checksums stays within int32.
_CHECKSUM_BITS = 20


def worker_number(strategy):
    """Returns which worker this process is, from 0; the chief is 0."""
    resolver, jobs = strategy.cluster_resolver, _jobs(strategy)
    if not jobs:
        return 0
    before = len(jobs.get("chief", ())) if resolver.task_type != "chief" else 0
    return before + resolver.task_id


def num_workers(strategy):
    """Returns the number of processes."""
    return sum(map(len, _jobs(strategy).values())) or 1


def _jobs(strategy):
    """Returns {job: list of addresses}; {} of a single process."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return {}
    return resolver.cluster_spec().as_dict()


def is_chief(strategy):
    """Returns whether this process writes the files."""
    return worker_number(strategy) == 0


def local_replicas(strategy):
    """Returns the range of the numbers of this worker's replicas."""
    count = strategy.num_replicas_in_sync // num_workers(strategy)
    first = worker_number(strategy) * count
    return range(first, first + count)


def shares(strategy):
    """Returns which part of each batch this worker feeds, for `pipeline`."""
    return {
        "num_replicas": strategy.num_replicas_in_sync,
        "replicas": local_replicas(strategy),
    }


def batches(strategy, elements):
    """Deals elements out to the replicas of this worker.

    Args:
        strategy: `tf.distribute.Strategy`.
        elements: Iterable of nests of tensors, for each step one a replica,
            in the order of `local_replicas`.

    Yields:
        For each step one nest, for `strategy.run`.
    """
    count = len(local_replicas(strategy))
    elements = iter(elements)
    while True:
        with profiling.Part(profiling.INPUT):
            dealt = list(itertools.islice(elements, count))
        if not dealt:
            return
        yield dealt[0] if count == 1 else deal(strategy, dealt)


def deal(strategy, values):
    """Gives each replica of this worker one of these nests of tensors."""
    first = local_replicas(strategy)[0]
    return strategy.experimental_distribute_values_from_function(
        lambda context: values[context.replica_id_in_sync_group - first]
    )


def deal_batch(strategy, arrays):
    """Gives each replica of the only worker its part of a global batch.

    Args:
        strategy: `tf.distribute.Strategy`.
        arrays: Sequence of tensors [B, ...]; the replicas divide B.
    """
    count = strategy.num_replicas_in_sync
    parts = list(zip(*(tf.split(a, count) for a in arrays), strict=True))
    return parts[0] if count == 1 else deal(strategy, parts)


def first_local(strategy, nest):
    """Returns a nest of tensors as this worker's first replica holds it."""
    return tf.nest.map_structure(
        lambda value: strategy.experimental_local_results(value)[0], nest
    )


def graph(method, any_shape=False):
    """Returns a graph of a method for `strategy.run`, the same on all replicas.

    As a decorator of a method, `tf.function` would lose `self` there.

    Args:
        method: Callable of tensors.
        any_shape: Whether tensors of many shapes come: then there is one graph
            for all of them, not one for each.
    """
    return tf.function(
        method,
        autograph=False,
        jit_compile=False,
        reduce_retracing=any_shape,
    )


def mean(tensors):
    """Returns the means of float tensors over the replicas, on each of them."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(tensors)
    # Arguments have no device, and workers need one: hence the identity.
    return context.all_reduce("MEAN", [tf.identity(t) for t in tensors])


def total(strategy, values):
    """Adds arrays up over the workers.

    Args:
        strategy: `tf.distribute.Strategy`.
        values: Numbers of this worker, an array of the same shape and type on
            each. They travel in 4 bytes each.

    Returns:
        NumPy array, the same on every worker.
    """
    values = np.asarray(values)
    if num_workers(strategy) == 1:
        return values
    small = {"f": np.float32, "i": np.int32, "u": np.int32, "b": np.int32}
    sent = values.astype(small[values.dtype.kind])
    count = len(local_replicas(strategy))
    parts = [sent] + [np.zeros_like(sent)] * (count - 1)
    dealt = deal(strategy, [tf.constant(part) for part in parts])
    return strategy.reduce("SUM", dealt, axis=None).numpy().astype(values.dtype)


def any_worker(strategy, flag):
    """Returns on each worker whether the flag is true on any of them."""
    return bool(total(strategy, int(flag)) > 0)


def from_chief(strategy, data):
    """Returns the chief's bytes on every worker.

    Args:
        strategy: `tf.distribute.Strategy`.
        data: Bytes; those of other workers are left alone.
    """
    if num_workers(strategy) == 1:
        return data
    data = data if is_chief(strategy) else b""
    size = int(total(strategy, len(data)))
    if not size:  # TensorFlow crashes on a sum of nothing.
        return b""
    padded = data.ljust(-(-size // 4) * 4, b"\0")
    return total(strategy, np.frombuffer(padded, np.int32)).tobytes()[:size]


def check_equal(strategy, variables, trail, what):
    """Checks at little cost that all replicas hold the same.

    Args:
        strategy: `tf.distribute.Strategy`.
        variables: Sequence of small float32 variables.
        trail: Integer, a checksum of what this worker did.
        what: Name of what must be the same, for the error.

    Raises:
        RuntimeError: If a replica's variables, or a worker's trail, differ.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    mine = [
        (_checksum(values) + trail) % 2**_CHECKSUM_BITS
        for values in zip(*map(_local_values(strategy), variables), strict=True)
    ]
    count = strategy.num_replicas_in_sync
    if any(total(strategy, sum(mine)) != count * own for own in mine):
        raise RuntimeError(
            f"The replicas no longer have the same {what}: a device or a "
            "worker computes wrongly, or runs another version of this "
            "software. Find out which, then start again by the same command: "
            "it resumes from the last checkpoint."
        )


def _local_values(strategy):
    def local(variable):
        replicas = strategy.experimental_local_results(variable.value)
        return [replica.numpy() for replica in replicas]

    return local


def _checksum(arrays):
    words = [np.ascontiguousarray(a, np.float32).view(np.int32) for a in arrays]
    return int(sum(w.sum(dtype=np.int64) for w in words))
