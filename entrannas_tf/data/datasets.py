"""Loads data sets by name, and splits them for searches and retrainings."""

import dataclasses
import os

import numpy as np

from entrannas_tf.data import cifar10, digits, folder, imagenet, source

_TEST_SEED = 0
_VALIDATION_SEED = 1

# 0.7 + 0.3 may be more than 1 by this much.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class SearchData:
    """The data of a search.

    Attributes:
        source_w: `ImageSource` of the images that train the weights.
        indices_w: Integers [N_w], those of it to use.
        source_a: `ImageSource` of the images that train the architecture.
        indices_a: Integers [N_a], those of it to use.
    """

    source_w: source.ImageSource
    indices_w: np.ndarray
    source_a: source.ImageSource
    indices_a: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class RetrainData:
    """The data of a retraining.

    Attributes:
        source: `ImageSource` of the training images.
        indices: Integers [N], those of it to use.
        test_source: `ImageSource` of the test images.
        test_indices: Integers [N_test], those of it to use.
    """

    source: source.ImageSource
    indices: np.ndarray
    test_source: source.ImageSource
    test_indices: np.ndarray


def load(name, *, data_dir="", directory="", num_examples=0, image_size=0):
    """Loads a data set.

    Args:
        name: "digits", "cifar10", "imagenet2012" or "folder".
        data_dir: Directory of tensorflow-datasets; for "cifar10" and
            "imagenet2012".
        directory: Folder that holds train/ and perhaps val/; for "folder".
        num_examples: Number of training images to use, 0 for all: evenly
            chosen ones of a folder, the first ones otherwise.
        image_size: Side in pixels that the images are resized to; 0 for the
            size that they have, and for 224 of "imagenet2012".

    Returns:
        (train, test, indices): `ImageSource` of the training images, and of
        the test images or a folder's val/, None where there is none; and which
        of the training images to use, integers [N].

    Raises:
        ValueError: If the data set is not there, or is not as it should be.
        OSError: If a file cannot be read.
    """
    train, test = {
        "digits": digits.load,
        "cifar10": lambda: cifar10.load(
            os.path.expanduser(data_dir), num_examples
        ),
        "imagenet2012": lambda: imagenet.load(
            os.path.expanduser(data_dir), image_size
        ),
        "folder": lambda: folder.load(
            os.path.expanduser(directory), image_size
        ),
    }[name]()
    count = min(num_examples or train.num_examples, train.num_examples)
    if name == "folder":  # Its images stand class by class.
        indices = np.linspace(0, train.num_examples - 1, count).round()
        return train, test, indices.astype(np.int64)
    if name == "imagenet2012":  # Of that size already, and held nowhere.
        return train, test, np.arange(count)
    if image_size and train.image_shape[:2] != (image_size, image_size):
        train = source.resized(train, image_size)
        test = source.resized(test, image_size, train.mean, train.std)
    return train, test, np.arange(count)


def halve(
    train, val, indices, weight_fraction, seed, architecture_fraction=0.0
):
    """Returns the `SearchData` of a search.

    Args:
        train: `ImageSource` of the training images.
        val: `ImageSource` that trains alpha and beta, or None: then a part of
            the training images does.
        indices: Integers [N], the training images to use.
        weight_fraction: Share of them that trains the weights, in (0, 1); has
            no effect where there is `val`.
        seed: Non-negative integer.
        architecture_fraction: Share of them that trains the architecture; 0
            for all the rest; has no effect where there is `val`.

    Raises:
        ValueError: If a class would have no image in one of the halves.
    """
    labels, names = _strata(train, indices)
    if val is not None:
        return SearchData(train, indices, val, np.arange(val.num_examples))
    chosen = halves(labels, weight_fraction, seed, names, architecture_fraction)
    return SearchData(train, indices[chosen[0]], train, indices[chosen[1]])


def for_retraining(
    train, test, indices, train_fraction, validation_fraction=0.0
):
    """Returns the `RetrainData` of a retraining.

    Args:
        train: `ImageSource` of the training images.
        test: `ImageSource` of the test images, or None: then a part of the
            training images tests, the same one at every seed.
        indices: Integers [N], the training images to use.
        train_fraction: Share of them that trains, in (0, 1); has no effect
            where there is `test`.
        validation_fraction: Share of the training images that is held out and
            replaces the test images, the same one at every seed; 0 for none.

    Raises:
        ValueError: If a class has no image to train or to test on.
    """
    if test is None:
        indices, held_out = _hold_out(
            train, indices, 1.0 - train_fraction, _TEST_SEED
        )
        test = train
    else:
        _strata(train, indices)
        held_out = np.arange(test.num_examples)
    if validation_fraction:
        indices, held_out = _hold_out(
            train, indices, validation_fraction, _VALIDATION_SEED
        )
        test = train
    return RetrainData(train, indices, test, held_out)


def _hold_out(train, indices, fraction, seed):
    """Returns the images that are left, and a share that is held out."""
    labels, names = _strata(train, indices)
    kept, held_out = halves(labels, 1.0 - fraction, seed, names)
    return indices[kept], indices[held_out]


def _strata(train, indices):
    """Returns the labels of images, one for all if unknown, and their names."""
    if train.labels is None:
        return np.zeros(len(indices), np.int32), (train.name,)
    labels = train.labels[indices]
    missing = sorted(set(range(train.num_classes)) - set(labels.tolist()))
    if missing:
        names = ", ".join(train.label_names[label] for label in missing[:5])
        raise ValueError(
            f"{train.name}: {len(missing)} of {train.num_classes} classes "
            f"have none of the {len(labels)} images used: {names}"
            f"{', ...' if len(missing) > 5 else ''}. Use more images."
        )
    return labels, train.label_names


def check_size(image_shape, num_reductions):
    """Raises ValueError if images are too small for a network.

    Args:
        image_shape: (H, W, C).
        num_reductions: Number of times that the network halves its input.
    """
    height, width, _ = image_shape
    least = 2**num_reductions
    if min(height, width) < least:
        raise ValueError(
            f"The images have {width}x{height} pixels, too small for "
            f"{num_reductions} reductions, each of which halves them; expected "
            f"{least}x{least} pixels or more: --config.data.image_size "
            "enlarges them."
        )


def halves(labels, fraction, seed, label_names=None, other_fraction=0.0):
    """Splits a data set in two, each class in the same proportion.

    Args:
        labels: Integers [N], the class of each example.
        fraction: Share of the examples that trains the weights, in (0, 1).
        seed: Non-negative integer; the same seed gives the same halves.
        label_names: Names of the classes for messages; None for numbers.
        other_fraction: Share of the examples that trains the architecture; 0
            for all the rest.

    Returns:
        (weight indices, validation indices): int64, shuffled, disjoint, and
        without another fraction together every index from 0 to N - 1.

    Raises:
        ValueError: If the fraction is outside (0, 1), both together are more
            than 1, or a class would have no example in one of the halves.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(
            f"The share of the weights' half is {fraction}; expected a number "
            "between 0 and 1, both excluded, such as 0.5."
        )
    if not 0.0 <= other_fraction <= 1.0 - fraction + _ROUNDING:
        raise ValueError(
            f"The share of the architecture's half is {other_fraction}, and "
            f"that of the weights' half {fraction}; expected 0 or more, and "
            "at most 1 together."
        )
    labels = np.asarray(labels)
    rng = np.random.default_rng(seed)
    weight, validation = [], []
    for index in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == index))
        cut = round(fraction * len(members))
        end = len(members)
        if other_fraction:
            end = min(end, cut + round(other_fraction * len(members)))
        if not 0 < cut < end:
            name = index if label_names is None else label_names[index]
            raise ValueError(
                f"Class {name} has {len(members)} example(s), of which "
                f"{cut} would train the weights and {end - cut} the "
                f"architecture at a share of {fraction}; expected at least "
                "one in each. Add examples of this class, leave the class "
                "out, or choose a share nearer to 0.5."
            )
        weight.append(members[:cut])
        validation.append(members[cut:end])
    weight = rng.permutation(np.concatenate(weight)).astype(np.int64)
    validation = rng.permutation(np.concatenate(validation)).astype(np.int64)
    return weight, validation
