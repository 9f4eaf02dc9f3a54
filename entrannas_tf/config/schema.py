"""Configurations as dicts: typed fields, their rules, errors that name both."""

import copy
import dataclasses
import difflib
import math
import typing

from entrannas_tf.architecture import search_space
from entrannas_tf.config import common as common_config


def in_words(kind):
    """Returns what a field of this type takes, such as "an integer"."""
    words = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "a text",
    }
    if typing.get_origin(kind) is tuple:
        return f"several, each {words[typing.get_args(kind)[0]]}"
    return words.get(kind, "a section of fields")


def find(section, prefix, name):
    """Returns the `dataclasses.Field` of a name.

    Args:
        section: A dataclass.
        prefix: Dotted path of the section and a dot; "" for the whole.
        name: What may be the name of one of its fields.

    Raises:
        ValueError: In one line, if it is none; it names those that there are.
    """
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


def make(section, values, prefix=""):
    """Makes a dataclass of a dict of values, checked for names and types.

    Args:
        section: The dataclass; its fields are texts, numbers, booleans,
            tuples of one kind of these, or dataclasses again.
        values: {name: value}, as JSON or a `ConfigDict` gives them.
        prefix: As for `find`.

    Raises:
        ValueError: In one line, if a field is unknown, missing or of another
            type.
    """
    for name in values:
        find(section, prefix, name)
    checked = {}
    for field in dataclasses.fields(section):
        path = prefix + field.name
        if field.name not in values:
            if field.default is dataclasses.MISSING:
                raise ValueError(
                    f"The field {path} is missing; expected "
                    f"{in_words(field.type)}."
                )
            continue
        value = values[field.name]
        if dataclasses.is_dataclass(field.type) and isinstance(value, dict):
            value = make(field.type, value, f"{path}.")
        value = _convert(value, field.type)
        if not _is_of(value, field.type):
            raise ValueError(
                f"{path} is {value!r}, of type {type(value).__name__}; "
                f"expected {in_words(field.type)}."
            )
        checked[field.name] = value
    return section(**checked)


def replaced(values, fields):
    """Returns nested dicts with other values in some fields.

    Args:
        values: Nested dicts, or a `ConfigDict`. It is not changed.
        fields: {dotted path: value}; the paths are there.
    """
    made = copy.deepcopy(values)
    for path, value in fields.items():
        *sections, name = path.split(".")
        section = made
        for part in sections:
            section = section[part]
        section[name] = value
    return made


def _convert(value, kind):
    """Returns a value as a field of this type has it, where it can be."""
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


def _each(rule):
    words, is_good = rule
    return f"each {words}", lambda values: all(map(is_good, values))


def _one_of(*choices):
    words = ", ".join(map(str, choices))
    return f"one of {words}", lambda value: value in choices


_PRECISION = _one_of("float32", "bfloat16", "float16")
_NOT_EMPTY = "a text that is not empty", lambda value: bool(value.strip())
_BY_SPACE = "as `search_space.check` expects it", lambda value: True
_ANY_TEXT = "a text", lambda value: True
_FROM_0 = "0 or more", lambda value: value >= 0
_FROM_1 = "1 or more", lambda value: value >= 1
_FROM_2 = "2 or more", lambda value: value >= 2
_FROM_3 = "3 or more", lambda value: value >= 3
_ABOVE_0 = "more than 0", lambda value: value > 0
_SHARE = "more than 0 and less than 1", lambda value: 0 < value < 1
_FACTOR = "more than 0 and at most 1", lambda value: 0 < value <= 1
_BELOW_1 = "from 0 to below 1", lambda value: 0 <= value < 1
_UP_TO_1 = "from 0 to 1", lambda value: 0 <= value <= 1

# 0.7 + 0.3 may be more than 1 by so much.
_ROUNDING = 1e-9

# What each field of any kind of configuration must be, in words and as a
# test. Booleans need no rule.
RULES = {
    "name": _NOT_EMPTY,
    "seed": ("from 0 to 2**31 - 1", lambda value: 0 <= value < 2**31),
    "num_searches": _FROM_1,
    "num_runs": _FROM_1,
    "data.name": _one_of("digits", "cifar10", "imagenet2012", "folder"),
    "data.data_dir": _ANY_TEXT,
    "data.dir": _ANY_TEXT,
    "data.num_examples": _FROM_0,
    "data.image_size": _FROM_0,
    "data.weight_fraction": _SHARE,
    "data.architecture_fraction": _BELOW_1,
    "data.crop_padding": _FROM_0,
    "data.cutout_length": _FROM_0,
    "data.train_fraction": _SHARE,
    "data.validation_fraction": _BELOW_1,
    "data.min_crop_area": _UP_TO_1,
    "data.color_jitter": _UP_TO_1,
    "network.space": _NOT_EMPTY,
    "network.primitives": _BY_SPACE,
    "network.num_input_nodes": _BY_SPACE,
    "network.num_intermediate_nodes": _BY_SPACE,
    "network.kinds": _BY_SPACE,
    "network.num_cells": _FROM_3,
    "network.init_channels": _FROM_1,
    "network.engine_cells": _one_of("first", "last", "half", "all"),
    "network.bottleneck": _FROM_1,
    "network.partial_channels": _FROM_1,
    "network.max_fold": _FROM_1,
    "network.max_skips": (
        f"from 0 to {search_space.ANY_SKIPS}",
        lambda value: 0 <= value <= search_space.ANY_SKIPS,
    ),
    "network.stem": _one_of("cifar", "imagenet"),
    "search.epochs": _FROM_1,
    "search.batch_size": _FROM_1,
    "search.eval_every_epochs": _FROM_1,
    "search.architecture": _one_of("gradient", "random"),
    "search.num_candidates": _FROM_0,
    "search.weight_learning_rate": _ABOVE_0,
    "search.weight_momentum": _BELOW_1,
    "search.weight_decay": _FROM_0,
    "search.gradient_clip_norm": _ABOVE_0,
    "search.architecture_learning_rate": _ABOVE_0,
    "search.architecture_warmup_epochs": _FROM_0,
    "search.architecture_schedule": _one_of("constant", "cosine"),
    "search.architecture_beta_1": _BELOW_1,
    "search.architecture_beta_2": _BELOW_1,
    "search.architecture_weight_decay": _FROM_0,
    "search.architecture_order": _one_of(1, 2),
    "search.threshold_penalty": _FROM_0,
    "search.skip_dropout_rate": _BELOW_1,
    "progressive.num_cells": _each(_FROM_3),
    "progressive.num_primitives": _each(_FROM_3),
    "progressive.skip_dropout_rates": _each(_BELOW_1),
    "progressive.stage": _FROM_0,
    "search.initial_temperature": _ABOVE_0,
    "search.temperature_decay": _FACTOR,
    "search.read_every_steps": _FROM_1,
    "search.checkpoint_every_steps": _FROM_0,
    "search.checkpoints_to_keep": _FROM_2,
    "search.max_graphs": _FROM_1,
    "search.precision": _PRECISION,
    "training.epochs": _FROM_1,
    "training.batch_size": _FROM_1,
    "training.eval_every_epochs": _FROM_1,
    "training.learning_rate": _ABOVE_0,
    "training.schedule": _one_of("cosine", "linear"),
    "training.warmup_epochs": _FROM_0,
    "training.momentum": _BELOW_1,
    "training.weight_decay": _FROM_0,
    "training.gradient_clip_norm": _ABOVE_0,
    "training.label_smoothing": _BELOW_1,
    "training.auxiliary_weight": _FROM_0,
    "training.drop_path_rate": _BELOW_1,
    "training.precision": _PRECISION,
    "training.read_every_steps": _FROM_1,
    "training.checkpoint_every_steps": _FROM_0,
    "training.checkpoints_to_keep": _FROM_2,
    "distribution.strategy": _one_of(*common_config.STRATEGIES),
    "distribution.num_devices": _FROM_0,
    "distribution.timeout_seconds": ("10 or more", lambda value: value >= 10),
    "tuning.num_searches": _FROM_1,
    "tuning.num_candidates": _FROM_0,
    "tuning.first_epochs": _FROM_1,
    "tuning.factor": _FROM_2,
    "tuning.hyperparameters": _ANY_TEXT,
    "tuning.max_retries_per_trial": _FROM_0,
    "tuning.max_consecutive_failed_trials": _FROM_1,
    "tuning.timeout_seconds": _FROM_1,
}


def check(values):
    """Checks the ranges of all values, then those that hang together.

    Args:
        values: {dotted path: value} of all fields, each of its type.

    Raises:
        ValueError: In one line, for the first field that is out of range.
    """
    check_ranges(values)
    space = _checked_space(values)
    _check_multiple(values)
    _check_random(values, space)
    _check_warmup(values)
    _check_directories(values)
    _check_shares(values)
    _check_order(values)
    _check_skips(values, space)
    _check_stages(values, space)


def check_sections(sections):
    """Checks configurations that stand within another.

    Args:
        sections: {name: values as `check` takes them}.

    Raises:
        ValueError: As `check`; it names the section.
    """
    for name, values in sections.items():
        try:
            check(values)
        except ValueError as error:
            words = str(error).replace("--config.", f"--config.{name}.")
            raise ValueError(f"Of the section {name}: {words}") from None


def check_ranges(values):
    """Checks the range of each value; see `check`."""
    for path, value in values.items():
        if isinstance(value, bool):
            continue
        words, is_good = RULES[path]
        finite = not isinstance(value, float) or math.isfinite(value)
        if not finite or not is_good(value):
            raise ValueError(f"{path} is {value!r}; expected {words}.")


def _checked_space(values):
    """Returns the `SearchSpace` of a search's values, None of others'."""
    if "network.space" not in values:
        return None
    name = values["network.space"]
    if not values["network.primitives"] and name not in search_space.SPACES:
        raise ValueError(
            f"network.space is {name!r}; expected one of "
            f"{', '.join(search_space.SPACES)}, or network.primitives for a "
            "space of your own."
        )
    names = search_space.SearchSpace._fields[1:]
    fields = {field: values[f"network.{field}"] for field in names}
    return search_space.make(name, **fields, prefix="network.")


def _check_multiple(values):
    """Checks that the channels can be divided as they will be."""
    channels = values["network.init_channels"]
    if values.get("network.stem") == "imagenet" and channels % 2:
        raise ValueError(
            f"network.init_channels is {channels}; expected an even number, as "
            "the stem for ImageNet begins with half of them."
        )
    for path in ("network.bottleneck", "network.partial_channels"):
        if channels % values.get(path, 1):
            raise ValueError(
                f"network.init_channels is {channels}; expected a multiple of "
                f"{path}, which is {values[path]}."
            )
    partial = values.get("network.partial_channels", 1)
    if partial > 1 and values["network.bottleneck"] > 1:
        raise ValueError(
            f"network.partial_channels is {partial} and network.bottleneck is "
            f"{values['network.bottleneck']}; expected 1 for one of them, as "
            "both make the operations read fewer channels."
        )


def _check_random(values, space):
    """Checks that a random search has a space to draw from."""
    is_random = values.get("search.architecture") == "random"
    if is_random and values["network.sparse"]:
        raise ValueError(
            "search.architecture is 'random' and network.sparse is True; "
            "expected False, as two connections a node are drawn."
        )
    if is_random and values["search.architecture_order"] > 1:
        raise ValueError(
            "search.architecture is 'random' and search.architecture_order is "
            f"{values['search.architecture_order']}; expected 1, as alpha "
            "takes no steps."
        )
    if is_random and search_space.NONE not in space.primitives:
        raise ValueError(
            "search.architecture is 'random' and network.primitives is "
            f"{space.primitives!r}; expected 'none' among them, for the edges "
            "that a drawn genotype leaves empty."
        )


def _check_warmup(values):
    """Checks that a warm-up ends before all else does."""
    for warmup, epochs in (
        ("search.architecture_warmup_epochs", "search.epochs"),
        ("training.warmup_epochs", "training.epochs"),
    ):
        if warmup in values and values[warmup] >= values[epochs]:
            raise ValueError(
                f"{warmup} is {values[warmup]}; expected less than {epochs}, "
                f"which is {values[epochs]}."
            )


def _check_directories(values):
    """Checks that the data set says where it lies."""
    if values["data.name"] == "folder" and not values["data.dir"]:
        raise ValueError(
            "data.dir is empty; expected the folder of your images, which "
            "holds train/<class>/<image>: --config.data.dir=PATH."
        )
    prepared = {"cifar10": "CIFAR-10", "imagenet2012": "ImageNet"}
    if values["data.name"] in prepared and not values["data.data_dir"]:
        raise ValueError(
            "data.data_dir is empty; expected the directory in which "
            f"tensorflow-datasets prepared {prepared[values['data.name']]}: "
            "--config.data.data_dir=PATH."
        )


def _check_shares(values):
    """Checks that no image trains both the weights and the architecture."""
    weights = values.get("data.weight_fraction", 0.0)
    rest = 1.0 - weights
    if values.get("data.architecture_fraction", 0.0) > rest + _ROUNDING:
        raise ValueError(
            "data.architecture_fraction is "
            f"{values['data.architecture_fraction']}; expected at most "
            f"{rest:g}, what data.weight_fraction leaves, or 0 for all of it."
        )


def _check_order(values):
    """Checks that the second order's small differences are not rounded off."""
    order = values.get("search.architecture_order", 1)
    precision = values.get("search.precision", "float32")
    if order == 2 and precision != "float32":
        raise ValueError(
            f"search.precision is {precision}; expected float32, as "
            "search.architecture_order is 2: it takes differences of gradients "
            "at weights that are the same in half precision."
        )


def _check_skips(values, space):
    """Checks that other operations can take the place of skip connections."""
    skips = values.get("network.max_skips", search_space.ANY_SKIPS)
    if skips < search_space.ANY_SKIPS and space.operations == (
        search_space.SKIP_CONNECT,
    ):
        raise ValueError(
            f"network.max_skips is {skips} and network.primitives is "
            f"{space.primitives!r}; expected an operation among them that can "
            "take the place of skip_connect."
        )


def _check_stages(values, space):
    """Checks that there is one value a stage, and no thresholds with them."""
    stages = values.get("progressive.num_cells", ())
    skips = values.get("network.max_skips", search_space.ANY_SKIPS)
    limits = skips < search_space.ANY_SKIPS
    if values.get("network.sparse") and (stages or limits):
        raise ValueError(
            "network.sparse is True; expected false, as it knows neither "
            "progressive.num_cells nor network.max_skips: they choose by rank, "
            "and it by thresholds."
        )
    if stages and values["search.architecture"] == "random":
        raise ValueError(
            "search.architecture is random; expected gradient, as alpha says "
            "what the next of progressive.num_cells chooses from."
        )
    for path in (
        "progressive.num_primitives",
        "progressive.skip_dropout_rates",
    ):
        if len(values.get(path, ())) != len(stages):
            raise ValueError(
                f"{path} is {values[path]!r}; expected {len(stages)} values, "
                "one for each of progressive.num_cells."
            )
    counts = values.get("progressive.num_primitives", ())
    growing = counts != tuple(sorted(counts, reverse=True))
    if counts and (growing or counts[0] != len(space.primitives)):
        raise ValueError(
            f"progressive.num_primitives is {counts!r}; expected "
            f"{len(space.primitives)}, all of network.space, at first, and "
            "never more than in the stage before."
        )
    stage = values.get("progressive.stage", 0)
    if stage > len(stages):
        raise ValueError(
            f"progressive.stage is {stage}; expected at most {len(stages)}, "
            "the number of progressive.num_cells."
        )
