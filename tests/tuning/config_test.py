import dataclasses

import pytest

from configs import digits, tune_digits
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.tuning import config as tuning_config
from tests.support import changed_config

Parameter = tuning_config.Parameter


def make_dict(**changes):
    """Returns the values of a good configuration with dotted changes."""
    return changed_config.changed(tune_digits.get_config(), **changes)


def test_round_trips():
    first = schema.read(tuning_config.TuneConfig, make_dict())
    assert isinstance(first.search, search_config.Config)
    assert isinstance(first.tuning, tuning_config.TuningConfig)
    plain = dataclasses.asdict(first)
    assert schema.read(tuning_config.TuneConfig, plain) == first


def test_defaults_are_the_papers_five():
    values = make_dict()
    values["tuning"] = {"first_epochs": 1}
    assert (
        schema.read(tuning_config.TuneConfig, values).tuning.num_searches == 5
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tuning__num_search": 2},
            "Unknown field tuning.num_search; did you mean tuning.num_searches",
        ),
        ({"name": " "}, "name is ' '; expected a text that is not empty."),
        ({"tuning__factor": 1}, "tuning.factor is 1; expected 2 or more."),
        (
            {"search__search__epochs": 0},
            "Of the section search: search.epochs is 0; expected 1 or more.",
        ),
        (
            {"retraining__data__validation_fraction": 1.0},
            "Of the section retraining: data.validation_fraction is 1.0; expec",
        ),
        (
            {"search__data__name": "folder"},
            "Of the section search: data.dir is empty; expected the folder of "
            "your images, which holds train/<class>/<image>: "
            "--config.search.data.dir=PATH.",
        ),
        (
            {"search__search__epochs": "2"},
            "search.search.epochs is '2', of type str; expected an integer.",
        ),
        (
            {"tuning__hyperparameters": "search.epoch: 2, 3"},
            "Unknown field search.epoch; did you mean search.epochs?",
        ),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ValueError) as caught:
        schema.read(tuning_config.TuneConfig, make_dict(**changes))
    assert str(caught.value).startswith(message)


def test_the_other_kinds_are_told():
    with pytest.raises(ValueError, match=r"section tuning: it is one for laun"):
        schema.read(search_config.Config, tune_digits.get_config())
    with pytest.raises(ValueError, match=r"Unknown field data; The fields"):
        schema.read(tuning_config.TuneConfig, digits.get_config())


def test_parse():
    assert tuning_config.parse("") == ()
    assert tuning_config.parse(
        "network.sparse: true, false; search.epochs: 2..4;"
        "search.initial_temperature: 1 .. 5 log ; data.name: digits;"
        "search.threshold_penalty: 0.05, 0.1"
    ) == (
        Parameter("network.sparse", (True, False)),
        Parameter("search.epochs", (2, 4), is_range=True),
        Parameter("search.initial_temperature", (1.0, 5.0), True, True),
        Parameter("data.name", ("digits",)),
        Parameter("search.threshold_penalty", (0.05, 0.1)),
    )
    (parameter,) = tuning_config.parse("search.threshold_penalty: 0, 0.05, 1")
    assert list(map(str, parameter.values)) == ["0.0", "0.05", "1.0"]
    (parameter,) = tuning_config.parse("search.initial_temperature: 1 .. 5")
    assert all(isinstance(value, float) for value in parameter.values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "has 'seed'; expected 'PATH: VALUE, VALUE' or 'PATH: LOW"),
        ("seed: a .. b", "has 'seed: a .. b'; expected 'PATH: VALUE"),
        ("seed: 5 .. 1", "has the range '5 .. 1' of seed; expected a lower"),
        ("seed: 0 .. 5 log", "has the range '0 .. 5 log' of seed; expected"),
        ("seed: 1, 2.5", "has '1, 2.5' for seed; expected values of one kind"),
        ("seed: 1 .. 2.5", "has '1 .. 2.5' for seed; expected values of one"),
        (
            "network.sparse: true, 1",
            "has 'true, 1' for network.sparse; expected values of one kind, "
            "each true or false.",
        ),
        ("seed: 1; seed: 2", "has seed 2 times; expected once."),
    ],
)
def test_bad_texts(text, message):
    with pytest.raises(ValueError) as caught:
        tuning_config.parse(text)
    assert str(caught.value).startswith(f"tuning.hyperparameters {message}")
