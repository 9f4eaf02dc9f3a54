"""Derivation of cells from coefficients, Eqs. 4 and 10."""

import numpy as np
import pytest

from entrannas_tf.architecture import derivation, genotypes, search_space

STANDARD = search_space.STANDARD
SPARSE = STANDARD.without_none()
# Of three and of five nodes, and of nodes behind one input.
OTHERS = [
    STANDARD._replace(num_input_nodes=inputs, num_intermediate_nodes=inner)
    for inputs, inner in ((2, 3), (2, 5), (1, 3), (1, 1))
]
SEEDS = range(5)


def random_softmax(seed, num_primitives, num_edges=14):
    shape = (num_edges, num_primitives)
    logits = np.random.default_rng(seed).normal(size=shape)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def random_sparse(seed):
    """Returns coefficients with about two thirds of exact zeros."""
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(14, 7)) * (rng.uniform(size=(14, 7)) > 0.67)


def top_two_by_hand(p, space):
    """Eq. 4 read aloud: sort the best of every edge, keep two a node."""
    cell = []
    for node in space.intermediate_nodes:
        candidates = []
        for source in range(node):
            row = p[space.edges.index((source, node))]
            value, name = max(
                (v, n)
                for v, n in zip(row, space.primitives, strict=True)
                if n != "none"
            )
            candidates.append((value, source, name))
        kept = sorted(candidates)[-2:]
        cell.append({(name, source) for _, source, name in kept})
    return cell


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("space", [STANDARD, SPARSE, *OTHERS])
def test_top_two_against_the_rule(seed, space):
    p = random_softmax(seed, len(space.primitives), len(space.edges))
    cell = derivation.top_two(p, space)
    assert [set(node) for node in cell] == top_two_by_hand(p, space)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.03])
def test_top_two_of_saturated_softmaxes(seed, temperature):
    """The odds of p, which no rounding makes equal, have p's order."""
    alpha = np.random.default_rng(seed).normal(size=(14, 8))
    logits = alpha / temperature
    edges = range(14)
    best = logits[:, 1:].argmax(axis=1) + 1
    others = np.stack([np.delete(logits[e], best[e]) for e in edges])
    log_odds = logits[edges, best] - np.logaddexp.reduce(others, axis=1)
    expected = np.zeros((14, 8))
    expected[edges, best] = log_odds - log_odds.min() + 1.0

    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    if temperature < 0.1:
        assert np.sum(p == 1.0) >= 2
    cell = derivation.top_two(p, STANDARD)
    assert [set(node) for node in cell] == top_two_by_hand(expected, STANDARD)


@pytest.mark.parametrize("seed", SEEDS)
def test_top_two_takes_two_different_sources(seed):
    cell = derivation.top_two(random_softmax(seed, 8), STANDARD)
    assert len(cell) == 4
    for connections in cell:
        sources = [c.source for c in connections]
        assert len(sources) == 2
        assert sources == sorted(set(sources))


def test_top_two_takes_one_primitive_of_an_edge():
    p = np.full((14, 8), 0.01)
    p[13, 4:7] = 0.9, 0.8, 0.7  # edge (4, 5) holds the three strongest
    p[9, 3] = 0.1  # edge (0, 5)
    assert derivation.top_two(p, STANDARD)[3] == (
        ("skip_connect", 0),
        ("sep_conv_3x3", 4),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_none_is_never_derived_and_lends_no_strength(seed):
    p = random_softmax(seed, 8)
    expected = derivation.top_two(p[:, 1:], SPARSE)
    p[:, 0] = np.random.default_rng(seed).permutation(14) + 2.0
    assert derivation.top_two(p, STANDARD) == expected


def test_ties_go_to_the_first_source_and_primitive():
    cell = derivation.top_two(np.full((14, 8), 1 / 8), STANDARD)
    assert cell == ((("max_pool_3x3", 0), ("max_pool_3x3", 1)),) * 4


def test_a_tie_for_the_second_place_goes_to_the_first_source():
    p = np.full((14, 8), 0.1)
    p[12, 5] = 0.2  # edge (3, 5); all others tie
    assert derivation.top_two(p, STANDARD)[3] == (
        ("max_pool_3x3", 0),
        ("sep_conv_5x5", 3),
    )


def test_a_node_behind_one_node_has_one_connection():
    space = OTHERS[2]
    cell = derivation.top_two(np.full((6, 8), 1 / 8), space)
    assert cell == (
        (("max_pool_3x3", 0),),
        (("max_pool_3x3", 0), ("max_pool_3x3", 1)),
        (("max_pool_3x3", 0), ("max_pool_3x3", 1)),
    )
    assert genotypes.make_cell(cell, space) == cell


def test_non_zero_by_hand():
    q_hat = np.zeros((14, 7))
    q_hat[0, 3] = 1.0  # (0, 2) sep_conv_3x3
    q_hat[4, [2, 6]] = 0.25, 0.75  # (2, 3) skip_connect, dil_conv_5x5
    q_hat[5, 0] = 1.0  # (0, 4) max_pool_3x3
    q_hat[13, 1] = 1e-30  # (4, 5) avg_pool_3x3
    assert derivation.non_zero(q_hat, SPARSE) == (
        (("sep_conv_3x3", 0),),
        (("skip_connect", 2), ("dil_conv_5x5", 2)),
        (("max_pool_3x3", 0),),
        (("avg_pool_3x3", 4),),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_non_zero_is_every_coefficient_above_zero(seed):
    q_hat = random_sparse(seed)
    cell = derivation.non_zero(q_hat, SPARSE)
    np.testing.assert_array_equal(derivation.indicator(cell, SPARSE), q_hat > 0)
    assert genotypes.num_connections(cell) == np.count_nonzero(q_hat)


def test_non_zero_leaves_none_out():
    cell = derivation.non_zero(np.full((14, 8), 1 / 8), STANDARD)
    assert genotypes.num_connections(cell) == 14 * 7
    assert cell == derivation.non_zero(np.full((14, 7), 1 / 7), SPARSE)


def test_indicator_by_hand():
    cell = genotypes.make_cell(
        [[("sep_conv_3x3", 1)], [], [], [("skip_connect", 4)]]
    )
    expected = np.zeros((14, 8))
    expected[1, 4] = 1
    expected[13, 3] = 1
    matrix = derivation.indicator(cell, STANDARD)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_indicator_inverts_derivation(seed):
    for space in (STANDARD, SPARSE, *OTHERS):
        p = random_softmax(seed, len(space.primitives), len(space.edges))
        cell = derivation.top_two(p, space)
        matrix = derivation.indicator(cell, space)
        assert matrix.shape == p.shape
        assert matrix.sum() == genotypes.num_connections(cell)
        assert derivation.top_two(matrix, space) == cell
        assert derivation.non_zero(matrix, space) == cell
    cell = derivation.non_zero(random_sparse(seed), SPARSE)
    again = derivation.non_zero(derivation.indicator(cell, SPARSE), SPARSE)
    assert again == cell


@pytest.mark.parametrize("seed", SEEDS)
def test_derived_cells_are_valid(seed):
    cells = [
        derivation.top_two(random_softmax(seed, 8), STANDARD),
        derivation.non_zero(random_sparse(seed), SPARSE),
    ]
    for cell in cells:
        assert genotypes.make_cell(cell) == cell
        assert type(cell[0][0].source) is int  # NumPy's would not be JSON


def test_mean_entropy_of_the_extremes():
    assert derivation.mean_entropy(np.full((14, 8), 1 / 8)) == pytest.approx(1)
    assert derivation.mean_entropy(np.eye(8)[np.arange(14) % 8]) == 0


def test_an_edge_with_one_primitive_is_decided():
    assert derivation.mean_entropy(np.ones((14, 1))) == 0


def test_mean_entropy_by_hand():
    p = np.zeros((14, 4))
    p[:7, 0] = 1.0  # 0
    p[7:, :2] = 0.5  # log 2 / log 4
    assert derivation.mean_entropy(p) == pytest.approx(0.25)


def test_mean_entropy_skips_pruned_edges():
    p = np.zeros((14, 4))
    p[3, :2] = 0.5
    assert derivation.mean_entropy(p) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_mean_entropy_against_numpy(seed):
    p = random_softmax(seed, 8)
    expected = np.mean([-sum(v * np.log(v) for v in row) for row in p])
    assert derivation.mean_entropy(p) == pytest.approx(expected / np.log(8))


def test_entropy_is_that_of_the_proportions():
    p = np.random.default_rng(0).dirichlet([1.0] * 8, 14)
    weights = np.linspace(0.1, 1.0, 14)[:, np.newaxis]
    assert derivation.mean_entropy(p * weights) == pytest.approx(
        derivation.mean_entropy(p)
    )


def test_few_skips_by_hand():
    """The weakest skip goes first, and its edge may go with it."""
    skip, conv = (
        STANDARD.primitives.index("skip_connect"),
        STANDARD.primitives.index("sep_conv_3x3"),
    )
    p = np.full((14, 8), 0.01)
    p[:, conv] = 0.2
    p[0, skip], p[1, skip] = 0.5, 0.3  # Node 2 has these two edges only.
    p[2, skip], p[3, conv] = 0.4, 0.6  # Node 3: edge (0, 3) falls to 0.2,
    p[4, conv] = 0.25  # and edge (2, 3) is stronger then.
    cell = derivation.top_two(p, STANDARD)
    assert cell == derivation.top_two_few_skips(p, STANDARD, 3)
    assert cell[:2] == (
        (("skip_connect", 0), ("skip_connect", 1)),
        (("skip_connect", 0), ("sep_conv_3x3", 1)),
    )
    before = p.copy()
    assert derivation.top_two_few_skips(p, STANDARD, 2)[:2] == (
        (("skip_connect", 0), ("sep_conv_3x3", 1)),
        cell[1],
    )
    assert derivation.top_two_few_skips(p, STANDARD, 1)[:2] == (
        (("skip_connect", 0), ("sep_conv_3x3", 1)),
        (("sep_conv_3x3", 1), ("sep_conv_3x3", 2)),
    )
    assert derivation.top_two_few_skips(p, STANDARD, 0)[0] == (
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
    )
    np.testing.assert_array_equal(p, before)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("max_skips", range(9))
def test_few_skips_are_few_and_no_fewer(seed, max_skips):
    p = random_softmax(seed, 8)
    p[:, STANDARD.primitives.index("skip_connect")] += 0.4
    most = genotypes.num_skip_connections(derivation.top_two(p, STANDARD))
    cell = derivation.top_two_few_skips(p, STANDARD, max_skips)
    found = genotypes.num_skip_connections(cell)
    assert most > 4
    assert found == min(max_skips, most)
    assert all(len(connections) == 2 for connections in cell)


def test_few_skips_of_a_space_without_them():
    space = search_space.make("pools", ("max_pool_3x3", "avg_pool_3x3"))
    p = random_softmax(0, 2)
    cell = derivation.top_two_few_skips(p, space, 0)
    assert cell == derivation.top_two(p, space)


def test_strongest_by_hand():
    p = np.array([[0.1, 0.4, 0.2, 0.3], [0.3, 0.0, 0.3, 0.3]])
    for count, expected in (
        (1, [[0, 1, 0, 0], [1, 0, 0, 0]]),
        (2, [[0, 1, 0, 1], [1, 0, 1, 0]]),
        (3, [[0, 1, 1, 1], [1, 0, 1, 1]]),
        (4, [[1, 1, 1, 1], [1, 1, 1, 1]]),
    ):
        mask = derivation.strongest(p, count)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, expected)
