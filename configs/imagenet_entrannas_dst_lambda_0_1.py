"""EnTranNAS-DST on ImageNet with a lambda of 0.1.

Reproduces the search of table 4, row lambda = 0.1. It differs from
configs/imagenet_entrannas_dst.py by lambda only.

Command:
    python -m launch.search \
        --config=configs/imagenet_entrannas_dst_lambda_0_1.py \
        --workdir=runs/imagenet_0_1 --config.data.data_dir=DIRECTORY

Cost: the paper does not say. Ours: not measured.
Expect: the paper's cell has 11 and 6 edges (normal and reduction cell)
    and, retrained, 5.88 M parameters and 673 M multiply-adds. Ours: not
    measured.
"""

from configs import imagenet_entrannas_dst


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = imagenet_entrannas_dst.get_config()
    config.name = "imagenet_entrannas_dst_lambda_0_1"
    config.search.threshold_penalty = 0.1  # lambda of Eq. 11
    return config
