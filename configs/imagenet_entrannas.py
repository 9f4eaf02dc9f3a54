"""EnTranNAS on ImageNet, as in section 4.3 of the paper.

Reproduces the search of table 7, row "EnTranNAS (ImageNet)": a tenth of the
training images trains the weights, another tenth alpha (appendix A). Settings
that are "the same as on CIFAR-10" come from configs/cifar10_entrannas.py. The
paper leaves open the augmentation ("standard": a crop of 8 % of the area or
more, mirroring and color jitter, as in PC-DARTS, which it follows).

Command:
    python -m launch.search --config=configs/imagenet_entrannas.py \
        --workdir=runs/imagenet --config.data.data_dir=DIRECTORY

Cost: the paper's takes 1.9 GPU-days, on eight GTX 1080 Ti. Ours: not measured.
Expect: the paper's cell, retrained, has 5.5 M parameters, 637 M
    multiply-adds and a top-1 error of 24.3 %. Ours: not measured.
"""

from configs import cifar10_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = cifar10_entrannas.get_config()
    config.name = "imagenet_entrannas"
    config.data.name = "imagenet2012"
    config.data.weight_fraction = 0.1  # 128,117 of 1,281,167 images.
    config.data.architecture_fraction = 0.1  # As many others.
    config.data.image_size = 224  # Pixels; 28 after the stem.
    config.data.crop_padding = 0  # Pixels; the crop below instead.
    config.data.min_crop_area = 0.08  # Of the image's area.
    config.data.color_jitter = 0.4
    config.network.stem = "imagenet"
    config.search.batch_size = 1024  # 125 steps an epoch.
    config.search.weight_learning_rate = 0.5  # To 0 along a cosine.
    config.search.architecture_learning_rate = 6e-3
    return config
