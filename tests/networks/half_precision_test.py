"""The super-net and the trainers in bfloat16 and float16, and with XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.networks import cells
from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.execution import engine as engine_lib
from entrannas_tf.networks.execution import graphs, packed_layer
from entrannas_tf.networks.layers import batch_norm, blocks, operations
from entrannas_tf.networks.layers import precision as precision_lib
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.search import step as search_step
from entrannas_tf.training import checkpoints, optimizers
from entrannas_tf.training import losses as losses_lib
from tests.support import toy_supernet

# Spacing of the numbers near 1, half of it is the largest rounding error.
EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10}
HALF = pytest.mark.parametrize("precision", EPSILON)


def random(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return tf.constant(values, tf.float32)


def batch(seed=0):
    labels = np.random.default_rng(seed).integers(10, size=8)
    return random(8, 8, 8, 1, seed=seed), tf.constant(labels, tf.int32)


def make_search(precision, **options):
    keras.utils.set_random_seed(0)
    parameters = parameters_lib.Architecture("tiny")
    net = toy_supernet.make(image_channels=1, precision=precision, **options)
    return search_step.SearchTrainer(
        parameters,
        net,
        optimizers.CoupledAdam(1e-5),  # Few new derivations.
        optimizers.CoupledSGD(0.05),
        scale_losses=precision == "float16",
    )


def make_tiny(**options):
    """Returns a trainer of a network that XLA compiles fast."""
    keras.utils.set_random_seed(0)
    x = images = keras.Input((8, 8, 1))
    for layer in (
        keras.layers.Conv2D(4, 3, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10),
    ):
        x = layer(x)
    return retraining_step.RetrainTrainer(
        keras.Model(images, x),
        optimizers.CoupledSGD(0.1),
        auxiliary_weight=0.0,
        **options,
    )


def make_retraining(precision):
    keras.utils.set_random_seed(0)
    cell = genotypes.make_cell(
        [[("skip_connect", 0), ("conv_1x1", 1)]], search_space.EXTENDED
    )
    with precision_lib.policy(precision):
        network = target_network.TargetNetwork(
            genotypes.Genotype(cell, cell),
            10,
            (8, 8, 1),
            num_cells=3,
            init_channels=4,
        )
        return retraining_step.RetrainTrainer(
            network,
            optimizers.CoupledSGD(0.1),
            auxiliary_weight=0.0,
            scale_losses=precision == "mixed_float16",
        )


@pytest.fixture(scope="module")
def trainers():
    return {p: make_search(p) for p in ("float32", *EPSILON)}


def gradients(trainer):
    """Returns the gradients to the coefficients and to the weights."""
    images, labels = batch()
    coefficients = trainer.coefficients()
    found = []
    for place, wrt in enumerate(("weights", "architecture")):
        run = trainer.supernet.forward(
            images, coefficients, trainer.derive(), wrt=(wrt,)
        )
        with tf.GradientTape() as tape:
            tape.watch(run.logits)
            loss = losses_lib.cross_entropy(labels, run.logits)
        cotangent = tape.gradient(loss, run.logits)
        assert run.logits.dtype == cotangent.dtype == tf.float32
        parts = tf.nest.flatten(run.gradients(cotangent)[place])
        assert {part.dtype for part in parts} == {tf.float32}
        found.append(np.concatenate([np.ravel(part) for part in parts]))
    return found


def test_gradients_point_where_those_of_float32_do(trainers):
    """In bfloat16; float16 is closer.

    A rounding may move a maximum, or a sign before a ReLU. The gradient's
    relative error is then about the root of the rounding error:
    0.20 to the weights and 0.28 to the coefficients were measured.
    """
    exact = gradients(trainers["float32"])
    for found, expected in zip(
        gradients(trainers["bfloat16"]), exact, strict=True
    ):
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert 0 < error < 0.5


@HALF
def test_all_that_lasts_is_float32(trainers, precision):
    trainer = trainers[precision]
    layer = trainer.supernet.engine.layers[1]
    assert layer.template.compute_dtype == precision
    kept = [
        *trainer.supernet.variables,
        *trainer.architecture.variables,
        *trainer.weight_optimizer.momentums,
        *trainer.metrics[0].variables,
    ]
    assert {v.dtype for v in kept} == {"float32"}
    coefficients = trainer.coefficients().values()
    assert {c.dtype for c in coefficients} == {tf.float32}
    assert keras.config.dtype_policy().name == "float32"


@HALF
def test_features_are_half(trainers, precision):
    engine = trainers[precision].supernet.engine
    stem = engine.layers[0]
    graph = engine.graph(stem.template, (batch()[0],), True)
    results = graph.forward(
        stem.vector.value, stem.statistics.value, batch()[0]
    )
    assert results[0].dtype == precision
    assert results[1].dtype == "float32"  # The new statistics.


def means(trainer):
    """Returns the means of the steps since the metrics were reset."""
    return {m.name: float(m.result()) for m in trainer.metrics}


@HALF
def test_search_learns_a_batch(trainers, precision):
    trainer = trainers[precision]
    alphas = [v.numpy() for v in trainer.architecture.trainable_variables]
    losses = []
    for _ in range(10):
        for metric in trainer.metrics:
            metric.reset_state()
        trainer.train_step((batch(1), batch(2)))
        losses.append(means(trainer)["loss"])
    assert losses[-1] < losses[0] - 0.3
    now = [v.numpy() for v in trainer.architecture.trainable_variables]
    assert all(np.any(a != b) for a, b in zip(alphas, now, strict=True))


def test_an_overflow_skips_both_steps_of_a_search(trainers):
    """A scale far too large; it is in the checkpoint, with its count."""
    trainer = trainers["float16"]
    saved = checkpoints.search_variables(trainer)
    scales = {n: v for n, v in saved.items() if "loss_scale" in n}
    assert sorted(scales) == [
        f"{target}_loss_scale/{number}"
        for target in ("architecture", "weights")
        for number in range(2)
    ]
    kept = [
        *trainer.supernet.trainable_variables,
        *trainer.architecture.variables,
        *trainer.weight_optimizer.variables,
        *trainer.architecture_optimizer.variables,
    ]
    before = [v.numpy() for v in kept]
    for scale in trainer.loss_scales.values():
        scale.scale.assign(2.0**40)
    trainer.train_step((batch(1), batch(2)))
    assert all(map(np.isfinite, means(trainer).values()))
    for variable, value in zip(kept, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    for scale in trainer.loss_scales.values():
        assert float(scale.scale.numpy()) == 2.0**24  # Its upper bound.
        scale.scale.assign(2.0**15)


@HALF
@pytest.mark.parametrize("channels", [3, 6])
def test_batch_norm_computes_in_float32(precision, channels):
    """With a mean that half precision could not take away."""
    x = tf.cast(random(16, 8, 8, 6) + 20, precision)
    cotangent = tf.cast(random(16, 8, 8, 6, seed=1), precision)
    found = {}
    for dtype in (precision, "float32"):
        norm = batch_norm.BatchNorm(channels, dtype=dtype)
        inputs = tf.cast(x, dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = norm(inputs, training=True)
        dx = tape.gradient(y, inputs, tf.cast(cotangent, dtype))
        assert y.dtype == dx.dtype == dtype
        assert norm.moving_variance.dtype == "float32"
        found[dtype] = y, dx, norm.moving_mean, norm.moving_variance
    tolerances = (2 * EPSILON[precision],) * 2 + (1e-6,) * 2
    for half, full, tolerance in zip(
        found[precision], found["float32"], tolerances, strict=True
    ):
        half = tf.cast(tf.convert_to_tensor(half), tf.float32)
        np.testing.assert_allclose(half, full, rtol=tolerance, atol=tolerance)


def test_coefficients_gradients_do_not_overflow_float16():
    """Each is a sum over 2**14 pixels of 40 times 40."""
    features = [tf.fill([16, 32, 32, 1], tf.constant(40.0, tf.float16))] * 2
    coefficients = tf.constant([[0.25, 0.5], [0.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(coefficients)
        mixed = operations._mix(features, coefficients)
    assert {m.dtype for m in mixed} == {tf.float16}
    np.testing.assert_array_equal(mixed[0], np.full([16, 32, 32, 1], 30.0))
    found = tape.gradient(mixed, coefficients, output_gradients=features)
    np.testing.assert_array_equal(found, np.full([2, 2], 2.0**14 * 1600))


def test_backward_keeps_features_in_half():
    """Their casts to float32 are made anew, not handed over."""
    with precision_lib.policy("float16"):
        layer = blocks.Conv1x1BN(4, 4)
    x = tf.cast(random(2, 3, 3, 4), tf.float16)
    graph = engine_lib.Engine(graphs.GraphCache()).graph(layer, (x,), True)
    _, _, *residuals = graph.forward(tf.ones([16]), tf.ones([8]), x)
    large = [r for r in residuals if np.size(r) == np.size(x)]
    assert {r.dtype for r in large} == {tf.float16}


class TestRetraining:
    def test_loss_scaling_changes_no_step(self):
        """A power of 2 rounds nothing."""
        plain, scaled = make_tiny(), make_tiny(scale_losses=True)
        for trainer in (plain, scaled):
            trainer.train_step(batch())
        for one, other in zip(
            plain.network.variables, scaled.network.variables, strict=True
        ):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)

    def test_learns_in_float16_and_skips_overflows(self):
        trainer = make_retraining("mixed_float16")
        scale = trainer.loss_scales["weights"]
        saved = checkpoints.retrain_variables(trainer)
        assert saved["weights_loss_scale/0"] is scale.scale
        weights = trainer.network.trainable_variables
        kept = [*weights, *trainer.sgd.variables]
        scale.scale.assign(2.0**40)
        before = [v.numpy() for v in kept]
        losses = []
        for step in range(12):
            for metric in trainer.metrics:
                metric.reset_state()
            trainer.train_step(batch())
            losses.append(means(trainer)["loss"])
            if step == 0:
                for variable, value in zip(kept, before, strict=True):
                    np.testing.assert_array_equal(variable.numpy(), value)
                scale.scale.assign(2.0**15)
        assert {v.dtype for v in weights} == {"float32"}
        assert losses[1] == pytest.approx(losses[0], abs=1e-3)
        assert losses[-1] < losses[0] - 0.3

    def test_xla_changes_no_step(self):
        trainers = [make_tiny(jit_compile=j) for j in (False, True)]
        for trainer in trainers:
            trainer.train_step(batch())
        variables = [trainer.network.variables for trainer in trainers]
        for one, other in zip(*variables, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)


def test_xla_changes_no_cell():
    """An Engine-cell, there and back."""
    space = search_space.make(
        "small", ("max_pool_3x3", "avg_pool_3x3", "dil_conv_3x3"), 1, 2
    )
    cell = cells.EngineCell((4,), 8, False, False, space)
    inputs = ((random(2, 4, 4, 4),), tf.fill((3, 3), 0.3))
    found = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        packed = packed_layer.PackedLayer(cell, "cell")
        engine = engine_lib.Engine(graphs.GraphCache(jit_compile=jit_compile))
        graph = engine.graph(cell, inputs, True)
        results = graph.forward(
            packed.vector.value,
            packed.statistics.value,
            *tf.nest.flatten(inputs),
        )
        outputs = results[: graph.num_outputs]
        residuals = results[graph.num_outputs + graph.num_extras :]
        backward = graph.backward((0, 2, 3))
        kept = [residuals[i] for i in backward.residual_indices]
        cotangents = [tf.sin(y) for y in outputs]
        found.append([*outputs, *backward.function(*kept, *cotangents)])
    for plain, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(
            compiled, plain, atol=1e-5 * np.abs(plain).max()
        )
    called = graph.forward  # A ConcreteFunction: it heeds what compiles it.
    assert called.function_def.attr["_XlaMustCompile"].b
