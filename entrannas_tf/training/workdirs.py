"""The directory of a run, which belongs to one configuration.

`check_workdir` writes nothing and may be called before data are loaded;
`make_workdir` is called when all else is known to be good.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os

from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.training import files

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"

_FREE = "distribution."  # Fields that may change when a run is resumed.


def check_workdir(workdir, config):
    """Checks that a run may use a directory, and writes nothing.

    Args:
        workdir: Path of the directory, which need not exist.
        config: The run's configuration.

    Returns:
        Whether it holds a run of this configuration.

    Raises:
        ValueError: If the directory is that of another configuration (the
            message lists the fields that differ), or its config.json is no
            configuration.
        OSError: If the path is a file, or cannot be written or read.
    """
    workdir = os.fspath(workdir)
    if not workdir:
        raise ValueError("The workdir is empty; expected a path.")
    existing = os.path.abspath(workdir)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise NotADirectoryError(
            errno.ENOTDIR,
            "is not a directory; choose another --workdir",
            existing,
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(
            errno.EACCES, "cannot be written; choose another --workdir", workdir
        )
    path = os.path.join(workdir, CONFIG_FILE)
    if not os.path.lexists(path):
        return False
    found = differences(_read_config(path), config)
    if found:
        raise ValueError(
            f"{workdir} holds a run of another configuration: "
            f"{'; '.join(found)}. Choose another --workdir, or go back "
            "to that configuration to resume it."
        )
    return True


def make_workdir(workdir, config):
    """Makes the directory of a run and writes its config.json.

    If it fails, it leaves no directory that was not there before.

    Args:
        workdir: Path of the directory; its parents are made as well.
        config: The run's configuration.

    Returns:
        Whether it held a run of this configuration already.

    Raises:
        ValueError: If it is that of another configuration.
        OSError: If it cannot be written, or the disk is full.
    """
    if check_workdir(workdir, config):
        return True
    missing = []  # Innermost first.
    path = os.path.abspath(workdir)
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    text = json.dumps(dataclasses.asdict(config), indent=2) + "\n"
    try:
        os.makedirs(workdir, exist_ok=True)
        files.write_text(os.path.join(workdir, CONFIG_FILE), text)
    except BaseException:
        for path in missing:
            # It may not have been made, or hold what others put there.
            with contextlib.suppress(OSError):
                os.rmdir(path)
        raise
    return False


@contextlib.contextmanager
def locked(workdir):
    """Keeps other processes from running in the same directory.

    The lock ends with the process, however that ends.

    Args:
        workdir: Path of a directory that `make_workdir` made.

    Raises:
        BlockingIOError: If another process has it.
    """
    path = os.path.join(workdir, CONFIG_FILE)
    # Open for writing, though nothing is written: NFS locks no other files.
    with open(path, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                errno.EWOULDBLOCK,
                "is in use by another process; wait for it to end, or choose "
                "another --workdir",
                os.fspath(workdir),
            ) from None
        yield


def read_config(workdir, kind=search_config.Config):
    """Returns the configuration of the run in a directory.

    Args:
        workdir: Path of the directory.
        kind: Class of the configuration.

    Raises:
        ValueError: If its config.json is not such a configuration.
        OSError: If there is no config.json.
    """
    path = os.path.join(workdir, CONFIG_FILE)
    values = _read_config(path)
    try:
        return schema.read(kind, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_member(workdir, name, default):
    """Returns a member of the configuration of the run in a directory.

    Args:
        workdir: Path of the directory.
        name: Name of the member.
        default: What is returned where it is absent, or there is no
            configuration.

    Raises:
        ValueError: If its config.json is no configuration.
    """
    path = os.path.join(workdir, CONFIG_FILE)
    if not os.path.exists(path):
        return default
    return _read_config(path).get(name, default)


def differences(there, config):
    """Returns in words which fields differ, in the order of the fields.

    A field that is absent there counts as its default, as in the configuration
    of a run that is older than the field.

    Args:
        there: Another run's configuration, as nested dicts.
        config: A configuration, of any kind.
    """
    # If it is no such configuration, the differences say why.
    with contextlib.suppress(ValueError):
        made = schema.make(type(config), there)
        there = dataclasses.asdict(made)
    there = schema.flatten(there)
    here = schema.flatten(dataclasses.asdict(config))
    return [
        f"{path} is {_shown(there, path)} there and {_shown(here, path)} here"
        for path in {**here, **there}
        if not path.startswith(_FREE)
        and _shown(there, path) != _shown(here, path)
    ]


def last_record(workdir):
    """Returns the last line of a run's METRICS_FILE, a dict."""
    return files.read_json_lines(os.path.join(workdir, METRICS_FILE))[-1]


def _read_config(path):
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
    except ValueError as error:  # Not JSON, or not UTF-8.
        values, reason = None, str(error)
    else:
        reason = "not a JSON object"
    if not isinstance(values, dict):
        raise ValueError(
            f"{path} is not a configuration ({reason}); delete it if the "
            "directory holds nothing of worth, or choose another --workdir."
        )
    return values


def _shown(values, path):
    value = values.get(path)
    if isinstance(value, list):  # JSON's of several values
        value = tuple(value)
    return repr(value) if path in values else "absent"
