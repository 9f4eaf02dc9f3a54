"""The trials of a tuning: their values, and the configurations that they run.

All facts about a trial are among its `hyperparameters.values`: these travel
between the chief and its workers unchanged, while a trial's message and its
attributes do not.
"""

import dataclasses

from keras_tuner.engine import trial as trial_lib

from entrannas_tf.config import retrain as retrain_config_lib
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config_lib

STAGE = "stage"  # SEARCH or RETRAIN.
SEED = "seed"  # A field of the search, like other hyperparameters.
GENOTYPE = "genotype"  # The genotype that was found or is trained: JSON.
ERROR = "error"  # The reason why the trial failed, in a line.
RUNG = "rung"  # Number of the rung of halving, from 0 on.
EPOCHS = "epochs"  # Number of epochs of the training.
OF = "of"  # Id of the search that found the genotype.

SEARCH = "search"
RETRAIN = "retrain"

_TRACEBACK = "Traceback (most recent call last):"
_IN_GRAPH = "Graph execution error:"
_OURS = (STAGE, GENOTYPE, ERROR, RUNG, EPOCHS, OF)


def hyperparameters(trial):
    """Returns {dotted path: value} of a trial's search."""
    values = trial.hyperparameters.values
    return {name: values[name] for name in values if name not in _OURS}


def genotype(trial):
    """Returns the genotype that a search found or that is trained: JSON."""
    return trial.hyperparameters.values[GENOTYPE]


def has_failed(trial):
    """Returns whether a trial has ended without a score."""
    status = trial_lib.TrialStatus
    return trial.status in (status.FAILED, status.INVALID)


def is_completed(trial):
    """Returns whether a trial has ended with a score."""
    # A tuner in a thread of this process sets the status before the score.
    status = trial_lib.TrialStatus.COMPLETED
    return trial.status == status and trial.score is not None


def of_stage(trials, stage, rung=None):
    """Returns the trials of a stage, in the order of their ids.

    Args:
        trials: {id: `Trial`}.
        stage: SEARCH or RETRAIN.
        rung: Number of the rung, for RETRAIN.
    """
    found = {key: trials[key].hyperparameters.values for key in sorted(trials)}
    return [
        trials[key]
        for key, values in found.items()
        if (values[STAGE], values.get(RUNG)) == (stage, rung)
    ]


def best(trials):
    """Returns the completed ones of a list of trials, the best first.

    Each genotype is there once, by its best trial, the first of equals.
    """
    completed = sorted(
        filter(is_completed, trials), key=lambda t: (-t.score, t.trial_id)
    )
    return _one_each(completed)


def best_trained(trials, num_rungs):
    """Returns the best trainings, each genotype's in its last rung.

    Those of a later rung come first, then the more accurate ones.

    Args:
        trials: {id: `Trial`}.
        num_rungs: Number of rungs.
    """
    return _one_each(
        trial
        for rung in reversed(range(num_rungs))
        for trial in best(of_stage(trials, RETRAIN, rung))
    )


def _one_each(trials):
    """Returns the first trial of each genotype."""
    found = {}
    for trial in trials:
        found.setdefault(genotype(trial), trial)
    return list(found.values())


def error(trial):
    """Returns the reason why a trial failed, in a line."""
    reason = trial.hyperparameters.values.get(ERROR)
    return reason or _reason(trial.message or "its score is not a number.")


def _reason(message):
    """Returns the name and first line of a traceback's exception."""
    lines = message.rpartition(_TRACEBACK)[2].strip("\n").splitlines()
    said = [line for line in lines if line[:1].strip()]  # Not indented.
    name, colon, text = (said or lines)[0].partition(": ")
    name = name.rpartition(".")[2] if colon else name
    if text == _IN_GRAPH:
        # The place in the graph comes before the reason, the node after it.
        rest = (x for x in said[1:] if not x.startswith(("Detected", "<")))
        text = next(rest, text)
    return f"{name}{colon}{text}".strip()


class TrialConfigs:
    """The configurations of trials, before their values replace fields.

    Args:
        search_config: `ConfigDict` or nested dicts, of a
            `search_config.Config`.
        retrain_config: `ConfigDict` or nested dicts, of a
            `retrain_config.RetrainConfig`.

    Attributes:
        of_search: The `search_config.Config`.
        of_training: The `retrain_config.RetrainConfig`.

    Raises:
        ValueError: If a configuration is invalid.
    """

    def __init__(self, search_config, retrain_config):
        self.of_search = schema.read(search_config_lib.Config, search_config)
        self.of_training = schema.read(
            retrain_config_lib.RetrainConfig, retrain_config
        )

    def check(self, oracle):
        """Checks the trials that an `oracle.EnTranNASOracle` may propose.

        Each value of a hyperparameter is checked by itself, beside those that
        are fixed: two values may still not go together, and fail their trial.

        Raises:
            ValueError: If a trial would have an invalid configuration.
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
        """Returns the `search_config.Config` of a search.

        Args:
            values: {dotted path: value} that replace its fields.

        Raises:
            ValueError: If there is no such field, or values do not go together.
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
    """Returns the values of a hyperparameter, or the bounds of its range."""
    if isinstance(parameter.default, bool | str):
        return getattr(parameter, "values", [parameter.default])
    bounds = ("min_value", "max_value", "value")
    found = [getattr(parameter, name, None) for name in bounds]
    found += getattr(parameter, "values", [])
    return [value for value in found if value is not None]
