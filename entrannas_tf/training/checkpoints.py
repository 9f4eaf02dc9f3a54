"""Checkpoints: the whole state of a run in one file, whole or not at all.

A file is a SHA-256 digest, then the NumPy archive that it is of: the variables
and the run's progress. So a file that is cut short or altered is found before
it is used.
"""

import hashlib
import io
import json
import os
import re

import numpy as np
from absl import logging

from entrannas_tf.training import distribution, files

DIRECTORY = "checkpoints"  # In the workdir of a run.

_NAME = re.compile(r"step_(\d{8})\.checkpoint")
_PROGRESS = "progress"
_DIGEST_BYTES = hashlib.sha256().digest_size


def search_variables(trainer):
    """Returns all that changes during a search: {name: variable}.

    The names count variables, as Keras's own names also count the layers that
    were made before in the same process.

    Random numbers are not included: batches, their order and augmentation are
    functions of the seed and the step, and a step draws none.

    Args:
        trainer: A `search_step.SearchTrainer`.
    """
    return _named(
        architecture=trainer.architecture.variables,
        supernet=trainer.supernet.variables,
        architecture_optimizer=trainer.architecture_optimizer.variables,
        weight_optimizer=trainer.weight_optimizer.variables,
        **_scales_and_metrics(trainer),
    )


def retrain_variables(trainer):
    """Returns all that changes during a retraining: {name: variable}.

    Args:
        trainer: A `retraining_step.RetrainTrainer`.
    """
    return _named(
        network=trainer.training_network.variables,
        optimizer=trainer.sgd.variables,
        **_scales_and_metrics(trainer),
    )


def network_variables(trainer):
    """Returns those of `retrain_variables` that are the network's."""
    return _named(network=trainer.training_network.variables)


def _scales_and_metrics(trainer):
    scales = {
        f"{target}_loss_scale": scale.variables
        for target, scale in trainer.loss_scales.items()
    }
    return scales | {f"metric_{m.name}": m.variables for m in trainer.metrics}


def _named(**groups):
    return {
        f"{group}/{number}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def save(directory, num_steps, arrays, progress, keep):
    """Writes a checkpoint, then removes old ones.

    Args:
        directory: Directory of the checkpoints, which exists.
        num_steps: Number of steps done since the run began.
        arrays: {name: array} of `values`.
        progress: A dict that JSON can hold.
        keep: Number of checkpoints that stay, the new one included.

    Raises:
        OSError: If the file cannot be written.
    """
    saved = os.path.join(directory, f"step_{num_steps:08d}.checkpoint")
    write(saved, arrays, progress)
    # Later ones are damaged and were skipped; this run overwrites them.
    there = [path for path in _list(directory) if path <= saved]
    for path in there[keep:]:
        os.remove(path)


def values(variables):
    """Returns the values of variables: {name: array}.

    With several workers all of them must call it: metrics are added up.

    Args:
        variables: {name: variable}.

    Raises:
        FloatingPointError: If one holds a NaN or an infinity.
    """
    arrays = {
        name: np.asarray(variable.numpy())
        for name, variable in variables.items()
    }
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise FloatingPointError(
                f"{name} holds values that are not finite; it is not saved."
            )
    return arrays


def write(path, arrays, progress):
    """Writes a checkpoint to a file, whole or not at all.

    Args:
        path: Path of the file, in a directory that exists.
        arrays: {name: array} of `values`.
        progress: A dict that JSON can hold.

    Raises:
        OSError: If the file cannot be written.
    """
    archive = io.BytesIO()
    np.savez(archive, **{_PROGRESS: json.dumps(progress)}, **arrays)
    payload = archive.getvalue()
    files.write_bytes(path, hashlib.sha256(payload).digest() + payload)


def read(path, variables):
    """Puts back a checkpoint's values of some variables.

    Args:
        path: Path of the file.
        variables: {name: variable}, some or all of those that were saved.

    Returns:
        The progress that was saved with it.

    Raises:
        ValueError: If the file is damaged, or not one of these variables.
        OSError: If it cannot be read.
    """
    payload = _read(path)
    if payload is None:
        raise ValueError(f"The checkpoint {path} is cut short or damaged.")
    chosen = {_PROGRESS, *variables}
    arrays = {n: a for n, a in _unpack(payload).items() if n in chosen}
    return _put_back(path, arrays, variables)


def newest(directory):
    """Returns the path of the newest good checkpoint, None without any."""
    return _read_newest(directory)[0]


def restore(directory, variables, strategy=None):
    """Puts the newest good checkpoint back, and warns of damaged ones.

    Args:
        directory: Directory of the checkpoints; it need not exist.
        variables: {name: variable}, all that were saved.
        strategy: `tf.distribute.Strategy`; None for one worker. Of several,
            which must all call it, the chief alone reads a file.

    Returns:
        The progress that was saved with it; None if there is no good
        checkpoint, and then the variables keep their values.

    Raises:
        ValueError: If the checkpoint is whole but not one of these variables.
        OSError: If a checkpoint cannot be read.
    """
    path, payload = directory, None
    if strategy is None or distribution.is_chief(strategy):
        path, payload = _read_newest(directory)
    if strategy is not None:
        payload = distribution.from_chief(strategy, payload or b"")
    if not payload:
        return None
    return _put_back(path, _unpack(payload), variables)


def _read_newest(directory):
    """Returns path and payload of the newest good checkpoint, or two None."""
    for path in _list(directory):
        payload = _read(path)
        if payload is not None:
            return path, payload
        logging.warning(
            "The checkpoint %s is cut short or damaged; it is skipped for "
            "the one before it.",
            path,
        )
    return None, None


def _put_back(path, arrays, variables):
    """Gives variables the values of a checkpoint; returns its progress."""
    progress = json.loads(arrays.pop(_PROGRESS).item())
    _check_fit(path, arrays, variables)
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return progress


def _list(directory):
    """Returns the paths of the checkpoints, the newest first."""
    if not os.path.isdir(directory):
        return []
    names = sorted(filter(_NAME.fullmatch, os.listdir(directory)), reverse=True)
    return [os.path.join(directory, name) for name in names]


def _read(path):
    """Returns the payload of a checkpoint, None if it is not whole."""
    with open(path, "rb") as file:
        digest, payload = file.read(_DIGEST_BYTES), file.read()
    return payload if hashlib.sha256(payload).digest() == digest else None


def _unpack(payload):
    """Returns the arrays of a checkpoint's payload."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        return dict(archive)


def _check_fit(path, arrays, variables):
    """Raises ValueError unless there is an array for each variable."""
    expected = {name: tuple(v.shape) for name, v in variables.items()}
    found = {name: array.shape for name, array in arrays.items()}
    if found == expected:
        return
    differences = [
        f"{name} is {_shape(found, name)} there and {_shape(expected, name)} "
        "here"
        for name in {**expected, **found}
        if found.get(name) != expected.get(name)
    ]
    more = len(differences) - 3
    raise ValueError(
        f"{path} is the checkpoint of another network: "
        f"{'; '.join(differences[:3])}"
        f"{f'; and {more} more' if more > 0 else ''}. It was probably written "
        "by another version of this software: go back to that version, or "
        "choose another --workdir."
    )


def _shape(shapes, name):
    return list(shapes[name]) if name in shapes else "absent"
