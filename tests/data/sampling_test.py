"""Tests of which examples stand in which step."""

import numpy as np
import pytest

from entrannas_tf.data import sampling


@pytest.mark.parametrize("seed", range(5))
def test_an_order_passes_over_all_before_it_repeats(seed):
    indices = np.arange(10, 33)
    drawn = sampling.epoch_order(indices, 7, 8, seed, 1)
    assert drawn.shape == (7, 8)
    assert drawn.dtype == np.int64
    flat = drawn.ravel()
    np.testing.assert_array_equal(np.sort(flat[:23]), indices)
    np.testing.assert_array_equal(np.sort(flat[23:46]), indices)
    assert len(set(flat[46:])) == 10
    assert np.any(flat[:23] != flat[23:46])


def test_an_order_depends_on_seed_and_epoch_alone():
    def draw(seed, epoch):
        return sampling.epoch_order(np.arange(100), 5, 20, seed, epoch)

    np.testing.assert_array_equal(draw(1, 2), draw(1, 2))
    assert np.any(draw(1, 2) != draw(1, 3))
    assert np.any(draw(1, 2) != draw(2, 2))


def test_seeds_depend_on_seed_epoch_and_step_alone():
    seeds = sampling.step_seeds(50, (1, 0), 2)
    assert (seeds.dtype, seeds.shape) == (np.int32, (50, 2))
    assert len(set(map(tuple, seeds))) == 50
    np.testing.assert_array_equal(
        seeds[:10], sampling.step_seeds(10, (1, 0), 2)
    )
    assert np.any(seeds != sampling.step_seeds(50, (1, 1), 2))
    assert np.any(seeds != sampling.step_seeds(50, (1, 0), 3))


def test_replicas_split_a_table():
    table = np.arange(24).reshape(2, 6, 2)
    fed = sampling.check_replicas(6, 3, [2, 0])
    np.testing.assert_array_equal(
        fed.split(table),
        [table[0, 4:], table[0, :2], table[1, 4:], table[1, :2]],
    )
    np.testing.assert_array_equal(fed.repeat(np.array([7, 8])), [7, 7, 8, 8])
    np.testing.assert_array_equal(fed.number(2), [2, 0, 2, 0])
    assert sampling.check_replicas(6, 3, None).numbers == (0, 1, 2)


@pytest.mark.parametrize(
    ("num_replicas", "replicas", "message"),
    [
        (4, None, r"batch of 6 does not divide among 4 replicas; .* of 4\."),
        (0, None, r"does not divide among 0 replicas; expected a multiple of"),
        (2, [2], r"to feed are \[2\]; expected one or more of 0 to 1\."),
        (2, [], r"to feed are \[\]; expected one or more"),
    ],
)
def test_replicas_that_cannot_be_are_refused(num_replicas, replicas, message):
    with pytest.raises(ValueError, match=message):
        sampling.check_replicas(6, num_replicas, replicas)
