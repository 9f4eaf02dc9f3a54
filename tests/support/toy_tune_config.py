"""The smallest tuning: two searches, three trainings, then the best."""

from configs import tune_digits
from tests.support import toy_config, toy_retrain_config


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = tune_digits.get_config()
    config.name = "toy"
    config.search = toy_config.get_config()
    config.retraining = toy_retrain_config.get_config()
    config.search.search.epochs = 1
    config.search.search.eval_every_epochs = 1
    config.retraining.data.validation_fraction = 0.4
    config.retraining.training.auxiliary_weight = 0.0
    config.retraining.training.batch_size = 16  # 3 steps an epoch.
    config.tuning.num_searches = 2
    config.tuning.first_epochs = 1
    config.tuning.factor = 2
    return config
