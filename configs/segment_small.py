"""Semantic segmentation at a small size, on 2 cores.

Reproduces no number of the paper. It is configs/segment_voc.py with 8 cells of
16 channels instead of 14 of 48, a head of 64 channels instead of 256, crops of
225 instead of 513 pixels, and 400 steps of 8 photographs instead of 30,000 of
16. The rate is higher, as there are fewer steps.

Command:
    python -m launch.segment --config=configs/segment_small.py \
        --genotype=DARTS_V2 --backbone=runs/backbone \
        --workdir=runs/seg --config.data.dir=DIRECTORY

--backbone is the workdir of configs/retrain_backbone.py.

Cost: 7 to 9 minutes and 1.8 GiB of memory on 2 cores with other work.
Expect: on CamVid, 160 photographs to train and 50 to test, an mIoU of 35.5 and
    37.0 % with DARTS_V2 (seeds 0 and 1); docs/results.md has more.
"""

from configs import segment_voc


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    config = segment_voc.get_config()
    config.name = "segment_small"
    config.data.crop_size = 225  # Pixels.
    config.network.num_cells = 8  # Reductions at cells 2 and 5.
    config.network.init_channels = 16
    config.network.head_channels = 64
    config.training.epochs = 8
    config.training.steps_per_epoch = 50
    config.training.batch_size = 8
    config.training.learning_rate = 0.05  # To 0 by a power of 0.9.
    config.training.eval_every_epochs = 4
    config.training.weight_decay = 1e-4
    return config
