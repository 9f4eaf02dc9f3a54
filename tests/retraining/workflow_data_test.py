"""Retrainings at toy size on other data and networks, and those that fail."""

import os

import keras
import numpy as np
import pytest
from PIL import Image

from entrannas_tf.architecture import published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.retraining import tasks as retraining_tasks
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.training import checkpoints, files
from tests.support import toy_genotype, toy_retrain_config


def make_config():
    """Returns the configuration of a retraining of one epoch."""
    config = toy_retrain_config.get_config()
    config.deterministic = False
    config.training.epochs = 1
    config.training.checkpoint_every_steps = 0
    config.data.num_examples = 64
    return config


def retrain(config, tmp_path, name="run"):
    """Runs a retraining; returns its only record."""
    genotype = toy_genotype.write(tmp_path)
    retraining_workflow.retrain(config, genotype, str(tmp_path / name))
    (record,) = files.read_json_lines(tmp_path / name / "metrics.jsonl")
    return record


def make_images(root, counts, size=(40, 40)):
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(256, size=(*size[::-1], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")


def test_imagenets_network_and_augmentation(tmp_path):
    """In bfloat16 at that; val/ tests."""
    images = tmp_path / "images"
    make_images(images / "train", {"cat": 8, "dog": 8})
    make_images(images / "val", {"cat": 3, "dog": 2})
    config = make_config()
    config.data.name = "folder"
    config.data.dir = str(images)
    config.data.num_examples = 0
    config.data.crop_padding = 0
    config.data.min_crop_area = 0.08
    config.data.color_jitter = 0.4
    config.data.flip = True
    config.network.stem = "imagenet"
    config.training.schedule = "linear"
    config.training.label_smoothing = 0.1
    config.training.batch_size = 8
    config.training.precision = "bfloat16"
    record = retrain(config, tmp_path)
    assert 0 < record["loss"] < 5
    assert (record["test_accuracy"] * 5) % 1 == pytest.approx(0)
    made = schema.read(retrain_config.RetrainConfig, config)
    data = retraining_workflow.load_data(made)
    trainer = retraining_tasks.make_trainer(
        made, toy_genotype.GENOTYPE, data.source
    )
    assert {v.dtype for v in trainer.network.trainable_variables} == {"float32"}
    assert trainer.network.get_layer("cell_0").compute_dtype == "bfloat16"
    # What is made afterwards is in float32 again.
    assert schema.read(retrain_config.RetrainConfig, make_config())
    assert keras.config.dtype_policy().name == "float32"


def test_without_val_a_share_of_the_folder_tests(tmp_path):
    make_images(tmp_path / "images" / "train", {"cat": 8, "dog": 12}, (16, 16))
    config = make_config()
    config.data.name = "folder"
    config.data.dir = str(tmp_path / "images")
    config.data.train_fraction = 0.75
    config.training.batch_size = 4
    data = retraining_workflow.load_data(
        schema.read(retrain_config.RetrainConfig, config)
    )
    assert (len(data.indices), len(data.test_indices)) == (15, 5)
    assert not set(data.indices) & set(data.test_indices)


def test_imagenet(tmp_path, imagenet_dir):
    config = make_config()
    config.data.name = "imagenet2012"
    config.data.data_dir = str(imagenet_dir)
    config.data.num_examples = 40
    config.data.image_size = 40
    config.data.min_crop_area = 0.08
    config.data.color_jitter = 0.4
    config.network.stem = "imagenet"
    config.training.batch_size = 8
    record = retrain(config, tmp_path)
    assert 0 < record["loss"] < 20  # Of 1,000 classes.
    assert (record["test_accuracy"] * 16) % 1 == pytest.approx(0)


def test_cifar10(tmp_path, shared_data):
    config = make_config()
    config.data.name = "cifar10"
    config.data.data_dir = str(shared_data / "tfds")
    config.data.image_size = 8
    config.training.batch_size = 64
    config.data.flip = True
    config.data.cutout_length = 4
    record = retrain(config, tmp_path)
    # All of the test images count.
    assert (record["test_accuracy"] * 10_000) % 1 == pytest.approx(0, abs=1e-6)


def test_a_nan_stops_the_run(tmp_path):
    config = make_config()
    config.training.learning_rate = 1e30
    config.training.checkpoint_every_steps = 1
    with pytest.raises(FloatingPointError, match=r"epoch 1, step") as info:
        retrain(config, tmp_path)
    assert "lower training.learning_rate" in str(info.value)
    assert "\n" not in str(info.value)


def test_a_retraining_has_no_other_variables():
    """Whatever the trainer tracks is in a checkpoint."""
    config = make_config()
    config.training.precision = "float16"
    made = schema.read(retrain_config.RetrainConfig, config)
    data = retraining_workflow.load_data(made)
    trainer = retraining_tasks.make_trainer(
        made, toy_genotype.GENOTYPE, data.source
    )
    assert trainer.network.get_layer("cell_0").compute_dtype == "float16"
    saved = checkpoints.retrain_variables(trainer).values()
    missing = {v.path for v in trainer.variables} - {v.path for v in saved}
    assert not missing
    assert any("seed_generator_state" in v.path for v in saved)


def large_batch(config):
    config.training.batch_size = 65


def colors_of_grey(config):
    config.data.color_jitter = 0.4


def small_images(config):
    config.network.stem = "imagenet"


def no_cifar10(config):
    config.data.name = "cifar10"
    config.data.data_dir = "nowhere"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (large_batch, "A batch of 65 is larger than the data: there are 64 "),
        (colors_of_grey, "data.color_jitter is 0.4, and the images are grey"),
        (small_images, "image_size is 16; expected 33 or more in a network"),
        (no_cifar10, "CIFAR-10 is not prepared"),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, change, message):
    config = make_config()
    change(config)
    with pytest.raises(ValueError) as caught:
        retraining_workflow.retrain(config, "DARTS_V2", str(tmp_path / "run"))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_an_unknown_genotype_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="There is no genotype 'DARTS_V3'"):
        retraining_workflow.retrain(
            make_config(), "DARTS_V3", str(tmp_path / "run")
        )
    assert os.listdir(tmp_path) == []
    assert "DARTS_V2" in published.names()
