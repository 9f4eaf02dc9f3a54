import os

import keras
import numpy as np
import pytest

from entrannas_tf.training import checkpoints, files


def make_variables(value, shape=(3, 2)):
    return {
        "weights/0": keras.Variable(np.full(shape, value, np.float32)),
        "steps": keras.Variable(np.int64(value), dtype="int64"),
    }


def save(directory, step, value, keep=2):
    arrays = checkpoints.values(make_variables(value))
    checkpoints.save(directory, step, arrays, {"step": step}, keep)


def values(variables):
    return {name: v.numpy().tolist() for name, v in variables.items()}


def full_disk(path, data):
    with open("/dev/full", "wb", buffering=0) as file:
        file.write(data)


def name(step):
    return f"step_{step:08d}.checkpoint"


def test_round_trip(tmp_path):
    saved = make_variables(0)
    saved["weights/0"].assign(np.random.default_rng(0).normal(size=(3, 2)))
    progress = {"epoch": 1, "cells": [["skip_connect", 0]], "seconds": 0.1}
    checkpoints.save(tmp_path, 7, checkpoints.values(saved), progress, 2)
    variables = make_variables(5)
    assert checkpoints.restore(tmp_path, variables) == progress
    assert values(variables) == values(saved)


def test_nothing_to_restore(tmp_path):
    variables = make_variables(5)
    assert checkpoints.restore(tmp_path, variables) is None
    assert checkpoints.restore(tmp_path / "nowhere", variables) is None
    assert values(variables) == values(make_variables(5))


def test_newest_is_restored_and_old_ones_go(tmp_path):
    for step in (9, 10, 100):
        save(tmp_path, step, step)
    assert sorted(os.listdir(tmp_path)) == [name(10), name(100)]
    variables = make_variables(0)
    assert checkpoints.restore(tmp_path, variables) == {"step": 100}
    assert values(variables) == values(make_variables(100))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:5],
        lambda data: b"",
        lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    ],
)
def test_a_damaged_one_is_skipped(tmp_path, caplog, damage):
    save(tmp_path, 1, 1)
    save(tmp_path, 2, 2)
    newest = tmp_path / name(2)
    newest.write_bytes(damage(newest.read_bytes()))
    variables = make_variables(0)
    assert checkpoints.restore(tmp_path, variables) == {"step": 1}
    assert values(variables) == values(make_variables(1))
    assert f"{newest} is cut short or damaged" in caplog.text
    # The run goes on, and what is good stays while the damaged one is there.
    save(tmp_path, 2, 2)
    assert checkpoints.restore(tmp_path, variables) == {"step": 2}
    assert sorted(os.listdir(tmp_path)) == [name(1), name(2)]


def test_all_are_damaged(tmp_path, caplog):
    save(tmp_path, 1, 1)
    (tmp_path / name(1)).write_bytes(b"x")
    assert checkpoints.restore(tmp_path, make_variables(0)) is None
    assert len(caplog.records) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    variables = make_variables(2)
    variables["weights/0"].assign(np.full((3, 2), bad))
    with pytest.raises(
        FloatingPointError, match=r"weights/0 holds values that"
    ):
        checkpoints.values(variables)


def test_another_network_is_refused(tmp_path):
    save(tmp_path, 1, 1)
    variables = make_variables(0, (4, 2))
    variables["beta"] = variables.pop("steps")
    with pytest.raises(ValueError) as caught:
        checkpoints.restore(tmp_path, variables)
    assert str(caught.value) == (
        f"{tmp_path / name(1)} is the checkpoint of another network: "
        "weights/0 is [3, 2] there and [4, 2] here; beta is absent there and "
        "[] here; steps is [] there and absent here. It was probably written "
        "by another version of this software: go back to that version, or "
        "choose another --workdir."
    )
    assert variables["weights/0"].numpy().tolist() == np.zeros((4, 2)).tolist()


def test_a_full_disk_leaves_the_last_one(tmp_path, monkeypatch):
    save(tmp_path, 1, 1)
    monkeypatch.setattr(files, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2, 2, keep=1)
    assert os.listdir(tmp_path) == [name(1)]


def test_some_variables_of_a_file(tmp_path):
    path = tmp_path / "best.checkpoint"
    checkpoints.write(path, checkpoints.values(make_variables(3)), {"epoch": 2})
    variables = {"steps": keras.Variable(np.int64(0), dtype="int64")}
    assert checkpoints.read(path, variables) == {"epoch": 2}
    assert int(variables["steps"].numpy()) == 3


def test_a_file_that_is_damaged_or_another_is_refused(tmp_path):
    path = tmp_path / "best.checkpoint"
    checkpoints.write(path, checkpoints.values(make_variables(3)), {})
    with pytest.raises(ValueError, match="is the checkpoint of another"):
        checkpoints.read(path, {"beta": make_variables(0)["steps"]})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is cut short or damaged"):
        checkpoints.read(path, make_variables(0))
