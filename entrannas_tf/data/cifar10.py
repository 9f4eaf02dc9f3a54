"""CIFAR-10 (Krizhevsky, 2009) as `tensorflow-datasets` prepares it."""

from entrannas_tf.data import source

# Computed from the 50,000 training images scaled to [0, 1].
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)

# The data set's order; prepared copies may lack the names.
LABEL_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def load(data_dir, num_examples=0):
    """Loads CIFAR-10 from disk into memory, the official split in its order.

    Args:
        data_dir: Directory in which `tensorflow-datasets` prepared the data
            set; it holds cifar10/<version>/.
        num_examples: Number of training images, the first ones; 0 for all.

    Returns:
        (train, test), two `ImageSource` of image shape (32, 32, 3), the
        second one with 10,000 images. Both carry the mean and standard
        deviation of the training images.

    Raises:
        ValueError: If the data set is not prepared there, or num_examples is
            negative.
    """
    # Slow to import, and needed for few data sets only.
    import tensorflow_datasets as tfds  # noqa: PLC0415

    if num_examples < 0:
        raise ValueError(
            f"The number of examples is {num_examples}; expected 0 (all) or "
            "more."
        )
    builder = tfds.builder("cifar10", data_dir=data_dir)
    if not {"train", "test"} <= set(builder.info.splits):
        raise ValueError(
            f"CIFAR-10 is not prepared: looked for {builder.data_path} and "
            "found no data set there. Prepare it where there is a network by "
            f"`tfds build cifar10 --data_dir={data_dir}`, or name the "
            "directory that holds cifar10/."
        )
    size = builder.info.splits["train"].num_examples
    size = min(num_examples or size, size)
    sources = []
    for split, part in (("train", f"train[:{size}]"), ("test", "test")):
        examples = builder.as_dataset(split=part, batch_size=-1)
        images, labels = examples["image"].numpy(), examples["label"].numpy()
        sources.append(
            source.from_arrays(
                f"cifar10/{split}", images, labels, LABEL_NAMES, MEAN, STD
            )
        )
    return tuple(sources)
