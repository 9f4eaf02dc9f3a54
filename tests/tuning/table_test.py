import pytest

from entrannas_tf.architecture import genotypes
from entrannas_tf.tuning import table as tuning_table
from entrannas_tf.tuning import trials
from tests.support import played_oracle


@pytest.fixture
def played(tmp_path):
    """An oracle of two searches, one of which failed."""
    made = played_oracle.make(tmp_path, num_searches=2)
    first = made.create_trial("a")
    first.hyperparameters.values[trials.ERROR] = "OSError: a | b"
    played_oracle.play(made, first, "FAILED")
    played_oracle.play_all(made)
    return made


def test_report(played):
    text = tuning_table.report(played.trials, len(played.rungs))
    lines = text.splitlines()
    found = genotypes.draw(1)
    normal, reduction = (
        found.describe(kind).replace("|", "/")
        for kind in ("normal", "reduction")
    )
    assert "| 0000 | FAILED | OSError: a / b | seed 0 | - | - |" in lines
    assert (
        f"| 0001 | COMPLETED | 51.00% | seed 1 | {normal} | {reduction} |"
        in lines
    )
    assert "| 0002 | COMPLETED | 0001 | 1 | 89.00% |" in lines
    assert "| 0003 | COMPLETED | 0001 | 4 | 89.00% |" in lines
    for line in lines:
        assert line.count("|") in (0, 6, 7)


def test_what_has_not_ended(tmp_path):
    made = played_oracle.make(tmp_path)
    made.create_trial("a")
    lines = tuning_table.report(made.trials, len(made.rungs)).splitlines()
    assert "| 0000 | RUNNING | - | seed 0 | - | - |" in lines


def test_best(played):
    text = tuning_table.best(played.get_best_trials(5))
    assert "| 1 | 0003 | 0001 | 4 | 89.00% | seed 1 |" in text
    assert "| 2 |" not in text  # Each network once.
    assert genotypes.draw(1).describe("reduction") in text


def test_winner(played):
    (trial,) = played.get_best_trials()
    text = tuning_table.winner(trial, {"mean": {"test_accuracy": 0.5}})
    assert "trial 0003, trained anew on all training images:\n50.00% of" in text
