"""Whole searches at toy size on other data, and those that fail."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from entrannas_tf.architecture import genotypes
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import methods
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import checkpoints, files
from tests.support import toy_config


def make_config():
    """Returns the configuration of a search of two steps."""
    config = toy_config.get_config()
    config.deterministic = False
    config.search.epochs = 1
    config.data.num_examples = 64
    return config


def search(config, workdir):
    """Runs a search; returns its genotype and its only record."""
    genotype = search_workflow.search(config, workdir)
    (record,) = files.read_json_lines(workdir / "metrics.jsonl")
    return genotype, record


@pytest.mark.long
def test_dst(tmp_path):
    config = make_config()
    config.network.sparse = True
    config.search.threshold_penalty = 0.5
    config.search.architecture_learning_rate = 0.05
    genotype, record = search(config, tmp_path)
    assert record["num_connections"] == {
        "normal": genotypes.num_connections(genotype.normal),
        "reduction": genotypes.num_connections(genotype.reduction),
    }
    for kind in ("normal", "reduction"):
        assert 4 <= record["num_connections"][kind] <= 14 * 7
        assert len(record["thresholds"][kind]) == 4
        # Adam's first steps are as long as the rate says; lambda pushes up.
        assert min(record["thresholds"][kind]) > 0.5
    values = json.loads((tmp_path / "genotypes/epoch_001.json").read_text())
    num_active = np.count_nonzero(values["coefficients"]["normal"])
    assert num_active == record["num_connections"]["normal"]


def test_cifar10(tmp_path, shared_data):
    config = make_config()
    config.data.name = "cifar10"
    config.data.data_dir = str(shared_data / "tfds")
    config.data.num_examples = 80
    config.data.flip = True
    genotype, record = search(config, tmp_path)
    assert genotypes.num_connections(genotype.normal) == 8
    assert 0 < record["loss"] < 10


@pytest.mark.long
def test_imagenette(tmp_path, shared_data):
    """Photographs in a folder whose val/ trains the architecture."""
    root = tmp_path / "images"
    root.mkdir()
    for split in ("train", "val"):
        for name in sorted(os.listdir(shared_data / "imagenette" / split))[:2]:
            (root / split / name).mkdir(parents=True)
            source = shared_data / "imagenette" / split / name
            for image in sorted(os.listdir(source))[:16]:
                (root / split / name / image).symlink_to(source / image)
    config = make_config()
    config.data.name = "folder"
    config.data.dir = str(root)
    config.data.image_size = 16
    _, record = search(config, tmp_path / "run")
    assert record["timing"]["images_per_second"] > 0
    assert (record["child_accuracy"] * 32) % 1 == pytest.approx(0)


def imagenet_config(data_dir):
    config = make_config()
    config.data.name = "imagenet2012"
    config.data.data_dir = str(data_dir)
    config.data.num_examples = 0
    config.data.image_size = 32
    config.data.weight_fraction = 0.3
    config.data.architecture_fraction = 0.2
    config.data.min_crop_area = 0.08
    config.data.color_jitter = 0.4
    config.network.stem = "imagenet"
    config.search.batch_size = 8
    return config


@pytest.mark.long
def test_imagenet(tmp_path, imagenet_dir):
    genotype, record = search(imagenet_config(imagenet_dir), tmp_path)
    assert genotypes.num_connections(genotype.normal) == 8
    assert 0 < record["loss"] < 20  # Of 1,000 classes.
    assert (record["child_accuracy"] * 12) % 1 == pytest.approx(0)


def test_imagenet_too_small_for_the_stem(tmp_path, imagenet_dir):
    config = imagenet_config(imagenet_dir)
    config.data.image_size = 31
    with pytest.raises(ValueError, match=r"31x31 pixels, .* 5 reductions"):
        search_workflow.search(config, tmp_path)


def test_a_nan_stops_the_search(tmp_path):
    config = make_config()
    config.search.weight_learning_rate = 1e30
    config.search.checkpoint_every_steps = 1
    with pytest.raises(
        FloatingPointError, match=r"in epoch 1, step 2 or shortly"
    ) as info:
        search(config, tmp_path)
    assert f"stays in {tmp_path / 'checkpoints'}" in str(info.value)
    assert "\n" not in str(info.value)
    assert os.listdir(tmp_path / "checkpoints") == ["step_00000001.checkpoint"]


def images(root, counts, size=(8, 8)):
    for name, count in counts.items():
        (root / "train" / name).mkdir(parents=True)
        for number in range(count):
            path = root / "train" / name / f"{number}.png"
            Image.new("RGB", size, (number, 0, 0)).save(path)


def folder_config(root):
    config = make_config()
    config.data.name = "folder"
    config.data.dir = str(root)
    config.data.num_examples = 0
    config.search.batch_size = 2
    return config


def no_cifar10(root):
    config = make_config()
    config.data.name = "cifar10"
    config.data.data_dir = str(root / "nowhere")
    return config


def no_folder(root):
    return folder_config(root / "nowhere")


def empty_folder(root):
    return folder_config(root)


def broken_image(root):
    images(root, {"cat": 4, "dog": 4})
    (root / "train" / "dog" / "2.png").write_bytes(b"\x89PNG")
    return folder_config(root)


def lonely_image(root):
    images(root, {"cat": 4, "dog": 1})
    return folder_config(root)


def small_images(root):
    images(root, {"cat": 4, "dog": 4}, (3, 8))
    return folder_config(root)


def grey_images(root):
    config = make_config()
    config.data.color_jitter = 0.4
    return config


def large_batch(root):
    config = make_config()
    config.search.batch_size = 1000
    return config


def odd_channels(root):
    config = make_config()
    config.network.init_channels = 6
    return config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_cifar10, "CIFAR-10 is not prepared"),
        (no_folder, "There is no folder .*nowhere"),
        (empty_folder, "has no folder train/; found nothing in it"),
        (broken_image, "1 image.* cannot be decoded: .*dog/2.png"),
        (lonely_image, r"Class dog has 1 example\(s\)"),
        (small_images, "3x8 pixels, too small for 2 reductions"),
        (grey_images, r"color_jitter is 0\.4, and the images are grey"),
        (large_batch, "A batch of 1000 is larger than a half: "),
        (odd_channels, "init_channels is 6; expected a multiple of"),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, make, message):
    (tmp_path / "data").mkdir()
    config = make(tmp_path / "data")
    with pytest.raises(ValueError, match=message) as caught:
        search_workflow.search(config, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["data"]


def test_an_unwritable_workdir(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot be written"):
        search_workflow.search(make_config(), tmp_path / "run")
    assert os.listdir(tmp_path) == []


def full_disk(path, data):
    with open("/dev/full", "wb", buffering=0) as file:
        file.write(data)


def test_a_full_disk_leaves_no_workdir(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        search_workflow.search(make_config(), tmp_path / "run")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [None, "entrannas_dst", "pc_darts"])
def test_a_search_has_no_other_variables(tmp_path, name):
    """Whatever the trainer tracks is in a checkpoint."""
    values = methods.apply(make_config(), name)
    values.search.precision = "float16"
    config = schema.read(search_config.Config, values)
    data = search_workflow.load_data(config)
    trainer = search_workflow.make_trainer(config, data.source_w, None)
    layer = trainer.supernet.engine.layers[1]
    assert layer.template.compute_dtype == "float16"
    saved = checkpoints.search_variables(trainer).values()
    missing = {v.path for v in trainer.variables} - {v.path for v in saved}
    assert not missing
