"""Table 3: what is measured, and that it is measured once."""

import dataclasses

import pytest

from configs import ablate_toy
from entrannas_tf.studies import benchmark
from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.studies.ablations import workflow as ablation_workflow
from entrannas_tf.training import interruptions

CONFIG = ablation_config.read(ablate_toy.get_config())


def climb(workdir, **changes):
    values = dataclasses.asdict(dataclasses.replace(CONFIG, **changes))
    return ablation_workflow.ablate(values, "table3", workdir, "the command")


def test_batches_double_while_there_is_memory(tmp_path, monkeypatch):
    measured = []

    def measure(rows, settings):
        """A row takes half as much as the one before."""
        batch_size = settings.batch_size
        assert settings[1:] == (1, "one_device", 3, 4, 32)
        measured.append((*rows, batch_size))
        factor = 0.5 ** list(benchmark.ROWS).index(rows[0])
        return [
            {
                "row": rows[0],
                "batch_size": batch_size,
                "peak_memory_mib": 90.0 * batch_size * factor,
                "step_seconds": 1.0,
                "device": "CPU",
            }
        ]

    monkeypatch.setattr(benchmark, "measure", measure)
    climb(tmp_path, memory_limit_mib=0)
    # The limit is 11/9 of 360 MiB.
    assert measured == [
        ("darts", 4),
        ("darts", 8),
        *(("engine_transit", batch) for batch in (4, 8, 16)),
        *(("feature_sharing", batch) for batch in (4, 8, 16, 32)),
        *(("bottleneck", batch) for batch in (4, 8, 16, 32, 64)),
    ]
    measured.clear()
    climb(tmp_path, memory_limit_mib=0)
    assert not measured


def fake_measure(rows, settings):
    """Has memory for the first batch alone."""
    if settings.batch_size > 4:
        raise interruptions.RunFailed("Out of memory.")
    memory = {"peak_memory_mib": 90.0, "step_seconds": 1.0, "device": "CPU"}
    return [{"row": rows[0], "batch_size": settings.batch_size, **memory}]


def test_a_ladder_of_another_size_is_left_alone(tmp_path, monkeypatch):
    """Even where the other one did not come to its end."""

    def stop(rows, settings):
        if rows == ["darts"]:
            return fake_measure(rows, settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        climb(tmp_path)
    monkeypatch.setattr(benchmark, "measure", fake_measure)
    with pytest.raises(ValueError, match=r"num_steps is 1 there and 2 here"):
        climb(tmp_path, num_steps=2)
    climb(tmp_path)


def test_ladders_do_not_run_side_by_side(tmp_path, monkeypatch):
    def measure(*args, **kwargs):
        with pytest.raises(BlockingIOError, match="in use by another process"):
            climb(tmp_path)
        return fake_measure(*args, **kwargs)

    monkeypatch.setattr(benchmark, "measure", measure)
    climb(tmp_path)


def test_batches_end_where_a_step_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "measure", fake_measure)
    paths = climb(tmp_path, memory_limit_mib=0)
    with open(paths[0], encoding="utf-8") as file:
        text = file.read()
    assert "| bottleneck | 90 | x1 | 0.2500 |" in text
    assert "or more" not in text
