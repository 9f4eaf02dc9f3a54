"""EnTranNAS on half of CIFAR-10 at half its size: a search on 2 cores.

Reproduces no number of the paper. It is the paper's search on CIFAR-10
(configs/cifar10_entrannas.py) with the same cells, 5 of them instead of 8, on
24,000 of the 50,000 training images, reduced to 16x16 pixels. There are 1,496
steps instead of 2,400, hence the larger steps of alpha and the lower
temperature. Small images allow more steps: the gradient of alpha on one batch
is mostly noise, and only its mean over many batches is not.

Command:
    python -m launch.search --config=configs/cifar10_small.py \
        --workdir=runs/small --config.data.data_dir=DIRECTORY

Cost: 1.6 GiB of memory; 22 minutes for two seeds at a time on 2 cores. A single
    seed has not been timed.
Expect: 43.3, 45.7, 44.2 and 46.8 % for the super-net, 34.7, 41.1, 31.5 and
    37.4 % for the child network, with seeds 0 to 3. The cells of two seeds have
    2.67 of 16 connections in common on average, random cells 1.47.
"""

from configs import cifar10_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = cifar10_entrannas.get_config()
    config.name = "cifar10_small"
    # 12,000 for the weights, 12,000 for alpha.
    config.data.num_examples = 24_000
    config.data.image_size = 16  # Pixels.
    config.data.crop_padding = 2  # Pixels.
    config.data.cutout_length = 8  # Pixels.
    config.network.num_cells = 5  # Reductions at cells 1 and 3.
    config.search.epochs = 8
    config.search.eval_every_epochs = 4
    config.search.batch_size = 64  # 187 steps an epoch.
    config.search.weight_learning_rate = 0.05  # To 0 along a cosine.
    config.search.architecture_learning_rate = 0.006
    config.search.architecture_warmup_epochs = 2
    config.search.architecture_schedule = "cosine"  # The search must settle.
    config.search.initial_temperature = 1.0
    config.search.temperature_decay = 0.65  # Each epoch; 0.05 in the last.
    return config
