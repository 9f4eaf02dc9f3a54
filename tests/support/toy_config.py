"""The smallest search: the real method on a hundred of the digits."""

from configs import digits


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = digits.get_config()
    config.name = "toy"
    config.deterministic = True
    config.data.num_examples = 100  # 49 + 51.
    config.network.space = "tiny"
    config.network.num_cells = 3
    config.network.init_channels = 4
    config.search.epochs = 2
    config.search.batch_size = 16  # 3 steps an epoch.
    config.search.eval_every_epochs = 2
    config.search.architecture_learning_rate = 1e-4  # Few new derivations.
    config.search.checkpoint_every_steps = 2
    return config
