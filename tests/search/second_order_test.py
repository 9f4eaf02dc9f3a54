"""The second order of DARTS, against exact derivatives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.networks.layers import pooling
from entrannas_tf.search import second_order
from entrannas_tf.training import losses, optimizers
from tests.support import plain_supernet, toy_supernet


def make(rate, sparse=False, weights=None, **options):
    """Returns a trainer whose alpha, beta and momentum are not at the start.

    With `weights`, that is a trainer of a super-net which is there already.
    """
    keras.utils.set_random_seed(0)
    parameters = parameters_lib.Architecture("tiny", sparse)
    weights = weights or toy_supernet.make(
        parameters.searched_space, image_channels=1, **options
    )
    sgd = optimizers.CoupledSGD(rate, weight_decay=0.01)
    trainer = second_order.SecondOrderTrainer(
        parameters, weights, KeepGradients(), sgd
    )
    rng = np.random.default_rng(0)
    for variable in (*parameters.trainable_variables, *sgd.momentums):
        variable.assign(rng.normal(scale=0.1, size=variable.shape))
    return trainer


class KeepGradients:
    """An optimizer that keeps what it gets."""

    variables = ()

    def build(self, variables):
        self._kept = [tf.Variable(v) for v in variables]

    def apply(self, gradients, variables):
        for kept, gradient in zip(self._kept, gradients, strict=True):
            kept.assign(gradient)

    @property
    def gradients(self):
        return [kept.numpy() for kept in self._kept]


def batch(seed):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(8, 8, 8, 1))
    return tf.constant(images, tf.float32), tf.constant(
        rng.integers(10, size=8), tf.int32
    )


def loss_of(trainer, weights, coefficients, images, labels):
    """Returns the loss of the plain layers, run with weights given.

    Args:
        trainer: Gives the super-net and the derivation.
        weights: As `plain_supernet.weights` returns them.
        coefficients: {kind of cell: float32 [E, K]}.
        images: As for a step.
        labels: As for a step.
    """
    logits = plain_supernet.logits(
        trainer.supernet, weights, images, coefficients, trainer.genotype
    )
    return losses.cross_entropy(labels, logits)


def exact_gradients(trainer):
    """Differentiates through the step of the weights, by nested tapes."""
    sgd = trainer.weight_optimizer
    trainer.genotype = trainer.derive()
    weights = plain_supernet.weights(trainer.supernet)
    shapes = [[w.shape for w in own] for own in weights]
    velocities = [
        cut(velocity.numpy(), own)
        for velocity, own in zip(sgd.momentums, shapes, strict=True)
    ]
    variables = trainer.architecture.trainable_variables
    with tf.GradientTape() as outer:
        coefficients = trainer.architecture.coefficients()
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = loss_of(trainer, weights, coefficients, *batch(1))
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        ahead = tf.nest.map_structure(
            lambda w, v, g: (
                w
                - float(sgd.learning_rate)
                * (sgd.momentum * v + g + sgd.coupled_decay * w)
            ),
            weights,
            velocities,
            gradients,
        )
        loss = loss_of(trainer, ahead, coefficients, *batch(0))
    return outer.gradient(loss, [v.value for v in variables])


def cut(vector, shapes):
    """Returns the pieces of a vector, of these shapes."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    pieces = np.split(vector, np.cumsum(sizes)[:-1]) if sizes else []
    pairs = zip(pieces, shapes, strict=True)
    return [tf.constant(piece.reshape(shape)) for piece, shape in pairs]


def found_gradients(trainer, ahead=True):
    if ahead:
        trainer.update_architecture_ahead(*batch(0), *batch(1))
    else:
        trainer.update_architecture(*batch(0))
    return trainer.architecture_optimizer.gradients


def distance(first, second):
    pairs = zip(first, second, strict=True)
    return np.sqrt(sum(np.square(a - b).sum() for a, b in pairs))


@pytest.fixture(scope="module")
def weights():
    """A super-net of ReLUs, whose graphs are traced once."""
    return make(0.0).supernet


@pytest.fixture
def smooth(monkeypatch):
    """Makes the super-net smooth, and the difference narrow.

    A difference sees where a network of ReLUs bends, and a second derivative
    does not: they are far apart there whatever the width.
    """
    relu = tf.nn.relu

    def rectify(x):  # Coefficients are of rank 2.
        return relu(x) if x.shape.rank == 2 else tf.nn.softplus(x)

    monkeypatch.setattr(tf.nn, "relu", rectify)
    monkeypatch.setattr(pooling, "max_pool", pooling.average_pool)
    monkeypatch.setattr(second_order, "_WIDTH", 1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"sparse": True}, marks=pytest.mark.long),
        pytest.param(
            {"engine_cells": "all", "feature_sharing": False, "bottleneck": 1},
            marks=pytest.mark.long,
        ),
    ],
    ids=["entrannas", "dst", "darts"],
)
def test_gradient_against_the_exact_one(options, smooth):
    """To 1 % of the second-order part, which must be a part of it."""
    trainer = make(0.02, cache=None, **options)  # Its graphs are smooth.
    exact = [gradient.numpy() for gradient in exact_gradients(trainer)]
    found = found_gradients(trainer)
    first = found_gradients(trainer, ahead=False)
    second = distance(exact, first)
    assert second > 0.05 * distance(exact, [0.0] * len(exact))
    assert distance(found, exact) < 0.01 * second


def test_rate_of_zero_gives_the_first_order(weights):
    trainer = make(0.0, weights=weights)
    found = found_gradients(trainer)
    first = found_gradients(trainer, ahead=False)
    for second, expected in zip(found, first, strict=True):
        np.testing.assert_allclose(second, expected, rtol=1e-4, atol=1e-6)


def test_weights_statistics_and_momentum_stay(weights):
    trainer = make(0.1, weights=weights)
    held = [
        *trainer.supernet.variables,
        *trainer.weight_optimizer.variables,
    ]
    before = [v.numpy() for v in held]
    found_gradients(trainer)
    for variable, value in zip(held, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_step_moves_alpha_and_then_the_weights(weights):
    trainer = make(0.1, weights=weights)
    trainer.architecture_optimizer = optimizers.CoupledAdam(0.01)
    trainer.architecture_optimizer.build(
        trainer.architecture.trainable_variables
    )
    held = [
        *trainer.architecture.alpha.values(),
        trainer.supernet.trainable_variables[0],
    ]
    before = [v.numpy() for v in held]
    trainer.train_step((batch(0), batch(1)))
    assert all(
        np.any(variable.numpy() != value)
        for variable, value in zip(held, before, strict=True)
    )
    assert all(np.isfinite(float(m.result())) for m in trainer.metrics)


def test_equations_on_a_quadratic_problem():
    """Where the difference of gradients is exact but for rounding.

    L_train = |w - A alpha|^2 / 2 and L_val = |w|^2 / 2, so dL_train/dalpha =
    -A'(w - A alpha), and with w' = w - xi * (mu v + w - A alpha + decay w) the
    whole gradient is xi * A' w'.
    """
    rng = np.random.default_rng(0)
    matrix, alpha = rng.normal(size=(5, 3)), rng.normal(size=3)
    w, v = rng.normal(size=(2, 5))
    rate, momentum, decay = 0.3, 0.9, 0.05
    gradient = w - matrix @ alpha
    ahead = second_order.look_ahead(w, v, gradient, rate, momentum, decay)
    expected = w - rate * (momentum * v + gradient + decay * w)
    np.testing.assert_allclose(ahead, expected)
    epsilon = float(second_order.width([tf.constant(ahead)]))
    np.testing.assert_allclose(epsilon, 0.01 / np.linalg.norm(ahead))
    sides = [
        -matrix.T @ (w + sign * epsilon * ahead - matrix @ alpha)
        for sign in (1.0, -1.0)
    ]
    product = second_order.second_derivative(*sides, epsilon)
    np.testing.assert_allclose(product, -matrix.T @ ahead, rtol=1e-9)
    total = second_order.total_gradient(0.0, product, rate)
    np.testing.assert_allclose(total, rate * matrix.T @ ahead, rtol=1e-9)


def test_no_gradient_is_no_difference():
    zeros = tf.zeros([3])
    epsilon = second_order.width([zeros])
    found = second_order.second_derivative(zeros, zeros, epsilon)
    np.testing.assert_array_equal(found, zeros)
