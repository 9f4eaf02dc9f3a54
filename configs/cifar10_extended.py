"""EnTranNAS on CIFAR-10 from the extended search space of 12 operations.

Reproduces the search of table 6, row "EnTranNAS (12 operations) + cutout". It
differs from configs/cifar10_entrannas.py by the search space, which has five
more convolutions (appendix A.2). They enlarge the two Engine-cells only.

Command:
    python -m launch.search --config=configs/cifar10_extended.py \
        --workdir=runs/c10_ext --config.data.data_dir=DIRECTORY

Cost: the paper's takes 0.07 days on one GTX 1080 Ti. Ours: not measured.
Expect: the paper's cell, retrained, has 7.68 M parameters and a test error
    of 2.22 +- 0.05 %. Ours: not measured.
"""

from configs import cifar10_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = cifar10_entrannas.get_config()
    config.name = "cifar10_extended"
    config.network.space = "extended"
    return config
