"""Dropout behind skip connections; drop path is in blocks_test."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.layers import dropout


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_elements_are_dropped_and_the_mean_stays(rate):
    x = tf.ones([50, 4, 5, 20])
    y = dropout.drop_elements(x, (1, 2), tf.constant(rate)).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-5)
    # 20,000 elements: 5 standard deviations of the mean are 0.054 at most.
    assert abs(y.mean() - 1) < 0.06
    # Elements, not images, places or channels.
    for axes in ((1, 2, 3), (0, 3), (0, 1, 2)):
        assert (y.mean(axis=axes) > 0).all()


def test_nothing_is_dropped_at_a_rate_of_zero():
    x = tf.random.stateless_normal([10, 10], (0, 1))
    y = dropout.drop_elements(x, (1, 2), tf.constant(0.0))
    np.testing.assert_array_equal(x, y)


def test_the_gradient_is_dropped_alike():
    x, rate = tf.ones([10, 10]), tf.constant(0.5)
    with tf.GradientTape() as tape:
        tape.watch([x, rate])
        y = dropout.drop_elements(x, (1, 2), rate)
    by_x, by_rate = tape.gradient(y, [x, rate])
    np.testing.assert_array_equal(by_x, y)
    assert by_rate is None


def test_half_precision_stays():
    y = dropout.drop_elements(
        tf.ones([8], tf.bfloat16), (1, 2), tf.constant(0.5)
    )
    assert y.dtype == tf.bfloat16


def test_seeds_follow_from_seed_and_count_and_differ():
    layer = dropout.SkipDropout(seed=7)
    layer.rate.assign(0.25)
    drawn = [layer.draw(count) for count in (0, 1, 0)]
    seeds = [tuple(seed.numpy()) for seed, _ in drawn]
    assert seeds[0] == seeds[2] != seeds[1]
    assert all(rate == 0.25 for _, rate in drawn)
    again = dropout.SkipDropout.from_config(layer.get_config())
    assert tuple(again.draw(1)[0].numpy()) == seeds[1]
    other = dropout.SkipDropout(seed=8)
    assert tuple(other.draw(1)[0].numpy()) != seeds[1]
