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
        trials: What `EnTranNASOracle.get_best_trials` returns, not empty.
    """
    rows = [
        (
            rank,
            trial.trial_id,
            values[trials_lib.OF],
            values[trials_lib.EPOCHS],
            f"{trial.score:.2%}",
            _hyperparameters(trial),
        )
        for rank, trial in enumerate(trials, 1)
        for values in (trial.hyperparameters.values,)
    ]
    found = genotypes.from_json(trials_lib.genotype(trials[0]))
    return "\n".join(
        [
            "Networks by their last training, those trained longest first; "
            "accuracy on held-out training images:",
            "",
            *formatting.table(_BEST, rows),
            "",
            f"normal cell     {found.describe('normal')}",
            f"reduction cell  {found.describe('reduction')}",
        ]
    )


def report(trials, num_rungs):
    """Returns the tables of all searches and of all trainings.

    Args:
        trials: {id: `Trial`}.
        num_rungs: Number of rungs of the trainings.
    """
    searches = trials_lib.of_stage(trials, trials_lib.SEARCH)
    trainings = [
        trial
        for rung in range(num_rungs)
        for trial in trials_lib.of_stage(trials, trials_lib.RETRAIN, rung)
    ]
    return "\n".join(
        [
            "# Tuning",
            "",
            "## Searches",
            "",
            "The accuracy is that of the child network, on the images that "
            "trained the architecture.",
            "",
            *formatting.table(_SEARCHES, map(_search_row, searches)),
            "",
            "## Trainings",
            "",
            "Each from scratch; the accuracy is that on held-out training "
            "images, after the last epoch.",
            "",
            *formatting.table(_TRAININGS, map(_training_row, trainings)),
            "",
        ]
    )


def winner(trial, results):
    """Returns what the best network came to in the end.

    Args:
        trial: The training that it was chosen by.
        results: What `retraining_results.read` returns of its last training.
    """
    mean = results["mean"]
    return "\n".join(
        [
            "",
            "## The best network",
            "",
            f"That of trial {trial.trial_id}, trained anew on all training "
            f"images: {mean['test_accuracy']:.2%} of the test images, which "
            "no choice has looked at.",
            "",
        ]
    )


def _search_row(trial):
    cells = ("-", "-")
    if trials_lib.is_completed(trial):
        found = genotypes.from_json(trials_lib.genotype(trial))
        cells = (
            found.describe(kind).replace("|", "/")
            for kind in search_space.KINDS
        )
    return (
        trial.trial_id,
        trial.status,
        _score(trial),
        _hyperparameters(trial),
        *cells,
    )


def _training_row(trial):
    values = trial.hyperparameters.values
    return (
        trial.trial_id,
        trial.status,
        values[trials_lib.OF],
        values[trials_lib.EPOCHS],
        _score(trial),
    )


def _score(trial):
    """Returns the accuracy, or why there is none; "-" before the end."""
    if trials_lib.is_completed(trial):
        return f"{trial.score:.2%}"
    if not trials_lib.has_failed(trial):
        return "-"
    return trials_lib.error(trial).replace("|", "/")


def _hyperparameters(trial):
    values = trials_lib.hyperparameters(trial)
    return ", ".join(
        f"{name} {_shown(values[name])}" for name in sorted(values)
    )


def _shown(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
