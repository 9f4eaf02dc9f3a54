"""The loop with a toy search; whole searches are in tests/search/."""

import errno
import json
import math
import time

import numpy as np
import pytest

from entrannas_tf.search import callbacks as search_callbacks
from entrannas_tf.search import run as search_run
from entrannas_tf.training import callbacks, checkpoints, files, interruptions
from entrannas_tf.training import loop as training_loop
from tests.support import toy_trainer

NUM_EPOCHS = 2
LAST_RATE = 0.5 * (1 + math.cos(math.pi * 5 / 6))


class Killed(BaseException):
    """Ends a search at once, as SIGKILL does."""


def make_loop(workdir, trainer=None, own=()):
    for name in ("checkpoints", "genotypes"):
        (workdir / name).mkdir(parents=True, exist_ok=True)
    search = search_run.SearchRun(
        toy_trainer.ToyTrainer() if trainer is None else trainer,
        toy_trainer.make_settings(epochs=NUM_EPOCHS),
        toy_trainer.NUM_STEPS,
        lambda: {"supernet_accuracy": 0.5, "child_accuracy": 0.25},
    )
    return training_loop.TrainingLoop(
        search,
        workdir,
        [
            callbacks.WriteMetrics(workdir),
            search_callbacks.WriteGenotypes(workdir),
            *own,
        ],
        toy_trainer.make_batches,
        start=time.monotonic(),
    )


def run(workdir):
    """Returns the genotype at the end of a search."""
    return make_loop(workdir).run().before


def result(workdir):
    """Returns all that a search leaves for others, without the clock."""
    records = files.read_json_lines(workdir / "metrics.jsonl")
    for record in records:
        del record["timing"]
    genotypes = sorted((workdir / "genotypes").iterdir())
    return records, {path.name: path.read_text() for path in genotypes}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted")
    return run(workdir), result(workdir)


def test_rates_of_the_last_step(tmp_path):
    trainer = toy_trainer.ToyTrainer()
    make_loop(tmp_path, trainer).run()
    rates = [
        float(optimizer.learning_rate)
        for optimizer in (
            trainer.weight_optimizer,
            trainer.architecture_optimizer,
        )
    ]
    assert rates == pytest.approx([LAST_RATE, 2.0])


def test_records(uninterrupted):
    genotype, (records, epochs) = uninterrupted
    assert [record["epoch"] for record in records] == [1, 2]
    assert [record["temperature"] for record in records] == [2, 1]
    assert records[1]["learning_rate"] == pytest.approx(LAST_RATE)
    assert "child_accuracy" not in records[0]
    assert records[1]["child_accuracy"] == 0.25
    assert records[1]["num_connections"] == {"normal": 8, "reduction": 8}
    assert records[0]["num_derivations"] == 3
    assert records[0]["num_changed"]["normal"] > 0
    assert records[0]["thresholds"] == {}
    assert 0 < records[0]["mean_entropy"]["normal"] < 1
    assert list(epochs) == ["epoch_001.json", "epoch_002.json"]
    last = json.loads(epochs["epoch_002.json"])
    assert last["normal"] == json.loads(json.dumps(genotype.normal))
    assert np.shape(last["coefficients"]["normal"]) == (14, 8)
    assert last["primitives"][0] == "none"


def test_metrics_are_the_means_of_the_epoch(uninterrupted):
    (_, (records, _)) = uninterrupted
    trainer = toy_trainer.ToyTrainer()
    for batch in toy_trainer.make_batches(1, 0):
        trainer.train_step(batch)
    loss = next(m for m in trainer.metrics if m.name == "loss")
    assert records[1]["loss"] == pytest.approx(float(loss.result()))


def test_killed_at_every_moment(tmp_path, monkeypatch, uninterrupted):
    """Before each step and each write, and so after each."""
    moments = {"left": None}

    def live():
        if moments["left"] is not None:
            moments["left"] -= 1
            if moments["left"] < 0:
                raise Killed

    step, write = toy_trainer.ToyTrainer.train_step, files.write_bytes

    def killed_step(trainer, data):
        live()
        return step(trainer, data)

    def killed_write(path, data):
        live()
        write(path, data)

    monkeypatch.setattr(toy_trainer.ToyTrainer, "train_step", killed_step)
    monkeypatch.setattr(files, "write_bytes", killed_write)
    for moment in range(100):
        workdir = tmp_path / str(moment)
        moments["left"] = moment
        try:
            make_loop(workdir).run()
        except Killed:
            moments["left"] = None
            assert run(workdir) == uninterrupted[0]
            assert result(workdir) == uninterrupted[1], f"moment {moment}"
        else:
            break
    assert moment == 6 + 4 + 5  # Steps, records, checkpoints.


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_told_to_end(tmp_path, monkeypatch, uninterrupted, step):
    """It ends after the step that runs, and goes on from there."""
    trainer = toy_trainer.ToyTrainer()
    take, left = trainer.train_step, [step]

    def train_step(data):
        take(data)
        left[0] -= 1

    trainer.train_step = train_step
    with monkeypatch.context() as patch:
        patch.setattr(interruptions, "is_due", lambda: left[0] <= 0)
        with pytest.raises(interruptions.Preempted):
            make_loop(tmp_path, trainer).run()
    assert left[0] == 0
    newest = max((tmp_path / "checkpoints").iterdir())
    assert newest.name == f"step_{step:08d}.checkpoint"
    assert run(tmp_path) == uninterrupted[0]
    assert result(tmp_path) == uninterrupted[1]


def test_told_to_end_at_the_end(tmp_path, monkeypatch, uninterrupted):
    """Nothing is left to do after the last step but the reports."""
    make_loop(tmp_path).run()
    monkeypatch.setattr(interruptions, "is_due", lambda: True)
    assert run(tmp_path) == uninterrupted[0]


def test_a_truncated_checkpoint(tmp_path, caplog, uninterrupted):
    make_loop(tmp_path).run()
    newest = max((tmp_path / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    assert run(tmp_path) == uninterrupted[0]
    assert result(tmp_path) == uninterrupted[1]
    assert f"{newest} is cut short" in caplog.text


def test_a_finished_loop_takes_no_step(tmp_path, monkeypatch, uninterrupted):
    make_loop(tmp_path).run()
    monkeypatch.setattr(toy_trainer.ToyTrainer, "train_step", None)
    assert run(tmp_path) == uninterrupted[0]


def test_elapsed_time_counts_all_starts(tmp_path):
    make_loop(tmp_path).run()
    before = files.read_json_lines(tmp_path / "metrics.jsonl")
    newest = max((tmp_path / "checkpoints").iterdir())
    newest.unlink()
    make_loop(tmp_path).run()
    after = files.read_json_lines(tmp_path / "metrics.jsonl")
    assert (
        after[1]["timing"]["elapsed_seconds"]
        > before[0]["timing"]["elapsed_seconds"]
    )


class NanTrainer(toy_trainer.ToyTrainer):
    """Its loss is a NaN in the second epoch's second step."""

    error = None

    def train_step(self, data):
        super().train_step(data)
        if data == (1, 1):
            self.metrics[0].update_state(np.nan)
            if self.error:
                raise self.error


@pytest.mark.parametrize("error", [None, ValueError("No connection.")])
def test_a_nan_stops_the_search(tmp_path, error):
    trainer = NanTrainer()
    trainer.error = error
    with pytest.raises(FloatingPointError) as caught:
        make_loop(tmp_path, trainer).run()
    assert str(caught.value).startswith(
        "The validation_loss is nan in epoch 2, step 2 or shortly before. "
        "The last good checkpoint stays in "
        f"{tmp_path / 'checkpoints'}. Search again"
    )
    fresh = toy_trainer.ToyTrainer()
    progress = checkpoints.restore(
        tmp_path / "checkpoints", checkpoints.search_variables(fresh)
    )
    assert (progress["epoch"], progress["step"]) == (1, 1)
    assert np.isfinite(fresh.architecture.alpha["normal"].numpy()).all()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Breaking(callbacks.Callback):
        def on_epoch_end(self, report):
            trainer.kernel.assign(np.full((3, 2), np.inf))

    trainer = toy_trainer.ToyTrainer()
    with pytest.raises(FloatingPointError) as caught:
        make_loop(tmp_path, trainer, [Breaking()]).run()
    assert "supernet/0 holds values that are not finite" in str(caught.value)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_other_errors_of_a_step_pass(tmp_path, monkeypatch):
    def fail(trainer, data):
        raise RuntimeError("A fault of ours.")

    monkeypatch.setattr(toy_trainer.ToyTrainer, "train_step", fail)
    with pytest.raises(RuntimeError, match="A fault of ours"):
        make_loop(tmp_path).run()


def test_a_full_disk_in_mid_search(tmp_path, monkeypatch, uninterrupted):
    write = files.write_bytes

    def refuse(path, data):
        if str(path).endswith("metrics.jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes", refuse)
        with pytest.raises(OSError, match="No space left on device"):
            make_loop(tmp_path).run()
    assert run(tmp_path) == uninterrupted[0]
    assert result(tmp_path) == uninterrupted[1]


def test_all_variables_of_a_search_are_saved():
    trainer = toy_trainer.ToyTrainer(sparse=True)
    names = set(checkpoints.search_variables(trainer))
    assert {
        *(f"architecture/{number}" for number in range(5)),
        "supernet/0",
        "metric_validation_loss/0",
    } <= names
    for optimizer in ("architecture_optimizer", "weight_optimizer"):
        own = [n for n in names if n.startswith(f"{optimizer}/")]
        assert len(own) == len(getattr(trainer, optimizer).variables)
