"""Cells with partial channels beside PC-DARTS's, edge by edge, unfolded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import derivation, search_space
from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.networks import cells
from entrannas_tf.networks.layers import folding

CHANNELS, RATIO, SIDE, BATCH = 8, 4, 6, 4
STANDARD = search_space.STANDARD
# Of a user's own: three nodes behind one input, and five.
OTHERS = [
    search_space.make("mine", ("none", "skip_connect", "conv_3x3"), *numbers)
    for numbers in ((1, 3), (2, 5), (2, 1))
]


def make_cell(kind, reduction, sharing, space=STANDARD):
    keras.utils.set_random_seed(0)
    return kind(
        (12,) * space.num_input_nodes,
        CHANNELS,
        reduction,
        halve_first=False,
        space=space,
        feature_sharing=sharing,
        bottleneck=1,
        partial_channels=RATIO,
        rectify=False,
    )


def make_architecture(space=STANDARD):
    """Returns alpha and beta of PC-DARTS, far from the start."""
    layer = parameters_lib.Architecture(space, edge_normalization=True)
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer


def make_inputs(number=2):
    rng = np.random.default_rng(0)
    shape = (number, BATCH, SIDE, SIDE, 12)
    return tf.nn.relu(tf.constant(rng.normal(size=shape), tf.float32))


def run_edge(operations, x, weights, stride):
    """One edge as PC-DARTS has it: [B, H, W, C] -> the same, H / stride.

    Args:
        operations: {name: layer}.
        x: The value of the edge's source.
        weights: {name: scalar}, without those of "none".
        stride: 1 or 2.
    """
    read, rest = x[..., : CHANNELS // RATIO], x[..., CHANNELS // RATIO :]
    mixed = sum(
        weight * run_operation(operations[name], read)
        for name, weight in weights.items()
    )
    if stride == 2:
        rest = tf.nn.max_pool2d(rest, 2, 2, "VALID")
    together = tf.concat([mixed, rest], axis=-1)
    places = np.arange(CHANNELS).reshape(RATIO, -1).T.ravel()
    return tf.gather(together, places, axis=-1)


def run_operation(operation, x):
    """Runs an operation on the channels that it reads, without the bypass."""
    y = operation.features(x, tf.nn.relu(x), training=True)
    return y if operation.norm is None else operation.norm(y, training=True)


def run_cell(cell, inputs, send):
    """A cell as PC-DARTS has it.

    Args:
        cell: The `cells.SearchCell` whose weights are used.
        inputs: float32 [number of input nodes, B, H, W, C_in].
        send: Callable (edge, its operations, its source's value, its stride)
            -> what the edge sends to its target.
    """
    space, num_inputs = cell.space, cell.space.num_input_nodes
    values = [
        cell.nodes[node].form(inputs[node], training=True)
        for node in range(num_inputs)
    ]
    for target in space.intermediate_nodes:
        arriving = []
        for edge in space.edges_into(target):
            source = space.edges[edge][0]
            node = cell.nodes[source]
            first = max(source + 1, num_inputs)
            group = 0 if cell.feature_sharing else target - first
            stride = 2 if cell.reduction and source < num_inputs else 1
            operations = {
                name: operation
                for (number, name), operation in node.operations.items()
                if number == group
            }
            arriving.append(send(edge, operations, values[source], stride))
        values.append(sum(arriving))
    return tf.concat(values[num_inputs:], axis=-1)


def edge_weights(logits, space):
    """Softmax over the edges into each node, one node at a time."""
    into = [space.edges_into(node) for node in space.intermediate_nodes]
    return tf.concat(
        [tf.nn.softmax(logits[e[0] : e[-1] + 1]) for e in into], axis=0
    )


every_cell = pytest.mark.parametrize(
    ("reduction", "sharing"),
    [(False, False), (False, True), (True, False), (True, True)],
)


@pytest.mark.parametrize("fold", [1, 4])
@every_cell
def test_engine_cell_is_that_of_pc_darts(reduction, sharing, fold):
    check_engine_cell(STANDARD, reduction, sharing, fold)


@pytest.mark.parametrize("sharing", [False, True])
@pytest.mark.parametrize("space", OTHERS, ids=repr)
def test_engine_cell_of_ones_own(space, sharing):
    check_engine_cell(space, reduction=True, sharing=sharing, fold=4)


def check_engine_cell(space, reduction, sharing, fold):
    cell = make_cell(cells.EngineCell, reduction, sharing, space)
    parameters = make_architecture(space)
    inputs = make_inputs(space.num_input_nodes)
    sources = [parameters.alpha["normal"], parameters.edge_logits["normal"]]
    sources = [variable.value for variable in sources]
    with tf.GradientTape(persistent=True) as tape:
        folded = [folding.fold(x, fold) for x in inputs]
        actual = cell(
            folded, parameters.coefficients()["normal"], training=True
        )
        actual = folding.unfold(actual)
        p = tf.nn.softmax(sources[0])
        beta = edge_weights(sources[1], space)

        def send(edge, operations, x, stride):
            weights = {
                name: p[edge, k]
                for k, name in enumerate(space.primitives)
                if name != "none"
            }
            return beta[edge] * run_edge(operations, x, weights, stride)

        expected = run_cell(cell, inputs, send)
    np.testing.assert_allclose(actual, expected, atol=2e-5)
    cotangent = tf.random.stateless_normal(actual.shape, (0, 1))
    found = tape.gradient(actual, sources, cotangent)
    wanted = tape.gradient(expected, sources, cotangent)
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.abs(theirs).max() > 0.1
        np.testing.assert_allclose(ours, theirs, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("fold", [1, 4])
@every_cell
def test_transit_cell_passes_the_derived_edges_on(reduction, sharing, fold):
    check_transit_cell(STANDARD, reduction, sharing, fold)


@pytest.mark.parametrize("sharing", [False, True])
@pytest.mark.parametrize("space", OTHERS, ids=repr)
def test_transit_cell_of_ones_own(space, sharing):
    check_transit_cell(space, reduction=True, sharing=sharing, fold=4)


def check_transit_cell(space, reduction, sharing, fold):
    cell = make_cell(cells.TransitCell, reduction, sharing, space)
    shape = (len(space.edges), len(space.primitives))
    matrix = np.random.default_rng(2).random(shape)
    derived = derivation.top_two(matrix, space)
    num_inputs = space.num_input_nodes
    inputs = make_inputs(num_inputs)
    folded = [folding.fold(x, fold) for x in inputs]
    actual = cell(folded, cell=derived, training=True)
    actual = folding.unfold(actual)

    def send(edge, operations, x, stride):
        source, target = space.edges[edge]
        arriving = derived[target - num_inputs]
        names = [c.primitive for c in arriving if c.source == source]
        return sum(run_edge(operations, x, {n: 1.0}, stride) for n in names)

    expected = run_cell(cell, inputs, send)
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_without_edge_normalisation_what_bypasses_has_weight_1():
    cell = make_cell(cells.EngineCell, False, True)
    coefficients = tf.nn.softmax(tf.random.stateless_normal([14, 8], (0, 1)))
    weights = cell._rows(coefficients, (0, 1), STANDARD.operations)
    assert weights.shape == (2, 8)  # Seven operations, and the bypass.
    np.testing.assert_allclose(weights[:, -1], 1.0, atol=1e-6)


def test_channels_that_cannot_be_divided_are_named():
    with pytest.raises(ValueError, match=r"6 channels .* read 1/4 of the"):
        cells.EngineCell(
            (12, 12),
            6,
            False,
            False,
            STANDARD,
            bottleneck=1,
            partial_channels=4,
        )
