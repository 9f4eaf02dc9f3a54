"""The parts of a configuration that searches and retrainings share."""

import dataclasses

STRATEGIES = ("one_device", "mirrored", "multi_worker")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """The images, and what is done to them.

    Attributes:
        name: "digits" (scikit-learn's handwritten digits), "cifar10" or
            "imagenet2012" (both through tensorflow-datasets) or "folder" (a
            user's own images).
        data_dir: Directory of tensorflow-datasets, which holds cifar10/ or
            imagenet2012/; only acts on these. A leading ~ stands for the home
            directory.
        dir: Folder that holds train/<class>/ and perhaps val/<class>/; only
            acts on "folder", which needs it. A leading ~ likewise.
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

    name: str
    data_dir: str = "~/tensorflow_datasets"
    dir: str = ""
    num_examples: int = 0
    image_size: int = 0
    crop_padding: int = 0
    flip: bool = False
    cutout_length: int = 0
    min_crop_area: float = 0.0
    color_jitter: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistributionConfig:
    """What a run is spread over; a run may go on under another one.

    Attributes:
        strategy: "one_device"; "mirrored", the devices of one machine; or
            "multi_worker", those of the machines that TF_CONFIG lists.
        num_devices: Number of this machine's devices; 0 for all GPUs. Where
            there is no GPU the CPU is split into so many.
        timeout_seconds: Time after which a worker that is waited for is taken
            for lost, at least 10.
    """

    strategy: str = "one_device"
    num_devices: int = 0
    timeout_seconds: int = 60


ONE_DEVICE = DistributionConfig()
