import time

import pytest
import tensorflow as tf

from entrannas_tf.networks import cost
from entrannas_tf.networks.execution import profiling
from entrannas_tf.studies import benchmark
from tests.support import programs, toy_genotype


def test_table_gives_ratios_to_the_first_row():
    common = {
        "batch_size": 64,
        "num_replicas": 1,
        "milliseconds_per_image": 1.0,
        "parts": {profiling.HOST: 0.1},
        "bare_step_seconds": 0.2,
        "graph_step_seconds": 0.4,
        "bare_graph_step_seconds": 0.1,
        "peak_memory_mib": 1.0,
        "first_step_seconds": 1.0,
        "new_derivation_seconds": 1.0,
        "num_graphs": 1,
    }
    table = benchmark.table(
        [
            {"row": "darts", "step_seconds": 6.0, **common},
            {"row": "bottleneck", "step_seconds": 0.5, **common},
        ]
    )
    assert "| darts | 1 | 6.00 | 1.0 |" in table
    assert "| bottleneck | 1 | 0.50 | 12.0 |" in table


@pytest.mark.long
def test_measures_a_row_in_a_process_of_its_own():
    """At a small size; the numbers are of no interest, the fields are."""
    settings = benchmark.Settings(
        batch_size=2,
        num_steps=1,
        strategy="mirrored",
        num_cells=3,
        init_channels=4,
        image_size=16,
    )
    (measured,) = benchmark.measure(["bottleneck"], settings, [2])
    assert measured["num_replicas"] == 2
    assert measured["device"].endswith(", 2 replicas")
    parts = measured["parts"]
    assert sum(parts.values()) >= measured["step_seconds"] > parts["update"] > 0
    assert measured["row"] == "bottleneck"
    assert measured["batch_size"] == 2
    assert measured["first_step_seconds"] > measured["step_seconds"] > 0
    assert measured["peak_memory_mib"] > 100
    assert measured["num_graphs"] > 10


def measure_toy_retraining():
    return benchmark.measure_retraining(
        toy_genotype.GENOTYPE,
        cost.Network("cifar", 3, 4, 10, 8),
        batch_size=4,
        num_steps=1,
        start_time=time.time(),
    )


def test_measures_a_retraining():
    measured = measure_toy_retraining()
    assert measured["first_step_seconds"] > measured["step_seconds"] > 0
    images = measured["images_per_second"] * measured["step_seconds"]
    assert images == pytest.approx(4)


def test_retraining_is_measured_of_classifiers():
    done = programs.run(
        *("-m", "launch.benchmark_retraining", "--genotype=DARTS_V2"),
        "--network=segmentation",
    )
    assert done.returncode == 2
    assert "should be one of <cifar10|imagenet>" in done.stderr


def test_memory_is_that_of_a_gpu_where_there_is_one(monkeypatch):
    known = {"GPU:0": {"current": 2**20, "peak": 3 * 2**20}}
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    monkeypatch.setattr(
        tf.config.experimental, "get_memory_info", known.__getitem__
    )
    measured = measure_toy_retraining()
    assert measured["peak_memory_mib"] == 3.0
