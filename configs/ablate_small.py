"""The ablations of section 4.1 on a part of CIFAR-10, on 2 cores.

Reproduces the paper's Tables 1 to 4 and Figure 5 in kind, not in size. The
searches use 4,000 of the 50,000 training images at 16x16 pixels, a super-net of
6 cells of 8 channels instead of 8 of 16, and 310 steps of 32 images instead of
2,400 of 512. The networks have 6 cells of 8 channels instead of 20 of 36, and
are trained on 8,000 images for 4 epochs instead of on 50,000 for 600. Steps of
alpha are larger than in configs/cifar10_small.py because there are fewer of
them, and the temperature falls faster, so that the coefficients come close to 0
and 1 as at the paper's size. EnTranNAS has an epoch of warm-up. DARTS, as
published, has neither warm-up nor temperature.

Command:
    python -m launch.ablate --table=1 --config=configs/ablate_small.py \
        --workdir=runs/ablate --config.data_dir=DIRECTORY

Use --table=2, 3, 4 and --figure=5 in the same workdir: a run that several
tables need is done once. Table 5 needs photographs in folders and a data set in
Pascal VOC's layout:
    python -m launch.ablate --table=5 --config=configs/ablate_small.py \
        --workdir=runs/table5 --config.data_dir=DIRECTORY \
        --config.photos_dir=PHOTOS --config.voc_dir=VOC2012
Its backbones have 8 cells of 16 channels instead of 14 of 48, see
configs/retrain_backbone.py and configs/segment_small.py.

Cost: 4 hours and 45 minutes in total for the runs of Tables 1, 2 and 4 and
    Figure 5, each on one core with other work alongside it; started twice on 2
    cores, the command takes half of that. Table 3 takes 28 minutes of both
    cores. Up to 3.5 GiB of memory for a process that searches by DARTS and
    retrains, 4.4 GiB for a row of Table 3.
Expect: docs/results.md.
"""

import ml_collections

from configs import (
    cifar10_small,
    retrain_backbone,
    retrain_small,
    segment_small,
)


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    search = cifar10_small.get_config()
    search.name = "ablate_small"
    search.data.num_examples = 4_000  # 2,000 for the weights, 2,000 for alpha.
    search.network.num_cells = 6  # Reductions at 2 and 4; half of four is two.
    search.network.init_channels = 8
    search.search.epochs = 5
    search.search.eval_every_epochs = 5
    search.search.batch_size = 32  # 62 steps an epoch.
    search.search.weight_learning_rate = 0.05  # To 0 along a cosine.
    search.search.architecture_learning_rate = 0.03
    search.search.architecture_warmup_epochs = 1
    search.search.temperature_decay = 0.5  # Each epoch; 0.06 in the last.
    training = retrain_small.get_config()
    training.name = "ablate_small"
    training.data.num_examples = 8_000
    training.network.num_cells = 6  # Reductions at cells 2 and 4.
    training.network.init_channels = 8
    training.training.epochs = 4
    training.training.eval_every_epochs = 4
    training.training.batch_size = 96  # 83 steps an epoch.
    pretraining = retrain_backbone.get_config()
    pretraining.data.name = "imagenet2012"  # Or a folder: photos_dir.
    return ml_collections.ConfigDict(
        {
            "name": "ablate_small",
            "data_dir": "",
            "num_seeds": 2,
            "num_rank_seeds": 6,
            "methods": ("darts", "entrannas", "entrannas_dst"),
            "penalties": (0.2, 0.1, 0.05),
            "batch_size": 64,
            "num_steps": 3,
            "memory_limit_mib": 0,
            "backbones": ("DARTS_V2",),
            "pretrained": (True, False),
            "resnet50_weights": "",
            "photos_dir": "",  # That of `pretraining`.
            "voc_dir": "",
            "search": search.to_dict(),
            "retraining": training.to_dict(),
            "pretraining": pretraining.to_dict(),
            "segmentation": segment_small.get_config().to_dict(),
        }
    ).lock()
