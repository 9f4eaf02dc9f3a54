"""The loss of the upper level, Eq. 11, and the cross entropy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import relaxation
from entrannas_tf.training import losses


def test_penalty_by_hand():
    t = tf.constant([0.5, 0.5, 0.25, 1.0])
    expected = (math.log(2) + math.log(2) + math.log(4) + 0) / 4
    assert float(losses.threshold_penalty(t)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_penalty_against_numpy(seed):
    t = np.random.default_rng(seed).uniform(0.01, 0.99, 4)
    actual = losses.threshold_penalty(tf.constant(t))
    np.testing.assert_allclose(actual, -np.log(t).mean(), rtol=1e-12)


def test_penalty_falls_as_thresholds_rise():
    t = tf.Variable([0.1, 0.5, 0.9, 0.99])
    with tf.GradientTape() as tape:
        penalty = losses.threshold_penalty(t)
    gradient = tape.gradient(penalty, t)
    assert np.all(gradient < 0)  # descent raises t, and so prunes
    np.testing.assert_allclose(gradient, -1 / (4 * t), rtol=1e-6)


def test_gradient_to_beta():
    beta = tf.Variable([-2.0, 0.0, 1.0, 3.0], dtype=tf.float64)
    with tf.GradientTape() as tape:
        penalty = losses.threshold_penalty(relaxation.thresholds(beta))
    # d(-log sigmoid(b)) / db = sigmoid(b) - 1
    expected = (1 / (1 + np.exp(-beta.numpy())) - 1) / 4
    np.testing.assert_allclose(
        tape.gradient(penalty, beta), expected, rtol=1e-10
    )


def test_penalty_gradient_check():
    t = tf.constant([0.1, 0.4, 0.7, 0.95], tf.float64)
    theoretical, numerical = tf.test.compute_gradient(
        losses.threshold_penalty, [t], delta=1e-5
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], rtol=1e-6)


def test_cross_entropy_by_hand():
    logits = tf.math.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    loss = losses.cross_entropy(tf.constant([0, 1]), logits)
    expected = (math.log(2) + math.log(10)) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_stands_large_logits():
    logits = tf.constant([[1e4, -1e4]])
    right = losses.cross_entropy(tf.constant([0]), logits)
    wrong = losses.cross_entropy(tf.constant([1]), logits)
    assert float(right) == 0
    assert float(wrong) == pytest.approx(2e4)


def test_cross_entropy_gradient_is_softmax_minus_one_hot():
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(size=(5, 10)))
    labels = tf.constant(rng.integers(10, size=5))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.cross_entropy(labels, logits)
    e = np.exp(logits.numpy())
    expected = (e / e.sum(1, keepdims=True) - np.eye(10)[labels.numpy()]) / 5
    np.testing.assert_allclose(
        tape.gradient(loss, logits), expected, atol=1e-12
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothed_cross_entropy_against_numpy(smoothing):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 10)), rng.integers(10, size=6)
    targets = (1 - smoothing) * np.eye(10)[labels] + smoothing / 10
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(targets * log_p).sum(axis=1).mean()
    actual = losses.cross_entropy(
        tf.constant(labels), tf.constant(logits), smoothing
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


IGNORED = 255


def draw_pixels(ignored=IGNORED):
    """Returns labels [2, 3, 4], the first row ignored, and logits."""
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=(2, 3, 4))
    labels[:, 0] = ignored
    logits = rng.normal(size=(2, 3, 4, 5))
    return labels.astype("int32"), logits


def test_pixel_cross_entropies_against_numpy():
    labels, logits = draw_pixels()
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.zeros(labels.shape)
    for place in np.ndindex(*labels.shape):
        if labels[place] != IGNORED:
            expected[place] = -log_p[(*place, labels[place])]
    found = losses.pixel_cross_entropies(
        tf.constant(labels), tf.constant(logits, tf.float32), IGNORED
    )
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("ignored", [255, 21, 4, 0, -1])
def test_ignored_pixels_have_no_loss_and_no_gradient(ignored):
    """Whether their label is one of the classes or not."""
    labels, logits = draw_pixels(ignored)
    logits = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = losses.pixel_cross_entropies(
            tf.constant(labels), logits, ignored
        )
    gradient = tape.gradient(found, logits).numpy()
    is_ignored = labels == ignored
    assert 0 < is_ignored.sum() < is_ignored.size
    assert not found.numpy()[is_ignored].any()
    assert not gradient[is_ignored].any()
    # That of the others is the softmax, less the label.
    e = np.exp(logits)
    expected = e / e.sum(-1, keepdims=True) - np.eye(5)[labels % 5]
    np.testing.assert_allclose(
        gradient[~is_ignored], expected[~is_ignored], atol=1e-6
    )
