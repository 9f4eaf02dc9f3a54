"""The owner of alpha, beta and temperature."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import (
    derivation,
    genotypes,
    parameters,
    relaxation,
    search_space,
)

KINDS = ("normal", "reduction")
both = pytest.mark.parametrize("sparse", [False, True])


def make(sparse, temperature=1.0, space=search_space.STANDARD, seed=0):
    """Returns an architecture with alpha and beta far from the start."""
    layer = parameters.Architecture(space, sparse, temperature)
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer


def as_arrays(coefficients):
    return {kind: value.numpy() for kind, value in coefficients.items()}


@pytest.mark.parametrize(
    ("space", "sparse", "num_primitives"),
    [
        ("standard", False, 8),
        ("standard", True, 7),
        ("extended", False, 13),
        ("extended", True, 12),
    ],
)
def test_shapes(space, sparse, num_primitives):
    layer = parameters.Architecture(space, sparse)
    assert len(layer.searched_space.primitives) == num_primitives
    assert ("none" in layer.searched_space.primitives) != sparse
    assert set(layer.alpha) == set(KINDS)
    assert set(layer.beta) == (set(KINDS) if sparse else set())
    coefficients = layer.coefficients()
    assert set(coefficients) == set(KINDS)
    for kind in KINDS:
        assert layer.alpha[kind].shape == (14, num_primitives)
        assert coefficients[kind].shape == (14, num_primitives)
    for beta in layer.beta.values():
        assert beta.shape == (4,)


@both
def test_alpha_and_beta_are_trained_and_temperature_is_not(sparse):
    layer = parameters.Architecture(sparse=sparse)
    expected = [*layer.alpha.values(), *layer.beta.values()]
    assert {id(v) for v in layer.trainable_variables} == {
        id(v) for v in expected
    }
    assert layer.non_trainable_variables == [layer.temperature]


@both
def test_initial_alpha_is_that_of_darts(sparse):
    keras.utils.set_random_seed(0)
    layer = parameters.Architecture(sparse=sparse)
    alpha = np.concatenate([a.numpy().ravel() for a in layer.alpha.values()])
    assert abs(alpha.mean()) < 3e-4
    assert 0.8e-3 < alpha.std() < 1.2e-3
    assert not np.array_equal(layer.alpha["normal"], layer.alpha["reduction"])


def test_every_connection_of_dst_starts_active():
    layer = parameters.Architecture(sparse=True)
    for t in layer.thresholds().values():
        np.testing.assert_array_equal(t, [0.5] * 4)
    coefficients = as_arrays(layer.coefficients())
    for kind in KINDS:
        assert (coefficients[kind] > 0).all()
    genotype = layer.derive(coefficients)
    assert genotypes.num_connections(genotype.normal) == 14 * 7


@both
def test_coefficients_are_the_equations(sparse):
    layer = make(sparse, temperature=2.0)
    coefficients = layer.coefficients()
    for kind in KINDS:
        alpha = layer.alpha[kind].numpy()
        if sparse:
            expected = relaxation.sparse_coefficients(
                alpha, layer.beta[kind].numpy(), 2.0, layer.space.targets
            )
        else:
            expected = relaxation.softmax(alpha, 2.0)
        np.testing.assert_array_equal(coefficients[kind], expected)


@both
def test_temperature_can_be_annealed(sparse):
    layer = make(sparse, temperature=5.0)
    graph = tf.function(layer.coefficients)
    warm = derivation.mean_entropy(graph()["normal"])
    layer.temperature.assign(0.01)
    cold = derivation.mean_entropy(graph()["normal"])
    assert cold < 0.1 < 0.5 < warm


@both
def test_gradient_reaches_each_parameter(sparse):
    layer = make(sparse)
    if sparse:
        for beta in layer.beta.values():
            beta.assign([-3.0] * 4)  # several survivors on an edge
    mix = tf.range(len(layer.searched_space.primitives), dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = sum(
            tf.reduce_sum(c * mix) for c in layer.coefficients().values()
        )
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert len(gradients) == (4 if sparse else 2)
    for gradient in gradients:
        assert (np.abs(gradient).max(axis=-1) > 0).all()


@pytest.mark.parametrize(
    "space", [search_space.STANDARD, search_space.EXTENDED]
)
@both
def test_derived_genotype(space, sparse):
    layer = make(sparse, space=space)
    coefficients = as_arrays(layer.coefficients())
    genotype = layer.derive(coefficients)
    rule = derivation.non_zero if sparse else derivation.top_two
    assert genotype == genotypes.Genotype(
        rule(coefficients["normal"], layer.searched_space),
        rule(coefficients["reduction"], layer.searched_space),
        space,
    )
    assert genotype.normal != genotype.reduction
    assert all(genotype.normal)  # no node without connections
    if sparse:
        np.testing.assert_array_equal(
            derivation.indicator(genotype.normal, layer.searched_space),
            coefficients["normal"] > 0,
        )


def test_unknown_space():
    with pytest.raises(ValueError, match=r"Unknown search space 'huge'"):
        parameters.Architecture("huge")


@both
def test_config_round_trip(sparse):
    layer = make(sparse, temperature=3.0, space=search_space.EXTENDED)
    layer.temperature.assign(0.25)
    again = parameters.Architecture.from_config(layer.get_config())
    assert again.space == layer.space == search_space.EXTENDED
    assert again.searched_space == layer.searched_space
    assert float(again.temperature) == 0.25
    again.set_weights(layer.get_weights())
    for kind in KINDS:
        np.testing.assert_array_equal(
            again.coefficients()[kind], layer.coefficients()[kind]
        )


def test_edge_normalisation_weighs_the_edges():
    layer = parameters.Architecture(edge_normalization=True)
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    assert len(layer.trainable_variables) == 4
    coefficients = as_arrays(layer.coefficients())
    for kind in KINDS:
        weights = relaxation.normalise_edges(
            layer.edge_logits[kind].value, layer.space.targets
        )
        assert layer.edge_logits[kind].shape == (14,)
        np.testing.assert_allclose(
            coefficients[kind].sum(axis=1), weights, rtol=1e-5
        )
    # Two edges whose operations are undecided win over two that are not.
    alpha = np.zeros((14, 8))
    alpha[:12, 4] = 3.0
    layer.alpha["normal"].assign(alpha)
    layer.edge_logits["normal"].assign([0.0] * 9 + [0, 0, 0, 5, 5])
    genotype = layer.derive(as_arrays(layer.coefficients()))
    assert [c.source for c in genotype.normal[3]] == [3, 4]
    again = parameters.Architecture.from_config(layer.get_config())
    assert set(again.edge_logits) == set(KINDS)


def test_edge_logits_get_gradients_and_start_like_alpha():
    keras.utils.set_random_seed(0)
    layer = parameters.Architecture(edge_normalization=True)
    initial = layer.edge_logits["normal"].numpy()
    assert 0 < np.abs(initial).max() < 5e-3
    with tf.GradientTape() as tape:
        found = layer.coefficients()["normal"]
        loss = tf.reduce_sum(
            found * tf.random.stateless_normal([14, 8], (0, 1))
        )
    gradient = tape.gradient(loss, layer.edge_logits["normal"].value)
    assert (np.abs(gradient) > 1e-4).all()


def random_masks(count, seed=0):
    rng = np.random.default_rng(seed)
    return {
        kind: derivation.strongest(rng.normal(size=(14, 8)), count)
        for kind in KINDS
    }


def test_masks_choose_the_primitives():
    masks = random_masks(3)
    layer = parameters.Architecture(masks=masks)
    coefficients = as_arrays(layer.coefficients())
    genotype = layer.derive(coefficients)
    for kind in KINDS:
        np.testing.assert_array_equal(coefficients[kind] > 0, masks[kind])
        cell = getattr(genotype, kind)
        derived = derivation.indicator(cell, layer.searched_space) > 0
        assert not np.any(derived & ~masks[kind])
    again = parameters.Architecture.from_config(layer.get_config())
    for kind in KINDS:
        np.testing.assert_array_equal(again.masks[kind], masks[kind])


def test_skips_of_the_normal_cell_are_few():
    layer = parameters.Architecture(max_skips=1)
    skip = layer.searched_space.primitives.index("skip_connect")
    coefficients = {kind: np.full((14, 8), 0.1) for kind in KINDS}
    for matrix in coefficients.values():
        matrix[:, skip] = 0.3
    genotype = layer.derive(coefficients)
    assert genotypes.num_skip_connections(genotype.normal) == 1
    assert genotypes.num_skip_connections(genotype.reduction) == 8
    again = parameters.Architecture.from_config(layer.get_config())
    assert again.max_skips == 1


@both
def test_a_space_of_ones_own(sparse):
    space = search_space.make(
        "mine", ("none", "skip_connect", "conv_3x3"), 1, 3, ("normal",)
    )
    layer = parameters.Architecture(space, sparse, edge_normalization=True)
    shapes = {v.name: tuple(v.shape) for v in layer.trainable_variables}
    assert shapes == {
        "alpha_normal": (6, 2 if sparse else 3),
        **({"beta_normal": (3,)} if sparse else {}),
        "edge_logits_normal": (6,),
    }
    coefficients = as_arrays(layer.coefficients())
    assert set(coefficients) == {"normal"}
    for node in space.intermediate_nodes:  # Edges into it share a weight of 1.
        rows = coefficients["normal"][list(space.edges_into(node))]
        assert rows.sum() == pytest.approx(1, rel=1e-5)
    genotype = layer.derive(coefficients)
    assert genotype.normal == genotype.reduction
    assert len(genotype.normal) == 3
    assert genotype.space == space
    config = json.loads(json.dumps(layer.get_config()))
    again = parameters.Architecture.from_config(config)
    assert again.space == space
    if not sparse:
        layer.fix(genotype)
        assert layer.derive(as_arrays(layer.coefficients())) == genotype
