"""The exam that every layer passes. A new layer is a new row of ROWS."""

import functools
import json
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import operations as definitions
from entrannas_tf.networks.layers import (
    batch_norm,
    blocks,
    folding,
    heads,
    operations,
)
from entrannas_tf.training import strategies


class Row(NamedTuple):
    """A layer to examine.

    Attributes:
        name: Of the test.
        create: Returns a new layer.
        shape: Of the input, the batch included.
        folds: Whether the input may be folded.
    """

    name: str
    create: Callable
    shape: tuple
    folds: bool = True


def _make_rows():
    images = (4, 6, 7, 6)
    larger = (4, 12, 11, 6)  # At stride 2 still as large as a 7x7 kernel.
    rows = [
        Row(
            f"{name}-stride{stride}",
            functools.partial(operations.Operation, name, 6, stride),
            larger if name == "sep_conv_7x7" else images,
        )
        for name in definitions.OPERATIONS
        for stride in (1, 2)
    ]
    for layer in (
        blocks.Conv1x1,
        blocks.Conv1x1BN,
        blocks.EvenAndOdd,
        blocks.Restore,
    ):
        create = functools.partial(layer, 6, 4)
        rows.append(Row(layer.__name__, create, images))
    rows += [
        Row("halve", lambda: blocks.Conv1x1BN(6, 4, halve=True), images),
        Row("shuffle", lambda: blocks.Restore(6, 4, num_groups=3), images),
        Row("Concatenate", lambda: blocks.Concatenate(rectify=True), images),
        Row(
            "bypass",
            lambda: operations.Operation("conv_3x3", 6, 2, num_bypassed=4),
            images,
        ),
    ]
    for affine in (False, True):
        create = functools.partial(batch_norm.BatchNorm, 6, affine)
        name = f"BatchNorm-{'affine' if affine else 'plain'}"
        rows.append(Row(name, create, images))
    return [
        *rows,
        Row(
            "ImageNetStem",
            lambda: blocks.ImageNetStem(3, 4),
            (4, 24, 32, 3),
            folds=False,
        ),
        Row("Head", lambda: heads.Head(6, 10), images),
        Row(
            "CifarStem",
            lambda: blocks.CifarStem(3, 4, max_fold=2),
            (4, 6, 7, 3),
            folds=False,
        ),
    ]


ROWS = _make_rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def make_input(row, seed=0):
    values = np.random.default_rng(seed).normal(size=row.shape)
    return tf.constant(values.astype("float32"))


def make_layer(row):
    """Returns a new layer with weights far from the initial ones."""
    layer = row.create()
    rng = np.random.default_rng(7)
    for variable in layer.weights:
        mean = 1.5 if variable.name in ("moving_variance", "scale") else 0
        variable.assign(rng.normal(mean, 0.3, variable.shape))
    return layer


def run(layer, x, training=False):
    """Calls a layer, whatever it takes and returns: one tensor each."""
    y = layer(x, training=training)
    if not isinstance(y, tuple):
        return y
    flat = [tf.reshape(part, [-1, np.prod(part.shape[1:])]) for part in y]
    return tf.concat(flat, axis=1)


def num_statistics(layer):
    """Returns the number of variables that batch norms move."""
    norms = [
        part
        for part in layer._flatten_layers()
        if isinstance(part, batch_norm.BatchNorm)
    ]
    return 2 * len(norms)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@every_row
def test_is_built_when_made(row):
    layer = row.create()
    names = [v.path for v in layer.weights]
    assert layer.built
    run(layer, make_input(row))
    assert [v.path for v in layer.weights] == names


@every_row
def test_traces_once_in_each_mode(row):
    traced, eager = make_layer(row), make_layer(row)
    num_traces = 0

    @tf.function(autograph=False)
    def graph(x, training):
        nonlocal num_traces
        num_traces += 1
        return run(traced, x, training=training)

    for training in (False, True):
        for seed in range(2):
            x = make_input(row, seed)
            assert_close(graph(x, training), run(eager, x, training=training))
    assert num_traces == 2
    for moved, expected in zip(traced.weights, eager.weights, strict=True):
        assert_close(moved, expected)


@every_row
def test_statistics_move_in_training_mode_only(row):
    layer, x = make_layer(row), make_input(row)
    before = [v.numpy() for v in layer.weights]
    statistics = {id(v) for v in layer.non_trainable_variables}
    assert len(statistics) == num_statistics(layer)
    evaluated = run(layer, x, training=False)
    assert_close(run(layer, x), evaluated)
    for variable, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    run(layer, x, training=True)
    for variable, value in zip(layer.weights, before, strict=True):
        if id(variable) in statistics:
            assert (variable.numpy() != value).all(), variable.path
        else:
            np.testing.assert_array_equal(variable, value)


@every_row
def test_every_weight_gets_a_gradient(row):
    layer, x = make_layer(row), make_input(row)
    with tf.GradientTape() as tape:
        y = run(layer, x, training=True)
        mix = np.random.default_rng(1).normal(size=y.shape)
        loss = tf.reduce_sum(y * mix)
    gradients = tape.gradient(loss, layer.trainable_variables)
    for variable, gradient in zip(
        layer.trainable_variables, gradients, strict=True
    ):
        assert np.isfinite(gradient).all(), variable.path
        assert (np.abs(gradient) > 1e-6).mean() > 0.9, variable.path


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.folds], ids=lambda row: row.name
)
def test_folded_images_give_the_same(row, training):
    plain, folded = make_layer(row), make_layer(row)
    x = make_input(row)
    expected = run(plain, x, training=training)
    y = run(folded, folding.fold(x, 4), training=training)
    if y.shape.rank > 2:
        y = folding.unfold(y)
    assert y.shape == expected.shape
    assert_close(y, expected)
    for moved, other in zip(folded.weights, plain.weights, strict=True):
        assert_close(moved, other)


@every_row
def test_config_round_trip(row):
    layer, x = make_layer(row), make_input(row)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()
    assert [v.shape for v in again.weights] == [v.shape for v in layer.weights]
    again.set_weights(layer.get_weights())
    for training in (False, True):
        assert_close(run(again, x, training), run(layer, x, training))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """One SavedModel of all rows' layers, as each save takes its time."""
    module = tf.Module()
    module.layers = {row.name: make_layer(row) for row in ROWS}
    module.serve = {
        row.name: tf.function(
            functools.partial(run, module.layers[row.name]),
            input_signature=[tf.TensorSpec([None, *row.shape[1:]])],
            autograph=False,
        )
        for row in ROWS
    }
    folder = tmp_path_factory.mktemp("saved_model")
    tf.saved_model.save(module, folder)
    return tf.saved_model.load(folder)


@every_row
def test_survives_a_saved_model(row, loaded):
    layer, x = make_layer(row), make_input(row)
    expected = run(layer, x)
    if isinstance(layer, blocks.CifarStem):
        # With the batch unknown, nothing is folded.
        expected = folding.unfold(expected)
    assert_close(loaded.serve[row.name](x), expected)


@pytest.fixture(scope="module")
def strategy():
    return strategies.make_strategy("mirrored", 2)


def _gradients(layer, x):
    with tf.GradientTape() as tape:
        y = run(layer, x, training=True)
        loss = tf.reduce_sum(tf.square(y))
    return y, tape.gradient(loss, layer.trainable_variables)


@every_row
def test_agrees_on_two_replicas(row, strategy):
    """Each replica does what one device does; gradients are summed."""
    with strategy.scope():
        mirrored = make_layer(row)
    batches = [make_input(row, seed) for seed in range(2)]
    distributed = strategy.experimental_distribute_values_from_function(
        lambda context: batches[context.replica_id_in_sync_group]
    )

    def replica_step(x):
        evaluated = run(mirrored, x)
        trained, gradients = _gradients(mirrored, x)
        context = tf.distribute.get_replica_context()
        return (
            evaluated,
            trained,
            [context.all_reduce("sum", g) for g in gradients],
        )

    evaluated, trained, gradients = strategy.run(
        replica_step, args=(distributed,)
    )

    singles = [make_layer(row) for _ in batches]
    expected = []
    for i, (single, x) in enumerate(zip(singles, batches, strict=True)):
        assert_close(evaluated.values[i], run(single, x))
        y, single_gradients = _gradients(single, x)
        assert_close(trained.values[i], y)
        expected.append(single_gradients)
    for got, *parts in zip(gradients, *expected, strict=True):
        for on_replica in got.values:
            np.testing.assert_allclose(
                on_replica, sum(parts), rtol=1e-4, atol=1e-3
            )
    # On average, whether or not the replicas keep each their own.
    for variable, *parts in zip(
        mirrored.weights, *(s.weights for s in singles), strict=True
    ):
        assert_close(
            np.mean(strategy.experimental_local_results(variable.value), 0),
            np.mean(parts, 0),
        )


def test_two_replicas_are_two_devices(strategy):
    assert strategy.num_replicas_in_sync == 2


def test_every_layer_has_a_row():
    tested = blocks, heads, batch_norm, operations
    layers = {
        value
        for module in tested
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, keras.layers.Layer)
        and value.__module__ == module.__name__
    }
    assert {type(row.create()) for row in ROWS} == layers
