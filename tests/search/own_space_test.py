"""Whole searches of search spaces that a user makes, to the last file."""

import os

import numpy as np
import pytest

from entrannas_tf.architecture import published, search_space
from entrannas_tf.networks import cost
from entrannas_tf.networks import target as target_network
from entrannas_tf.search import results as search_results
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files
from tests.support import toy_config

NAMES = ("none", "skip_connect", "sep_conv_3x3")
SPACES = [
    search_space.make("mine", NAMES, num_intermediate_nodes=3),
    pytest.param(
        search_space.make("mine", NAMES, 1, 3, ("normal",)),
        marks=pytest.mark.long,
    ),
]


def make_config(space):
    """Returns the configuration of a search of two steps."""
    config = toy_config.get_config()
    config.data.num_examples = 64
    config.search.epochs = 1
    config.network.space = space.name
    config.network.primitives = space.primitives
    config.network.num_input_nodes = space.num_input_nodes
    config.network.num_intermediate_nodes = space.num_intermediate_nodes
    config.network.kinds = space.kinds
    return config


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_a_search_of_ones_own_space(space, tmp_path):
    genotype = search_workflow.search(make_config(space), tmp_path)
    assert genotype.space == space
    assert len(genotype.normal) == len(genotype.reduction) == 3
    if len(space.kinds) == 1:
        assert genotype.normal == genotype.reduction
    assert search_results.is_finished(tmp_path)
    assert sorted(os.listdir(tmp_path / "cells")) == sorted(
        f"{kind}.{suffix}"
        for kind in space.kinds
        for suffix in ("dot", "png", "svg")
    )
    (record,) = files.read_json_lines(tmp_path / "metrics.jsonl")
    assert set(record["mean_entropy"]) == set(space.kinds)
    assert 0 < record["validation_loss"] < 10
    # What others read is the file alone.
    found = published.load_genotype(str(tmp_path))
    assert found == genotype
    account = cost.count(found, cost.NETWORKS["cifar10"])
    network = target_network.TargetNetwork(
        found, 10, (16, 16, 1), num_cells=3, init_channels=4
    )
    logits = network(np.zeros([2, 16, 16, 1], np.float32))
    assert logits.shape == (2, 10)
    assert account.totals()["parameters"] > network.count_params()
