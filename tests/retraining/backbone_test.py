"""The weights that a backbone begins with: from where, and which are refused.

The photographs of the retraining are removed before its network is read.
"""

import dataclasses
import json
import pathlib
import shutil
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from entrannas_tf.architecture import published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.config import segment as segment_config
from entrannas_tf.networks import porting, segmentation
from entrannas_tf.networks import target as target_network
from entrannas_tf.retraining import (
    backbone,
    export,
    tasks,
    trained,
    workflow,
)
from entrannas_tf.training import checkpoints, workdirs
from tests.support import (
    changed_config,
    toy_config,
    toy_genotype,
    toy_retrain_config,
    toy_segment_config,
    voc_folder,
)

CELLS = toy_genotype.GENOTYPE
SIZE = 40  # Pixels; the least is 33.


def make_config(**changes):
    """Returns a `SegmentConfig` with dotted changes."""
    values = changed_config.changed(toy_segment_config.get_config(), **changes)
    return schema.read(segment_config.SegmentConfig, values)


CONFIG = make_config()
OF_RESNET = make_config(network__backbone="resnet50")


def retraining_config():
    config = toy_retrain_config.get_config()
    config.deterministic = False
    config.data.name = "folder"
    config.data.num_examples = 0
    config.data.crop_padding = 0
    config.network.stem = "imagenet"
    config.training.epochs = 1
    config.training.batch_size = 4
    config.training.auxiliary_weight = 0.0
    config.training.checkpoint_every_steps = 0
    return config


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    """(workdir, pixels) of a retraining whose photographs are gone."""
    root = tmp_path_factory.mktemp("retrained")
    rng, pixels = np.random.default_rng(0), []
    for part, brightest in (("train", 200), ("val", 90)):
        for name in ("cat", "dog"):
            (root / "photos" / part / name).mkdir(parents=True)
            for number in range(4):
                made = rng.integers(brightest, size=(SIZE, SIZE, 3))
                made[..., 2] //= 2
                path = root / "photos" / part / name / f"{number}.png"
                Image.fromarray(made.astype(np.uint8)).save(path)
                pixels += [made] if part == "train" else []
    config = retraining_config()
    config.data.dir = str(root / "photos")
    workflow.retrain(config, toy_genotype.write(root), root / "net")
    shutil.rmtree(root / "photos")
    return str(root / "net"), np.stack(pixels) / 255.0


def make_network(seed=1, num_classes=5, **options):
    """Returns a target network with random numbers as all of its weights."""
    options = {"num_cells": 3, "init_channels": 4, **options}
    options = {"stem": "imagenet", **options}
    network = target_network.TargetNetwork(CELLS, num_classes, **options)
    rng = np.random.default_rng(seed)
    for variable in network.variables:
        variable.assign(rng.uniform(0.1, 0.5, variable.shape))
    return network


def state_dict(network):
    """Returns the weights as PyTorch's DARTS would have saved them."""
    layers = {layer.name: layer for layer in network.layers}
    found, _ = porting._network_weights(layers, CELLS)
    assert len(found) == len(network.variables)
    axes = {
        porting._convolution: (3, 2, 0, 1),
        porting._depthwise: (2, 3, 0, 1),
        np.transpose: (1, 0),
    }
    return {
        w.name: w.variable.numpy().transpose(axes.get(w.convert, (0,)))
        for w in found
    }


def assert_equal(weights, network):
    """All layers of the backbone have the network's arrays."""
    made = segmentation.Backbone(CELLS, num_cells=3, init_channels=4)
    names = {layer.name for layer in made.layers if layer.weights}
    assert set(weights.arrays) == names
    assert {"stem_0", "cell_2.preprocess_1"} & names
    for name, arrays in weights.arrays.items():
        there = network.get_layer(name).get_weights()
        assert len(there) == len(arrays)
        for array, same in zip(arrays, there, strict=True):
            np.testing.assert_array_equal(array, same)


def test_a_workdir(retrained):
    workdir, pixels = retrained
    weights = backbone.read(workdir, CONFIG, CELLS)
    network = trained.read(workdir).network
    assert_equal(weights, network)
    np.testing.assert_allclose(weights.mean, pixels.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(weights.std, pixels.std((0, 1, 2)), atol=1e-4)
    count = segmentation.Backbone(CELLS, num_cells=3, init_channels=4)
    assert weights.description == (
        f"{count.count_params()} weights from {workdir}"
    )
    # And they are those of the file.
    path = checkpoints.newest(f"{workdir}/{checkpoints.DIRECTORY}")
    with open(path, "rb") as file:
        file.seek(checkpoints._DIGEST_BYTES)
        archive = dict(np.load(file))
    there = [v for n, v in archive.items() if n.startswith("network/")]
    for arrays in weights.arrays.values():
        for array in arrays:
            assert any(np.array_equal(array, value) for value in there)


def test_features_are_the_classifiers(retrained):
    workdir, _ = retrained
    made = segmentation.Backbone(
        CELLS, num_cells=3, init_channels=4, output_stride=32
    )
    network = segmentation.SegmentationNetwork(
        made, 3, output_stride=32, channels=8
    )
    features = keras.Model(network.input, made.output)
    classifier = trained.read(workdir).network
    expected = keras.Model(
        classifier.input, classifier.get_layer("cell_2").output
    )
    images = np.random.default_rng(2).normal(size=(2, SIZE, SIZE, 3))
    images = images.astype(np.float32)
    assert np.abs(features(images) - expected(images)).max() > 1e-2
    head = network.get_layer("head").get_weights()
    backbone.read(workdir, CONFIG, CELLS).put(network)
    assert features(images).shape == (2, 2, 2, expected.output.shape[-1])
    np.testing.assert_allclose(features(images), expected(images), atol=1e-5)
    for array, same in zip(
        head, network.get_layer("head").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(array, same)


def test_an_export(retrained, tmp_path):
    """Its mean and deviation are those of its first layer."""
    workdir, _ = retrained
    export.load(workdir).save(tmp_path / export.KERAS_FILE)
    there = backbone.read(workdir, CONFIG, CELLS)
    weights = backbone.read(tmp_path / export.KERAS_FILE, CONFIG, CELLS)
    assert weights.where == str(tmp_path / export.KERAS_FILE)
    assert_equal(weights, trained.read(workdir).network)
    np.testing.assert_allclose(weights.mean, there.mean, rtol=1e-4)
    np.testing.assert_allclose(weights.std, there.std, rtol=1e-4)


def test_a_network_alone(tmp_path):
    network = make_network()
    network.save(tmp_path / "network.keras")
    weights = backbone.read(tmp_path / "network.keras", CONFIG, CELLS)
    assert_equal(weights, network)
    assert (weights.mean, weights.std) == (None, None)


def test_a_state_dict(tmp_path):
    network = make_network()
    np.savez(tmp_path / "darts.npz", **state_dict(network))
    weights = backbone.read(tmp_path / "darts.npz", CONFIG, CELLS)
    assert_equal(weights, network)
    assert weights.mean == (0.485, 0.456, 0.406)
    assert weights.std == (0.229, 0.224, 0.225)


@pytest.mark.long
def test_resnet50(tmp_path):
    network = keras.applications.ResNet50(include_top=False, weights=None)
    network.save(tmp_path / "resnet50.keras")
    weights = backbone.read(tmp_path / "resnet50.keras", OF_RESNET, None)
    assert len(weights.arrays) == 106  # 53 convolutions, 53 batch norms.
    for name, arrays in weights.arrays.items():
        there = network.get_layer(name).get_weights()
        np.testing.assert_array_equal(arrays[0], there[0])


def test_images_are_normalized_as_the_weights_need_it(tmp_path):
    voc_folder.write(tmp_path)
    config = make_config(data__dir=str(tmp_path))
    data = tasks.of(config).load_data(config)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    weights = backbone.Weights("somewhere", {}, mean, std)
    changed = weights.normalize(data)
    for source in (changed.source, changed.test_source):
        assert source.mean.dtype == source.std.dtype == np.float32
        np.testing.assert_array_equal(source.mean, np.float32(mean))
        np.testing.assert_array_equal(source.std, np.float32(std))
    assert changed.source.photographs == data.source.photographs
    assert backbone.Weights("", {}, None, None).normalize(data) is data


def refused(where, *words, config=CONFIG, cells=CELLS):
    """The error is a line that begins with, or names, the path."""
    with pytest.raises(ValueError) as caught:
        backbone.read(where, config, cells)
    message = str(caught.value)
    for word in (str(where), *words):
        assert word in message
    assert "\n" not in message
    assert message.endswith((".", "?"))


EXPECTED = "expected the workdir of a finished retraining, a .keras file, or a"


def test_no_such_path(tmp_path):
    where = tmp_path / "nothing.keras"
    refused(where, f"There is no backbone {where}; ", EXPECTED)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("network.h5", "no such file"),
        ("network.keras", "cannot be loaded (File not found: "),
        ("darts.npz", "cannot be loaded (This file contains pickled"),
    ],
)
def test_a_file_of_another_kind(tmp_path, name, message):
    (tmp_path / name).write_text("a text\nof two lines")
    refused(tmp_path / name, message, EXPECTED)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("network.keras", "There is no item named 'config.json'"),
        ("darts.npz", "has no classifier.bias; "),
    ],
)
def test_an_archive_of_something_else(tmp_path, name, message):
    np.savez(tmp_path / "arrays.npz", x=np.ones(3))
    (tmp_path / "arrays.npz").rename(tmp_path / name)
    refused(tmp_path / name, message, EXPECTED)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_arrays_that_were_cut_short(tmp_path, content):
    (tmp_path / "darts.npz").write_bytes(content)
    refused(tmp_path / "darts.npz", "cannot be loaded (", EXPECTED)


def test_one_array_for_several(tmp_path):
    with open(tmp_path / "darts.npz", "wb") as file:
        np.save(file, np.ones(3))
    refused(tmp_path / "darts.npz", "cannot be loaded (", EXPECTED)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".PT"])
def test_a_file_of_pytorch_without_it(tmp_path, monkeypatch, suffix):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / f"darts{suffix}").write_bytes(b"something")
    refused(
        tmp_path / f"darts{suffix}",
        "needs PyTorch",
        "Install it, or save the state dict there by numpy.savez(FILE, **",
    )


def test_a_folder_that_is_no_workdir(tmp_path):
    refused(tmp_path, f"There is no {tmp_path / 'config.json'}; ", EXPECTED)


def make_workdir(path, kind, config_dict):
    """Makes the workdir of a run that did not come far."""
    workdirs.make_workdir(path, schema.read(kind, config_dict))
    return path


def test_an_unfinished_retraining(tmp_path):
    config = retraining_config()
    config.data.dir = "somewhere"
    where = make_workdir(tmp_path / "net", retrain_config.RetrainConfig, config)
    refused(where, "has not ended; the command that started it goes on")


def test_the_workdir_of_a_search(tmp_path):
    config = toy_config.get_config()
    where = make_workdir(tmp_path / "search", search_config.Config, config)
    refused(where, "has a section search: it is one for launch.search")


def test_the_workdir_of_a_segmentation(tmp_path):
    config = toy_segment_config.get_config()
    where = make_workdir(tmp_path / "seg", segment_config.SegmentConfig, config)
    refused(where, f"{where} is the workdir of a segmentation; ", EXPECTED)


def test_another_genotype(retrained):
    workdir, _ = retrained
    refused(
        workdir,
        f"a network of another genotype. Give --genotype={workdir}, or ano",
        cells=published.load_genotype("DARTS_V2"),
    )


@pytest.mark.parametrize(
    ("change", "there", "here"),
    [
        ({"num_cells": 4}, "num_cells 3", "network.num_cells is 4; "),
        ({"init_channels": 6}, "init_channels 4", "network.init_channels is 6"),
    ],
)
def test_another_network(retrained, change, there, here):
    workdir, _ = retrained
    flag = f"--config.network.{there.replace(' ', '=')}."
    config = dataclasses.replace(
        CONFIG, network=dataclasses.replace(CONFIG.network, **change)
    )
    refused(workdir, f"has {there}, and {here}", flag, config=config)


def test_another_stem(retrained, monkeypatch):
    """The network of a retraining on small images."""
    workdir, _ = retrained
    found = trained.read(workdir)
    network = dataclasses.replace(found.config.network, stem="cifar")
    found = found._replace(
        config=dataclasses.replace(found.config, network=network)
    )
    monkeypatch.setattr(trained, "read", lambda _: found)
    refused(workdir, "has stem cifar, and network.stem is imagenet; ")


def test_cells_are_no_resnet50(retrained, tmp_path):
    workdir, _ = retrained
    np.savez(tmp_path / "darts.npz", x=np.ones(3))
    for where in (workdir, tmp_path / "darts.npz"):
        refused(
            where,
            "network.backbone is resnet50; expected a .keras file of that.",
            config=OF_RESNET,
            cells=None,
        )


def test_keras_files_that_do_not_fit(tmp_path):
    path = tmp_path / "network.keras"
    make_network(init_channels=6).save(path)
    refused(
        path,
        f"The weights of {path} do not fit the backbone: stem_0.half."
        "convolution_0 is [[3, 3, 3, 3]] there and [[3, 3, 3, 2]] here; ",
        "Are genotype, network.num_cells and network.init_channels the same?",
    )
    config = dataclasses.replace(
        CONFIG, network=dataclasses.replace(CONFIG.network, init_channels=6)
    )
    backbone.read(path, config, CELLS)
    make_network(stem="cifar").save(path)
    refused(
        path, "stem_0.half.convolution_0 is absent there and [[3, 3, 3, 2]] he"
    )


def test_state_dicts_that_do_not_fit(tmp_path):
    path = tmp_path / "darts.npz"
    state = state_dict(make_network(num_cells=4))
    np.savez(path, **state)
    refused(path, f"{path}: The state dict has, and this network does not, ")
    lacking = {k: v for k, v in state.items() if k != "classifier.bias"}
    np.savez(path, **lacking)
    refused(path, f"{path} has no classifier.bias; ", EXPECTED)


def make_weights(where, value):
    return backbone.Weights(where, {"x": [np.full(3, value)]}, None, None)


def begin(workdir, weights):
    """Leaves what a segmentation leaves that began with weights or none."""
    make_workdir(
        workdir, segment_config.SegmentConfig, toy_segment_config.get_config()
    )
    if weights is not None:
        weights.write(workdir)


def test_a_network_goes_on_with_the_weights_that_it_began_with(tmp_path):
    first, second = make_weights("here", 1.0), make_weights("here", 2.0)
    for weights in (first, None):
        backbone.check(tmp_path / "none", weights)  # Nothing is there yet.
    begin(tmp_path / "run", first)
    with open(tmp_path / "run" / backbone.FILE, encoding="utf-8") as file:
        assert json.load(file)["from"] == "here"
    backbone.check(tmp_path / "run", first)
    # The same weights elsewhere are the same.
    backbone.check(tmp_path / "run", make_weights("there", 1.0))
    with pytest.raises(ValueError, match=r"began with here, and here are here"):
        backbone.check(tmp_path / "run", second)
    with pytest.raises(ValueError) as caught:
        backbone.check(tmp_path / "run", None)
    assert str(caught.value) == (
        f"{tmp_path / 'run'} holds a network whose backbone began with here, "
        "and here are random weights. Choose another --workdir, or go back to "
        "the same --backbone to resume it."
    )


def test_a_network_that_began_with_none_goes_on_so(tmp_path):
    begin(tmp_path / "run", None)
    backbone.check(tmp_path / "run", None)
    # Killed before it trained, it may begin with others.
    backbone.check(tmp_path / "run", make_weights("here", 1.0))
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "step_00000002.checkpoint").touch()
    with pytest.raises(ValueError, match=r"began with random weights, and her"):
        backbone.check(tmp_path / "run", make_weights("here", 1.0))


@pytest.mark.long
def test_a_segmentation_begins_with_them(retrained, tmp_path):
    """Its backbone is left as it is: a rate factor of 0."""
    workdir, pixels = retrained
    voc_folder.write(tmp_path / "voc")
    config = toy_segment_config.get_config()
    config.deterministic = False
    config.data.dir = str(tmp_path / "voc")
    config.training.epochs = 1
    config.training.backbone_rate_factor = 0.0
    arguments = config, tmp_path / "seg"
    done = workflow.segment(*arguments, backbone=pathlib.Path(workdir))
    np.testing.assert_allclose(
        done["images"]["mean"], pixels.mean((0, 1, 2)), atol=1e-4
    )
    found = trained.read(str(tmp_path / "seg"))
    assert found.cells == CELLS  # That of the backbone.
    assert_equal(backbone.read(workdir, CONFIG, CELLS), found.network)
    assert workflow.segment(*arguments, CELLS, workdir) == done
    with pytest.raises(ValueError, match="and here are random weights"):
        workflow.segment(*arguments, CELLS)
    make_network().save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"and here are .*other\.keras\. Ch"):
        workflow.segment(*arguments, CELLS, tmp_path / "other.keras")


def test_a_file_of_weights_says_no_genotype(tmp_path):
    (tmp_path / "network.keras").write_bytes(b"PK\xff\xfe")
    with pytest.raises(ValueError, match="Missing --genotype; expected --ge"):
        workflow.segment(
            toy_segment_config.get_config(),
            tmp_path / "seg",
            backbone=tmp_path / "network.keras",
        )
    assert not (tmp_path / "seg").exists()
