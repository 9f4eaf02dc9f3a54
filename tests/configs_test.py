import pathlib

import ml_collections
import pytest

from configs import (
    cifar10_entrannas,
    cifar10_entrannas_dst,
    cifar10_extended,
    cifar10_small,
    digits,
    folder,
)
from entrannas_tf import config

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPERIMENTS = {
    "cifar10_entrannas": cifar10_entrannas,
    "cifar10_entrannas_dst": cifar10_entrannas_dst,
    "cifar10_extended": cifar10_extended,
    "cifar10_small": cifar10_small,
    "digits": digits,
    "folder": folder,
}


def values_of(module):
    return config.flatten(module.get_config().to_dict())


def changes(module):
    """Returns what a configuration changes in the paper's on CIFAR-10."""
    base = values_of(cifar10_entrannas)
    return {k: v for k, v in values_of(module).items() if v != base[k]}


def test_all_files_are_listed():
    stems = {path.stem for path in (ROOT / "configs").glob("*.py")}
    assert stems == {*EXPERIMENTS, "__init__"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_configuration_is_good(name):
    made = EXPERIMENTS[name].get_config()
    assert isinstance(made, ml_collections.ConfigDict)
    assert made.is_locked
    if name == "folder":
        made.data.dir = "somewhere"
    assert config.from_config_dict(made).name == name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_record_says_how_to_run_it(name):
    text = EXPERIMENTS[name].__doc__
    assert f"python -m launch.search --config=configs/{name}.py" in text
    for word in ("Reproduces", "\nCommand:", "\nCost: ", "\nExpect: "):
        assert word in text


def test_a_folder_must_be_given():
    with pytest.raises(ValueError, match=r"--config\.data\.dir=PATH"):
        config.from_config_dict(folder.get_config())


def test_paper_on_cifar10():
    """Section 4.2, number by number."""
    paper = {
        "data.name": "cifar10",
        "data.num_examples": 0,
        "data.weight_fraction": 0.5,
        "network.space": "standard",
        "network.sparse": False,
        "network.num_cells": 8,
        "network.init_channels": 16,
        "network.engine_cells": "first",
        "network.feature_sharing": True,
        "network.bottleneck": 4,
        "search.epochs": 50,
        "search.batch_size": 512,
        "search.weight_learning_rate": 0.2,
        "search.weight_momentum": 0.9,
        "search.weight_decay": 3e-4,
        "search.architecture_learning_rate": 6e-4,
        "search.architecture_beta_1": 0.5,
        "search.architecture_beta_2": 0.999,
        "search.architecture_weight_decay": 1e-3,
        "search.initial_temperature": 5.0,
        "search.temperature_decay": 0.923,
    }
    values = values_of(cifar10_entrannas)
    assert {path: values[path] for path in paper} == paper


def test_variants_differ_by_switches_only():
    assert changes(cifar10_entrannas_dst) == {
        "name": "cifar10_entrannas_dst",
        "network.sparse": True,
        "search.threshold_penalty": 0.1,
    }
    assert changes(cifar10_extended) == {
        "name": "cifar10_extended",
        "network.space": "extended",
    }


def test_small_search_has_the_same_cells():
    changed = [k for k in changes(cifar10_small) if k.startswith("network.")]
    assert changed == ["network.num_cells"]
