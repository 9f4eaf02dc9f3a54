"""Retraining on a fifth of CIFAR-10 at half its size, on 2 cores.

Reproduces no number of the paper. It is the paper's evaluation on CIFAR-10
(configs/retrain_cifar10.py) with 8 cells of 16 channels instead of 20 of 36,
on 10,000 of the 50,000 training images, reduced to 16x16 pixels as in
configs/cifar10_small.py, for 15 epochs instead of 600. The learning rate is
higher because there are 1,560 steps instead of 312,000, and no path is dropped
because nothing overfits.

Command:
    python -m launch.retrain --config=configs/retrain_small.py \
        --genotype=runs/small --workdir=runs/small_net \
        --config.data.data_dir=DIRECTORY

Cost: 17 to 39 minutes and 1.4 GiB of memory per run, two at a time on 2 cores
    with other work alongside them. A single run has not been timed.
Expect: 63.1 % with the best cell of four searches by cifar10_small, 65.8 %
    with DARTS_V2, 55.0 to 61.2 % with three random genotypes (means of two
    seeds).
"""

from configs import retrain_cifar10


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = retrain_cifar10.get_config()
    config.name = "retrain_small"
    config.data.num_examples = 10_000
    config.data.image_size = 16  # Pixels.
    config.data.crop_padding = 2  # Pixels.
    config.data.cutout_length = 8  # Pixels.
    config.network.num_cells = 8  # Reductions at cells 2 and 5.
    config.network.init_channels = 16
    config.training.epochs = 15
    config.training.batch_size = 96  # 104 steps an epoch.
    config.training.eval_every_epochs = 5
    config.training.learning_rate = 0.1  # To 0 along a cosine.
    config.training.drop_path_rate = 0.0
    return config
