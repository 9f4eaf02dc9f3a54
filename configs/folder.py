"""EnTranNAS on a user's own images.

Reproduces no number of the paper. Start here with images in
PATH/train/<class>/ and, optionally, PATH/val/<class>/. The number of classes is
read from the data. The images are resized to 64x64 pixels;
--config.data.image_size=128 costs about four times as much, and 0 keeps their
size, which must then be the same for all. With few images, choose a batch size
of at most half the training images by --config.search.batch_size.

Command:
    python -m launch.search --config=configs/folder.py \
        --config.data.dir=PATH --workdir=runs/mine

Cost: not measured.
Expect: not measured.
"""

from configs import cifar10_entrannas


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = cifar10_entrannas.get_config()
    config.name = "folder"
    config.data.name = "folder"
    config.data.dir = ""  # To be given.
    config.data.image_size = 64  # Pixels.
    config.data.crop_padding = 8  # Pixels.
    config.search.epochs = 25
    config.search.batch_size = 64
    config.search.eval_every_epochs = 5
    config.search.weight_learning_rate = 0.1  # To 0 along a cosine.
    config.search.architecture_learning_rate = 0.01
    config.search.initial_temperature = 1.0
    config.search.temperature_decay = 0.9  # Each epoch; 0.08 in the last.
    return config
