"""From coefficients to a genotype. NumPy only.

Every function maps coefficients, float [E, K] in the order of a search space's
`edges` and `primitives`, to a `genotypes.Cell`.
"""

import numpy as np

from entrannas_tf.architecture import genotypes, search_space

_SMALLEST = float(np.finfo(np.float32).tiny)


def top_two(coefficients, space):
    """Keeps the two strongest edges of each node (Eq. 4, as in DARTS).

    An edge is as strong as its best primitive other than "none", which is
    also the one it keeps. Hence a node has two connections, from two
    different nodes, or one where only one node comes before it. Among equals
    the lower source and the earlier primitive win. Where a softmax at a low
    temperature is so close to 1 that edges are equal in float32, the edge that
    leaves less to its other primitives is the stronger: the order is exact.

    Args:
        coefficients: float [E, K], p of Eq. 5; with edge normalisation its
            product with the edges' weights, as in PC-DARTS.
        space: The `search_space.SearchSpace` whose K primitives the columns
            are.

    Returns:
        A cell with two connections per intermediate node, by source; with one
        where there is one edge.
    """
    primitives = space.primitives
    columns = [k for k, n in enumerate(primitives) if n != search_space.NONE]
    p = np.array(coefficients, np.float64)
    best = np.asarray(columns)[p[:, columns].argmax(axis=1)]  # [E]
    strength = np.take_along_axis(p, best[:, None], axis=1)[:, 0]
    # Rounded to what float32 tells apart near 1, relative to it below.
    strength = np.log(np.maximum(strength, _SMALLEST)).round(6)
    np.put_along_axis(p, best[:, None], 0.0, axis=1)
    rest = p.sum(axis=1)
    cell = []
    for edges in map(space.edges_into, space.intermediate_nodes):
        strongest = sorted(edges, key=lambda e: (-strength[e], rest[e]))[:2]
        cell.append(
            tuple(
                genotypes.Connection(primitives[best[e]], space.edges[e][0])
                for e in sorted(strongest)
            )
        )
    return tuple(cell)


def top_two_few_skips(coefficients, space, max_skips):
    """Keeps the two strongest edges of each node, few of them skips (P-DARTS).

    While the cell has more skip connections than allowed, the weakest of them
    loses its coefficient, and the cell is derived again (Chen et al., 2019,
    section 3.3.2).

    Args:
        coefficients: float [E, K]; each edge has one above 0 of a primitive
            other than "none" and "skip_connect".
        space: The `search_space.SearchSpace` of the coefficients.
        max_skips: Number of skip connections of the cell, at most.

    Returns:
        A cell as `top_two` returns it.
    """
    coefficients = np.array(coefficients)
    while True:
        cell = top_two(coefficients, space)
        if genotypes.num_skip_connections(cell) <= max_skips:
            return cell
        column = space.primitives.index(search_space.SKIP_CONNECT)
        kept = indicator(cell, space)[:, column] > 0
        skips = np.where(kept, coefficients[:, column], np.inf)  # [E]
        coefficients[skips.argmin(), column] = 0


def strongest(coefficients, count):
    """Returns which primitives of each edge are the strongest, bool [E, K].

    Args:
        coefficients: float [E, K]. Among equals the earlier primitive wins.
        count: Number of primitives to keep on each edge, "none" included if it
            is among the strongest.
    """
    ranks = np.argsort(-np.asarray(coefficients), axis=1, kind="stable")
    mask = np.zeros(ranks.shape, bool)
    np.put_along_axis(mask, ranks[:, :count], True, axis=1)
    return mask


def non_zero(coefficients, space):
    """Keeps every connection with a coefficient above 0 (Eq. 10).

    Args:
        coefficients: float [E, K], q_hat of Eq. 9.
        space: The `search_space.SearchSpace` of the coefficients.

    Returns:
        A cell with any number of connections per node, by source and then
        by primitive.
    """
    primitives = space.primitives
    active = np.asarray(coefficients) > 0
    return tuple(
        tuple(
            genotypes.Connection(primitives[k], space.edges[e][0])
            for e in edges
            for k in np.flatnonzero(active[e])
            if primitives[k] != search_space.NONE
        )
        for edges in map(space.edges_into, space.intermediate_nodes)
    )


def indicator(cell, space):
    """Returns the 0/1 matrix A of Eq. 4, float32 [E, K], of a cell.

    Args:
        cell: A `genotypes.Cell` of the space.
        space: The `search_space.SearchSpace`.
    """
    edges, primitives = space.edges, space.primitives
    matrix = np.zeros((len(edges), len(primitives)), np.float32)
    for target, connections in enumerate(cell, space.num_input_nodes):
        for primitive, source in connections:
            edge = edges.index((source, target))
            matrix[edge, primitives.index(primitive)] = 1
    return matrix


def mean_entropy(coefficients):
    """Returns how undecided the edges are, 0 (decided) to 1 (uniform).

    The entropy of each edge's coefficients divided by log K, averaged over
    the edges that have any.

    Args:
        coefficients: float [E, K]; only the proportions within a row count. A
            row of zeros is a pruned edge.
    """
    p = np.asarray(coefficients, np.float64)
    p = p[p.sum(axis=1) > 0]
    if p.shape[1] == 1:
        return 0.0
    p = p / p.sum(axis=1, keepdims=True)
    logs = np.log(np.where(p > 0, p, 1.0))
    return float(np.mean(-(p * logs).sum(axis=1)) / np.log(p.shape[1]))
