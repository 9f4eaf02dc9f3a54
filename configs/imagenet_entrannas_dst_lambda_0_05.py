"""EnTranNAS-DST on ImageNet with a lambda of 0.05.

Reproduces the search of table 4, row lambda = 0.05. It differs from
configs/imagenet_entrannas_dst.py by lambda only.

Command:
    python -m launch.search \
        --config=configs/imagenet_entrannas_dst_lambda_0_05.py \
        --workdir=runs/imagenet_0_05 --config.data.data_dir=DIRECTORY

Cost: the paper does not say. Ours: not measured.
Expect: the paper's cell has 13 and 14 edges (normal and reduction cell)
    and, retrained, 6.99 M parameters and 779 M multiply-adds. Ours: not
    measured.
"""

from configs import imagenet_entrannas_dst


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = imagenet_entrannas_dst.get_config()
    config.name = "imagenet_entrannas_dst_lambda_0_05"
    config.search.threshold_penalty = 0.05  # lambda of Eq. 11
    return config
