"""Whole segmentations at toy size, by the launcher, killed and not."""

import io
import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

from entrannas_tf.architecture import published
from entrannas_tf.networks import target
from entrannas_tf.retraining import export, masks
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.training import checkpoints, files
from tests.support import programs, toy_segment_config, voc_folder

# Trains, and dies after some steps as if by the system's hand.
KILLED = """
import os, signal, sys
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.retraining import workflow as retraining_workflow
from tests.support import toy_segment_config

last, folder, workdir = sys.argv[1:]
step, seen = retraining_step.RetrainTrainer.train_step, []

def train_step(self, data):
    step(self, data)
    seen.append("step")
    if len(seen) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)

retraining_step.RetrainTrainer.train_step = train_step
config = toy_segment_config.get_config()
config.data.dir = folder
retraining_workflow.segment(config, workdir, "DARTS_V2")
"""

# Serves an export where this package cannot be imported.
SERVED = """
import sys
sys.modules["entrannas_tf"] = None
import keras
import numpy as np
import tensorflow as tf

model, images = sys.argv[1:]
images = np.load(images)
served = tf.saved_model.load(model)
loaded = keras.models.load_model(model + "/model.keras")
found = {
    "serve": served.serve(tf.constant(images, tf.float32)),
    "serve_uint8": served.serve_uint8(tf.constant(images)),
    "keras": loaded(images),
    "signature": served.signatures["serving_default"](
        tf.constant(images, tf.float32)
    ),
}
np.savez(
    model + "/found.npz",
    **{f"{k} {n}": v for k, d in found.items() for n, v in d.items()},
)
"""


def launch(folder, workdir, *flags, code=0, run=programs.run):
    """Runs the launcher."""
    done = run(
        "-m",
        "launch.segment",
        "--config=tests/support/toy_segment_config.py",
        "--genotype=DARTS_V2",
        f"--config.data.dir={folder}",
        f"--workdir={workdir}",
        *flags,
        timeout=600,
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "voc"
    voc_folder.write(root)
    return root


@pytest.fixture(scope="module")
def finished(tmp_path_factory, folder):
    """The workdir of a run that nobody interrupted, and what it said."""
    workdir = tmp_path_factory.mktemp("runs") / "toy"
    return workdir, launch(folder, workdir)


def config_of(folder):
    config = toy_segment_config.get_config()
    config.data.dir = str(folder)
    return config


def without_clock(workdir):
    """Returns all that is to be the same however often one interrupts."""
    records = files.read_json_lines(workdir / "metrics.jsonl")
    for record in records:
        del record["timing"]
    return records, (workdir / "results.json").read_text()


def weights(workdir):
    """Returns the arrays of the last checkpoint but for the metrics."""
    path = checkpoints.newest(workdir / "checkpoints")
    with open(path, "rb") as file:
        archive = np.load(io.BytesIO(file.read()[32:]))  # Behind the digest.
    return {
        name: archive[name]
        for name in archive.files
        if name.startswith(("network", "optimizer"))
    }


def test_workdir(finished):
    workdir, _ = finished
    assert {"config.json", "genotype.json", "results.json"} <= set(
        os.listdir(workdir)
    )
    records, _ = without_clock(workdir)
    assert [record["epoch"] for record in records] == [1, 2]
    assert set(records[-1]["test_iou"]) == set(voc_folder.CLASSES)
    results = retraining_results.read(workdir)
    assert list(results["mean"]) == [
        "test_miou",
        "test_pixel_accuracy",
        "test_loss",
    ]
    (run,) = results["runs"]
    assert run["test_miou"] == records[-1]["test_miou"]
    best = max(records, key=lambda record: record["test_miou"])
    assert (run["best_epoch"], run["best_test_miou"]) == (
        best["epoch"],
        best["test_miou"],
    )


def test_what_is_said(finished):
    workdir, done = finished
    told = done.stderr.splitlines()
    assert told[1] == (
        "data     voc/train, 6 photographs to train and 3 to test, 3 classes, "
        "of any size"
    )
    assert told[2].startswith(
        "network  3 cells, 4 channels at first, output stride 16, "
    )
    assert "test mIoU" in told[3]
    assert done.stdout.strip() == retraining_results.summary(str(workdir))
    assert "\ntest mIoU       " in done.stdout
    assert ", pixel accuracy " in done.stdout


@pytest.mark.long
def test_kill_and_resume(finished, folder, tmp_path):
    """SIGKILL behind a checkpoint in the middle of an epoch: equal bits."""
    workdir = tmp_path / "toy"
    done = programs.run("-c", KILLED, "5", folder, workdir, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    told = launch(folder, workdir).stderr
    assert "Resumes after 1 epochs and 1 steps of the next." in told
    assert without_clock(workdir) == without_clock(finished[0])
    ours, theirs = weights(workdir), weights(finished[0])
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, name)


@pytest.mark.long
def test_two_replicas_are_one(folder, tmp_path):
    """With frozen batch norms, which would see another batch each."""
    classifier = target.TargetNetwork(
        published.load_genotype("DARTS_V2"),
        num_classes=2,
        num_cells=3,
        init_channels=4,
        stem="imagenet",
    )
    classifier.save(tmp_path / "classifier.keras")
    flags = (
        f"--backbone={tmp_path / 'classifier.keras'}",
        "--config.training.frozen_batch_norms=all",
        "--config.training.learning_rate=0.2",
    )
    one, two = tmp_path / "one", tmp_path / "two"
    launch(folder, one, *flags)
    launch(
        folder,
        two,
        *flags,
        "--strategy=mirrored",
        "--config.distribution.num_devices=2",
    )
    ours, theirs = weights(two), weights(one)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-5, err_msg=name)
    for mine, other in zip(
        without_clock(two)[0], without_clock(one)[0], strict=True
    ):
        for name in ("loss", "test_loss", "test_miou", "test_pixel_accuracy"):
            assert mine[name] == pytest.approx(other[name], abs=1e-5)
        assert mine["test_iou"] == pytest.approx(other["test_iou"], abs=1e-5)


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    output = tmp_path_factory.mktemp("model") / "model"
    assert export.export(str(finished[0]), str(output)) < 1e-4
    return output


@pytest.mark.long
def test_an_export_runs_where_this_package_is_not(finished, exported):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(2, 41, 57, 3), dtype=np.uint8)
    np.save(exported / "images.npy", images)
    done = programs.run_afresh(
        "-c", SERVED, exported, exported / "images.npy", timeout=300
    )
    assert done.returncode == 0, done.stderr
    server = export.load(finished[0])(images.astype(np.float32))
    expected = {name: value.numpy() for name, value in server.items()}
    assert expected["class_map"].shape == (2, 41, 57)
    sums = expected["probabilities"].sum(axis=-1)
    np.testing.assert_allclose(sums, 1.0, atol=1e-5)
    with np.load(exported / "found.npz") as found:
        kinds = {name.partition(" ")[0] for name in found.files}
        assert kinds == {"serve", "serve_uint8", "keras", "signature"}
        for name in found.files:
            values = expected[name.partition(" ")[2]]
            assert found[name].dtype == values.dtype
            np.testing.assert_allclose(found[name], values, atol=1e-5)


@pytest.mark.long
def test_an_export_is_described(finished, exported):
    card = (exported / "README.md").read_text()
    (run,) = retraining_results.read(finished[0])["runs"]
    assert "A network for semantic segmentation" in card
    assert f"| mIoU | {run['test_miou']:.2%}, pixel accuracy " in card
    for name, iou in run["test_iou"].items():
        assert f"| IoU, {name} | {iou:.2%} |" in card
    assert (exported / "labels.txt").read_text() == "sky\nroad\ncar\n"


def test_no_litert_of_images_of_any_size(finished, tmp_path):
    with pytest.raises(
        ValueError, match=r"takes images of any size, and LiteR"
    ):
        export.export(str(finished[0]), str(tmp_path / "model"), "litert")
    assert not os.listdir(tmp_path)


@pytest.mark.long
def test_masks_are_drawn(finished, tmp_path):
    paths = masks.draw_masks(finished[0], tmp_path / "masks", 2)
    assert [os.path.basename(p) for p in paths] == ["v0.png", "v2.png"]
    for path in paths:
        with Image.open(path) as image:
            assert image.width == 1200
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        # The truth's colors are those of the palette.
        shown = {tuple(color) for color in np.unique(pixels, axis=0).tolist()}
        assert set(voc_folder.PALETTE) <= shown


def test_masks_of_what_is_no_segmentation(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is a file; expected a folder"):
        masks.draw_masks("nowhere", tmp_path / "file")
    with pytest.raises(OSError, match="No such file"):
        masks.draw_masks(tmp_path / "nowhere", tmp_path / "masks")


@pytest.mark.long
def test_several_runs(folder, tmp_path):
    config = config_of(folder)
    config.num_runs = 2
    config.training.epochs = 1
    results = retraining_workflow.segment(config, tmp_path / "s", "DARTS_V2")
    first, second = (run["test_miou"] for run in results["runs"])
    assert results["mean"]["test_miou"] == pytest.approx((first + second) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"Missing --genotype; expected --genotype=DARTS_V2, a file or a"),
        ({"genotype": "nowhere"}, r"no genotype 'nowhere'"),
        (
            {"genotype": "DARTS_V2", "backbone": "nowhere"},
            r"There is no backbone nowhere; expected the workdir of",
        ),
    ],
)
def test_bad_arguments(folder, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        retraining_workflow.segment(
            config_of(folder), tmp_path / "run", **arguments
        )
    assert not os.listdir(tmp_path)


def test_resnet50_has_no_genotype(folder, tmp_path):
    config = config_of(folder)
    config.network.backbone = "resnet50"
    with pytest.raises(ValueError, match=r"=resnet50, which has no cells"):
        retraining_workflow.segment(config, tmp_path / "run", "DARTS_V2")


def test_another_configuration_or_genotype_is_refused(finished, folder):
    config = config_of(folder)
    with pytest.raises(ValueError, match=r"a network of another genotype, gen"):
        retraining_workflow.segment(config, finished[0], "NASNet")
    config.training.epochs = 3
    with pytest.raises(ValueError, match=r"training\.epochs is 2 there and 3"):
        retraining_workflow.segment(config, finished[0], "DARTS_V2")


def test_bad_data_end_in_a_line_and_leave_nothing(folder, tmp_path):
    """Each kind of bad data is in tests/data/voc_test.py; this is the way."""
    bad = tmp_path / "voc"
    voc_folder.write(bad)
    (bad / "SegmentationClass" / "t3.png").unlink()
    done = launch(bad, tmp_path / "run", code=2)
    (line,) = done.stderr.splitlines()
    assert "t3" in line and "mask" in line
    assert sorted(os.listdir(tmp_path)) == ["voc"]


def test_a_finished_run_is_not_run_again(finished, folder, monkeypatch):
    monkeypatch.setattr(retraining_workflow, "_train_all", None)
    found = retraining_workflow.segment(
        config_of(folder), finished[0], "DARTS_V2"
    )
    assert found == json.loads((finished[0] / "results.json").read_text())
