import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from entrannas_tf.data import folder
from entrannas_tf.training import interruptions, runtime


def test_prepare_seeds_all_random_numbers():
    drawn = []
    for _ in range(2):
        runtime.prepare(3, deterministic=False)
        numbers = keras.random.uniform([2]).numpy(), np.random.rand(2)
        drawn.append((random.random(), *np.concatenate(numbers)))
    assert drawn[0] == drawn[1]


def test_device_name_without_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(runtime.os, "cpu_count", lambda: 3)
    assert runtime.device_name(tf.distribute.get_strategy()) == "CPU, 3 cores"


def test_xla_is_off_without_a_gpu_and_says_so(monkeypatch):
    said, gpus = [], []
    monkeypatch.setattr(runtime.logging, "info", said.append)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert not runtime.use_xla(False)
    assert said == []
    assert not runtime.use_xla(True)
    assert said == ["xla      is off: it pays on a GPU alone, and none is here"]
    gpus.append("GPU:0")
    assert runtime.use_xla(True)
    assert not runtime.use_xla(False)
    assert len(said) == 1


def test_an_image_that_breaks_in_mid_run_is_named(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(2):
            path = tmp_path / "train" / name / f"{number}.png"
            Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    train, _ = folder.load(tmp_path, cache_mib=0)
    (tmp_path / "train" / "dog" / "1.png").write_bytes(b"")
    batches = tf.data.Dataset.from_tensors([2, 3]).map(train.fetch)
    with (
        pytest.raises(
            ValueError, match=r"^1 image.* be decoded: .*dog/1.png"
        ) as e,
        runtime.plain_errors("search.batch_size"),
    ):
        list(batches)
    assert "\n" not in str(e.value)
    assert str(e.value).endswith("Replace or remove them.")


def test_too_little_memory_is_said_plainly():
    with (
        pytest.raises(
            interruptions.OutOfMemory, match=r"a smaller search\.batch_size"
        ),
        runtime.plain_errors("search.batch_size"),
    ):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when ...")


def test_other_errors_pass():
    with (
        pytest.raises(tf.errors.InvalidArgumentError, match="A fault of ours"),
        runtime.plain_errors("search.batch_size"),
    ):
        raise tf.errors.InvalidArgumentError(None, None, "A fault of ours.")
