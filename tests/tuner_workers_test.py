"""Chief and workers in processes of their own; nothing is trained."""

import signal

import pytest

from entrannas_tf import genotypes
from tests import played_tuner, tune_workers

pytestmark = pytest.mark.long


def test_values_reach_the_chief_and_a_lost_trial_another_worker(tmp_path):
    program = ["-m", "tests.played_tuner", tmp_path]
    with tune_workers.started(program, [*program, "dies"], program) as (
        chief,
        dying,
        living,
    ):
        code, said = tune_workers.ended(dying, 300)
        assert code == -signal.SIGKILL, said
        code, said = tune_workers.ended(living, 300)
        assert code == 0, said
        code, said = tune_workers.ended(chief, 300)
        assert code == 0, said
    assert "worker1 has not been heard of for 10 seconds" in said
    # Genotypes travelled as values of the trials.
    assert genotypes.describe(genotypes.draw(0).normal) in said
    made = played_tuner.make(tmp_path, timeout_seconds=10)
    assert made.get_best_genotypes(9) == [genotypes.draw(n) for n in range(5)]
    statuses = {trial.status for trial in made.oracle.trials.values()}
    assert statuses == {"COMPLETED"}
    assert len(made.oracle.trials) == 13
    # A chief that comes back has nobody to wait for, and nobody to send away
    # but a worker that comes back too.
    with tune_workers.started(program) as (chief,):
        code, said = tune_workers.ended(chief, 120)
        assert code == 0, said
    assert genotypes.describe(genotypes.draw(0).normal) in said
    with tune_workers.started(program, program) as processes:
        for process in processes:
            code, said = tune_workers.ended(process, 120)
            assert code == 0, said
