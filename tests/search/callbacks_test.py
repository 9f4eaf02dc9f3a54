import json

import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator

from entrannas_tf.architecture import derivation, genotypes, search_space
from entrannas_tf.search import callbacks as search_callbacks
from entrannas_tf.search import run as search_run
from tests.support import toy_reports, toy_trainer


@pytest.mark.parametrize(
    ("num_skips", "evaluated", "warned"),
    [(2, True, False), (3, True, True), (3, False, False), (8, True, True)],
)
def test_warning_of_skips(caplog, num_skips, evaluated, warned):
    search_callbacks.WarnOfSkips(5).on_epoch_end(
        toy_reports.make_report(1, num_skips, evaluated=evaluated)
    )
    assert bool(caplog.records) == warned
    if warned:
        assert f"{num_skips} of the 8 connections" in caplog.text
        assert "search again with fewer search.epochs" in caplog.text


def test_skips_among_all_connections_are_no_news_before_the_end(caplog):
    cell = derivation.non_zero(
        np.ones((14, 7)), search_space.STANDARD.without_none()
    )
    everything = genotypes.Genotype(cell, cell)
    warn = search_callbacks.WarnOfSkips(5)
    warn.on_epoch_end(toy_reports.make_report(4, genotype=everything))
    assert not caplog.records
    warn.on_epoch_end(toy_reports.make_report(5, genotype=everything))
    assert "14 of the 98 connections" in caplog.text


def test_genotypes_of_epochs_can_be_read(tmp_path):
    (tmp_path / "genotypes").mkdir()
    report = toy_reports.make_report(7, num_skips=1)
    search_callbacks.WriteGenotypes(tmp_path).on_epoch_end(report)
    text = (tmp_path / "genotypes" / "epoch_007.json").read_text()
    assert genotypes.from_json(text) == report.genotype
    values = json.loads(text)
    assert values["primitives"] == list(toy_reports.NAMES)
    assert np.array(values["coefficients"]["normal"])[0, toy_reports.SKIP] == 1
    assert (values["epoch"], values["temperature"]) == (7, 0.5)


def report_of_a_step(epoch, evaluated):
    trainer = toy_trainer.ToyTrainer(sparse=True)
    run = search_run.SearchRun(
        trainer, toy_trainer.make_settings(), toy_trainer.NUM_STEPS, dict
    )
    progress = run.make_progress(None)
    progress.epoch = epoch - 1
    trainer.train_step((0, 0))
    run.end_step(progress, 0.5)
    scores = {"supernet_accuracy": 0.5, "child_accuracy": 0.25}
    return run.report_epoch(progress, scores if evaluated else {})


def test_lines_of_an_epoch():
    first, second = report_of_a_step(2, True).lines
    assert first.startswith("loss ")
    assert first.endswith(", super-net 50.0%, child network 25.0%")
    assert second.startswith("  2: ")
    assert not report_of_a_step(1, False).lines[0].count("child network")


def test_curves_and_pictures(tmp_path):
    write = search_callbacks.WriteSearch(tmp_path, 2)
    reports = [report_of_a_step(1, False), report_of_a_step(2, True)]
    for report in reports:
        write.on_epoch_end(report)
    events = event_accumulator.EventAccumulator(
        str(tmp_path / "tensorboard"), size_guidance={"tensors": 0}
    )
    events.Reload()
    tags = events.Tags()["tensors"]
    assert {
        "loss",
        "validation_accuracy",
        "child_accuracy",
        "temperature",
        "num_connections/normal",
        "mean_entropy/reduction",
        "thresholds/normal/3",
        "timing/images_per_second",
        "alpha",
        "coefficients",
        "cell/normal",
        "cell/reduction",
    } <= set(tags)
    curve = events.Tensors("loss")
    assert [event.step for event in curve] == [1, 2]
    value = np.frombuffer(curve[1].tensor_proto.tensor_content, np.float32)
    assert value == pytest.approx(reports[1].record["loss"])
    assert [event.step for event in events.Tensors("coefficients")] == [2]


def test_what_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "tensorboard").write_text("A file.")
    write = search_callbacks.WriteSearch(tmp_path, 2)
    with pytest.raises(OSError, match=r"tensorboard cannot be written: .+"):
        write.on_epoch_end(report_of_a_step(1, False))
