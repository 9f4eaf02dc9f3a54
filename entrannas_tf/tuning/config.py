"""The configuration of a tuning, for `schema.read`."""

import dataclasses
from typing import Annotated, NamedTuple

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How many searches there are, and how their networks are narrowed down.

    Attributes:
        num_searches: Number of searches; section 4.2 has 5.
        num_candidates: Number of networks that are trained at all, those of
            the most accurate child networks; 0 for all, 1 for section 4.2's
            choice.
        first_epochs: Epochs of the first round of trainings. The last one has
            `training.epochs` of the retraining.
        factor: Factor by which epochs grow, and networks become fewer, from
            round to round; 2 or more.
        hyperparameters: What differs from search to search, drawn at random,
            see `parse`: "search.initial_temperature: 0.5 .. 5 log; network.
            sparse: true, false" without the line break. "" for the seed.
        max_retries_per_trial: Times that a trial is run again if it fails.
        max_consecutive_failed_trials: Failures in a row that end the tuning.
        timeout_seconds: Time after which a silent worker is taken for dead,
            and its trial goes to another.
    """

    num_searches: Annotated[int, schema.FROM_1] = 5
    num_candidates: Annotated[int, schema.FROM_0] = 0
    first_epochs: Annotated[int, schema.FROM_1]
    factor: Annotated[int, schema.FROM_2] = 3
    hyperparameters: str = ""
    max_retries_per_trial: Annotated[int, schema.FROM_0] = 0
    max_consecutive_failed_trials: Annotated[int, schema.FROM_1] = 3
    timeout_seconds: Annotated[int, schema.FROM_1] = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Searches, and trainings of what they find.

    Attributes:
        name: What the experiment is called in records, not empty.
        search: The searches; its `num_searches` is ignored.
        retraining: The trainings; its `data.validation_fraction` must be above
            0.
        tuning: How many there are of each.
    """

    name: Annotated[str, schema.NOT_EMPTY]
    search: search_config.Config
    retraining: retrain_config.RetrainConfig
    tuning: TuningConfig

    def check(self):
        """Raises ValueError unless the hyperparameters can be read."""
        parse(self.tuning.hyperparameters)


class Parameter(NamedTuple):
    """A hyperparameter of the searches.

    Attributes:
        path: Dotted path of a field of `search_config.Config`.
        values: Tuple of the values to choose from, or the ends of a range.
        is_range: Whether it is a range.
        is_log: Whether a range is drawn from by its logarithm.
    """

    path: str
    values: tuple
    is_range: bool = False
    is_log: bool = False


def parse(text):
    """Returns the `Parameter`s that a text describes.

    Args:
        text: "PATH: VALUE, VALUE", "PATH: LOW .. HIGH" or "PATH: LOW .. HIGH
            log", several with semicolons between them.

    Raises:
        ValueError: In one line, if the text is none of these, or a path is no
            field of `search_config.Config`.
    """
    found = []
    for part in filter(None, map(str.strip, text.split(";"))):
        path, colon, values = map(str.strip, part.partition(":"))
        if not colon or not values:
            raise _not_understood(part)
        schema.expected_type(search_config.Config, path)
        found.append(_parse_values(path, values, part))
    paths = [parameter.path for parameter in found]
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(
                f"tuning.hyperparameters has {path} {paths.count(path)} "
                "times; expected once."
            )
    return tuple(found)


def _parse_values(path, text, part):
    low, dots, high = text.partition("..")
    if not dots:
        values = [_parse_value(v.strip()) for v in text.split(",")]
        return Parameter(path, _of_one_kind(path, values, text))
    is_log = high.endswith(" log")
    ends = tuple(
        _parse_value(end.strip()) for end in (low, high.removesuffix(" log"))
    )
    if not all(type(end) in (int, float) for end in ends):
        raise _not_understood(part)
    if ends[0] >= ends[1] or (is_log and ends[0] <= 0):
        raise ValueError(
            f"tuning.hyperparameters has the range {text!r} of {path}; "
            "expected a lower end, above 0 if it is log, then a higher one."
        )
    ends = _of_one_kind(path, ends, text)
    return Parameter(path, ends, is_range=True, is_log=is_log)


def _of_one_kind(path, values, text):
    """Returns a tuple of values, numbers where the field is a number."""
    kinds = {type(value) for value in values}
    expected = schema.expected_type(search_config.Config, path)
    if kinds <= {int, float} and expected == "a number":
        return tuple(map(float, values))
    if len(kinds) > 1:
        raise ValueError(
            f"tuning.hyperparameters has {text!r} for {path}; expected values "
            f"of one kind, each {expected}."
        )
    return tuple(values)


def _parse_value(text):
    """Returns the integer, number, boolean or text that is meant."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text.lower(), text)


def _not_understood(part):
    return ValueError(
        f"tuning.hyperparameters has {part!r}; expected 'PATH: VALUE, VALUE' "
        "or 'PATH: LOW .. HIGH', perhaps with 'log' behind it, such as "
        "'search.initial_temperature: 0.5 .. 5 log'."
    )
