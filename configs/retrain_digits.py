"""Retraining on handwritten digits, in a minute.

Reproduces no number of the paper. It shows the retraining on the real images
that come with scikit-learn, after configs/digits.py has searched on them.

Command: make demo, or
    python -m launch.retrain --config=configs/retrain_digits.py \
        --genotype=runs/digits --workdir=runs/digits_net

Cost: 60 s, tracing included, and 0.9 GiB of memory on 2 cores, for the cells of
    configs/digits.py.
Expect: 99.2, 98.6 and 99.2 % of the 360 test images at seeds 0, 1 and 2, with
    the cells that configs/digits.py finds (one run each).
"""

from configs import retrain_cifar10


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = retrain_cifar10.get_config()
    config.name = "retrain_digits"
    config.data.name = "digits"  # 1,437 images; 360 test.
    config.data.crop_padding = 2  # Pixels.
    config.data.flip = False  # A mirrored digit is none.
    config.data.cutout_length = 0  # Pixels; none.
    config.network.num_cells = 6  # Reductions at cells 2 and 4.
    config.network.init_channels = 8
    config.training.epochs = 8
    config.training.batch_size = 32  # 44 steps an epoch.
    config.training.eval_every_epochs = 2
    config.training.learning_rate = 0.1  # To 0 along a cosine.
    config.training.drop_path_rate = 0.0
    return config
