import os
import types

import keras
import pytest
import tensorflow as tf

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.retraining import classification
from entrannas_tf.retraining import run as retraining_run
from entrannas_tf.training import checkpoints


def make_trainer():
    """Returns what a run needs of a `retraining_step.RetrainTrainer`."""
    rate = keras.Variable(0.0)
    metrics = [keras.metrics.Mean(name=n) for n in ("loss", "accuracy")]
    for metric in metrics:
        metric.update_state(0.5)
    sgd = keras.optimizers.SGD()
    return types.SimpleNamespace(
        training_network=types.SimpleNamespace(variables=[rate]),
        drop_path_rate=rate,
        sgd=sgd,
        loss_scales={},
        metrics=metrics,
        task=classification.TASK,
        distribute_strategy=tf.distribute.get_strategy(),
    )


def make_scores(accuracy):
    return {
        "test_loss": 1.0,
        "test_accuracy": accuracy,
        "test_top5_accuracy": 1.0,
    }


def make_run(directory):
    return retraining_run.RetrainingRun(
        make_trainer(),
        directory,
        retrain_config.TrainingConfig(
            epochs=10,
            batch_size=10,
            learning_rate=1.0,
            schedule="linear",
            warmup_epochs=1,
            weight_decay=0.0,
            drop_path_rate=0.5,
        ),
        4,
        dict,
    )


def test_rates(tmp_path):
    run = make_run(tmp_path)
    run.prepare_epoch(4)
    assert float(run.trainer.drop_path_rate) == pytest.approx(0.2)
    for step, rate in ((0, 0.25), (3, 1.0), (13, 0.75)):
        run.prepare_step(step)
        assert float(run.trainer.sgd.learning_rate) == pytest.approx(rate)


def test_the_first_best_network_is_kept(tmp_path):
    run = make_run(tmp_path)
    accuracies = {1: 0.0, 3: 0.75, 4: 0.75, 5: 0.5}
    progress = run.make_progress(None)
    path = tmp_path / retraining_run.BEST_FILE
    kept = []
    for epoch in range(5):
        run.prepare_epoch(epoch)
        run.end_step(progress, 2.0)
        scores = {}
        if epoch + 1 in accuracies:
            scores = make_scores(accuracies[epoch + 1])
        report = run.report_epoch(progress, scores)
        assert report.evaluated == (epoch + 1 in (1, 3, 4, 5))
        assert path.exists()
        rate = keras.Variable(0.0)
        checkpoints.read(path, {"network/0": rate})
        kept.append(float(rate))
        run.end_epoch(progress, report)
    assert kept == pytest.approx([0.0, 0.0, 0.1, 0.1, 0.1])
    assert (progress.best_epoch, progress.best_score) == (3, 0.75)
    assert os.listdir(tmp_path) == [retraining_run.BEST_FILE]
    again = run.make_progress(progress.to_dict())
    assert again == progress


def test_what_is_reported(tmp_path):
    run = make_run(tmp_path)
    progress = run.make_progress(None)
    run.prepare_epoch(0)
    run.prepare_step(0)
    run.end_step(progress, 2.0)
    step = run.report_step(progress, {"loss": 1.25, "accuracy": 0.5})
    assert (step.epoch, step.step) == (0, 1)
    assert step.summary == "loss 1.250 acc 50.0%"
    report = run.report_epoch(progress, make_scores(0.5))
    assert report.lines == ("loss 0.500 acc 50.0%, test 50.0%, top-5 100.0%",)
    timing = report.record.pop("timing")
    assert timing["images_per_second"] == pytest.approx(5.0)
    assert report.record == pytest.approx(
        {
            "epoch": 1,
            "loss": 0.5,
            "accuracy": 0.5,
            "test_loss": 1.0,
            "test_accuracy": 0.5,
            "test_top5_accuracy": 1.0,
            "learning_rate": 0.25,
            "drop_path_rate": 0.0,
        }
    )
