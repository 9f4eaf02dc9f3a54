"""EnTranNAS on CIFAR-10 from the extended search space of 12 operations.

Reproduces the search of table 6, row "EnTranNAS (12 operations) + cutout". All
is as in configs/cifar10_entrannas.py but the search space, which has five
convolutions more (appendix A.2). Only the two Engine-cells grow by them.

Command:
    python -m launch.search --config=configs/cifar10_extended.py \
        --workdir=runs/c10_ext --config.data.data_dir=DIRECTORY

Cost: the paper's takes 0.07 days on one GTX 1080 Ti. Ours: not measured.
Expect: the paper's cell, trained anew, has 7.68 M parameters and a test error
    of 2.22 +- 0.05 %. Ours: not measured.
"""

from configs import cifar10_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = cifar10_entrannas.get_config()
    config.name = "cifar10_extended"
    config.network.space = "extended"
    return config
