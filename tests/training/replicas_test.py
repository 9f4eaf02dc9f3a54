"""Steps on 2 and on 8 logical devices; see `tests.support.replicas`."""

import functools
import json

import numpy as np
import pytest

from entrannas_tf.training import distribution, strategies
from tests.support import programs, replicas

pytestmark = pytest.mark.long


@functools.cache
def measure(num_devices):
    done = programs.run(
        "-m", "tests.support.replicas", num_devices, timeout=900
    )
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout.splitlines()[-1])
    assert numbers["replicas"] == num_devices
    return numbers


@pytest.fixture(params=[2, 8])
def numbers(request):
    return measure(request.param)


def test_replicas_hold_the_same(numbers):
    assert numbers["search_spread"] == 0.0
    assert numbers["training_spread"] == 0.0


def test_graphs_are_built_once_for_all():
    alone, mirrored = measure(2)["num_graphs"]
    assert mirrored == alone > 10


@pytest.mark.parametrize("kind", range(3), ids=["alpha", "weights", "training"])
def test_gradients_are_those_of_the_whole_batch(kind):
    """With batch norms frozen, as those of parts are others."""
    gradient = measure(2)["gradients"][kind]
    assert gradient["difference"] < 1e-5 * gradient["largest"] + 1e-7
    assert gradient["largest"] > 1e-3


def test_gradients_of_second_order_are_those_of_the_whole_batch():
    """As far as a difference of gradients in float32 tells."""
    gradient = measure(2)["gradients"][3]
    assert gradient["difference"] < 1e-3 * gradient["largest"]
    assert gradient["largest"] > 1e-3


def test_replicas_that_come_apart_are_noticed(numbers):
    assert "no longer have the same alpha and beta" in numbers["came_apart"]


def test_float16_on_two_replicas():
    """Steps keep them equal; one that overflows changes nothing."""
    strategy = strategies.make_strategy("mirrored", 2)  # See conftest.py.
    trainer = replicas.make_search(strategy, precision="float16")
    parts = [
        distribution.deal_batch(strategy, replicas.batch(k)) for k in (0, 10)
    ]
    held = [
        *trainer.architecture.variables,
        *trainer.supernet.variables,
        *trainer.architecture_optimizer.variables,
        *trainer.weight_optimizer.variables,
    ]
    first = replicas.flat(trainer.supernet.trainable_variables)
    for _ in range(7):  # The first five lower the scale.
        trainer.train_step(parts)
    before = replicas.flat(trainer.supernet.trainable_variables)
    assert not np.array_equal(first, before)
    for scale in trainer.loss_scales.values():
        scale.scale.assign(2.0**40)
    trainer.train_step(parts)
    np.testing.assert_array_equal(
        replicas.flat(trainer.supernet.trainable_variables), before
    )
    assert replicas.spread(strategy, held) == 0.0
    for scale in trainer.loss_scales.values():
        assert float(scale.scale.numpy()) == 2.0**24  # Its upper bound.
