import io
import json

import pytest
import tensorflow as tf

from entrannas_tf.networks.execution import profiling
from entrannas_tf.search import run as search_run
from entrannas_tf.training import callbacks
from tests.support import toy_reports


@pytest.fixture
def told(caplog):
    """What is said at the level that users see."""
    caplog.set_level("INFO", logger="absl")
    return caplog


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(callbacks, "time", clock)
    return clock


def test_bar_on_a_terminal(told, clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    show = callbacks.ShowProgress(3, 4, stream)
    for step in range(1, 4):
        clock.now += 20.0 if step == 1 else 2.0
        show.on_step_end(toy_reports.make_step(0, step))
    pictures = stream.getvalue().split("\r\x1b[K")
    numbers = (
        "loss 1.500 acc 50.0%, val 1.500 50.0%, tau 0.25, 8+8 connections, "
        "1 skip"
    )
    assert pictures[1] == f"epoch 1/3 [===>........] 1/4, {numbers}"
    assert pictures[-1] == (
        "epoch 1/3 [=========>..] 3/4 0:02 left, of all 0:18, " + numbers
    )
    assert told.text == ""
    show.on_epoch_end(toy_reports.make_report())
    assert stream.getvalue().endswith("\r\x1b[K")


def test_bar_fits_a_narrow_terminal(told, clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    show = callbacks.ShowProgress(3, 4, stream)
    for step in (1, 2):
        clock.now += 1.0
        show.on_step_end(toy_reports.make_step(0, step))
    show.on_epoch_end(toy_reports.make_report())
    erase, above = "\r\x1b[K", "\x1b[1A\r\x1b[K"
    assert stream.getvalue() == (
        f"{erase}epoch 1/3 [===>........] 1/4, loss 1.500 acc 50.0%, val\n"
        "1.500 50.0%, tau 0.25, 8+8 connections, 1 skip"
        f"{erase}{above}epoch 1/3 [======>.....] 2/4 0:02 left, of all 0:10, "
        "loss\n1.500 acc 50.0%, val 1.500 50.0%, tau 0.25, 8+8\n"
        f"connections, 1 skip{erase}{above}{above}"
    )


def test_lines_without_a_terminal(told, clock):
    stream = io.StringIO()
    show = callbacks.ShowProgress(2, 40, stream)
    for step in range(1, 41):
        clock.now += 1.0
        show.on_step_end(toy_reports.make_step(0, step))
    assert len(told.records) == 1
    assert "epoch 1/2 [=========>..] 30/40 0:10 left, of all 0:50" in told.text
    show.on_epoch_end(toy_reports.make_report(num_skips=2))
    assert [record.message for record in told.records[1:]] == [
        "epoch 1/2 1:01, loss 1.250 acc 50.0%, val 1.500 43.8%, tau 0.5, 8+8 "
        "connections, 2 skips",
        "  the normal cell",
    ]
    assert stream.getvalue() == ""


def test_metrics_after_the_checkpoint_are_dropped(tmp_path):
    write = callbacks.WriteMetrics(tmp_path)
    genotype = toy_reports.make_genotype()
    start = search_run.Progress(before=genotype, genotype=genotype)
    write.on_begin(start)
    for epoch in range(1, 4):
        write.on_epoch_end(toy_reports.make_report(epoch))
    start.epoch = 1
    write.on_begin(start)
    write.on_epoch_end(toy_reports.make_report(2))
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_profile(tmp_path, told):
    profile = callbacks.Profile(tmp_path)
    for _ in range(12):
        with profiling.Part(profiling.GRAPHS):
            tf.ones([2, 2]) @ tf.ones([2, 2])
        profile.on_step_end(None)
    profile.on_epoch_end(None)
    lines = [r.getMessage() for r in told.records if "profile" in r.msg]
    assert [line.split()[1] for line in lines] == [
        *("input", "building", "graphs", "update", "reading", "host"),
        *("a", "trace"),
    ]
    traces = list((tmp_path / "tensorboard").rglob("*.xplane.pb"))
    assert len(traces) == 1
    assert b"graphs" in traces[0].read_bytes()


@pytest.mark.parametrize("num_steps", [1, 4, 8])
def test_an_epoch_too_short_to_profile(tmp_path, caplog, num_steps):
    profile = callbacks.Profile(tmp_path)
    for _ in range(num_steps):
        profile.on_step_end(None)
    profile.on_epoch_end(None)
    assert f"an epoch has {num_steps} steps, too few" in caplog.text
    for _ in range(12):  # It gives up.
        profile.on_step_end(None)
    assert "trace of" not in caplog.text
