import dataclasses

import pytest

from configs import digits, retrain_cifar10
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from tests.support import changed_config

RetrainConfig = retrain_config.RetrainConfig


def make_dict(**changes):
    """Returns the values of a good configuration with dotted changes."""
    return changed_config.changed(retrain_cifar10.get_config(), **changes)


def test_round_trips():
    first = schema.read(RetrainConfig, make_dict())
    assert isinstance(first.training, retrain_config.TrainingConfig)
    assert schema.read(RetrainConfig, dataclasses.asdict(first)) == (first)


def test_defaults_fill_in():
    values = make_dict()
    del values["training"]["label_smoothing"], values["num_runs"]
    made = schema.read(RetrainConfig, values)
    assert (made.training.label_smoothing, made.num_runs) == (0.0, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training__epoch": 2},
            "Unknown field training.epoch; did you mean training.epochs? ",
        ),
        (
            {"data__weight_fraction": 0.5},
            "Unknown field data.weight_fraction; ",
        ),
        (
            {"training__schedule": "constant"},
            "training.schedule is 'constant'; expected one of cosine, linear, "
            "poly.",
        ),
        (
            {"training__drop_path_rate": 1.0},
            "training.drop_path_rate is 1.0; expected from 0 to below 1.",
        ),
        (
            {"training__warmup_epochs": 600},
            "training.warmup_epochs is 600; expected less than "
            "training.epochs, which is 600.",
        ),
        (
            {"network__stem": "imagenet", "network__init_channels": 5},
            "network.init_channels is 5; expected an even number, as the stem",
        ),
        (
            {"data__min_crop_area": 1.5},
            "data.min_crop_area is 1.5; expected from 0 to 1.",
        ),
        (
            {"data__validation_fraction": 1.0},
            "data.validation_fraction is 1.0; expected from 0 to below 1.",
        ),
        ({"num_runs": 0}, "num_runs is 0; expected 1 or more."),
        (
            {"training__precision": "float64"},
            "training.precision is 'float64'; expected one of float32, "
            "bfloat16, float16.",
        ),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ValueError) as caught:
        schema.read(RetrainConfig, make_dict(**changes))
    assert str(caught.value).startswith(message)


def test_the_other_kind_is_told():
    with pytest.raises(ValueError, match=r"section search: it is one for lau"):
        schema.read(RetrainConfig, digits.get_config())
    with pytest.raises(ValueError, match=r"section training: it is one for l"):
        schema.read(search_config.Config, retrain_cifar10.get_config())


def test_expected_type():
    path = "training.drop_path_rate"
    assert schema.expected_type(RetrainConfig, path) == "a number"
    with pytest.raises(ValueError, match=r"Unknown field training"):
        schema.expected_type(search_config.Config, path)
