"""A target network with DARTS's weights is DARTS's network."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import published
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


def make(**options):
    options = {"num_cells": 5, "init_channels": 4, **options}
    return target_network.TargetNetwork(
        published.load_genotype("DARTS_V2"),
        10,
        **{"auxiliary": True, **options},
    )


@pytest.fixture(scope="module")
def network():
    network = make()
    porting.port_weights(network, STATE)
    return network


def rewind_statistics(network):
    """Takes the running statistics one training step back.

    The reference holds them as they were after `train_logits` was computed,
    although `logits` had been computed with those before.
    """
    saved = {v.path: v.numpy() for v in network.non_trainable_variables}
    network(IMAGES, training=True, auxiliary=True)
    for variable in network.non_trainable_variables:
        after = saved[variable.path]
        batch = (variable.numpy() - 0.9 * after) / 0.1
        variable.assign((after - 0.1 * batch) / 0.9)


def test_training_is_that_of_darts():
    network = make()
    porting.port_weights(network, STATE)
    logits, auxiliary = network(IMAGES, training=True, auxiliary=True)
    np.testing.assert_allclose(logits, REFERENCE["train_logits"], atol=1e-4)
    np.testing.assert_allclose(
        auxiliary, REFERENCE["train_auxiliary_logits"], atol=1e-4
    )


def test_evaluation_is_that_of_darts():
    network = make()
    porting.port_weights(network, STATE)
    rewind_statistics(network)
    np.testing.assert_allclose(network(IMAGES), REFERENCE["logits"], atol=1e-4)


def test_every_variable_gets_a_value(network):
    fresh = make()
    for variable in fresh.variables:
        variable.assign(tf.fill(variable.shape, np.nan))
    porting.port_weights(fresh, STATE)
    for variable, ported in zip(
        fresh.variables, network.variables, strict=True
    ):
        np.testing.assert_array_equal(variable, ported)


def test_counters_and_the_prefix_of_parallel_training_do_not_matter(network):
    state = {f"module.{name}": value for name, value in STATE.items()}
    state["module.stem.1.num_batches_tracked"] = np.int64(3)
    again = make()
    porting.port_weights(again, state)
    np.testing.assert_allclose(again(IMAGES), network(IMAGES), atol=1e-5)


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
    network = make(**options)
    before = network.get_weights()
    with pytest.raises(ValueError) as caught:
        porting.port_weights(network, state)
    assert str(caught.value) == message
    for value, same in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(value, same)


def test_a_network_without_auxiliary_head_says_so():
    with pytest.raises(ValueError, match=r"does not, 12 weight\(s\): auxil"):
        porting.port_weights(make(auxiliary=False), STATE)


def test_imagenet_names():
    """DARTS's ImageNet network has these names; its values are made up."""
    network = make(stem="imagenet")
    found = porting._network_weights(network)
    names = {name for _, name, _ in found}
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
    assert len(names) == len(network.variables)
