"""What is refused; the strategies themselves are in replicas_ and workers_."""

import json

import pytest
import tensorflow as tf

from entrannas_tf.training import distribution, interruptions, strategies


def set_cluster(monkeypatch, value):
    text = value if isinstance(value, str) else json.dumps(value)
    monkeypatch.setenv("TF_CONFIG", text)


def test_one_device_is_the_default_strategy():
    made = strategies.make_strategy("one_device")
    assert made is tf.distribute.get_strategy()
    assert distribution.is_chief(made)
    assert list(distribution.local_replicas(made)) == [0]


def test_mirrored_without_a_gpu_says_how_to_try_it(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(
        ValueError, match=r"no GPU here\. Choose --strategy=one"
    ):
        strategies.make_strategy("mirrored")


def test_too_late_to_split_the_cpu():
    tf.constant(1)
    with pytest.raises(ValueError, match=r"begun to compute; .*Restart Python"):
        strategies.make_strategy("mirrored", 3)


def test_devices_that_are_there_already():
    made = strategies.make_strategy("mirrored", 2)  # conftest.py splits it.
    assert made.num_replicas_in_sync == 2
    assert distribution.num_workers(made) == 1
    assert list(distribution.local_replicas(made)) == [0, 1]


@pytest.mark.parametrize("shape", [[2], [3, 1]])
def test_sums_of_one_run_are_not_taken_for_another_s(shape):
    """TensorFlow mistakes those of two strategies of the same devices."""
    strategy = strategies.make_strategy("mirrored", 2)
    add = distribution.graph(lambda: distribution.mean([tf.ones(shape)])[0])
    for part in strategy.experimental_local_results(strategy.run(add)):
        assert part.shape == shape


def test_more_devices_than_there_are(monkeypatch):
    gpus = ["GPU:0", "GPU:1"]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    with pytest.raises(
        ValueError, match=r"num_devices is 3; expected at most 2"
    ):
        strategies.make_strategy("mirrored", 3)


def test_multi_worker_without_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=r"TF_CONFIG is not set; expected TF_"):
        strategies.make_strategy("multi_worker")


@pytest.mark.parametrize(
    "value",
    [
        "{",
        [],
        {"cluster": {"worker": ["a:1"]}},
        {
            "cluster": {"worker": ["a:1"]},
            "task": {"type": "worker", "index": 1},
        },
        {
            "cluster": {"worker": ["a:1"], "ps": ["b:1"]},
            "task": {"type": "worker", "index": 0},
        },
        {"cluster": {"worker": "a:1"}, "task": {"type": "chief", "index": 0}},
    ],
)
def test_a_cluster_that_is_none(monkeypatch, value):
    set_cluster(monkeypatch, value)
    with pytest.raises(
        ValueError, match=r"^TF_CONFIG is .*; expected TF_CONFIG"
    ):
        strategies.make_strategy("multi_worker")


def test_other_errors_pass_where_there_is_one_worker():
    error = tf.errors.UnavailableError(None, None, "gone")
    with (
        pytest.raises(tf.errors.UnavailableError),
        strategies.plain_errors(tf.distribute.get_strategy()),
    ):
        raise error


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (tf.errors.UnavailableError, interruptions.WorkerLost),
        (tf.errors.DeadlineExceededError, interruptions.WorkerLost),
        (tf.errors.InvalidArgumentError, tf.errors.InvalidArgumentError),
    ],
)
def test_a_lost_worker_is_told_in_plain_words(monkeypatch, kind, expected):
    monkeypatch.setattr(distribution, "num_workers", lambda strategy: 2)
    with (
        pytest.raises(expected),
        strategies.plain_errors(tf.distribute.get_strategy()),
    ):
        raise kind(None, None, "Collective ops is aborted")
