"""A target network with DARTS's weights is DARTS's network."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import genotypes, published, search_space
from entrannas_tf.networks import porting
from entrannas_tf.networks import target as target_network
from tests.support import programs

# From ../shared/reference, whose README says how it was computed: DARTS_V2
# for CIFAR-10, 5 cells, 4 channels, with auxiliary head.
REFERENCE = np.load(
    programs.ROOT / "tests" / "fixtures" / "darts_v2_cifar_c4_l5.npz"
)
STATE = {
    name.removeprefix("weights/"): REFERENCE[name]
    for name in REFERENCE.files
    if name.startswith("weights/")
}
IMAGES = tf.constant(REFERENCE["input"])
SPACE = search_space.EXTENDED


GENOTYPE = published.load_genotype("DARTS_V2")


def make(auxiliary=True, **options):
    """Returns a network, and what trains it."""
    options = {"num_cells": 5, "init_channels": 4, **options}
    network = target_network.TargetNetwork(GENOTYPE, 10, **options)
    return network, target_network.training_network(network, auxiliary)


def port(trained, state=STATE):
    porting.port_weights(trained, GENOTYPE, state)


@pytest.fixture(scope="module")
def ported():
    network, trained = make()
    port(trained)
    return network, trained


def rewind_statistics(trained):
    """Takes the running statistics one training step back.

    The reference holds them as they were after `train_logits` was computed,
    although `logits` had been computed with those before.
    """
    saved = {v.path: v.numpy() for v in trained.non_trainable_variables}
    trained(IMAGES, training=True)
    for variable in trained.non_trainable_variables:
        after = saved[variable.path]
        batch = (variable.numpy() - 0.9 * after) / 0.1
        variable.assign((after - 0.1 * batch) / 0.9)


def test_training_is_that_of_darts():
    network, trained = make()
    port(trained)
    found = trained(IMAGES, training=True)
    np.testing.assert_allclose(
        found["logits"], REFERENCE["train_logits"], atol=1e-4
    )
    np.testing.assert_allclose(
        found["auxiliary_logits"],
        REFERENCE["train_auxiliary_logits"],
        atol=1e-4,
    )
    # And that of the network by Keras's own layers.
    np.testing.assert_allclose(
        network(IMAGES, training=True), REFERENCE["train_logits"], atol=1e-4
    )


def test_evaluation_is_that_of_darts():
    network, trained = make()
    port(trained)
    rewind_statistics(trained)
    np.testing.assert_allclose(network(IMAGES), REFERENCE["logits"], atol=1e-4)


def test_every_variable_gets_a_value(ported):
    _, trained = make()
    for variable in trained.variables:
        variable.assign(tf.fill(variable.shape, np.nan))
    port(trained)
    for variable, same in zip(
        trained.variables, ported[1].variables, strict=True
    ):
        np.testing.assert_array_equal(variable, same)


def test_a_network_without_auxiliary_head_leaves_its_weights_out(ported):
    network, _ = make(auxiliary=False)
    port(network)
    np.testing.assert_allclose(network(IMAGES), ported[0](IMAGES), atol=1e-5)


def test_a_reloaded_network(ported, tmp_path):
    make(auxiliary=False)[0].save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    port(again)
    np.testing.assert_allclose(again(IMAGES), ported[0](IMAGES), atol=1e-5)


def test_counters_and_the_prefix_of_parallel_training_do_not_matter(ported):
    state = {f"module.{name}": value for name, value in STATE.items()}
    state["module.stem.1.num_batches_tracked"] = np.int64(3)
    again, trained = make()
    port(trained, state)
    np.testing.assert_allclose(again(IMAGES), ported[0](IMAGES), atol=1e-5)


def test_weights_that_do_not_act_are_left_out():
    """DARTS has them: input 0 leads nowhere, nor does node 3."""
    cell = genotypes.make_cell(
        [[("skip_connect", 1)], [("conv_1x1", 0)]], SPACE
    )
    genotype = genotypes.Genotype(cell, cell, SPACE, (2,), (2,))
    network = target_network.TargetNetwork(
        genotype, 10, num_cells=3, init_channels=4
    )
    layers = {layer.name: layer for layer in network.layers}
    found, unused = porting._network_weights(layers, genotype)
    assert len(found) == len(network.variables)
    assert unused == (
        "cells.0.preprocess0.",
        "cells.0._ops.1.",
        "cells.1.preprocess0.",
        "cells.1._ops.1.",
        "cells.2.preprocess0.",
        "cells.2._ops.1.",
        "auxiliary_head.",
    )


def reshaped(name, shape):
    return {**STATE, name: np.zeros(shape, "float32")}


@pytest.mark.parametrize(
    ("options", "state", "message"),
    [
        (
            {},
            {k: v for k, v in STATE.items() if k != "stem.0.weight"},
            "The state dict lacks 1 weight(s): stem.0.weight. Are genotype, "
            "number of cells and auxiliary head the same?",
        ),
        (
            {},
            {**STATE, "extra": np.zeros(1)},
            "The state dict has, and this network does not, 1 weight(s): "
            "extra. Are genotype, number of cells and auxiliary head the "
            "same?",
        ),
        (
            {},
            reshaped("classifier.weight", (100, 64)),
            "classifier.weight has the shape (100, 64), which would be "
            "(64, 100) here; expected (64, 10). Are genotype, channels and "
            "number of cells the same?",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_copied(options, state, message):
    _, trained = make(**options)
    before = trained.get_weights()
    with pytest.raises(ValueError) as caught:
        port(trained, state)
    assert str(caught.value) == message
    for value, same in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(value, same)


def test_imagenet_names():
    """DARTS's ImageNet network has these names; its values are made up."""
    _, trained = make(stem="imagenet")
    layers = {layer.name: layer for layer in trained.layers}
    found, unused = porting._network_weights(layers, GENOTYPE)
    assert not unused
    names = {weight.name for weight in found}
    assert {
        "stem0.0.weight",
        "stem0.1.running_mean",
        "stem0.3.weight",
        "stem0.4.bias",
        "stem1.1.weight",
        "stem1.2.weight",
        "cells.0.preprocess0.conv_1.weight",
        "cells.0.preprocess1.op.1.weight",
        "auxiliary_head.features.5.weight",
    } <= names
    assert not any(n.startswith("auxiliary_head.features.6") for n in names)
    assert len(names) == len(trained.variables)
