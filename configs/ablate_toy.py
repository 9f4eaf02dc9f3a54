"""The ablations of section 4.1 on handwritten digits, as a rehearsal.

Reproduces no number of the paper: it runs everything that
configs/ablate_paper.py runs, on 192 images for one epoch, to show what the
tables look like.

Command:
    python -m launch.ablate --table=1 --config=configs/ablate_toy.py \
        --workdir=runs/ablate_toy

Use --table=2, 3, 4 and --figure=5 in the same workdir. Table 5 takes 8
photographs of a folder PHOTOS, PHOTOS/train/<class>/ and PHOTOS/val/<class>/,
for its backbones, and photographs with masks of a folder VOC in Pascal VOC
2012's layout. Its workdir is another one, as these are part of the
configuration:
    python -m launch.ablate --table=5 --config=configs/ablate_toy.py \
        --workdir=runs/ablate_toy_5 --config.photos_dir=PHOTOS \
        --config.voc_dir=VOC

Cost: a minute or two per table on 2 cores, five minutes for Figure 5, about
    eight for the 15 runs of Table 5.
Expect: tables of meaningless numbers.
"""

from configs import ablate_small, digits, retrain_digits


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    search = digits.get_config()
    search.data.num_examples = 192
    search.network.num_cells = 3
    search.network.init_channels = 4
    search.search.epochs = 1
    search.search.batch_size = 32
    training = retrain_digits.get_config()
    training.data.num_examples = 192
    training.network.num_cells = 3
    training.network.init_channels = 4
    training.training.epochs = 1
    config = ablate_small.get_config()
    config.name = "ablate_toy"
    config.num_rank_seeds = 3
    config.num_seeds = 1
    config.batch_size = 4
    config.num_steps = 1
    config.memory_limit_mib = 1  # Nothing fits: one measurement a row.
    config.search = search
    config.retraining = training
    pretraining = config.pretraining
    pretraining.name = "ablate_toy"
    pretraining.data.num_examples = 8
    pretraining.data.image_size = 64  # Pixels.
    pretraining.network.num_cells = 3
    pretraining.network.init_channels = 4
    pretraining.training.epochs = 1
    pretraining.training.warmup_epochs = 0
    pretraining.training.batch_size = 4  # 2 steps.
    segmentation = config.segmentation
    segmentation.name = "ablate_toy"
    segmentation.data.crop_size = 33  # Pixels.
    segmentation.network.num_cells = 3
    segmentation.network.init_channels = 4
    segmentation.network.head_channels = 8
    segmentation.training.epochs = 1
    segmentation.training.steps_per_epoch = 2
    segmentation.training.batch_size = 4
    return config
