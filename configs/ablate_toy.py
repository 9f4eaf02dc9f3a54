"""The ablations of section 4.1 on handwritten digits, as a rehearsal.

Reproduces no number of the paper: it runs everything that
configs/ablate_paper.py runs, on 192 images for one epoch, to show what the
tables look like.

Command:
    python -m launch.ablate --table=1 --config=configs/ablate_toy.py \
        --workdir=runs/ablate_toy

Use --table=2, 3, 4 and --figure=5 in the same workdir.

Cost: a minute or two per table on 2 cores, five minutes for Figure 5.
Expect: tables of meaningless numbers.
"""

from configs import ablate_small, digits, retrain_digits


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    search = digits.get_config()
    search.data.num_examples = 192
    search.network.num_cells = 3
    search.network.init_channels = 4
    search.search.epochs = 1
    search.search.batch_size = 32
    training = retrain_digits.get_config()
    training.data.num_examples = 192
    training.network.num_cells = 3
    training.network.init_channels = 4
    training.training.epochs = 1
    config = ablate_small.get_config()
    config.name = "ablate_toy"
    config.num_rank_seeds = 3
    config.num_seeds = 1
    config.batch_size = 4
    config.num_steps = 1
    config.memory_limit_mib = 1  # Nothing fits: one measurement a row.
    config.search = search
    config.retraining = training
    return config
