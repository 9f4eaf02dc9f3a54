"""Coefficients of connections, Eqs. 2, 5, 7, 8 and 9."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import relaxation, search_space

SEEDS = range(4)
SPACE = search_space.STANDARD
TARGETS = np.array([target for _, target in SPACE.edges])

# Figure 3 of the paper: three edges into one node, five operations, t = 0.7.
# Node 3 is the one with three edges. The order within a row is as the text of
# the figure gives it; no equation depends on it.
FIGURE_NODE = 3
FIGURE_P = np.array(
    [
        [0.2, 0.1, 0.3, 0.15, 0.25],
        [0.4, 0.25, 0.15, 0.1, 0.1],
        [0.5, 0.15, 0.15, 0.1, 0.1],
    ]
)
FIGURE_P_HAT = np.array(
    [
        [0.4, 0.2, 0.6, 0.3, 0.5],
        [0.8, 0.5, 0.3, 0.2, 0.2],
        [1.0, 0.3, 0.3, 0.2, 0.2],
    ]
)
FIGURE_Q = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.1, 0.0, 0.0, 0.0, 0.0],
        [0.3, 0.0, 0.0, 0.0, 0.0],
    ]
)
FIGURE_Q_HAT = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 0.0],
    ]
)


def in_cell(rows):
    """Returns float32 [14, 5] with the figure's rows, elsewhere uniform."""
    cell = np.full((14, 5), 0.2, np.float32)
    cell[list(SPACE.edges_into(FIGURE_NODE))] = rows
    return tf.constant(cell)


def of_figure(coefficients):
    return coefficients.numpy()[list(SPACE.edges_into(FIGURE_NODE))]


def random_parameters(seed, alpha_scale=1.0, beta_scale=1.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    alpha = rng.normal(0, alpha_scale, (14, 7)).astype(dtype)
    beta = rng.normal(0, beta_scale, 4).astype(dtype)
    return tf.constant(alpha), tf.constant(beta)


def softmax_by_hand(alpha, temperature):
    e = np.exp(alpha / temperature)
    return e / e.sum(axis=1, keepdims=True)


def normalise_connections_by_hand(p):
    p_hat = np.empty_like(p)
    for node in range(2, 6):
        into = node == TARGETS
        p_hat[into] = p[into] / p[into].max()
    return p_hat


def prune_by_hand(p_hat, t):
    return np.array(
        [
            [max(v - t[target - 2], 0) for v in row]
            for row, target in zip(p_hat, TARGETS, strict=True)
        ]
    )


def normalise_operations_by_hand(q):
    return np.array([row / row.sum() if row.any() else row for row in q])


def test_figure_3():
    p = relaxation.softmax(tf.math.log(in_cell(FIGURE_P)), 1.0)
    p_hat = relaxation.normalise_connections(p, SPACE.targets)
    q = relaxation.prune(p_hat, tf.fill([4], 0.7), SPACE.targets)
    q_hat = relaxation.normalise_operations(q)
    np.testing.assert_allclose(of_figure(p), FIGURE_P, atol=1e-6)
    np.testing.assert_allclose(of_figure(p_hat), FIGURE_P_HAT, atol=1e-6)
    np.testing.assert_allclose(of_figure(q), FIGURE_Q, atol=1e-6)
    np.testing.assert_allclose(of_figure(q_hat), FIGURE_Q_HAT, atol=1e-6)
    # What the figure prints as 0 is exactly 0.
    np.testing.assert_array_equal(of_figure(q) > 0, FIGURE_Q > 0)
    np.testing.assert_array_equal(of_figure(q_hat) > 0, FIGURE_Q_HAT > 0)


def test_figure_3_from_alpha_and_beta():
    alpha = tf.math.log(in_cell(FIGURE_P)) + 3.0  # softmax forgets the 3
    beta = tf.fill([4], float(np.log(0.7 / 0.3)))  # sigmoid gives 0.7
    q_hat = relaxation.sparse_coefficients(alpha, beta, 1.0, SPACE.targets)
    np.testing.assert_allclose(of_figure(q_hat), FIGURE_Q_HAT, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_equations_against_numpy(seed, temperature):
    alpha, beta = random_parameters(seed)

    p = relaxation.softmax(alpha, temperature)
    expected = softmax_by_hand(alpha.numpy(), temperature)
    np.testing.assert_allclose(p, expected, rtol=1e-12)

    p_hat = relaxation.normalise_connections(p, SPACE.targets)
    expected = normalise_connections_by_hand(p.numpy())
    np.testing.assert_allclose(p_hat, expected, rtol=1e-12)

    t = relaxation.thresholds(beta)
    np.testing.assert_allclose(t, 1 / (1 + np.exp(-beta)), rtol=1e-12)

    q = relaxation.prune(p_hat, t, SPACE.targets)
    expected = prune_by_hand(p_hat.numpy(), t.numpy())
    np.testing.assert_allclose(q, expected, atol=1e-12)

    q_hat = relaxation.normalise_operations(q)
    expected = normalise_operations_by_hand(q.numpy())
    np.testing.assert_allclose(q_hat, expected, rtol=1e-12)

    np.testing.assert_array_equal(
        relaxation.sparse_coefficients(alpha, beta, temperature, SPACE.targets),
        q_hat,
    )


def test_a_threshold_cuts_its_own_node_only():
    p_hat = tf.fill([14, 7], 0.5)
    for node in range(2, 6):
        t = np.full(4, 0.25, np.float32)
        t[node - 2] = 0.75
        q = relaxation.prune(p_hat, tf.constant(t), SPACE.targets).numpy()
        np.testing.assert_array_equal((q == 0).all(axis=1), node == TARGETS)
        np.testing.assert_array_equal(q[node != TARGETS], 0.25)


def test_a_coefficient_at_the_threshold_is_cut():
    q = relaxation.prune(
        tf.fill([14, 7], 0.5), tf.fill([4], 0.5), SPACE.targets
    )
    np.testing.assert_array_equal(q, np.zeros((14, 7)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alpha_scale", [0.0, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize("beta_scale", [0.0, 1.0, 10.0, 80.0])
def test_sparse_coefficients_hold_their_promises(seed, alpha_scale, beta_scale):
    alpha, beta = random_parameters(seed, alpha_scale, beta_scale, np.float32)
    mix = tf.constant(
        np.random.default_rng(seed).normal(size=(14, 7)), "float32"
    )
    with tf.GradientTape() as tape:
        tape.watch([alpha, beta])
        q_hat = relaxation.sparse_coefficients(alpha, beta, 1.0, SPACE.targets)
        value = tf.reduce_sum(q_hat * mix)
    gradients = tape.gradient(value, [alpha, beta])
    q_hat = q_hat.numpy()
    assert np.isfinite(q_hat).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert (q_hat >= 0).all()
    sums = q_hat.sum(axis=1)
    live = (q_hat > 0).any(axis=1)
    np.testing.assert_allclose(sums[live], 1, atol=1e-6)
    for node in range(2, 6):
        assert live[node == TARGETS].any(), f"node {node} has no connection"


@pytest.mark.parametrize("beta", [10.0, 17.0, 1e3])
def test_the_strongest_connection_survives_any_threshold(beta):
    # sigmoid(17) rounds to 1 in float32, and 1 is not below 1.
    alpha, _ = random_parameters(0, dtype=np.float32)
    q_hat = relaxation.sparse_coefficients(
        alpha, tf.fill([4], beta), 1.0, SPACE.targets
    )
    p_hat = relaxation.normalise_connections(
        relaxation.softmax(alpha, 1.0), SPACE.targets
    )
    strongest = p_hat.numpy() == 1
    assert strongest.sum() == 4
    np.testing.assert_array_equal(q_hat.numpy(), strongest)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_node_has_a_one(seed):
    alpha, _ = random_parameters(seed, 3.0, dtype=np.float32)
    p_hat = relaxation.normalise_connections(
        relaxation.softmax(alpha, 1.0), SPACE.targets
    ).numpy()
    for node in range(2, 6):
        assert p_hat[node == TARGETS].max() == 1  # exactly


@pytest.mark.parametrize("seed", SEEDS)
def test_temperature_towards_zero_gives_one_hot(seed):
    alpha, _ = random_parameters(seed, dtype=np.float32)
    p = relaxation.softmax(alpha, 1e-6).numpy()
    one_hot = np.eye(7)[alpha.numpy().argmax(axis=1)]
    np.testing.assert_allclose(p, one_hot, rtol=1e-6)  # the zeros exactly


@pytest.mark.parametrize("seed", SEEDS)
def test_temperature_towards_infinity_gives_uniform(seed):
    alpha, _ = random_parameters(seed)
    p = relaxation.softmax(alpha, 1e9)
    np.testing.assert_allclose(p, np.full((14, 7), 1 / 7), rtol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_pruned_connections_get_no_gradient(seed):
    alpha, beta = random_parameters(seed)
    mix = tf.constant(np.random.default_rng(seed).normal(size=(14, 7)))
    p_hat = relaxation.normalise_connections(
        relaxation.softmax(alpha, 1.0), SPACE.targets
    )
    with tf.GradientTape() as tape:
        tape.watch(p_hat)
        q = relaxation.prune(p_hat, relaxation.thresholds(beta), SPACE.targets)
        q_hat = relaxation.normalise_operations(q)
        value = tf.reduce_sum(q_hat * mix)
    gradient = tape.gradient(value, p_hat).numpy()
    pruned = q_hat.numpy() == 0
    assert 0 < pruned.sum() < pruned.size
    np.testing.assert_array_equal(gradient[pruned], 0)
    # A survivor that shares its edge with another one does get some.
    shared = ~pruned & ((~pruned).sum(axis=1, keepdims=True) > 1)
    assert shared.any()
    assert (gradient[shared] != 0).all()


def test_a_dead_edge_is_zero_and_passes_no_gradient():
    q = np.ones((14, 7))
    q[[3, 8]] = 0
    q = tf.constant(q)
    with tf.GradientTape() as tape:
        tape.watch(q)
        q_hat = relaxation.normalise_operations(q)
        value = tf.reduce_sum(q_hat * tf.range(7, dtype=tf.float64))
    np.testing.assert_array_equal(q_hat.numpy()[[3, 8]], 0)
    gradient = tape.gradient(value, q).numpy()
    np.testing.assert_array_equal(gradient[[3, 8]], 0)
    assert np.isfinite(gradient).all()
    assert gradient[0].any()


def check_gradient(function, *arguments):
    """Compares the tape's gradient with differences in float64."""
    theoretical, numerical = tf.test.compute_gradient(
        tf.function(function), list(arguments), delta=1e-6
    )
    for by_tape, by_difference in zip(theoretical, numerical, strict=True):
        assert np.abs(by_difference).max() > 1e-3
        np.testing.assert_allclose(by_tape, by_difference, atol=1e-7)


def test_gradient_of_softmax():
    alpha, _ = random_parameters(0)
    check_gradient(lambda a: relaxation.softmax(a, 0.7), alpha)


def test_gradient_of_normalise_connections():
    alpha, _ = random_parameters(1)
    check_gradient(
        lambda p: relaxation.normalise_connections(p, SPACE.targets),
        relaxation.softmax(alpha, 1.0),
    )


def test_gradient_of_prune_and_thresholds():
    alpha, beta = random_parameters(2)
    p_hat = relaxation.normalise_connections(
        relaxation.softmax(alpha, 1.0), SPACE.targets
    )
    check_gradient(
        lambda p, b: relaxation.prune(
            p, relaxation.thresholds(b), SPACE.targets
        ),
        p_hat,
        beta,
    )


def test_gradient_of_normalise_operations():
    q = np.random.default_rng(3).uniform(0.1, 1, (14, 7))
    check_gradient(relaxation.normalise_operations, tf.constant(q))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_gradient_of_sparse_coefficients(temperature):
    alpha, beta = random_parameters(4)
    beta -= 2.0  # several survivors on an edge
    check_gradient(
        lambda a, b: relaxation.sparse_coefficients(
            a, b, temperature, SPACE.targets
        ),
        alpha,
        beta,
    )


def test_edge_weights_are_a_softmax_into_each_node():
    logits = np.random.default_rng(0).normal(size=14).astype(np.float32)
    weights = relaxation.normalise_edges(
        tf.constant(logits), SPACE.targets
    ).numpy()
    for start, end in ((0, 2), (2, 5), (5, 9), (9, 14)):
        exponents = np.exp(logits[start:end])
        np.testing.assert_allclose(
            weights[start:end], exponents / exponents.sum(), rtol=1e-5
        )
    large = relaxation.normalise_edges(
        tf.constant(logits + 500.0), SPACE.targets
    )
    np.testing.assert_allclose(large, weights, rtol=1e-3)


def test_masked_softmax_by_hand():
    alpha = tf.math.log([[1.0, 2.0, 5.0], [3.0, 1.0, 4.0]])
    mask = np.array([[True, True, False], [False, False, True]])
    mix = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        p = relaxation.masked_softmax(alpha, mask, 1.0)
        value = tf.reduce_sum(p * mix)
    np.testing.assert_allclose(p, [[1 / 3, 2 / 3, 0], [0, 0, 1]], rtol=1e-6)
    np.testing.assert_array_equal(p.numpy() == 0, ~mask)  # exactly
    gradient = tape.gradient(value, alpha)  # p * (mix - mean)
    expected = [[-2 / 9, 2 / 9, 0], [0, 0, 0]]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    cold = relaxation.masked_softmax(alpha, mask, 0.5)
    np.testing.assert_allclose(cold[0], [1 / 5, 4 / 5, 0], rtol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax_is_masked_by_a_mask_of_all(seed):
    alpha, _ = random_parameters(seed)
    mask = np.full((14, 7), True)
    np.testing.assert_array_equal(
        relaxation.masked_softmax(alpha, mask, 0.7),
        relaxation.softmax(alpha, 0.7),
    )
