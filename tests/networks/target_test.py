"""Target networks: structure, parameters, and what runs when."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import genotypes, published, search_space
from entrannas_tf.networks import target as target_network

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


def make(genotype=GENOTYPE, **options):
    keras.utils.set_random_seed(0)
    options = {"num_cells": 3, "init_channels": 4, **options}
    return target_network.TargetNetwork(genotype, 10, **options)


def images(size=4, side=16, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(size, side, side, 3)), tf.float32)


def num_parameters(layer):
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


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
        ("PC_DARTS_cifar", {}, 3_634_678, None),
    ],
)
def test_parameters_are_those_of_darts(name, options, without, with_auxiliary):
    num_classes = 1000 if options else 10
    network = target_network.TargetNetwork(
        published.load_genotype(name), num_classes, auxiliary=True, **options
    )
    assert num_parameters(network) - num_parameters(network.auxiliary_head) == (
        without
    )
    if with_auxiliary:
        assert num_parameters(network) == with_auxiliary


def test_shapes():
    network = make(auxiliary=True)
    assert network(images()).shape == (4, 10)
    logits, auxiliary = network(images(), training=True, auxiliary=True)
    assert logits.shape == auxiliary.shape == (4, 10)
    # Nodes 2 and 4 of the normal cell form its output: node 3 has no input.
    widths = [cell.channels * len(cell.outputs) for cell in network.cells]
    assert network.cells[0].outputs == (2, 4)
    assert widths == [4 * 2, 8 * 2, 16 * 2]


@pytest.mark.parametrize("name", published.names())
@pytest.mark.parametrize("stem", search_space.STEM_REDUCTIONS)
def test_every_published_genotype_runs(name, stem):
    network = make(published.load_genotype(name), stem=stem)
    side = {"cifar": 8, "imagenet": 64}[stem]
    logits = network(images(2, side))
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()


def test_a_connection_from_a_node_without_input_is_nothing():
    """Without it the network is the same."""
    normal = [list(node) for node in GENOTYPE.normal]
    normal[2] = normal[2][:1]
    pruned = genotypes.Genotype(genotypes.make_cell(normal), GENOTYPE.reduction)
    np.testing.assert_allclose(
        make()(images()), make(pruned)(images()), atol=1e-5
    )


def test_the_same_primitive_twice_on_an_edge_counts_twice():
    def network(times):
        cell = genotypes.make_cell([[("skip_connect", 0)] * times])
        genotype = genotypes.Genotype(cell, cell)
        return make(genotype).cells[0]

    x = tf.random.normal([2, 8, 8, 12])
    once, twice = network(1)((x, x)), network(2)((x, x))
    np.testing.assert_allclose(twice, 2 * once, atol=1e-5)


def test_drop_path_leaves_identities():
    cell = genotypes.make_cell([[("skip_connect", 0)]])
    only_identities = make(
        genotypes.Genotype(cell, GENOTYPE.reduction), drop_path=True
    )
    x = tf.random.normal([8, 8, 8, 12])
    for network, is_dropped in (
        (only_identities, False),
        (make(drop_path=True), True),
    ):
        network.drop_path.rate.assign(0.5)
        first = network.cells[0]
        ys = [
            first((x, x), drop_path=network.drop_path, training=True)
            for _ in range(2)
        ]
        assert np.any(ys[0] != ys[1]) == is_dropped


def test_drop_path_takes_no_part_in_evaluation():
    network = make(drop_path=True)
    before = network(images())
    network.drop_path.rate.assign(0.9)
    np.testing.assert_allclose(network(images()), before, atol=1e-5)


def test_training_moves_every_weight():
    network = make(auxiliary=True)
    with tf.GradientTape() as tape:
        pair = network(images(), training=True, auxiliary=True)
        loss = tf.add_n([tf.reduce_sum(y**2) for y in pair])
    gradients = tape.gradient(
        loss, [v.value for v in network.trainable_variables]
    )
    assert all(g is not None and np.any(g) for g in gradients)


def test_auxiliary_logits_need_a_head():
    with pytest.raises(ValueError, match=r"make it with auxiliary=True"):
        make()(images(), auxiliary=True)


def test_config_round_trip():
    network = make(auxiliary=True, drop_path=True, stem="imagenet")
    config = json.loads(json.dumps(network.get_config()))
    again = target_network.TargetNetwork.from_config(config)
    assert again.get_config() == network.get_config()
    again.set_weights(network.get_weights())
    x = images(2, 64)
    np.testing.assert_allclose(again(x), network(x), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_cells": 2}, r"2 cells came; expected 3 or more"),
        ({"stem": "mnist"}, r"'mnist'; expected one of cifar, imagenet"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
