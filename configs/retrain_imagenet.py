"""Retraining on ImageNet, as in section 4.3 of the paper.

Reproduces the evaluation of table 7: trained on all training images, tested on
the validation set. The paper leaves open some settings, which are those of
PC-DARTS, which it follows: five epochs of warm-up, label smoothing 0.1,
auxiliary loss 0.4, crops of 8 % of the area or more. For images in folders,
DIR/train/<class>/ and DIR/val/<class>/, use --config.data.name=folder
--config.data.dir=DIR; these images are reduced to 224 pixels before the crop is
enlarged to 224 again.

Command:
    python -m launch.retrain --config=configs/retrain_imagenet.py \
        --genotype=DARTS_V2 --workdir=runs/imagenet_net \
        --config.data.data_dir=DIRECTORY

Cost: not measured.
Expect: the paper's cells have a top-1 error of 24.8 % (EnTranNAS, searched on
    CIFAR-10). Ours: not measured.
"""

from configs import retrain_cifar10


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = retrain_cifar10.get_config()
    config.name = "retrain_imagenet"
    config.data.name = "imagenet2012"  # 1,281,167 images; 50,000 test.
    config.data.image_size = 224  # Pixels.
    config.data.crop_padding = 0  # Pixels; the crop below instead.
    config.data.cutout_length = 0  # Pixels; none.
    config.data.min_crop_area = 0.08  # Of the image's area, as DARTS.
    config.data.color_jitter = 0.4  # As DARTS.
    config.network.num_cells = 14  # Reductions at cells 4 and 9.
    config.network.init_channels = 48
    config.network.stem = "imagenet"
    config.training.epochs = 250
    config.training.batch_size = 1024
    config.training.eval_every_epochs = 1
    config.training.learning_rate = 0.5  # To 0 along a line.
    config.training.schedule = "linear"
    config.training.warmup_epochs = 5
    config.training.weight_decay = 3e-5
    config.training.label_smoothing = 0.1
    config.training.drop_path_rate = 0.0
    return config
