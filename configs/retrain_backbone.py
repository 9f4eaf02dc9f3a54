"""Retraining of a small ImageNet network on a folder of photographs.

Reproduces no number of the paper. It makes the backbones of
configs/segment_small.py: the network of configs/retrain_imagenet.py with 8
cells of 16 channels instead of 14 of 48, on photographs of 128 instead of 224
pixels.

Command:
    python -m launch.retrain --config=configs/retrain_backbone.py \
        --genotype=DARTS_V2 --workdir=runs/backbone \
        --config.data.dir=DIRECTORY

Cost: 5 to 10 minutes and 1.8 GiB of memory on 2 cores with other work, on 1,200
    photographs.
Expect: on Imagenette's 10 classes, 1,200 photographs to train and 400 to test,
    59.8 and 56.3 % with DARTS_V2 (seeds 0 and 1).
"""

from configs import retrain_imagenet


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = retrain_imagenet.get_config()
    config.name = "retrain_backbone"
    config.data.name = "folder"
    config.data.image_size = 128  # Pixels.
    config.data.min_crop_area = 0.25  # Of the image's area.
    config.data.color_jitter = 0.0
    config.network.num_cells = 8  # Reductions at cells 2 and 5.
    config.network.init_channels = 16
    config.training.epochs = 30
    config.training.batch_size = 48
    config.training.eval_every_epochs = 10
    config.training.learning_rate = 0.1  # To 0 along a cosine.
    config.training.schedule = "cosine"
    config.training.warmup_epochs = 2
    config.training.weight_decay = 3e-4
    config.training.auxiliary_weight = 0.0  # None: the network is shallow.
    return config
