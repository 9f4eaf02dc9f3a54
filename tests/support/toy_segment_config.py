"""The smallest segmentation; its data are those of `voc_folder`."""

from configs import segment_small


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = segment_small.get_config()
    config.name = "toy"
    config.deterministic = True
    config.data.crop_size = 33  # Pixels.
    config.network.num_cells = 3
    config.network.init_channels = 4
    config.network.head_channels = 8
    config.training.epochs = 2
    config.training.batch_size = 4
    config.training.steps_per_epoch = 3
    config.training.eval_every_epochs = 1
    config.training.checkpoint_every_steps = 2
    return config
