"""Reads configurations: typed fields, their rules, errors that name both.

A configuration is a dataclass of sections, dataclasses too. A rule stands
beside its field: `epochs: Annotated[int, schema.FROM_1]`. A configuration that
has rules for several fields together has a method `check`, which raises
ValueError.
"""

import copy
import dataclasses
import difflib
import math
import typing
from collections.abc import Callable

import ml_collections

# By the member that tells one kind of configuration from the others.
_PROGRAMS = {
    "task": "launch.segment",
    "tuning": "launch.tune",
    "search": "launch.search",
    "training": "launch.retrain",
}


class Rule(typing.NamedTuple):
    """A rule for a field, in words and as a test of a value."""

    words: str
    is_good: Callable


def one_of(*choices):
    """Returns the `Rule` of a field that takes one of a few values."""
    words = ", ".join(map(str, choices))
    return Rule(f"one of {words}", lambda value: value in choices)


def each(rule):
    """Returns the `Rule` of a tuple whose items follow a `Rule`."""
    return Rule(f"each {rule.words}", lambda v: all(map(rule.is_good, v)))


NOT_EMPTY = Rule("a text that is not empty", lambda value: bool(value.strip()))
FROM_0 = Rule("0 or more", lambda value: value >= 0)
FROM_1 = Rule("1 or more", lambda value: value >= 1)
FROM_2 = Rule("2 or more", lambda value: value >= 2)
FROM_3 = Rule("3 or more", lambda value: value >= 3)
ABOVE_0 = Rule("more than 0", lambda value: value > 0)
SHARE = Rule("more than 0 and less than 1", lambda value: 0 < value < 1)
FACTOR = Rule("more than 0 and at most 1", lambda value: 0 < value <= 1)
BELOW_1 = Rule("from 0 to below 1", lambda value: 0 <= value < 1)
UP_TO_1 = Rule("from 0 to 1", lambda value: 0 <= value <= 1)


def read(kind, config_dict):
    """Returns the checked configuration that a `ConfigDict` describes.

    Args:
        kind: Class of the configuration, such as `search_config.Config`.
        config_dict: An `ml_collections.ConfigDict`, or nested dicts such as
            `dataclasses.asdict` gives. A field with a default may be absent.

    Raises:
        ValueError: In one line, if a field is unknown, missing, of another
            type or out of range.
    """
    config = make(kind, to_plain(kind, config_dict))
    check(config)
    return config


def to_plain(kind, config_dict):
    """Returns a configuration as nested dicts, its fields unchecked.

    Raises:
        ValueError: In one line, if it is none, or one of another kind.
    """
    if isinstance(config_dict, ml_collections.ConfigDict):
        config_dict = config_dict.to_dict()
    if not isinstance(config_dict, dict):
        raise ValueError(
            f"The configuration is {type(config_dict).__name__}; expected a "
            "ConfigDict: get_config() must return one."
        )
    known = {field.name for field in dataclasses.fields(kind)}
    for member, program in _PROGRAMS.items():
        if member in config_dict and member not in known:
            is_section = isinstance(config_dict[member], dict)
            raise ValueError(
                "The configuration has a "
                f"{'section' if is_section else 'field'} {member}: it is one "
                f"for {program}."
            )
    if "task" in known and "task" not in config_dict:
        raise ValueError(
            "The configuration has no field task: it is not one for "
            f"{_PROGRAMS['task']}."
        )
    return config_dict


def make(section, values, prefix=""):
    """Makes a dataclass from a dict of values; checks names and types.

    Args:
        section: The dataclass. Its fields are texts, numbers, booleans, tuples
            of one of these types, or dataclasses.
        values: {name: value}, as JSON or a `ConfigDict` gives them.
        prefix: Dotted path of the section and a dot; "" for the whole.

    Raises:
        ValueError: In one line, if a field is unknown, missing or of another
            type.
    """
    for name in values:
        _find(section, prefix, name)
    checked = {}
    for field in dataclasses.fields(section):
        path, (kind, _) = prefix + field.name, _parts(field)
        if field.name not in values:
            if field.default is dataclasses.MISSING:
                raise ValueError(
                    f"The field {path} is missing; expected {_in_words(kind)}."
                )
            continue
        value = values[field.name]
        if dataclasses.is_dataclass(kind) and isinstance(value, dict):
            value = make(kind, value, f"{path}.")
        value = _convert(value, kind)
        if not _is_of(value, kind):
            raise ValueError(
                f"{path} is {value!r}, of type {type(value).__name__}; "
                f"expected {_in_words(kind)}."
            )
        checked[field.name] = value
    return section(**checked)


def check(config):
    """Checks the ranges of all values, then those that depend on each other.

    Args:
        config: A configuration, its fields of the right types.

    Raises:
        ValueError: In one line, for the first field that is out of range. It
            names the section where a configuration stands within another.
    """
    _check_ranges(config, "")
    config.check()


def to_config_dict(config):
    """Returns a configuration as a `ConfigDict` for a file of configs/.

    It is locked: its fields change, and no field is added. Ranges are not
    checked, as the command line may still complete it.
    """
    return ml_collections.ConfigDict(dataclasses.asdict(config)).lock()


def flatten(values, prefix=""):
    """Returns {dotted path: value} of nested dicts."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def replaced(values, fields):
    """Returns nested dicts with other values in some fields.

    Args:
        values: Nested dicts, or a `ConfigDict`. It is not changed.
        fields: {dotted path: value} of paths that exist.
    """
    made = copy.deepcopy(values)
    for path, value in fields.items():
        *sections, name = path.split(".")
        section = made
        for part in sections:
            section = section[part]
        section[name] = value
    return made


def expected_type(kind, path):
    """Returns in words what a field takes, such as "an integer".

    Args:
        kind: Class of the configuration.
        path: Dotted path of a field or a section, such as "search.epochs".

    Raises:
        ValueError: In one line, if there is no such field. It names the
            fields of the section, and the one that was probably meant.
    """
    prefix = ""
    *parents, last = path.split(".")
    for name in parents:
        kind, _ = _parts(_find(kind, prefix, name))
        prefix += f"{name}."
        if not dataclasses.is_dataclass(kind):
            raise ValueError(
                f"Unknown field {path}: {prefix[:-1]} is {_in_words(kind)} and "
                "has no fields."
            )
    return _in_words(_parts(_find(kind, prefix, last))[0])


def _find(section, prefix, name):
    """Returns a `dataclasses.Field`; raises ValueError if there is none."""
    fields = {field.name: field for field in dataclasses.fields(section)}
    if name in fields:
        return fields[name]
    close = difflib.get_close_matches(str(name), fields, n=1)
    hint = f"did you mean {prefix}{close[0]}? " if close else ""
    where = prefix[:-1] or "the configuration"
    raise ValueError(
        f"Unknown field {prefix}{name}; {hint}The fields of {where} are "
        f"{', '.join(fields)}."
    )


def _parts(field):
    """Returns the type of a field without its `Rule`, and that or None."""
    if typing.get_origin(field.type) is typing.Annotated:
        return typing.get_args(field.type)
    return field.type, None


def _check_ranges(section, prefix):
    for field in dataclasses.fields(section):
        path, value = prefix + field.name, getattr(section, field.name)
        kind, rule = _parts(field)
        if hasattr(kind, "check"):
            _check_within(path, value)
        elif dataclasses.is_dataclass(kind):
            _check_ranges(value, f"{path}.")
        elif rule is not None:
            finite = not isinstance(value, float) or math.isfinite(value)
            if not finite or not rule.is_good(value):
                raise ValueError(f"{path} is {value!r}; expected {rule.words}.")


def _check_within(name, config):
    """Checks a configuration that is a section of another."""
    try:
        check(config)
    except ValueError as error:
        words = str(error).replace("--config.", f"--config.{name}.")
        raise ValueError(f"Of the section {name}: {words}") from None


def _in_words(kind):
    """Returns what a field of a type takes, such as "an integer"."""
    words = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "a text",
    }
    if typing.get_origin(kind) is tuple:
        return f"several, each {words[typing.get_args(kind)[0]]}"
    return words.get(kind, "a section of fields")


def _convert(value, kind):
    """Makes a number of an integer, and a tuple of a list, where expected."""
    if kind is float and type(value) is int:
        return float(value)
    if typing.get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(v, typing.get_args(kind)[0]) for v in value)
    return value


def _is_of(value, kind):
    if typing.get_origin(kind) is not tuple:
        return type(value) is kind
    item = typing.get_args(kind)[0]
    return type(value) is tuple and all(type(v) is item for v in value)
