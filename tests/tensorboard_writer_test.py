import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator

from entrannas_tf import search_progress, tensorboard_writer
from tests import toy_trainer


def make_report(epoch, evaluated):
    trainer = toy_trainer.ToyTrainer(sparse=True)
    genotype = trainer.derive()
    progress = search_progress.Progress(
        before=genotype, genotype=genotype, epoch=epoch - 1
    )
    trainer.train_step((0, 0))
    progress.end_step(0.5, trainer.genotype)
    numbers = {m.name: float(m.result()) for m in trainer.metrics}
    if evaluated:
        numbers |= {"supernet_accuracy": 0.5, "child_accuracy": 0.25}
    return search_progress.report_epoch(trainer, progress, numbers, 4)


def test_curves_and_pictures(tmp_path):
    write = tensorboard_writer.WriteSearch(tmp_path, 2)
    reports = [make_report(1, False), make_report(2, True)]
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
    write = tensorboard_writer.WriteSearch(tmp_path, 2)
    with pytest.raises(OSError, match=r"tensorboard cannot be written: .+"):
        write.on_epoch_end(make_report(1, False))
