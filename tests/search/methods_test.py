import dataclasses

import pytest

from configs import digits, imagenet_entrannas_dst
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import methods

every_method = pytest.mark.parametrize("name", methods.METHODS)


@every_method
def test_method_is_a_good_configuration(name):
    changed = methods.apply(digits.get_config(), name)
    made = schema.read(search_config.Config, changed)
    assert methods.title(made) == methods.METHODS[name].title
    values = schema.flatten(dataclasses.asdict(made))
    method = methods.METHODS[name]
    for path, value in {**method.switches, **method.settings}.items():
        assert values[path] == value


# By the publications, of an experiment of 50 epochs with 3 of warm-up.
PUBLISHED = {
    "entrannas": {
        "network.engine_cells": "first",
        "network.feature_sharing": True,
        "network.bottleneck": 4,
        "search.epochs": 50,
        "search.architecture_warmup_epochs": 3,  # The experiment's.
    },
    "entrannas_dst": {
        "network.sparse": True,
        "search.threshold_penalty": 0.1,
        "search.architecture_warmup_epochs": 3,
    },
    "darts": {
        "network.engine_cells": "all",
        "network.feature_sharing": False,
        "network.bottleneck": 1,
        "search.architecture_order": 1,
        "search.architecture_warmup_epochs": 0,
        "search.temperature_decay": 1.0,
    },
    "darts_second_order": {
        "network.engine_cells": "all",
        "search.architecture_order": 2,
        "search.architecture_warmup_epochs": 0,
    },
    "p_darts": {
        "network.engine_cells": "all",
        "network.max_skips": 2,
        "progressive.num_cells": (5, 11, 17),
        "progressive.num_primitives": (8, 5, 3),
        "progressive.skip_dropout_rates": (0.0, 0.4, 0.7),
        "search.epochs": 25,
        "search.architecture_warmup_epochs": 10,
    },
    "pc_darts": {
        "network.engine_cells": "all",
        "network.partial_channels": 4,
        "network.edge_normalization": True,
        "network.bottleneck": 1,
        "search.epochs": 50,
        "search.architecture_warmup_epochs": 15,
    },
    "random": {
        "search.architecture": "random",
        "search.epochs": 50,
    },
}


@every_method
def test_published_numbers(name):
    experiment = digits.get_config()
    experiment.search.epochs = 50
    experiment.search.architecture_warmup_epochs = 3
    experiment.search.initial_temperature = 5.0
    changed = methods.apply(experiment, name)
    values = schema.flatten(
        dataclasses.asdict(schema.read(search_config.Config, changed))
    )
    found = {path: values[path] for path in PUBLISHED[name]}
    assert found == PUBLISHED[name]


def test_a_stage_has_an_epoch_at_least():
    experiment = digits.get_config()
    experiment.search.epochs = 1
    assert methods.apply(experiment, "p_darts").search.epochs == 1


@every_method
def test_method_leaves_the_experiment_alone(name):
    before = schema.flatten(digits.get_config().to_dict())
    after = schema.flatten(methods.apply(digits.get_config(), name).to_dict())
    changed = {path for path in before if before[path] != after[path]}
    assert set(after) == set(before)
    if not methods.METHODS[name].switches["progressive.num_cells"]:
        assert "search.epochs" not in changed
    assert not changed & {
        "name",
        "seed",
        "network.num_cells",
        "network.init_channels",
        "search.batch_size",
        "search.weight_learning_rate",
        "search.architecture_learning_rate",
    }


def test_methods_differ_by_their_switches():
    paths = {path for m in methods.METHODS.values() for path in m.switches}
    kinds = {
        tuple(str(m.switches.get(path)) for path in sorted(paths))
        for m in methods.METHODS.values()
    }
    assert len(kinds) == len(methods.METHODS)
    for method in methods.METHODS.values():
        assert set(method.switches) == paths
        assert not set(method.switches) & set(method.settings)


def test_first_the_method_and_back_again():
    """A method sets all switches, whatever the configuration began with."""
    dst = imagenet_entrannas_dst.get_config()
    dst.data.data_dir = "somewhere"
    plain = methods.apply(methods.apply(dst, "darts"), "entrannas")
    assert (
        methods.title(schema.read(search_config.Config, plain)) == "EnTranNAS"
    )


def test_plain_dicts_are_taken_and_left_alone():
    values = digits.get_config().to_dict()
    changed = methods.apply(values, "darts")
    assert changed["network"]["engine_cells"] == "all"
    assert values == digits.get_config().to_dict()


def test_fields_of_the_user_are_kept():
    kept = ("network.bottleneck", "search.initial_temperature")
    changed = methods.apply(digits.get_config(), "darts", kept)
    assert changed.network.bottleneck == 4
    assert changed.network.engine_cells == "all"
    made = schema.read(search_config.Config, changed)
    assert methods.title(made) == "a mixture of methods"


def test_no_method_changes_nothing():
    values = digits.get_config().to_dict()
    assert methods.apply(values, None) == values


def test_unknown_method_is_named():
    with pytest.raises(
        ValueError, match=r"Unknown method 'dart'; .* entrannas_dst, darts"
    ):
        methods.apply(digits.get_config(), "dart")
