"""The configuration of a retraining, for `schema.read`."""

import dataclasses
from typing import Annotated

from entrannas_tf.config import common as common_config
from entrannas_tf.config import schema

SCHEDULE = schema.one_of("cosine", "linear", "poly")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrainDataConfig(common_config.ImagesConfig):
    """The images of a retraining, beside those of `common_config.ImagesConfig`.

    Attributes:
        train_fraction: Share of a folder's training images that trains where
            there is no val/ to test on, between 0 and 1, both excluded; the
            rest tests.
        validation_fraction: Share of the training images that is held out and
            takes the place of the test images, so that choices can be made
            without these, from 0 to below 1; "test" then means it. 0 tests on
            the test images.
    """

    train_fraction: Annotated[float, schema.SHARE] = 0.9
    validation_fraction: Annotated[float, schema.BELOW_1] = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetNetworkConfig(common_config.CellsConfig):
    """The target network, beside its genotype."""

    num_cells: Annotated[int, schema.FROM_3] = 20
    init_channels: Annotated[int, schema.FROM_1] = 36


@dataclasses.dataclass(frozen=True, kw_only=True)
class SgdConfig(common_config.LoopConfig):
    """Training by SGD, beside `common_config.LoopConfig`.

    Attributes:
        learning_rate: Of SGD, at the start.
        schedule: "cosine", "linear" or "poly" (a power of 0.9 of the line):
            how the learning rate falls to 0, from step to step.
        warmup_epochs: Epochs at the start in which the rate rises to its value
            from step to step; fewer than `epochs`.
        momentum: Of SGD, from 0 to below 1.
    """

    learning_rate: Annotated[float, schema.ABOVE_0]
    schedule: Annotated[str, SCHEDULE] = "cosine"
    warmup_epochs: Annotated[int, schema.FROM_0] = 0
    momentum: Annotated[float, schema.BELOW_1] = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(SgdConfig):
    """How the network is trained, beside `SgdConfig`.

    Attributes:
        label_smoothing: Share of a label that is spread over all classes, from
            0 to below 1.
        auxiliary_weight: Weight of the auxiliary head's loss; 0 for no
            auxiliary head.
        drop_path_rate: Share of paths dropped at the end, from 0 to below 1;
            rises from 0 along a line, from epoch to epoch.
    """

    label_smoothing: Annotated[float, schema.BELOW_1] = 0.0
    auxiliary_weight: Annotated[float, schema.FROM_0] = 0.4
    drop_path_rate: Annotated[float, schema.BELOW_1] = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrainConfig(common_config.RunConfig):
    """A retraining, or several, beside `common_config.RunConfig`.

    Attributes:
        num_runs: Number of runs, at the seeds from `seed` on; their mean and
            standard deviation are reported. Section 4.2 has 5.
        training: How the network is trained.
    """

    num_runs: Annotated[int, schema.FROM_1] = 1
    data: RetrainDataConfig
    network: TargetNetworkConfig
    training: TrainingConfig

    def check(self):
        super().check()
        common_config.check_warmup("training.", "warmup_epochs", self.training)
