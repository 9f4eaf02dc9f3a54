import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.training import loss_scaling, optimizers, strategies

GOOD = [0.5, -2.0]
BAD = [np.inf, 1.0]


def make_step(optimizer, good_steps=2000):
    """Returns the variables of a step, its scale, and the step as a graph."""
    weights = keras.Variable(np.array([1.0, 2.0], np.float32))
    optimizer.build([weights])
    scale = loss_scaling.LossScale(good_steps)

    @tf.function(autograph=False)
    def step(gradient):
        gradients = [scale.scaled(gradient)]
        scale.step(
            gradients,
            lambda g: optimizer.apply(g, [weights]),
            [weights, *optimizer.variables],
        )

    variables = [weights, *optimizer.variables]
    return variables, scale, lambda g: step(tf.constant(g, tf.float32))


def values(variables):
    return [v.numpy().copy() for v in variables]


def state(scale):
    return float(scale.scale.numpy()), int(scale.count.numpy())


@pytest.mark.parametrize(
    "make", [optimizers.CoupledSGD, optimizers.CoupledAdam]
)
def test_a_good_step_is_the_optimizers_own(make):
    variables, _, step = make_step(make())
    plain, optimizer = keras.Variable([1.0, 2.0]), make()
    optimizer.build([plain])
    for gradient in (GOOD, GOOD[::-1]):
        step(gradient)
        optimizer.apply([tf.constant(gradient)], [plain])
    expected = values([plain, *optimizer.variables])
    for found, wanted in zip(values(variables), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "make", [optimizers.CoupledSGD, optimizers.CoupledAdam]
)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_bad_step_changes_the_scale_alone(make, bad):
    variables, scale, step = make_step(make())
    step(GOOD)
    before = values(variables)
    assert state(scale) == (2.0**15, 1)
    step([bad, 1.0])
    for found, wanted in zip(values(variables), before, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert state(scale) == (2.0**14, 0)


def test_good_steps_in_a_row_double_the_scale():
    _, scale, step = make_step(optimizers.CoupledSGD(), good_steps=3)
    seen = []
    for gradient in (GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD):
        step(gradient)
        seen.append(state(scale))
    halved = 2.0**14
    assert seen == [
        (2.0**15, 1),
        (2.0**15, 2),
        (halved, 0),
        (halved, 1),
        (halved, 2),
        (2.0**15, 0),
        (2.0**15, 1),
    ]


@pytest.mark.parametrize(
    ("start", "is_finite"),
    [
        (loss_scaling.SMALLEST_SCALE, False),
        (loss_scaling.LARGEST_SCALE, True),
    ],
)
def test_scale_stays_within_its_bounds(start, is_finite):
    scale = loss_scaling.LossScale(good_steps=1)
    scale.scale.assign(start)
    scale.update(tf.constant(is_finite))
    assert float(scale.scale.numpy()) == start


def test_replicas_do_the_same():
    """One replica overflows; after the reduction both skip the step."""
    strategy = strategies.make_strategy("mirrored", 2)
    with strategy.scope():
        weights = tf.Variable([1.0, 2.0])
        scale = loss_scaling.LossScale()

    def step(largest):
        replica = tf.distribute.get_replica_context()
        is_second = tf.cast(replica.replica_id_in_sync_group, tf.float32)
        gradient = scale.scaled(tf.stack([1.0, 1.0 + is_second * largest]))
        gradient = replica.all_reduce("sum", gradient)

        @tf.function(autograph=False)
        def update(gradient):
            scale.step(
                [gradient], lambda g: weights.assign_sub(g[0]), [weights]
            )

        update(gradient)

    strategy.run(step, args=(tf.constant(1.0),))
    strategy.run(step, args=(tf.constant(np.inf),))
    for variable, expected in (
        (weights, [-1.0, -1.0]),
        (scale.scale.value, 2.0**14),
        (scale.count.value, 0),
    ):
        for value in strategy.experimental_local_results(variable):
            np.testing.assert_array_equal(value.numpy(), expected)
