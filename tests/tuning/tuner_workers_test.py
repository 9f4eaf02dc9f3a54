"""Chief and workers in processes of their own; nothing is trained."""

import signal

import pytest

from entrannas_tf.architecture import genotypes
from tests.support import played_tuner, tune_workers

pytestmark = pytest.mark.long


def finish(process, timeout=300):
    """Waits for a process to end well; returns what it said."""
    code, said = tune_workers.ended(process, timeout)
    assert code == 0, said
    return said


def test_values_reach_the_chief_and_a_lost_trial_another_worker(tmp_path):
    program = ["-m", "tests.support.played_tuner", tmp_path]
    with tune_workers.group() as start:
        chief = start("chief", *program)
        dying = start("worker1", *program, "dies")
        code, said = tune_workers.ended(dying, 300)
        assert code == -signal.SIGKILL, said
        living = [start(f"worker{n}", *program, "waits") for n in (2, 3)]
        for process in living:
            finish(process)
        said = finish(chief)
    assert "worker1 has not been heard of for 3 seconds" in said
    # Both had a trial at the same time.
    waited = sorted(path.name for path in tmp_path.glob("waits_*"))
    assert waited == ["waits_worker2", "waits_worker3"]
    # Genotypes travelled as values of the trials.
    assert genotypes.draw(0).describe("normal") in said
    made = played_tuner.make(tmp_path, timeout_seconds=3)
    assert made.get_best_genotypes(9) == [genotypes.draw(n) for n in range(5)]
    statuses = {trial.status for trial in made.oracle.trials.values()}
    assert statuses == {"COMPLETED"}
    assert len(made.oracle.trials) == 13
    # Alone it goes on from the chief's files, and a chief from its. That has
    # nobody to wait for, and nobody to send away but a worker that comes back.
    made.search(verbose=0)
    with tune_workers.group() as start:
        assert genotypes.draw(0).describe("normal") in finish(
            start("chief", *program)
        )
    with tune_workers.group() as start:
        for process in (start("chief", *program), start("worker1", *program)):
            finish(process)
