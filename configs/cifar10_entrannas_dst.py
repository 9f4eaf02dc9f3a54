"""EnTranNAS-DST on CIFAR-10: any number of connections in a cell.

Reproduces the search of table 6, row "EnTranNAS-DST + cutout". It differs from
configs/cifar10_entrannas.py by the sparsification of section 2.4. The paper
does not give its lambda on CIFAR-10. This one uses 0.1, the middle one of the
three on ImageNet (table 4), as do the paper's video and Figures 18 and 19.

Command:
    python -m launch.search --config=configs/cifar10_entrannas_dst.py \
        --workdir=runs/c10_dst --config.data.data_dir=DIRECTORY

Cost: the paper's takes 0.10 days on one GTX 1080 Ti; the first epochs are the
    slowest, as all connections are active. Ours: not measured.
Expect: the paper's cell, retrained, has 3.20 M parameters and a test error
    of 2.48 +- 0.08 %. Ours: not measured. A larger lambda leaves fewer
    connections.
"""

from configs import cifar10_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = cifar10_entrannas.get_config()
    config.name = "cifar10_entrannas_dst"
    config.network.sparse = True
    config.search.threshold_penalty = 0.1  # lambda of Eq. 11
    return config
