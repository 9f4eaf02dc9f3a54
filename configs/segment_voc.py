"""Semantic segmentation on Pascal VOC 2012, as in Table 5 of the paper.

Reproduces a row of it: DeepLabV3's head on the ImageNet network of a genotype,
crops of 513x513 pixels, output stride 16, tested at a single scale on whole
photographs. The paper gives no more of its recipe. The rest is DeepLabV3's
(Chen et al., 2017, section 4.1): photographs resized by 0.5 to 2, mirrored;
30,000 steps of 16 photographs, a rate of 0.007 that falls to 0 by a power of
0.9.

DIRECTORY is VOC2012 as its archive unpacks, or any folder of that layout. With
the further masks of Hariharan et al. (2011) in SegmentationClassAug/ and the
list trainaug.txt, 10,582 photographs train, otherwise 1,464.

Command:
    python -m launch.segment --config=configs/segment_voc.py \
        --genotype=DARTS_V2 --backbone=runs/imagenet_net \
        --workdir=runs/voc --config.data.dir=DIRECTORY

For the paper's first column, ResNet-50, leave out --genotype and add
--config.network.backbone=resnet50.

Cost: not measured.
Expect: the paper's cells have an mIoU of 76.3 to 77.1 % (EnTranNAS-DST), DARTS
    75.1 %, NASNet-A 75.4 % and ResNet-50 76.5 %. Ours: not measured.
"""

import ml_collections


def get_config():
    """Returns the configuration, a locked `ConfigDict`."""
    return ml_collections.ConfigDict(
        {
            "name": "segment_voc",
            "task": "segmentation",
            "seed": 0,
            "num_runs": 1,
            "deterministic": False,
            "data": {
                "dir": "",
                "train_list": "",  # trainaug.txt where it is, else train.txt.
                "crop_size": 513,  # Pixels.
                "min_scale": 0.5,
                "max_scale": 2.0,
                "flip": True,
            },
            "network": {
                "backbone": "cells",
                "num_cells": 14,  # Reductions at cells 4 and 9.
                "init_channels": 48,
                "stem": "imagenet",
                "output_stride": 16,  # The second reduction is dilated.
                "head_channels": 256,
                "dropout": 0.1,
            },
            "training": {
                "epochs": 50,  # 30,000 steps.
                "steps_per_epoch": 600,
                "batch_size": 16,
                "eval_every_epochs": 5,
                "learning_rate": 0.007,
                "schedule": "poly",  # To 0 by a power of 0.9.
                "warmup_epochs": 0,
                "momentum": 0.9,
                "weight_decay": 4e-5,
                "gradient_clip_norm": 1e6,  # None; DeepLabV3 does not clip.
                "backbone_rate_factor": 1.0,
                "frozen_batch_norms": "none",
                "precision": "float32",
                "xla": False,
                "read_every_steps": 10,
                "checkpoint_every_steps": 0,
                "checkpoints_to_keep": 2,
            },
            "distribution": {
                "strategy": "one_device",
                "num_devices": 0,
                "timeout_seconds": 60,
            },
        }
    ).lock()
