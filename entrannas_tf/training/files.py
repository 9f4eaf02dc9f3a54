"""Writes files whole or not at all.

A reader, also after a crash, sees a file as it was before or as it is after,
never a part of it.
"""

import json
import os
import re


def write_bytes(path, data):
    """Writes a file, whole or not at all.

    Args:
        path: Path of the file, in a directory that exists.
        data: Bytes of the file.

    Raises:
        OSError: If it cannot be written; it names `path`. An older file of
            that name stays as it was, and nothing is left beside it.
    """
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        # A full disk is reported without a name, others with the temporary
        # one.
        if isinstance(error, OSError) and error.errno is not None:
            error.filename, error.filename2 = path, None
        raise


def remove_leftovers(directory):
    """Removes what `write_bytes` leaves beside a file when it is killed.

    Args:
        directory: Directory that nobody else writes to.
    """
    for name in os.listdir(directory):
        if re.fullmatch(r".*\.\d+\.tmp", name):
            os.remove(os.path.join(directory, name))


def write_text(path, text):
    """Writes a text as UTF-8, whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def append_line(path, text):
    """Adds a line to a file, whole or not at all.

    The whole file is written again, which is cheap for a line an epoch.

    Args:
        path: Path of the file, which need not exist.
        text: The line, without its end.

    Raises:
        ValueError: If the text holds more than one line.
        OSError: If the file cannot be read or written.
    """
    if "\n" in text:
        raise ValueError(
            f"{os.fspath(path)}: expected one line to append; got "
            f"{text.count(chr(10)) + 1}."
        )
    lines = _read_lines(path) if os.path.exists(path) else []
    write_text(path, "".join(f"{line}\n" for line in [*lines, text]))


def truncate_lines(path, keep):
    """Keeps the first lines of a file and drops the others.

    Args:
        path: Path of the file. Where there is none, there is nothing to drop.
        keep: Number of lines that stay, at least 0.

    Raises:
        ValueError: If `keep` is negative.
        OSError: If the file cannot be read or written.
    """
    if keep < 0:
        raise ValueError(f"Expected 0 or more lines to keep; got {keep}.")
    if not os.path.exists(path):
        return
    lines = _read_lines(path)
    if len(lines) > keep:
        write_text(path, "".join(f"{line}\n" for line in lines[:keep]))


def read_json_lines(path):
    """Returns the values of a file that holds a JSON value a line.

    Raises:
        ValueError: If a line is not JSON; the message names it.
        OSError: If there is no such file, or it cannot be read.
    """
    values = []
    for number, line in enumerate(_read_lines(path), 1):
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{os.fspath(path)}, line {number}, is not JSON ({error})."
            ) from None
    return values


def _read_lines(path):
    # Not splitlines, which also splits at characters that JSON may hold.
    with open(path, encoding="utf-8", newline="\n") as file:
        text = file.read()
    return text.removesuffix("\n").split("\n") if text else []
