"""The configuration of a retraining; `search.from_config_dict` reads it."""

import dataclasses

from entrannas_tf.config import common as common_config


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrainDataConfig(common_config.ImagesConfig):
    """The images of a retraining, beside those of `common_config.ImagesConfig`.

    Attributes:
        train_fraction: Share of a folder's training images that trains where
            there is no val/ to test on, between 0 and 1, both excluded; the
            rest tests.
        validation_fraction: Share of the images that train which is held out
            and stands in for the test images, so that choices can be made
            without these, from 0 to below 1; what is called "test" is then
            measured on it. 0 tests on the test images.
    """

    train_fraction: float = 0.9
    validation_fraction: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetNetworkConfig:
    """The target network, beside its genotype.

    Attributes:
        num_cells: Number of cells, at least 3; those at 1/3 and 2/3 of the
            depth are reduction cells.
        init_channels: Channels of the first cells; doubled by each reduction.
        stem: "cifar", which keeps the size of the images, or "imagenet", whose
            three convolutions of stride 2 divide it by 8; it needs an even
            number of channels.
    """

    num_cells: int = 20
    init_channels: int = 36
    stem: str = "cifar"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the network is trained.

    Attributes:
        epochs: Number of epochs over the training images.
        batch_size: Images of a step.
        eval_every_epochs: Epochs between evaluations on the test images; the
            last epoch is always evaluated.
        learning_rate: Of SGD, at the start.
        schedule: "cosine" or "linear": how the learning rate falls to 0, from
            step to step.
        warmup_epochs: Epochs at the start in which the rate rises to its value
            from step to step; fewer than `epochs`.
        momentum: Of SGD, from 0 to below 1.
        weight_decay: L2 on the weights, added to the gradient.
        gradient_clip_norm: Largest global norm of the gradient.
        label_smoothing: Share of a label that is spread over all classes, from
            0 to below 1.
        auxiliary_weight: Weight of the auxiliary head's loss; 0 for no
            auxiliary head.
        drop_path_rate: Share of paths dropped at the end, from 0 to below 1;
            rises from 0 along a line, from epoch to epoch.
        precision: "float32", or "bfloat16" or "float16": layers compute in it,
            while weights, statistics, logits and losses stay in float32. It
            pays on a GPU. In float16 losses are scaled, see `loss_scaling`.
        xla: Whether XLA compiles a step's run there and back, on GPUs; a CPU
            is slower with it, and goes without.
        read_every_steps: Steps between two looks at the loss, which wait for
            the devices.
        checkpoint_every_steps: Steps between checkpoints beside the one at the
            end of each epoch; 0 for that one alone.
        checkpoints_to_keep: At least 2: one that a crash cuts short has one
            before it.
    """

    epochs: int
    batch_size: int
    eval_every_epochs: int = 1
    learning_rate: float
    schedule: str = "cosine"
    warmup_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float
    gradient_clip_norm: float = 5.0
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.4
    drop_path_rate: float = 0.0
    precision: str = "float32"
    xla: bool = False
    read_every_steps: int = 10
    checkpoint_every_steps: int = 0
    checkpoints_to_keep: int = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """A retraining, or several.

    Attributes:
        name: What the experiment is called in records, not empty.
        seed: Of all random numbers, from 0 to 2**31 - 1.
        num_runs: Number of runs, at the seeds from `seed` on; their mean and
            standard deviation are reported. Section 4.2 has 5.
        deterministic: Whether a run gives bit for bit what another one of the
            same seed and device gives, at some cost in speed.
        data: A `RetrainDataConfig`.
        network: A `TargetNetworkConfig`.
        training: A `TrainingConfig`.
        distribution: A `common_config.DistributionConfig`.
    """

    name: str
    seed: int = 0
    num_runs: int = 1
    deterministic: bool = False
    data: RetrainDataConfig
    network: TargetNetworkConfig
    training: TrainingConfig
    distribution: common_config.DistributionConfig = common_config.ONE_DEVICE
