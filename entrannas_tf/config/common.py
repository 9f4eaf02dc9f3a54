"""The parts of a configuration that searches and retrainings share."""

import dataclasses
from typing import Annotated

from entrannas_tf.config import schema

STRATEGIES = ("one_device", "mirrored", "multi_worker")

# Data sets of tensorflow-datasets -> what they are called.
_PREPARED = {"cifar10": "CIFAR-10", "imagenet2012": "ImageNet"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """The images, and how they are augmented.

    Attributes:
        name: "digits" (scikit-learn's handwritten digits), "cifar10" or
            "imagenet2012" (both through tensorflow-datasets) or "folder" (a
            user's own images).
        data_dir: Directory of tensorflow-datasets, which holds cifar10/ or
            imagenet2012/; the others ignore it. A leading ~ stands for the
            home directory.
        dir: Folder that holds train/<class>/ and perhaps val/<class>/, for
            "folder" alone. A leading ~ stands for the home directory.
        num_examples: Number of training images to use, 0 for all: evenly
            chosen ones of a folder, the first ones otherwise.
        image_size: Side in pixels that the images are resized to; 0 for the
            size that they all have, and for 224 of "imagenet2012".
        crop_padding: Pixels of padding on each side before a random crop; 0
            for no crop.
        flip: Whether half of the images, at random, are mirrored.
        cutout_length: Side in pixels of the square that is cut out; 0 for
            none.
        min_crop_area: Least share of an image's area that a random crop takes
            before it is resized to the image's size, from 0 to 1; 0 for no
            such crop. The aspect ratio is between 3/4 and 4/3.
        color_jitter: Largest relative change of brightness, contrast and
            saturation, and twice the largest of the hue, from 0 to 1; 0 for
            none.
    """

    name: Annotated[str, schema.one_of("digits", *_PREPARED, "folder")]
    data_dir: str = "~/tensorflow_datasets"
    dir: str = ""
    num_examples: Annotated[int, schema.FROM_0] = 0
    image_size: Annotated[int, schema.FROM_0] = 0
    crop_padding: Annotated[int, schema.FROM_0] = 0
    flip: bool = False
    cutout_length: Annotated[int, schema.FROM_0] = 0
    min_crop_area: Annotated[float, schema.UP_TO_1] = 0.0
    color_jitter: Annotated[float, schema.UP_TO_1] = 0.0

    def check_together(self):
        """Raises ValueError unless it is said where the images are."""
        if self.name == "folder" and not self.dir:
            raise ValueError(
                "data.dir is empty; expected the folder of your images, which "
                "holds train/<class>/<image>: --config.data.dir=PATH."
            )
        if self.name in _PREPARED and not self.data_dir:
            raise ValueError(
                "data.data_dir is empty; expected the directory in which "
                f"tensorflow-datasets prepared {_PREPARED[self.name]}: "
                "--config.data.data_dir=PATH."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CellsConfig:
    """The stack of cells of a network.

    Attributes:
        num_cells: Number of cells, at least 3; those at 1/3 and 2/3 of the
            depth are reduction cells.
        init_channels: Channels of the first cells; each reduction doubles
            them.
        stem: "cifar", which keeps the size of the images, or "imagenet", whose
            three convolutions of stride 2 divide it by 8; it needs an even
            number of channels.
    """

    num_cells: Annotated[int, schema.FROM_3]
    init_channels: Annotated[int, schema.FROM_1]
    stem: Annotated[str, schema.one_of("cifar", "imagenet")] = "cifar"

    def check_together(self):
        """Raises ValueError unless the network can be built."""
        if self.stem == "imagenet" and self.init_channels % 2:
            raise ValueError(
                f"network.init_channels is {self.init_channels}; expected an "
                "even number, as the stem for ImageNet begins with half of "
                "them."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Epochs and steps, and how the weights take them.

    Attributes:
        epochs: Number of epochs over the images that train the weights.
        batch_size: Images of a batch; all replicas share it.
        eval_every_epochs: Epochs between evaluations; the last epoch is always
            evaluated.
        weight_decay: L2 on the weights, added to the gradient.
        gradient_clip_norm: Largest global norm of the weights' gradient.
        precision: "float32", or on a GPU "bfloat16" or "float16", for features
            and convolutions. Weights, statistics, logits and losses stay in
            float32. In float16 losses are scaled, see `loss_scaling`.
        xla: Whether XLA compiles the graphs of a step. A CPU, where that is
            slower, ignores it.
        read_every_steps: Steps between two looks at the losses, which wait for
            the devices. Workers also check then that they agree.
        checkpoint_every_steps: Steps between checkpoints beside the one at the
            end of each epoch; 0 for that one alone.
        checkpoints_to_keep: At least 2: one that a crash cuts short has one
            before it.
    """

    epochs: Annotated[int, schema.FROM_1]
    batch_size: Annotated[int, schema.FROM_1]
    eval_every_epochs: Annotated[int, schema.FROM_1] = 1
    weight_decay: Annotated[float, schema.FROM_0]
    gradient_clip_norm: Annotated[float, schema.ABOVE_0] = 5.0
    precision: Annotated[
        str, schema.one_of("float32", "bfloat16", "float16")
    ] = "float32"
    xla: bool = False
    read_every_steps: Annotated[int, schema.FROM_1] = 10
    checkpoint_every_steps: Annotated[int, schema.FROM_0] = 0
    checkpoints_to_keep: Annotated[int, schema.FROM_2] = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistributionConfig:
    """The devices of a run; it may be resumed under other ones.

    Attributes:
        strategy: "one_device"; "mirrored", the devices of one machine; or
            "multi_worker", those of the machines that TF_CONFIG lists.
        num_devices: Number of this machine's devices; 0 for all GPUs. Without
            a GPU the CPU is split into this number of logical devices.
        timeout_seconds: Time after which a worker that does not answer is
            taken for lost, at least 10.
    """

    strategy: Annotated[str, schema.one_of(*STRATEGIES)] = "one_device"
    num_devices: Annotated[int, schema.FROM_0] = 0
    timeout_seconds: Annotated[
        int, schema.Rule("10 or more", lambda value: value >= 10)
    ] = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run, or several at successive seeds.

    Attributes:
        name: What the experiment is called in records, not empty.
        seed: Of all random numbers, from 0 to 2**31 - 1.
        deterministic: Whether two runs of the same seed and device are equal
            bit for bit, at some cost in speed.
        data: The images.
        network: The network.
        distribution: What a run is spread over.
    """

    name: Annotated[str, schema.NOT_EMPTY]
    seed: Annotated[
        int, schema.Rule("from 0 to 2**31 - 1", lambda v: 0 <= v < 2**31)
    ] = 0
    deterministic: bool = False
    data: ImagesConfig
    network: CellsConfig
    distribution: DistributionConfig = DistributionConfig()

    def check(self):
        """Raises ValueError unless the fields fit together."""
        self.network.check_together()
        self.data.check_together()


def check_warmup(prefix, field, section):
    """Raises ValueError unless a warm-up ends before the last epoch."""
    warmup = getattr(section, field)
    if warmup >= section.epochs:
        raise ValueError(
            f"{prefix}{field} is {warmup}; expected less than {prefix}epochs, "
            f"which is {section.epochs}."
        )
