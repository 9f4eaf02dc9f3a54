"""Tables of a tuning in Markdown."""

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.training import formatting
from entrannas_tf.tuning import trials as trials_lib

_BEST = ("rank", "trial", "search", "epochs", "accuracy", "hyperparameters")
_SEARCHES = (
    "trial",
    "status",
    "child network",
    "hyperparameters",
    "normal cell",
    "reduction cell",
)
_TRAININGS = ("trial", "status", "search", "epochs", "accuracy")


def best(trials):
    """Returns the table of the best trained networks, and the first's cells.

    Args:
        trials: List of `EnTranNASOracle.get_best_trials`, not empty.
    """
    rows = [
        (rank, trial.trial_id, *_run(trial), _score(trial), _drawn(trial))
        for rank, trial in enumerate(trials, 1)
    ]
    found = genotypes.from_json(trials_lib.genotype(trials[0]))
    return f"""\
Networks by their last training, the longest training first; accuracy on
held-out training images:

{formatting.table(_BEST, rows)}

normal cell     {found.describe("normal")}
reduction cell  {found.describe("reduction")}"""


def report(trials, num_rungs):
    """Returns the tables of all searches and of all trainings.

    Args:
        trials: {id: `Trial`}.
        num_rungs: Number of rungs of the trainings.
    """
    searches = [
        (t.trial_id, t.status, _score(t), _drawn(t), *_cells(t))
        for t in trials_lib.of_stage(trials, trials_lib.SEARCH)
    ]
    trainings = [
        (t.trial_id, t.status, *_run(t), _score(t))
        for rung in range(num_rungs)
        for t in trials_lib.of_stage(trials, trials_lib.RETRAIN, rung)
    ]
    return f"""\
# Tuning

## Searches

The accuracy is that of the child network, on the images that trained the
architecture.

{formatting.table(_SEARCHES, searches)}

## Trainings

Each from scratch; the accuracy is that on held-out training images, after the
last epoch.

{formatting.table(_TRAININGS, trainings)}
"""


def winner(trial, results):
    """Returns the section on the test accuracy of the best network.

    Args:
        trial: The training that it was chosen by.
        results: A dict of `retraining_results.read`, of its last training.
    """
    return f"""
## The best network

Found by trial {trial.trial_id}, trained anew on all training images:
{results["mean"]["test_accuracy"]:.2%} of the test images, which no choice has
looked at.
"""


def _run(trial):
    """Returns the search of a training, and its number of epochs."""
    values = trial.hyperparameters.values
    return values[trials_lib.OF], values[trials_lib.EPOCHS]


def _cells(trial):
    if not trials_lib.is_completed(trial):
        return "-", "-"
    found = genotypes.from_json(trials_lib.genotype(trial))
    return map(found.describe, search_space.KINDS)


def _score(trial):
    """Returns the accuracy, or why there is none; "-" before the end."""
    if trials_lib.is_completed(trial):
        return f"{trial.score:.2%}"
    return trials_lib.error(trial) if trials_lib.has_failed(trial) else "-"


def _drawn(trial):
    """Returns the hyperparameters of a trial's search."""
    values = trials_lib.hyperparameters(trial)
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(values.items())
    )
