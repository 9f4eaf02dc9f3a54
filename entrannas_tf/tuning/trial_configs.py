"""The configurations of a tuning's trials: searches, and trainings."""

from entrannas_tf.config import retrain as retrain_config_lib
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config_lib


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
        self.of_search = search_config_lib.from_config_dict(search_config)
        self.of_training = search_config_lib.from_config_dict(
            retrain_config, retrain_config_lib.RetrainConfig
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
            search_config_lib.expected_type(path)
            if path == "num_searches":
                raise ValueError(
                    "num_searches is no hyperparameter: a trial is one search. "
                    "The oracle has an argument of that name."
                )
        made = search_config_lib.to_dict(self.of_search)
        fields = {**values, "num_searches": 1}
        return search_config_lib.from_config_dict(schema.replaced(made, fields))

    def training(self, epochs):
        """Returns the checked configuration of a training, as dicts."""
        made = schema.replaced(
            search_config_lib.to_dict(self.of_training),
            {"training.epochs": epochs},
        )
        search_config_lib.from_config_dict(
            made, retrain_config_lib.RetrainConfig
        )
        return made


def _extremes(parameter):
    """Returns values of a hyperparameter, those at its bounds among them."""
    if isinstance(parameter.default, bool | str):
        return getattr(parameter, "values", [parameter.default])
    bounds = ("min_value", "max_value", "value")
    found = [getattr(parameter, name, None) for name in bounds]
    found += getattr(parameter, "values", [])
    return [value for value in found if value is not None]
