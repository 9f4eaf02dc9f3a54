import types

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.training import distribution

ALONE = tf.distribute.get_strategy()


def make_cluster(jobs, kind, index, num_replicas):
    """Returns what is asked of a strategy of several workers."""
    spec = tf.train.ClusterSpec(jobs)
    resolver = types.SimpleNamespace(
        cluster_spec=lambda: spec, task_type=kind, task_id=index
    )
    return types.SimpleNamespace(
        cluster_resolver=resolver, num_replicas_in_sync=num_replicas
    )


@pytest.mark.parametrize(
    ("jobs", "kind", "index", "number"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 0, 0),
        ({"worker": ["a:1", "b:1"]}, "worker", 1, 1),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "chief", 0, 0),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "worker", 0, 1),
    ],
)
def test_workers_count_from_the_chief(jobs, kind, index, number):
    cluster = make_cluster(jobs, kind, index, 8)
    assert distribution.worker_number(cluster) == number
    assert distribution.num_workers(cluster) == 2
    assert distribution.is_chief(cluster) == (number == 0)
    replicas = range(4 * number, 4 * number + 4)
    assert distribution.shares(cluster) == {
        "num_replicas": 8,
        "replicas": replicas,
    }


def test_one_worker_alone():
    assert distribution.total(ALONE, 3) == 3
    assert distribution.from_chief(ALONE, b"all") == b"all"
    assert distribution.any_worker(ALONE, True) is True
    assert distribution.any_worker(ALONE, False) is False
    tensors = [tf.constant([1.0, 3.0])]
    assert distribution.mean(tensors) == tensors
    assert list(distribution.batches(ALONE, iter([1, 2, 3]))) == [1, 2, 3]


class TwoReplicas:
    """Holds variables of two replicas in one worker."""

    num_replicas_in_sync = 2
    cluster_resolver = None

    def experimental_local_results(self, values):
        return values


def make_variable(*values):
    return types.SimpleNamespace(value=[tf.constant(v) for v in values])


def test_replicas_that_are_equal_pass():
    values = np.random.default_rng(0).normal(size=(14, 8)).astype(np.float32)
    variables = [make_variable(values, values), make_variable([1.0], [1.0])]
    distribution.check_equal(TwoReplicas(), variables, 12345, "alpha")


@pytest.mark.parametrize("place", [0, 1])
def test_the_last_bit_of_one_replica_is_seen(place):
    values = np.random.default_rng(0).normal(size=(14, 8)).astype(np.float32)
    both = [values, values.copy()]
    both[place][3, 3] = np.nextafter(both[place][3, 3], np.float32(9))
    with pytest.raises(RuntimeError, match=r"no longer have the same alpha: a"):
        distribution.check_equal(
            TwoReplicas(), [make_variable(*both)], 0, "alpha"
        )
