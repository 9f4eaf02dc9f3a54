"""An operation that a user adds: searched, drawn, counted and retrained."""

import json

import keras
import numpy as np
import pytest

from entrannas_tf.architecture import genotypes, operations, published
from entrannas_tf.networks import cost, porting
from entrannas_tf.networks import target as target_network
from entrannas_tf.retraining import export
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import results as search_results
from entrannas_tf.search import workflow as search_workflow
from tests.support import toy_config, toy_retrain_config

NAME = "conv_5x5"
OPERATION = operations.Operation(
    (
        operations.ReLU(),
        operations.Convolution((5, 5)),
        operations.BatchNorm(),
    ),
    color="#123456",
)


def test_an_operation_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(operations, "OPERATIONS", {**operations.OPERATIONS})
    operations.add(NAME, OPERATION)
    config = toy_config.get_config()
    config.data.num_examples = 64
    config.search.epochs = 1
    config.network.space = "mine"
    config.network.primitives = ("none", "skip_connect", NAME)
    config.network.num_intermediate_nodes = 1
    # Skip connections lose: every connection is one of the operation.
    config.network.max_skips = 0
    search = tmp_path / "search"
    genotype = search_workflow.search(config, search)
    assert genotype.normal == (((NAME, 0), (NAME, 1)),)

    # Another process knows the operation by the genotype's file alone.
    del operations.OPERATIONS[NAME]
    search_results.write_film(str(search), str(tmp_path / "film.gif"))
    assert operations.OPERATIONS[NAME] == OPERATION
    del operations.OPERATIONS[NAME]
    assert published.load_genotype(str(search)) == genotype
    assert OPERATION.color in (search / "cells" / "normal.dot").read_text()

    network = cost.Network("cifar", 3, 4, 10, 16, 1)
    layers = cost.count(genotype, network).layers
    counted = {layer.name: layer for layer in layers}
    own = counted[f"cell_0.node_2.{NAME}_from_0"]
    assert own.parameters == 25 * 4 * 4 + 2 * 4
    assert own.multiply_adds == 25 * 4 * 4 * 16 * 16

    config = toy_retrain_config.get_config()
    config.training.epochs = 1
    workdir = tmp_path / "retraining"
    found = retraining_workflow.retrain(config, str(search), str(workdir))
    assert 0 <= found["mean"]["test_accuracy"] <= 1
    del operations.OPERATIONS[NAME]
    assert export.export(workdir, tmp_path / "model") < 1e-5
    model = keras.models.load_model(tmp_path / "model" / "model.keras")
    kernel = (
        model.get_layer("target_network")
        .get_layer(f"cell_0.node_2.{NAME}_from_1.convolution_1")
        .kernel
    )
    assert kernel.shape[:2] == (5, 5)


def test_an_operation_that_darts_does_not_have_is_not_ported(monkeypatch):
    monkeypatch.setattr(operations, "OPERATIONS", {**operations.OPERATIONS})
    operations.add(NAME, OPERATION)
    text = json.dumps(
        {
            "format": "entrannas-genotype",
            "version": 1,
            "space": {"name": "mine", "primitives": [NAME]},
            "normal": [[[NAME, 0]]],
            "reduction": [[[NAME, 1]]],
        }
    )
    genotype = genotypes.from_json(text)
    network = target_network.TargetNetwork(
        genotype, 10, num_cells=3, init_channels=4
    )
    with pytest.raises(ValueError, match=r"DARTS has no operation 'conv_5x5'"):
        porting.port_weights(network, genotype, {"a": np.zeros(1)})
