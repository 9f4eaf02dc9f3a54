"""Target networks: plain models of Keras, and what trains them."""

import collections
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import (
    genotypes,
    operations,
    published,
    search_space,
)
from entrannas_tf.networks import cost
from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.layers import dropout, fast
from tests.support import built_costs, slow_layers

GENOTYPE = genotypes.Genotype(
    genotypes.make_cell(
        [
            [("sep_conv_3x3", 0), ("skip_connect", 1), ("max_pool_3x3", 1)],
            [],
            [("dil_conv_5x5", 2), ("skip_connect", 3)],  # the latter is 0
        ]
    ),
    genotypes.make_cell([[("avg_pool_3x3", 0)], [("skip_connect", 1)]]),
)
# The layers that a network may consist of.
PLAIN = {
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.BatchNormalization,
    keras.layers.Concatenate,
    keras.layers.Conv2D,
    keras.layers.Cropping2D,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Identity,
    keras.layers.InputLayer,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.ZeroPadding2D,
}


def make(genotype=GENOTYPE, side=16, **options):
    keras.utils.set_random_seed(0)
    options = {"num_cells": 3, "init_channels": 4, **options}
    return target_network.TargetNetwork(
        genotype, 10, (side, side, 3), **options
    )


def images(size=4, side=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, side, side, 3)).astype("float32")


def num_parameters(layer):
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


def names(model):
    return [layer.name for layer in model.layers]


@pytest.mark.long  # Networks of full size: the counts are tested for all below.
@pytest.mark.parametrize(
    ("name", "options", "without", "with_auxiliary"),
    [
        ("DARTS_V2", {}, 3_349_342, 3_825_768),
        (
            "DARTS_V2",
            {"stem": "imagenet", "num_cells": 14, "init_channels": 48},
            4_718_752,
            5_979_528,
        ),
    ],
)
def test_parameters_are_those_of_darts(name, options, without, with_auxiliary):
    network = target_network.TargetNetwork(
        published.load_genotype(name), 1000 if options else 10, **options
    )
    assert num_parameters(network) == without
    trained = target_network.training_network(network, auxiliary=True)
    assert num_parameters(trained) == with_auxiliary


@pytest.mark.parametrize(("stem", "side"), [("cifar", 32), ("imagenet", 224)])
def test_the_images_of_a_stem_have_the_size_of_its_classifier(stem, side):
    network = target_network.TargetNetwork(
        GENOTYPE, 10, num_cells=3, init_channels=4, stem=stem
    )
    assert network.input_shape == (None, side, side, 3)


@pytest.mark.parametrize(
    "stem", [pytest.param("cifar"), pytest.param("imagenet")]
)
@pytest.mark.parametrize("name", published.names())
def test_counts_are_those_of_the_network_as_built(name, stem):
    genotype = published.load_genotype(name)
    side = {"cifar": 9, "imagenet": 65}[stem]
    network = make(genotype, side, stem=stem)
    totals = cost.count(genotype, cost.Network(stem, 3, 4, 10, side)).totals()
    with_auxiliary = totals.pop("parameters_with_auxiliary")
    assert built_costs.measured(network) == totals
    trained = target_network.training_network(
        make(genotype, 64, stem=stem), auxiliary=True
    )
    assert num_parameters(trained) == with_auxiliary


@pytest.mark.parametrize("stem", search_space.STEM_REDUCTIONS)
def test_only_layers_of_keras(stem):
    for name in ("DARTS_V2", "PDARTS", "AmoebaNet"):
        network = make(published.load_genotype(name), stem=stem)
        assert {type(layer) for layer in network.layers} <= PLAIN


@pytest.mark.parametrize("name", ["SNAS_mild", "NASNet"])
@pytest.mark.parametrize("stem", search_space.STEM_REDUCTIONS)
def test_published_genotypes_run(name, stem):
    side = {"cifar": 8, "imagenet": 64}[stem]
    network = make(published.load_genotype(name), side, stem=stem)
    logits = network(images(2, side))
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()


def test_layers_are_named_after_the_paper():
    found = names(make())
    for name in (
        "images",
        "stem",
        "cell_0.preprocess_0",
        "cell_0.node_2",
        "cell_0.node_2.sep_conv_3x3_from_0",
        "cell_0.node_2.sep_conv_3x3_from_0.depthwise_1",
        "cell_0.node_2.skip_connect_from_1",
        "cell_0.node_2.max_pool_3x3_from_1",
        "cell_0.node_4.dil_conv_5x5_from_2",
        "cell_2",
        "head",
    ):
        assert name in found
    # The connection from node 3, which has none, is nothing.
    assert "cell_0.node_4.skip_connect_from_3" not in found


def test_a_sub_network_by_name():
    network = make()
    features = keras.Model(network.input, network.get_layer("cell_1").output)
    assert features(images()).shape == (4, 8, 8, 16)  # Two nodes of 8.
    cell = [network.get_layer(f"cell_{k}").output for k in range(2)]
    last = keras.Model(cell, network.output)
    first = keras.Model(network.input, cell)
    x = images()
    np.testing.assert_allclose(last(first(x)), network(x), atol=1e-5)


def test_summary_shows_shapes():
    lines = []
    make().summary(line_length=120, print_fn=lines.append)
    text = "\n".join(lines)
    assert "(None, 16, 16, 12)" in text
    assert "(None, 10)" in text


def test_a_connection_from_a_node_without_input_is_nothing():
    """Without it the network is the same."""
    normal = [list(node) for node in GENOTYPE.normal]
    normal[2] = normal[2][:1]
    pruned = genotypes.Genotype(genotypes.make_cell(normal), GENOTYPE.reduction)
    assert names(make(pruned)) == names(make())


def test_nodes_that_lead_nowhere_are_not_built():
    cell = genotypes.make_cell([[("skip_connect", 1)], [("sep_conv_3x3", 0)]])
    genotype = genotypes.Genotype(cell, cell, normal_concat=(2,))
    found = names(make(genotype))
    assert "cell_0.preprocess_1" in found
    assert "cell_0.preprocess_0" not in found
    assert "cell_0.node_3" not in found


def test_the_same_primitive_twice_on_an_edge_counts_twice():
    def node(times):
        cell = genotypes.make_cell([[("skip_connect", 0)] * times])
        network = make(genotypes.Genotype(cell, cell))
        first = network.get_layer("cell_0.node_2").output
        return keras.Model(network.input, first)(images())

    np.testing.assert_allclose(node(2), 2 * node(1), atol=1e-5)


def _every_operation():
    return [
        (name, stride) for name in operations.OPERATIONS for stride in (1, 2)
    ]


@pytest.mark.parametrize(("name", "stride"), _every_operation())
@pytest.mark.parametrize("size", [(7, 7), (8, 5), (None, None)])
def test_operations_against_numpy(name, stride, size):
    """Each step by itself, padded as in PyTorch."""
    steps = operations.find(name).at_stride(stride).steps
    shape = (2, *(size if size[0] else (6, 9)), 6)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    entry = keras.Input((*size, 6))
    model = keras.Model(
        entry, target_network.run_steps(steps, entry, 6, stride, "op")
    )
    rng = np.random.default_rng(1)
    for variable in model.variables:
        low = -1 if variable.name == "kernel" else 0.2
        variable.assign(rng.uniform(low, 1, variable.shape))
    layers = {layer.name: layer for layer in model.layers}
    expected = x
    for index, step in enumerate(steps):
        own = target_network.layer_name("op", steps, index)
        expected = slow_layers.run_step(step, expected, stride, layers, own)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-4)


def test_drop_path_leaves_identities(monkeypatch):
    """At stride 2 a skip connection is none."""
    calls = []
    call = dropout.DropPath.call
    monkeypatch.setattr(
        dropout.DropPath,
        "call",
        lambda *args, **kwargs: [calls.append(1), call(*args, **kwargs)][1],
    )
    cell = genotypes.make_cell([[("skip_connect", 0)]])
    only_identities = genotypes.Genotype(cell, GENOTYPE.reduction)
    for genotype, in_normal in ((only_identities, 0), (GENOTYPE, 3)):
        target_network.training_network(make(genotype), drop_path=True)
        assert len(calls) == in_normal + 2 * 2
        calls.clear()


def test_paths_are_dropped_in_training_at_the_rate():
    trained = target_network.training_network(make(), drop_path=True)
    run = tf.function(lambda x: trained(x, training=True)["logits"])
    rate = trained.get_layer("drop_path").rate
    x = images(8)
    np.testing.assert_allclose(run(x), run(x), atol=1e-5)
    rate.assign(0.5)  # Without a new graph.
    assert np.abs(run(x) - run(x)).max() > 1e-3
    assert run.experimental_get_tracing_count() == 1


def test_a_training_network_has_the_weights_of_the_network():
    network = make()
    trained = target_network.training_network(
        network, auxiliary=True, drop_path=True
    )
    trained.get_layer("drop_path").rate.assign(0.9)
    # Drop path takes no part in evaluation.
    x = images()
    np.testing.assert_allclose(trained(x)["logits"], network(x), atol=1e-5)
    own = {id(variable) for variable in network.variables}
    assert own < {id(variable) for variable in trained.variables}
    before = network.get_weights()
    trained.set_weights([w + 0.1 for w in trained.get_weights()])
    for value, moved in zip(before, network.get_weights(), strict=True):
        np.testing.assert_allclose(moved, value + 0.1, atol=1e-5)
    found = collections.Counter(type(y).__name__ for y in trained.layers)
    assert found["FusedBatchNorm"] > 10
    assert not found["BatchNormalization"]


def test_a_training_network_trains_as_the_network():
    """The kernels are others, and the moving variance is the unbiased one."""
    x = images()
    network, twin = make(), make()
    twin.set_weights(network.get_weights())
    trained = target_network.training_network(twin)
    np.testing.assert_allclose(
        trained(x, training=True)["logits"],
        network(x, training=True),
        atol=1e-4,
    )
    count = x.size // 3
    for ours, theirs in zip(network.variables, twin.variables, strict=True):
        path = ours.path.split("/")[0]
        if ours.name == "moving_variance" and path == "stem":
            unbiased = 0.9 + (ours.numpy() - 0.9) * count / (count - 1)
            np.testing.assert_allclose(theirs, unbiased, atol=1e-5)
        elif ours.name == "moving_mean":
            np.testing.assert_allclose(theirs, ours, atol=1e-4)


@pytest.mark.parametrize("stem", search_space.STEM_REDUCTIONS)
def test_auxiliary_head_against_numpy(stem):
    """Of features of 8x8 DARTS's windows are 5x5, 3 apart."""
    side = {"cifar": 32, "imagenet": 256}[stem]
    network = make(side=side, stem=stem)
    trained = target_network.training_network(network, auxiliary=True)
    x = images(2, side)
    cell = keras.Model(network.input, network.get_layer("cell_2").output)
    rectified = np.maximum(cell(x), 0)
    assert rectified.shape[1:3] == (8, 8)
    windows = [
        [rectified[:, i : i + 5, j : j + 5] for j in (0, 3)] for i in (0, 3)
    ]
    pooled = np.stack(
        [np.stack([w.mean((1, 2)) for w in row], 1) for row in windows], 1
    )  # [B, 2, 2, C]
    layers = {layer.name: layer for layer in trained.layers}
    narrow = layers["auxiliary_head.narrow.convolution_0"].layer.kernel[0, 0]
    y = np.maximum(slow_layers.batch_norm(pooled @ narrow, 0.0, 1.0), 0)
    y = np.einsum("bijc,ijcd->bd", y, layers["auxiliary_head.wide"].kernel)
    assert ("auxiliary_head.norm" in layers) == (stem == "cifar")
    if stem == "cifar":
        y = slow_layers.batch_norm(y, 0.0, 1.0)
    dense = layers["auxiliary_head"]
    expected = np.maximum(y, 0) @ dense.kernel + dense.bias
    np.testing.assert_allclose(
        trained(x)["auxiliary_logits"], expected, atol=1e-4
    )


@pytest.mark.parametrize("side", range(2, 16))
def test_auxiliary_head_reads_features_of_any_size(side):
    """Both windows of a side see as much, and the four see all corners."""
    features = keras.Input((side, side + 1, 1))
    logits = target_network._auxiliary(features, 10, last_norm=True)
    head = keras.Model(features, logits)
    pool = keras.Model(features, head.get_layer("auxiliary_head.to_2x2").output)
    corners = np.zeros((1, side, side + 1, 1), "float32")
    corners[:, [0, 0, -1, -1], [0, -1, 0, -1]] = 1
    pooled = pool(corners).numpy()
    assert pooled.shape == (1, 2, 2, 1)
    assert (pooled > 0).all()


def test_auxiliary_head_pools_7x7_as_darts():
    features = keras.Input((7, 7, 3))
    head = keras.Model(
        features, target_network._auxiliary(features, 10, last_norm=True)
    )
    pool = keras.Model(features, head.get_layer("auxiliary_head.to_2x2").output)
    x = np.abs(images(2, 7))
    np.testing.assert_allclose(
        pool(x)[:, 1, 0], x[:, 2:7, 0:5].mean((1, 2)), atol=1e-6
    )


def test_training_moves_every_weight():
    trained = target_network.training_network(make(), auxiliary=True)
    with tf.GradientTape() as tape:
        pair = trained(images(), training=True)
        loss = tf.add_n([tf.reduce_sum(y**2) for y in pair.values()])
    gradients = tape.gradient(
        loss, [v.value for v in trained.trainable_variables]
    )
    assert all(g is not None and np.any(g) for g in gradients)


def test_what_stands_in_is_found_by_type():
    network = make()
    replaced = {type(fast.replace(layer)) for layer in network.layers}
    assert fast.FusedBatchNorm in replaced
    assert fast.PointwiseConvolution in replaced
    depthwise = network.get_layer(
        "cell_0.node_2.sep_conv_3x3_from_0.depthwise_1"
    )
    assert fast.replace(depthwise) is depthwise


def compiled(network):
    network.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return network


def test_compile_fit_evaluate_predict():
    network = compiled(make(side=8))
    x, labels = images(32, 8), np.arange(32) % 10
    before = network.evaluate(x, labels, verbose=0)[0]
    network.fit(x, labels, batch_size=16, epochs=6, verbose=0)
    assert network.predict(x, verbose=0).shape == (32, 10)
    after = network.evaluate(x, labels, verbose=0)[0]
    assert np.isfinite(after)
    assert after != before


def test_fit_of_a_training_network():
    """By Keras alone: both heads, and a rate that a callback raises."""
    network = make(side=32)
    trained = target_network.training_network(
        network, auxiliary=True, drop_path=True
    )
    rate = trained.get_layer("drop_path").rate
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(
        keras.optimizers.SGD(0.05),
        loss={"logits": loss, "auxiliary_logits": loss},
        loss_weights={"logits": 1.0, "auxiliary_logits": 0.4},
        jit_compile=False,
    )
    x, labels = images(16, 32), np.arange(16) % 10
    before = network.get_weights()
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: rate.assign(0.1 * epoch),
        on_epoch_end=lambda *_: seen.append(float(rate)),
    )
    history = trained.fit(
        x,
        {"logits": labels, "auxiliary_logits": labels},
        batch_size=8,
        epochs=2,
        verbose=0,
        callbacks=[callback],
    )
    assert seen == pytest.approx([0, 0.1])
    assert np.isfinite(history.history["auxiliary_logits_loss"]).all()
    for value, now in zip(before, network.get_weights(), strict=True):
        assert np.any(value != now)


def test_quantize():
    """Keras quantizes dense layers; of the others it says that it does not."""
    network = make()
    before = network(images())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        network.quantize("int8", filters="^head$")
    assert network.get_layer("head").kernel.dtype == "int8"
    np.testing.assert_allclose(network(images()), before, atol=0.1)


def test_any_size_of_images():
    network = make(side=None)
    fixed = make(side=12)
    network.set_weights(fixed.get_weights())
    for side in (12, 15):
        assert network(images(2, side)).shape == (2, 10)
    x = images(2, 12)
    np.testing.assert_allclose(network(x), fixed(x), atol=1e-5)
    with pytest.raises(ValueError, match=r"expected at least 2x2. Build the"):
        target_network.training_network(network, auxiliary=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_cells": 2}, r"2 cells came; expected 3 or more"),
        ({"stem": "mnist"}, r"'mnist'; expected one of cifar, imagenet"),
        (
            {"init_channels": 5, "stem": "imagenet"},
            r"init_channels is 5; expected an even number",
        ),
        (
            {
                "genotype": genotypes.Genotype(
                    genotypes.make_cell([[("skip_connect", 0)]]),
                    genotypes.make_cell([[]]),
                )
            },
            r"Nothing flows to the output of the reduction cell \(2: -\)",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
