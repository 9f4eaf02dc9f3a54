"""The configuration of a semantic segmentation, for `schema.read`."""

import dataclasses
from typing import Annotated

from entrannas_tf.config import common as common_config
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema

BACKBONES = ("cells", "resnet50")
FROZEN = ("none", "backbone", "all")

# The stem leaves 2x2 pixels of less.
_SIZE = schema.Rule("9 or more", lambda value: value >= 9)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentDataConfig:
    """The photographs and masks, and how they are augmented.

    Attributes:
        dir: Folder in the layout of Pascal VOC 2012: JPEGImages/,
            SegmentationClass/ or SegmentationClassAug/, and
            ImageSets/Segmentation/train.txt, val.txt and perhaps trainaug.txt.
            A leading ~ stands for the home directory.
        train_list: Name of the list that trains, such as "train"; empty for
            trainaug.txt where it is there, and for train.txt otherwise.
        crop_size: Side in pixels of the crops that train, 9 or more.
        min_scale: Least factor by which a photograph and its mask are resized
            before they are cropped.
        max_scale: Largest such factor; it is uniform between the two.
        flip: Whether half of the photographs, at random, are mirrored.
    """

    dir: str = ""
    train_list: str = ""
    crop_size: Annotated[int, _SIZE] = 513
    min_scale: Annotated[float, schema.ABOVE_0] = 0.5
    max_scale: Annotated[float, schema.ABOVE_0] = 2.0
    flip: bool = True

    def check_together(self):
        """Raises ValueError unless the fields fit together."""
        if self.min_scale > self.max_scale:
            raise ValueError(
                f"data.min_scale is {self.min_scale}; expected at most "
                f"data.max_scale, which is {self.max_scale}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentNetworkConfig(common_config.CellsConfig):
    """The network: a backbone, and DeepLabV3's head.

    Attributes:
        backbone: "cells", the ImageNet network of a genotype up to its last
            cell; or "resnet50", that of `keras.applications`, for which
            `num_cells` and `init_channels` have no effect.
        output_stride: 8, 16 or 32: how many pixels of an image lie between two
            of the features.
        head_channels: Channels of the head.
        dropout: Share of values dropped before the last convolution, from 0 to
            below 1.
    """

    backbone: Annotated[str, schema.one_of(*BACKBONES)] = "cells"
    num_cells: Annotated[int, schema.FROM_3] = 14
    init_channels: Annotated[int, schema.FROM_1] = 48
    stem: Annotated[str, schema.one_of("imagenet")] = "imagenet"
    output_stride: Annotated[int, schema.one_of(8, 16, 32)] = 16
    head_channels: Annotated[int, schema.FROM_1] = 256
    dropout: Annotated[float, schema.BELOW_1] = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentTrainingConfig(retrain_config.SgdConfig):
    """How the network is trained, beside `retrain_config.SgdConfig`.

    Attributes:
        steps_per_epoch: Number of steps of an epoch, whatever the number of
            photographs; 0 for one pass over them.
        backbone_rate_factor: Factor of the backbone's learning rate; 0 leaves
            its weights as they are.
        frozen_batch_norms: "backbone" or "all": batch norms whose statistics,
            scale and offset stay as they are; or "none".
    """

    schedule: Annotated[str, retrain_config.SCHEDULE] = "poly"
    steps_per_epoch: Annotated[int, schema.FROM_0] = 0
    backbone_rate_factor: Annotated[float, schema.FROM_0] = 1.0
    frozen_batch_norms: Annotated[str, schema.one_of(*FROZEN)] = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentConfig(common_config.RunConfig):
    """A training for segmentation, beside `common_config.RunConfig`.

    Attributes:
        task: Tells these configurations from others.
        num_runs: Number of runs, at the seeds from `seed` on.
        training: How the network is trained.
    """

    task: Annotated[str, schema.one_of("segmentation")]
    num_runs: Annotated[int, schema.FROM_1] = 1
    data: SegmentDataConfig
    network: SegmentNetworkConfig
    training: SegmentTrainingConfig

    def check(self):
        super().check()
        common_config.check_warmup("training.", "warmup_epochs", self.training)
