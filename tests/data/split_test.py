"""Tests of the two halves."""

import numpy as np
import pytest

from entrannas_tf.data import split


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.5, 0.8])
def test_halves_are_disjoint_complete_and_stratified(seed, fraction):
    labels = np.random.default_rng(seed).integers(0, 7, 500)
    weight, validation = split.halves(labels, fraction, seed)
    assert weight.dtype == validation.dtype == np.int64
    together = np.concatenate([weight, validation])
    np.testing.assert_array_equal(np.sort(together), np.arange(500))
    share = np.bincount(labels[weight]) / np.bincount(labels)
    np.testing.assert_allclose(share, fraction, atol=0.02)
    assert np.any(np.diff(weight) < 0)
    assert np.any(np.diff(labels[weight]) < 0)


def test_the_seed_decides():
    labels = np.arange(100) % 4
    first, again, other = (split.halves(labels, 0.5, s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_a_class_with_one_example_is_named():
    with pytest.raises(ValueError, match=r"Class 2 has 1 example\(s\)"):
        split.halves([0, 0, 1, 1, 2], 0.5, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        split.halves([0, 0, 1, 1], fraction, 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_architecture_may_have_a_part_of_the_rest(seed):
    labels = np.random.default_rng(seed).integers(0, 7, 700)
    weight, validation = split.halves(labels, 0.1, seed, other_fraction=0.2)
    assert not set(weight) & set(validation)
    for half, fraction in ((weight, 0.1), (validation, 0.2)):
        share = np.bincount(labels[half]) / np.bincount(labels)
        np.testing.assert_allclose(share, fraction, atol=0.01)
    whole_weight, rest = split.halves(labels, 0.1, seed)
    assert set(weight) == set(whole_weight)
    assert set(validation) < set(rest)


def test_two_shares_may_be_all():
    labels = np.arange(70) % 7
    weight, validation = split.halves(labels, 0.7, 0, other_fraction=0.3)
    assert sorted([*weight, *validation]) == list(range(70))


@pytest.mark.parametrize("fraction", [0.6, -0.1, float("nan")])
def test_two_shares_that_are_too_much_are_refused(fraction):
    with pytest.raises(ValueError, match=r"half 0\.5; expected 0 or more, and"):
        split.halves([0, 0, 1, 1], 0.5, 0, other_fraction=fraction)
