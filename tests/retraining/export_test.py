"""Exports of a toy network, reloaded here and where there is no package."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.data import digits
from entrannas_tf.retraining import classify, export
from entrannas_tf.retraining import workflow as retraining_workflow
from tests.support import programs, toy_genotype, toy_retrain_config

# Loads both exports where the package cannot be imported, each as its users do.
ELSEWHERE = """
import sys
sys.modules["entrannas_tf"] = None
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])
served = model.serve_uint8(images)
alone = model.serve_uint8(images[:1])["probabilities"]
np.testing.assert_allclose(served["probabilities"][:1], alone, atol=1e-5)
signature = model.signatures["serving_default"]
whole = signature(images=tf.constant(images, tf.float32))["probabilities"]
np.testing.assert_allclose(served["probabilities"], whole, atol=1e-5)
np.save(sys.argv[3], served["probabilities"])

import keras

model = keras.models.load_model(sys.argv[4])
np.testing.assert_allclose(
    model.predict(images, verbose=0), served["probabilities"], atol=1e-6
)
network = model.get_layer("target_network")
cell = keras.Model(network.input, network.get_layer("cell_2").output)
assert cell(np.zeros([1, *network.input_shape[1:]])).shape[0] == 1
print(*(name.decode() for name in served["label_names"].numpy()))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The workdir of a retraining that has ended."""
    folder = tmp_path_factory.mktemp("trained")
    config = toy_retrain_config.get_config()
    config.deterministic = False
    config.training.epochs = 1
    retraining_workflow.retrain(
        config, toy_genotype.write(folder), str(folder / "toy")
    )
    return folder / "toy"


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    output = tmp_path_factory.mktemp("exported") / "model"
    difference = export.export(str(trained), str(output))
    assert 0 <= difference < 1e-5
    return output


def test_files(exported):
    assert set(os.listdir(exported)) >= {
        "README.md",
        "genotype.json",
        "labels.txt",
        "model.keras",
        "saved_model.pb",
        "variables",
    }
    assert not [n for n in os.listdir(exported.parent) if "tmp" in n]
    assert published.load_genotype(str(exported)) == toy_genotype.GENOTYPE
    names = (exported / "labels.txt").read_text().split()
    assert names == [str(digit) for digit in range(10)]


def test_it_runs_without_the_package(exported, trained, tmp_path):
    _, test = digits.load()
    images = test.fetch(tf.range(7, dtype=tf.int64))[0].numpy()
    np.save(tmp_path / "images.npy", images)
    done = programs.run_afresh(
        "-c",
        ELSEWHERE,
        exported,
        tmp_path / "images.npy",
        tmp_path / "probabilities.npy",
        exported / "model.keras",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(digit) for digit in range(10)]
    probabilities = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    # Those of the network itself, prepared by hand.
    config = schema.read(
        retrain_config.RetrainConfig,
        json.loads((trained / "config.json").read_text()),
    )
    data = retraining_workflow.load_data(config)
    network = export.load(trained).get_layer("target_network")
    x = (images / 255.0 - data.source.mean) / data.source.std
    logits = network(x.astype(np.float32)).numpy()
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        probabilities, e / e.sum(axis=1, keepdims=True), atol=1e-5
    )


def test_card(exported, trained):
    card = (exported / "README.md").read_text()
    results = json.loads((trained / "results.json").read_text())
    assert f"{results['mean']['test_accuracy']:.2%}" in card
    assert f"{results['network']['parameters']:,}" in card
    assert f"{results['network']['multiply_adds']:,} (conv" in card
    assert "2: sep_conv_3x3(0) max_pool_3x3(1)" in card
    assert results["provenance"]["config_hash"] in card
    assert "compared with the trained network on 64 test images" in card


def test_classification(exported, tmp_path, capsys):
    config = toy_retrain_config.get_config()
    lines = classify.classify(str(exported), [], config)
    assert len(lines) == 6
    assert lines[0].startswith("test image 0, 7: ")
    assert " of 360 test images are right, " in lines[-1]
    model = classify.load(str(exported))
    assert model.image_shape == (16, 16, 1)
    _, test = digits.load()
    images = test.fetch(tf.range(3, dtype=tf.int64))[0].numpy()
    paths = []
    for number, image in enumerate(images):
        paths.append(str(tmp_path / f"{number}.png"))
        tf.io.write_file(paths[-1], tf.io.encode_png(image))
    named = classify.classify(str(exported), paths, None)
    for path, line, shown in zip(paths, named, lines, strict=False):
        assert line == f"{path}: {shown.partition(': ')[2]}"


def test_classification_of_nothing(exported, tmp_path):
    with pytest.raises(ValueError, match="Missing --images; expected"):
        classify.classify(str(exported), [], None)
    with pytest.raises(ValueError, match=r"holds no saved_model.pb; expected"):
        classify.classify(str(tmp_path), ["a.png"], None)
    with pytest.raises(ValueError, match=r"cannot be decoded: nowhere\.png"):
        classify.classify(str(exported), ["nowhere.png"], None)
    config = toy_retrain_config.get_config()
    config.data.image_size = 8
    with pytest.raises(ValueError, match=r"are \[8, 8, 1\] and those of .*16"):
        classify.classify(str(exported), [], config)


@pytest.mark.long
def test_litert(trained, tmp_path):
    output = tmp_path / "lite"
    assert export.export(str(trained), str(output), "litert", "best") < 1e-5
    assert {"model.tflite", "README.md", "labels.txt"} <= set(
        os.listdir(output)
    )
    card = (output / "README.md").read_text()
    assert "did best on the test images, so that this is optimistic" in card


def test_an_export_that_differs_is_removed(trained, tmp_path, monkeypatch):
    def write(classifier, signature, names, directory):
        return lambda images: classifier(images).numpy() + 0.01

    monkeypatch.setattr(export, "_write_savedmodel", write)
    with pytest.raises(RuntimeError, match=r"differ by 1\.0e-02 from the net"):
        export.export(str(trained), str(tmp_path / "model"))
    assert os.listdir(tmp_path) == []


def test_bad_input(trained, exported, tmp_path):
    with pytest.raises(ValueError, match="is there already; choose another"):
        export.export(str(trained), str(exported))
    with pytest.raises(OSError, match="No such file"):
        export.export(str(tmp_path / "nowhere"), str(tmp_path / "model"))
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained, unfinished)
    (unfinished / "results.json").unlink()
    with pytest.raises(ValueError, match="has not ended; the command that"):
        export.export(str(unfinished), str(tmp_path / "model"))
    shutil.copy(trained / "results.json", unfinished)
    for path in (unfinished / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="holds no checkpoint of the network"):
        export.export(str(unfinished), str(tmp_path / "model"))
    assert os.listdir(tmp_path) == ["unfinished"]


def test_of_several_runs_the_first_is_taken(trained, tmp_path):
    config = json.loads((trained / "config.json").read_text())
    shutil.copytree(trained, tmp_path / "runs" / "01")
    config["num_runs"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(trained / "results.json", tmp_path)
    weights = export.load(tmp_path).get_weights()  # No checkpoint is here.
    for first, one in zip(
        weights, export.load(trained).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(first, one)
