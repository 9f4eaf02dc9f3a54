import time

import pytest

from entrannas_tf.networks.execution import profiling


def test_nothing_is_measured_unasked():
    with profiling.Part(profiling.UPDATE):
        pass
    profiling.start()
    assert profiling.stop()[profiling.UPDATE] == 0


def test_a_part_within_another_counts_as_its_own():
    profiling.start()
    start = time.perf_counter()
    with profiling.Part(profiling.GRAPHS):
        with profiling.Part(profiling.BUILDING):
            time.sleep(0.05)
        time.sleep(0.02)
    time.sleep(0.01)
    whole = time.perf_counter() - start
    seconds = profiling.stop()
    assert 0.05 <= seconds[profiling.BUILDING] < whole - 0.03
    assert 0.02 <= seconds[profiling.GRAPHS] < whole - 0.06
    assert 0.01 <= seconds[profiling.HOST] < whole - 0.07
    assert sum(seconds.values()) == pytest.approx(whole, abs=5e-3)


def test_table():
    seconds = dict.fromkeys(profiling.PARTS, 0.0)
    seconds[profiling.GRAPHS], seconds[profiling.HOST] = 3.0, 1.0
    lines = profiling.table(seconds, 2)
    assert lines[-1] == "a step             2.000 s  100%"
    assert "graphs             1.500 s   75%" in lines
