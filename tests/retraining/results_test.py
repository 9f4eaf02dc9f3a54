import dataclasses
import json
import sys
import types

import pytest

from configs import retrain_digits
from entrannas_tf.architecture import genotypes, published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import run as retraining_run
from entrannas_tf.training import files

SCORES = ("test_accuracy", "test_top5_accuracy", "test_loss")
SOURCE = types.SimpleNamespace(
    image_shape=(8, 8, 1), label_names=("even", "odd"), mean=[0.5], std=[0.25]
)
CONFIG = schema.read(
    retrain_config.RetrainConfig,
    {**retrain_digits.get_config().to_dict(), "num_runs": 2, "seed": 7},
)
TOTALS = {
    "parameters": 1000,
    "parameters_with_auxiliary": 2000,
    "multiply_adds": 30_000,
    "multiply_adds_published": 31_000,
}


def write_run(workdir, accuracy, totals=TOTALS):
    """Writes a run as if it had just ended."""
    workdir.mkdir(parents=True)
    record = {
        "epoch": 8,
        "test_loss": 1.0,
        "test_accuracy": accuracy,
        "test_top5_accuracy": 1.0,
        "timing": {
            "elapsed_seconds": 61.0,
            "images_per_second": 12.34,
            "peak_memory_mib": 1234.5,
        },
    }
    files.append_line(workdir / "metrics.jsonl", json.dumps(record))
    write_genotype(workdir)
    progress = retraining_run.Progress(best_epoch=6, best_score=0.75)
    retraining_results.write(workdir, progress, totals, CONFIG, SOURCE, SCORES)


def write_genotype(workdir):
    text = genotypes.to_json(published.load_genotype("DARTS_V2"))
    files.write_text(workdir / published.GENOTYPE_FILE, text)


def test_one_run(tmp_path):
    assert not retraining_results.is_finished(tmp_path / "run")
    write_run(tmp_path / "run", 0.5)
    assert retraining_results.is_finished(tmp_path / "run")
    *_, network, accuracy, best, time, written = retraining_results.summary(
        tmp_path / "run"
    ).splitlines()
    assert network == (
        "network         1,000 parameters, 30,000 multiply-adds (31,000 as "
        "published)"
    )
    assert accuracy == ("test accuracy   50.00%, top-5 100.00% (last epoch)")
    assert best == "best on test    75.00%, after epoch 6"
    assert time == (
        "wall time       1:01, 12.3 images a second, at most 1,234 MiB of "
        "memory"
    )
    assert str(tmp_path / "run" / "results.json") in written


def test_held_out_images_are_not_called_test_images(tmp_path, monkeypatch):
    data = dataclasses.replace(CONFIG.data, validation_fraction=0.1)
    held_out = dataclasses.replace(CONFIG, data=data)
    monkeypatch.setattr(sys.modules[__name__], "CONFIG", held_out)
    write_run(tmp_path / "run", 0.5)
    assert (
        "                on held-out training images, not on test images"
        in retraining_results.summary(tmp_path / "run").splitlines()
    )


def test_several_runs(tmp_path):
    for number, accuracy in ((1, 0.5), (2, 0.6)):
        path = retraining_results.directory(tmp_path, number)
        write_run(tmp_path / "runs" / f"{number:02d}", accuracy)
        assert retraining_results.is_finished(path)
    write_genotype(tmp_path)
    retraining_results.write_several(tmp_path, CONFIG, SCORES)
    results = retraining_results.read(tmp_path)
    assert results["mean"]["test_accuracy"] == pytest.approx(0.55)
    # Of a sample of two: the difference over the square root of 2.
    assert results["standard_deviation"]["test_accuracy"] == pytest.approx(
        0.1 / 2**0.5
    )
    assert results["standard_deviation"]["test_top5_accuracy"] == 0
    assert results["provenance"]["seed"] == 7
    summary = retraining_results.summary(tmp_path)
    assert (
        "test accuracy   55.00% +- 7.07, top-5 100.00% +- 0.00 (last "
        "epoch, mean of 2 runs)" in summary
    )
    assert "  seed 7        50.00%, top-5 100.00%" in summary


def test_multiply_adds_that_were_not_counted(tmp_path):
    totals = dict.fromkeys(TOTALS) | {"parameters": 5}
    write_run(tmp_path / "run", 0.5, totals)
    assert "network         5 parameters\n" in retraining_results.summary(
        tmp_path / "run"
    )


def test_a_file_that_is_not_json_is_named(tmp_path):
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match=r"results.json is not JSON"):
        retraining_results.read(tmp_path)
