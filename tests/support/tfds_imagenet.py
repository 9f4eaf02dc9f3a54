"""A small data set on disk that tensorflow-datasets takes for ImageNet."""

import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

VERSION = "5.1.0"
NUM_TRAIN, NUM_VALIDATION, NUM_SHARDS = 60, 16, 3
SIZES = ((96, 64), (50, 70), (64, 64), (33, 120))  # (width, height)


def jpeg(array):
    """Returns the JPEG file of uint8 [H, W, 3] or, for grey, [H, W]."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=95)
    return file.getvalue()


def smooth_jpeg(number):
    """Returns a JPEG file of a colour gradient; every fifth is grey."""
    width, height = SIZES[number % len(SIZES)]
    rows, columns = np.mgrid[:height, :width]
    levels = [
        255 * rows / height,
        255 * columns / width,
        np.full(rows.shape, 255 * (number % 16) / 16),
    ]
    image = np.stack(levels, axis=-1).astype(np.uint8)
    return jpeg(image[..., 0] if number % 5 == 4 else image)


def write(data_dir, splits=None):
    """Writes imagenet2012/5.1.0/ as tensorflow-datasets does.

    Args:
        data_dir: Directory to write it in.
        splits: {name of a split: list of (JPEG file as bytes, label)}; None
            for gradients, the label of number i being i % 10.
    """
    if splits is None:
        splits = {
            name: [(smooth_jpeg(i), i % 10) for i in range(count)]
            for name, count in (
                ("train", NUM_TRAIN),
                ("validation", NUM_VALIDATION),
            )
        }
    tfds.dataset_builders.store_as_tfds_dataset(
        name="imagenet2012",
        version=VERSION,
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(num_classes=1000),
                "file_name": tfds.features.Text(),
            }
        ),
        split_datasets={
            name: [
                (
                    number,
                    {
                        "image": io.BytesIO(contents),
                        "label": label,
                        "file_name": f"{label:04d}_{number}.JPEG",
                    },
                )
                for number, (contents, label) in enumerate(examples)
            ]
            for name, examples in splits.items()
        },
        data_dir=data_dir,
        download_config=tfds.download.DownloadConfig(num_shards=NUM_SHARDS),
        file_format="tfrecord",
        disable_shuffling=True,
    )
