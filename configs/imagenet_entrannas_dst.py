"""EnTranNAS-DST on ImageNet: any number of connections in a cell.

Reproduces the search of table 7, row "EnTranNAS-DST (ImageNet)", and of table
4, row lambda = 0.2. It differs from configs/imagenet_entrannas.py by the
sparsification of section 2.4 and by the temperature. The paper runs it five
times and takes the best search, as --config.num_searches=5 does.

Command:
    python -m launch.search --config=configs/imagenet_entrannas_dst.py \
        --workdir=runs/imagenet_dst --config.data.data_dir=DIRECTORY

Cost: the paper's takes 2.1 GPU-days, on eight GTX 1080 Ti; the first epochs are
    the slowest, as all connections are active. Ours: not measured.
Expect: the paper's best cell, retrained, has 5.2 M parameters, 594 M
    multiply-adds and a top-1 error of 23.8 %; the one of table 4 has 9 and 8
    edges (normal and reduction cell), 5.07 M and 580 M. Ours: not measured.
"""

from configs import imagenet_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = imagenet_entrannas.get_config()
    config.name = "imagenet_entrannas_dst"
    config.network.sparse = True
    config.search.initial_temperature = 1.0
    config.search.temperature_decay = 0.9  # Each epoch; 0.006 in the last.
    config.search.threshold_penalty = 0.2  # lambda of Eq. 11
    return config
