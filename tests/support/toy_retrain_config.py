"""The smallest retraining: the real one on a hundred of the digits."""

from configs import retrain_digits


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = retrain_digits.get_config()
    config.name = "toy"
    config.deterministic = True
    config.data.num_examples = 100
    config.network.num_cells = 3
    config.network.init_channels = 4
    config.training.epochs = 2
    config.training.batch_size = 32  # 3 steps an epoch.
    config.training.eval_every_epochs = 1
    config.training.drop_path_rate = 0.4
    config.training.checkpoint_every_steps = 2
    return config
