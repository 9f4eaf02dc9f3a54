"""The trials of a tuning: what each of them is, and what it runs.

What a trial is stands in its `hyperparameters.values`. These reach the chief
from its workers as they are, and its workers from it; a trial's message and its
attributes do not.
"""

import dataclasses

from keras_tuner.engine import trial as trial_lib

from entrannas_tf.config import retrain as retrain_config_lib
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config_lib
from entrannas_tf.tuning import halving

STAGE = "stage"  # SEARCH or RETRAIN.
SEED = "seed"  # A field of the search, as other hyperparameters are.
GENOTYPE = "genotype"  # What was found or is trained: JSON.
ERROR = "error"  # Why the trial failed, in a line.
RUNG = "rung"  # Number of the rung of halving, from 0 on.
EPOCHS = "epochs"  # Of the training.
OF = "of"  # Id of the search that found the genotype.

SEARCH = "search"
RETRAIN = "retrain"

_TRACEBACK = "Traceback (most recent call last):"
_IN_GRAPH = "Graph execution error:"
_OURS = (STAGE, GENOTYPE, ERROR, RUNG, EPOCHS, OF)


def hyperparameters(trial):
    """Returns {dotted path: value} of the search that a trial goes back to."""
    values = trial.hyperparameters.values
    return {name: values[name] for name in values if name not in _OURS}


def genotype(trial):
    """Returns what a search found or what is trained, JSON."""
    return trial.hyperparameters.values[GENOTYPE]


def has_failed(trial):
    """Returns whether a trial has ended without a score."""
    status = trial_lib.TrialStatus
    return trial.status in (status.FAILED, status.INVALID)


def is_completed(trial):
    """Returns whether a trial has ended well.

    A tuner that is a thread of this process says so a moment before it does.
    """
    status = trial_lib.TrialStatus.COMPLETED
    return trial.status == status and trial.score is not None


def of_stage(trials, stage, rung=None):
    """Returns some of {id: `Trial`}, in the order of their ids.

    Args:
        trials: Dict of all.
        stage: SEARCH or RETRAIN.
        rung: Number of the rung, for RETRAIN.
    """
    found = (trials[key] for key in sorted(trials))
    return [
        trial
        for trial in found
        if trial.hyperparameters.values[STAGE] == stage
        and trial.hyperparameters.values.get(RUNG) == rung
    ]


def trainings(trials, num_rungs, end_order):
    """Returns for each rung its list of `halving.Training`.

    Args:
        trials: Dict of all, by id.
        num_rungs: Number of rungs.
        end_order: Ids of the trials that have ended.
    """
    return [
        [
            halving.Training(
                genotype(trial),
                trial.trial_id in end_order,
                trial.score if is_completed(trial) else None,
            )
            for trial in of_stage(trials, RETRAIN, rung)
        ]
        for rung in range(num_rungs)
    ]


def best(trials):
    """Returns those that were completed, the best first, the first of equals.

    Of those that have the same genotype one stays.
    """
    completed = [trial for trial in trials if is_completed(trial)]
    found = {}
    for trial in sorted(completed, key=lambda t: (-t.score, t.trial_id)):
        found.setdefault(genotype(trial), trial)
    return list(found.values())


def best_trained(trials, num_rungs):
    """Returns the best trainings, one a genotype, that of its last rung.

    Those of a later rung come first, then the more accurate ones.

    Args:
        trials: Dict of all, by id.
        num_rungs: Number of rungs.
    """
    found = {}
    for rung in reversed(range(num_rungs)):
        for trial in best(of_stage(trials, RETRAIN, rung)):
            found.setdefault(genotype(trial), trial)
    return list(found.values())


def failed(trials):
    """Returns the ids of the failed ones of {id: `Trial`}."""
    status = trial_lib.TrialStatus.FAILED
    return [key for key in sorted(trials) if trials[key].status == status]


def failed_in_a_row(ended, limit):
    """Returns the trial that was the last of so many failures in a row.

    Args:
        ended: Trials in the order they ended.
        limit: Number of failures.

    Returns:
        The first such trial, None if there is none.
    """
    in_a_row = 0
    for trial in ended:
        in_a_row = in_a_row + 1 if has_failed(trial) else 0
        if in_a_row == limit:
            return trial
    return None


def error(trial):
    """Returns in a line why a trial failed."""
    reason = trial.hyperparameters.values.get(ERROR)
    return reason or _reason(trial.message or "its score is not a number.")


def _reason(message):
    """Returns the name of an exception, and the first line that it says.

    TensorFlow says first that it was a graph and where in it, and last which
    node; the reason is between them.

    Args:
        message: A traceback, or a text of another kind.
    """
    lines = message.rpartition(_TRACEBACK)[2].strip("\n").splitlines()
    said = [line for line in lines if line[:1].strip()]  # Not indented.
    name, colon, text = (said or lines)[0].partition(": ")
    name = name.rpartition(".")[2] if colon else name
    if text == _IN_GRAPH:
        rest = (x for x in said[1:] if not x.startswith(("Detected", "<")))
        text = next(rest, text)
    return f"{name}{colon}{text}".strip()


class TrialConfigs:
    """What each trial runs, but for what its values say.

    Args:
        search_config: Of the searches, a `ConfigDict` or a dict that describes
            a `search_config.Config`.
        retrain_config: Of the trainings, likewise a
            `retrain_config.RetrainConfig`.

    Attributes:
        of_search: The `search_config.Config`.
        of_training: The `retrain_config.RetrainConfig`.

    Raises:
        ValueError: If a configuration is not as it should be.
    """

    def __init__(self, search_config, retrain_config):
        self.of_search = schema.read(search_config_lib.Config, search_config)
        self.of_training = schema.read(
            retrain_config_lib.RetrainConfig, retrain_config
        )

    def check(self, oracle):
        """Checks what an `oracle.EnTranNASOracle` may propose.

        Of the hyperparameters each value by itself, beside those that are
        fixed: values of two may still not go together, and fail their trial.

        Raises:
            ValueError: If a trial could not be what it is to be.
        """
        for config in (self.of_search, self.of_training):
            if config.distribution.strategy == "multi_worker":
                raise ValueError(
                    "distribution.strategy is 'multi_worker'; expected "
                    "one_device or mirrored, as a trial belongs to one "
                    "process. Workers of Keras-Tuner share out the trials."
                )
        if not self.of_training.data.validation_fraction:
            raise ValueError(
                "data.validation_fraction of the retraining is 0, and networks "
                "would be chosen by the test images; expected more than 0, "
                "such as 0.2."
            )
        for rung in oracle.rungs:
            self.training(rung.epochs)
        space = oracle.hyperparameters.space
        fixed = {p.name: p.value for p in space if hasattr(p, "value")}
        for parameter in space:
            for value in _extremes(parameter):
                self.search({**fixed, parameter.name: value})

    def search(self, values):
        """Returns the configuration of a search.

        Args:
            values: {dotted path: value} that stand in for its fields.

        Raises:
            ValueError: If there is no such field, or they do not go together.
        """
        for path in values:
            schema.expected_type(search_config_lib.Config, path)
            if path == "num_searches":
                raise ValueError(
                    "num_searches is no hyperparameter: a trial is one search. "
                    "The oracle has an argument of that name."
                )
        made = dataclasses.asdict(self.of_search)
        fields = {**values, "num_searches": 1}
        return schema.read(
            search_config_lib.Config, schema.replaced(made, fields)
        )

    def training(self, epochs):
        """Returns the checked configuration of a training, as dicts."""
        made = schema.replaced(
            dataclasses.asdict(self.of_training),
            {"training.epochs": epochs},
        )
        schema.read(retrain_config_lib.RetrainConfig, made)
        return made


def _extremes(parameter):
    """Returns values of a hyperparameter, those at its bounds among them."""
    if isinstance(parameter.default, bool | str):
        return getattr(parameter, "values", [parameter.default])
    bounds = ("min_value", "max_value", "value")
    found = [getattr(parameter, name, None) for name in bounds]
    found += getattr(parameter, "values", [])
    return [value for value in found if value is not None]
