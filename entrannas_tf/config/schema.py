"""How a configuration is made of plain values, and what its errors say."""

import copy
import dataclasses
import difflib
import typing


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
