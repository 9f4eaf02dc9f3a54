"""EnTranNAS on an eighth of CIFAR-10: a search on 2 cores.

Reproduces nothing of the paper: it is its search on CIFAR-10
(configs/cifar10_entrannas.py) with the same cells, 5 of them instead of 8, and
6,000 of the 50,000 training images. 368 steps have to decide what the paper's
2,400 do, hence the larger steps of alpha and the lower temperature.

Command:
    python -m launch.search --config=configs/cifar10_small.py \
        --workdir=runs/small --config.data.data_dir=DIRECTORY

Cost: 2.2 GiB of memory. 23 minutes on 2 cores for two seeds at the same time
    and beside other work; alone it has not been timed.
Expect: 40.6 % as super-net and 37.1 % as child network with seed 0, 42.3 % and
    36.3 % with seed 1: shared weights after 368 steps. The derivation settles;
    that the data decide it is not shown: the two seeds' cells have 2 of 16
    connections in common, random ones 1.5.
"""

from configs import cifar10_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = cifar10_entrannas.get_config()
    config.name = "cifar10_small"
    config.data.num_examples = 6_000  # 3,000 for the weights, 3,000 for alpha.
    config.network.num_cells = 5  # Reductions at cells 1 and 3.
    config.search.epochs = 8
    config.search.eval_every_epochs = 4
    config.search.batch_size = 64  # 46 steps an epoch.
    config.search.weight_learning_rate = 0.1  # To 0 along a cosine.
    config.search.architecture_learning_rate = 0.02
    config.search.architecture_warmup_epochs = 2
    config.search.architecture_schedule = "cosine"  # The search must settle.
    config.search.initial_temperature = 1.0
    config.search.temperature_decay = 0.7  # Each epoch; 0.08 in the last.
    return config
