import dataclasses
import json
import math

import ml_collections
import pytest

from configs import digits
from entrannas_tf.architecture import search_space
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.tuning import config as tuning_config
from tests.support import changed_config


def make_dict(**changes):
    """Returns the values of a good configuration with dotted changes."""
    return changed_config.changed(digits.get_config(), **changes)


def stages(**changes):
    """Returns the changes that make it P-DARTS, with others."""
    return {
        "progressive__num_cells": (5, 11, 17),
        "progressive__num_primitives": (8, 5, 3),
        "progressive__skip_dropout_rates": (0.0, 0.4, 0.7),
        **changes,
    }


def own(**changes):
    """Returns the changes that make it a search of a user's own space."""
    return {
        "network__space": "mine",
        "network__primitives": ("none", "skip_connect", "conv_3x3"),
        "network__num_input_nodes": 1,
        "network__num_intermediate_nodes": 3,
        "network__kinds": ("normal",),
        **changes,
    }


@pytest.mark.parametrize("changes", [{}, stages(), own()])
def test_round_trips(changes):
    first = schema.read(search_config.Config, make_dict(**changes))
    assert schema.read(search_config.Config, dataclasses.asdict(first)) == first
    assert (
        schema.read(search_config.Config, schema.to_config_dict(first)) == first
    )
    text = json.dumps(dataclasses.asdict(first))
    assert schema.read(search_config.Config, json.loads(text)) == first


def test_config_dict_is_locked_and_typed():
    values = digits.get_config()
    with pytest.raises(AttributeError):
        values.search.epoch = 3
    with pytest.raises(TypeError):
        values.search.epochs = "3"
    values.search.epochs = 3
    assert schema.read(search_config.Config, values).search.epochs == 3


def test_config_is_frozen():
    made = schema.read(search_config.Config, make_dict())
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.search.epochs = 3


def test_defaults_fill_in():
    values = make_dict()
    del values["search"]["gradient_clip_norm"], values["data"]["data_dir"]
    made = schema.read(search_config.Config, values)
    assert made.search.gradient_clip_norm == 5.0
    assert made.data.data_dir == "~/tensorflow_datasets"


def test_the_space_of_a_configuration():
    made = schema.read(search_config.Config, make_dict())
    assert search_config.space_of(made.network) == search_space.STANDARD
    made = schema.read(search_config.Config, make_dict(**own()))
    assert search_config.space_of(made.network) == (
        "mine",
        ("none", "skip_connect", "conv_3x3"),
        1,
        3,
        ("normal",),
    )
    made = make_dict(network__space="tiny", network__num_intermediate_nodes=5)
    made = schema.read(search_config.Config, made)
    space = search_config.space_of(made.network)
    assert space == search_space.TINY._replace(num_intermediate_nodes=5)


def test_configurations_from_before_spaces_of_ones_own():
    values = make_dict(network__space="extended")
    fields = ("primitives", "kinds")
    fields += ("num_input_nodes", "num_intermediate_nodes")
    for field in fields:
        del values["network"][field]
    made = schema.read(search_config.Config, values)
    assert search_config.space_of(made.network) == search_space.EXTENDED


def test_integer_becomes_number():
    made = schema.read(
        search_config.Config, make_dict(search__gradient_clip_norm=3)
    )
    assert type(made.search.gradient_clip_norm) is float


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"search__epoch": 2},
            "Unknown field search.epoch; did you mean search.epochs? The "
            "fields of search are epochs, batch_size, eval_every_epochs,",
        ),
        (
            {"serch": 2},
            "Unknown field serch; did you mean search? The fields of the "
            "configuration are name, seed, deterministic, data, network, ",
        ),
        ({"data__zzz": 2}, "Unknown field data.zzz; The fields of data"),
        (
            {"search__epochs": 2.5},
            "search.epochs is 2.5, of type float; expected an integer.",
        ),
        (
            {"search__epochs": True},
            "search.epochs is True, of type bool; expected an integer.",
        ),
        (
            {"search__weight_decay": True},
            "search.weight_decay is True, of type bool; expected a number.",
        ),
        (
            {"data__flip": 1},
            "data.flip is 1, of type int; expected true or false.",
        ),
        (
            {"data__name": None},
            "data.name is None, of type NoneType; expected a text.",
        ),
        (
            {"search": 3},
            "search is 3, of type int; expected a section of fields.",
        ),
        (
            {"data__name": "mnist"},
            "data.name is 'mnist'; expected one of digits, cifar10, "
            "imagenet2012, folder.",
        ),
        (
            {"search__precision": "half"},
            "search.precision is 'half'; expected one of float32, bfloat16, "
            "float16.",
        ),
        ({"name": " "}, "name is ' '; expected a text that is not empty."),
        ({"seed": 2**31}, "seed is 2147483648; expected from 0 to 2**31 - 1."),
        (
            {"search__initial_temperature": 0.0},
            "search.initial_temperature is 0.0; expected more than 0.",
        ),
        (
            {"search__weight_decay": math.nan},
            "search.weight_decay is nan; expected 0 or more.",
        ),
        (
            {"search__weight_learning_rate": math.inf},
            "search.weight_learning_rate is inf; expected more than 0.",
        ),
        (
            {"network__init_channels": 10},
            "network.init_channels is 10; expected a multiple of "
            "network.bottleneck, which is 4.",
        ),
        (
            {"network__partial_channels": 3, "network__bottleneck": 1},
            "network.init_channels is 8; expected a multiple of "
            "network.partial_channels, which is 3.",
        ),
        (
            {"network__partial_channels": 2},
            "network.partial_channels is 2 and network.bottleneck is 4; "
            "expected 1 for one of them",
        ),
        (
            {"search__architecture": "random", "network__sparse": True},
            "search.architecture is 'random' and network.sparse is True; ",
        ),
        (
            {
                "search__architecture": "random",
                "search__architecture_order": 2,
            },
            "search.architecture is 'random' and search.architecture_order is "
            "2; expected 1",
        ),
        (
            {"search__architecture_warmup_epochs": 999},
            "search.architecture_warmup_epochs is 999; expected less than "
            "search.epochs, which is ",
        ),
        (
            {"data__name": "folder"},
            "data.dir is empty; expected the folder of your images",
        ),
        (
            {"data__name": "cifar10", "data__data_dir": ""},
            "data.data_dir is empty; expected the directory",
        ),
        (
            {"data__name": "imagenet2012", "data__data_dir": ""},
            "data.data_dir is empty; expected the directory in which "
            "tensorflow-datasets prepared ImageNet: ",
        ),
        (
            {"data__weight_fraction": 0.7, "data__architecture_fraction": 0.4},
            "data.architecture_fraction is 0.4; expected at most 0.3, what "
            "data.weight_fraction leaves, or 0 for all of it.",
        ),
        (
            {
                "search__architecture_order": 2,
                "search__precision": "bfloat16",
            },
            "search.precision is bfloat16; expected float32, as "
            "search.architecture_order is 2",
        ),
        (
            {"network__sparse": True, "network__max_skips": 2},
            "network.sparse is True; expected false, as it knows neither",
        ),
        (
            stages(progressive__num_primitives=(8, 5)),
            "progressive.num_primitives is (8, 5); expected 3 values, one for "
            "each of progressive.num_cells.",
        ),
        (
            stages(progressive__num_primitives=(8, 3, 5)),
            "progressive.num_primitives is (8, 3, 5); expected 8, all of "
            "network.space, at first, and never more",
        ),
        (
            stages(network__space="extended"),
            "progressive.num_primitives is (8, 5, 3); expected 13, all of",
        ),
        (
            stages(progressive__skip_dropout_rates=(0.0, 0.4, 1.0)),
            "progressive.skip_dropout_rates is (0.0, 0.4, 1.0); expected each "
            "from 0 to below 1.",
        ),
        (
            stages(search__architecture="random"),
            "search.architecture is random; expected gradient, as alpha",
        ),
        (
            stages(progressive__stage=4),
            "progressive.stage is 4; expected at most 3, the number of",
        ),
        (
            {"network__space": "huge"},
            "network.space is 'huge'; expected one of standard, extended, "
            "nasnet, tiny, or network.primitives for a space of your own.",
        ),
        (
            own(network__space=" "),
            "network.space is ' '; expected a text that is not empty.",
        ),
        (
            own(network__primitives=("none", "conv_9x9")),
            "network.primitives has 'conv_9x9', which is not known; expected "
            "names among none, max_pool_3x3, ",
        ),
        (
            own(network__primitives=("none", "conv_3x3", "conv_3x3")),
            "network.primitives has 'conv_3x3' more than once; expected each",
        ),
        (
            own(network__primitives=("none",)),
            "network.primitives is ('none',); expected an operation beside",
        ),
        (
            own(network__primitives=(1, 2)),
            "network.primitives is (1, 2), of type tuple; expected several, "
            "each a text.",
        ),
        (
            {"network__kinds": ("reduction",)},
            "network.kinds is ('reduction',); expected ('normal', ",
        ),
        (
            own(
                network__primitives=("skip_connect", "conv_3x3"),
                search__architecture="random",
            ),
            "search.architecture is 'random' and network.primitives is "
            "('skip_connect', 'conv_3x3'); expected 'none' among them",
        ),
        (
            own(
                network__primitives=("none", "skip_connect"),
                network__max_skips=2,
            ),
            "network.max_skips is 2 and network.primitives is ('none', "
            "'skip_connect'); expected an operation among them",
        ),
        (
            stages(network__primitives=("none", "skip_connect", "conv_3x3")),
            "progressive.num_primitives is (8, 5, 3); expected 3, all of",
        ),
        (
            {"network__stem": "vgg"},
            "network.stem is 'vgg'; expected one of cifar, imagenet.",
        ),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ValueError) as caught:
        schema.read(search_config.Config, make_dict(**changes))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("data.num_examples", (0, 5), (-1,)),
        ("data.weight_fraction", (0.1, 0.9), (0.0, 1.0)),
        ("data.architecture_fraction", (0.0, 0.5), (-0.1, 0.6, 1.0)),
        ("data.cutout_length", (0, 16), (-1,)),
        ("network.num_cells", (3, 20), (2, 0, -1)),
        ("network.num_input_nodes", (1, 2), (0, 3)),
        ("network.num_intermediate_nodes", (1, 5), (0, -1)),
        ("network.max_fold", (1, 64), (0,)),
        ("network.engine_cells", ("half", "all"), ("some", "")),
        ("network.max_skips", (0, 8), (-1, 9)),
        ("search.batch_size", (1,), (0, -64)),
        ("search.weight_momentum", (0.0, 0.99), (1.0, -0.1)),
        ("search.architecture_order", (1, 2), (0, 3)),
        ("search.temperature_decay", (1.0, 0.1), (0.0, 1.1)),
        ("search.checkpoints_to_keep", (2,), (1, 0)),
    ],
)
def test_ranges(path, good, bad):
    name = path.replace(".", "__")
    for value in good:
        schema.read(search_config.Config, make_dict(**{name: value}))
    for value in bad:
        with pytest.raises(ValueError, match=f"^{path} is .*; expected "):
            schema.read(search_config.Config, make_dict(**{name: value}))


# `search_space.check` looks at them, together.
WITHOUT_RULE = {"num_input_nodes", "num_intermediate_nodes"}


@pytest.mark.parametrize(
    "kind",
    [
        search_config.Config,
        retrain_config.RetrainConfig,
        tuning_config.TuneConfig,
    ],
)
def test_every_number_has_a_rule(kind):
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type):
            test_every_number_has_a_rule(field.type)
        else:
            assert field.type not in (int, float) or field.name in WITHOUT_RULE


def test_missing_field_is_named():
    values = make_dict()
    del values["search"]["epochs"]
    with pytest.raises(ValueError, match=r"field search\.epochs is missing"):
        schema.read(search_config.Config, values)


def test_only_a_configuration_is_taken():
    with pytest.raises(ValueError, match="is NoneType; expected a ConfigDict"):
        schema.read(search_config.Config, None)


def test_what_config_dict_lets_pass_is_refused():
    """A ConfigDict takes True for an integer, and None for anything."""
    for value in (True, None):
        values = digits.get_config()
        values.search.epochs = value
        with pytest.raises(ValueError, match=r"search\.epochs is "):
            schema.read(search_config.Config, values)
    values = ml_collections.ConfigDict(make_dict())
    values.extra = 3
    with pytest.raises(ValueError, match="Unknown field extra"):
        schema.read(search_config.Config, values)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("seed", "an integer"),
        ("deterministic", "true or false"),
        ("search.weight_decay", "a number"),
        ("data.dir", "a text"),
        ("network.primitives", "several, each a text"),
        ("data", "a section of fields"),
    ],
)
def test_expected_type(path, words):
    assert schema.expected_type(search_config.Config, path) == words


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("searhc.epochs", "Unknown field searhc; did you mean search?"),
        ("network.space.x", "network.space is a text and has no fields"),
        ("", "Unknown field ;"),
    ],
)
def test_expected_type_of_nothing(path, message):
    with pytest.raises(ValueError) as caught:
        schema.expected_type(search_config.Config, path)
    assert message in str(caught.value)
