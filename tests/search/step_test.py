import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.search import step as search_step
from entrannas_tf.training import optimizers
from tests.support import toy_supernet


def make(
    sparse=False,
    penalty=0.0,
    skip_dropout_seed=None,
    weights=None,
    graph_after_steps=0,
    **options,
):
    """Returns a trainer; with `weights`, of a super-net that is there."""
    keras.utils.set_random_seed(0)
    parameters = parameters_lib.Architecture("tiny", sparse)
    weights = weights or toy_supernet.make(
        parameters.searched_space, image_channels=1, **options
    )
    return search_step.SearchTrainer(
        parameters,
        weights,
        optimizers.CoupledAdam(0.01),
        optimizers.CoupledSGD(0.05),
        penalty,
        skip_dropout_seed=skip_dropout_seed,
        graph_after_steps=graph_after_steps,
    )


def batch(seed):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(8, 8, 8, 1))
    return tf.constant(images, tf.float32), tf.constant(
        rng.integers(10, size=8), tf.int32
    )


def snapshot(variables):
    return [v.numpy().copy() for v in variables]


@pytest.fixture(scope="module")
def trainer():
    return make()


def test_step_for_alpha_leaves_the_weights_alone(trainer):
    weights = snapshot(trainer.supernet.trainable_variables)
    alphas = snapshot(trainer.architecture.trainable_variables)
    trainer.update_architecture(*batch(0))
    for before, after in zip(
        weights, snapshot(trainer.supernet.trainable_variables), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    now = snapshot(trainer.architecture.trainable_variables)
    assert all(np.any(a != b) for a, b in zip(alphas, now, strict=True))


def test_a_held_architecture_is_measured_and_left_alone(trainer):
    metrics = [
        trainer.search_metrics[f"validation_{n}"] for n in ("loss", "accuracy")
    ]
    seen = []
    for holds in (True, False):
        held = [
            *trainer.architecture.trainable_variables,
            *trainer.architecture_optimizer.variables,
            *trainer.supernet.trainable_variables,
        ]
        before = snapshot(held)
        for metric in metrics:
            metric.reset_state()
        trainer.holds_architecture = holds
        trainer.update_architecture(*batch(3))
        same = [
            np.array_equal(a, b)
            for a, b in zip(before, snapshot(held), strict=True)
        ]
        assert all(same) == holds
        seen.append([float(metric.result()) for metric in metrics])
    assert seen[0] == seen[1]


def test_step_for_the_weights_leaves_alpha_alone(trainer):
    weights = snapshot(trainer.supernet.trainable_variables)
    alphas = snapshot(trainer.architecture.trainable_variables)
    trainer.update_weights(*batch(1))
    now = snapshot(trainer.architecture.trainable_variables)
    for before, after in zip(alphas, now, strict=True):
        np.testing.assert_array_equal(before, after)
    now = snapshot(trainer.supernet.trainable_variables)
    changed = [np.any(a != b) for a, b in zip(weights, now, strict=True)]
    assert sum(changed) > len(changed) / 2


def test_train_step_reports_both_halves(trainer):
    trainer.train_step((batch(0), batch(1)))
    logs = {m.name: m.result() for m in trainer.metrics}
    assert set(logs) == {
        "validation_loss",
        "validation_accuracy",
        "loss",
        "accuracy",
    }
    assert all(np.isfinite(float(value)) for value in logs.values())


def test_weights_learn_a_batch(trainer):
    losses = []
    for _ in range(12):
        for metric in trainer.metrics:
            metric.reset_state()
        trainer.update_weights(*batch(2))
        losses.append(float(trainer.search_metrics["loss"].result()))
    assert losses[-1] < losses[0] - 0.3


class KeepGradients:
    """An optimizer that writes the gradients into the variables."""

    variables = ()

    def build(self, variables):
        pass

    def apply(self, gradients, variables):
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign(gradient)


def test_penalty_acts_on_the_thresholds():
    """By hand: lambda times the mean of -log(sigmoid(beta)), at beta = 0."""
    betas, weights = [], None
    for penalty in (0.0, 0.4):
        trainer = make(sparse=True, penalty=penalty, weights=weights)
        weights = trainer.supernet
        trainer.architecture_optimizer = KeepGradients()
        trainer.update_architecture(*batch(0))
        betas.append(trainer.architecture.beta)
    for kind in betas[0]:
        by_penalty = betas[1][kind] - betas[0][kind]
        np.testing.assert_allclose(by_penalty, [-0.4 / 4 * 0.5] * 4, atol=1e-6)


@pytest.mark.long
def test_supernet_of_darts_takes_a_step():
    """Without a bottleneck the last node of a cell has no weights."""
    trainer = make(engine_cells="all", feature_sharing=False, bottleneck=1)
    trainer.train_step((batch(0), batch(1)))
    assert all(np.isfinite(float(m.result())) for m in trainer.metrics)


def test_a_step_as_one_graph_is_the_same_step():
    """From the second step on, until the derivation changes."""
    runs = []
    for after in (0, 1):
        trainer = make(graph_after_steps=after)
        trainer.architecture_optimizer.learning_rate = 0.0
        for step in range(4):
            if step == 3:
                for alpha in trainer.architecture.alpha.values():
                    alpha.assign(-alpha)
            trainer.train_step((batch(step), batch(step + 10)))
            assert bool(trainer._whole_graphs) == (after and 0 < step < 3)
        runs.append(
            [
                *snapshot(trainer.supernet.variables),
                *snapshot(trainer.weight_optimizer.variables),
                *snapshot(trainer.architecture_optimizer.variables),
                *(float(m.result()) for m in trainer.metrics),
            ]
        )
    for chain, graph in zip(*runs, strict=True):
        np.testing.assert_allclose(graph, chain, atol=1e-5, rtol=1e-5)


def test_dropout_draws_anew_and_again_the_same():
    """In each step others; in a trainer that begins likewise, the same."""
    weights = make(skip_dropout_seed=5).supernet
    start = snapshot(weights.variables)
    losses = []
    for _ in range(2):
        for variable, value in zip(weights.variables, start, strict=True):
            variable.assign(value)
        trainer = make(skip_dropout_seed=5, weights=weights)
        trainer.skip_dropout.rate.assign(0.6)
        for _ in range(2):
            trainer.architecture_optimizer = KeepGradients()
            trainer.update_architecture(*batch(0))
            losses.append(snapshot(trainer.architecture.trainable_variables))
            trainer.update_weights(*batch(1))
    for first, again in zip(losses[:2], losses[2:], strict=True):
        for one, other in zip(first, again, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_runs_of_one_iteration_draw_differently():
    trainer = make(skip_dropout_seed=5)
    seeds = [
        tuple(int(n) for n in trainer._drawn(target)[0])
        for target in ("architecture", "weights")
    ]
    trainer.weight_optimizer.iterations.assign_add(1)
    seeds.append(tuple(int(n) for n in trainer._drawn("architecture")[0]))
    assert len(set(seeds)) == 3
