"""A labelled set of images that batches are drawn from by index."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

_CHUNK = 1000  # images counted or resized at a time: bounds the memory
_MIN_STD = 1.0 / 255.0  # of a channel that is the same everywhere


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSource:
    """A labelled set of images, wherever they lie.

    Attributes:
        name: Name of the set in messages and records.
        image_shape: (H, W, C) of every image.
        label_names: Name of each class, in the order of the labels.
        num_examples: Number of images N.
        labels: int32 [N], the class of each image; None where they come with
            the images only.
        fetch: Maps indices, an int64 tensor [B] with values from 0 to N - 1,
            to images, uint8 [B, H, W, C], and labels, int32 [B]. It works
            eagerly and in graphs.
        fetch_crops: Maps (indices, numbers float32 [4, B], min_area) to
            images and labels too, the images cut out by `photos.crop_boxes`;
            None where images are cut out after they were fetched.
        mean: float32 [C], mean of the images scaled to [0, 1].
        std: float32 [C], standard deviation of the same, never 0.
    """

    name: str
    image_shape: tuple[int, int, int]
    label_names: tuple[str, ...]
    num_examples: int
    labels: np.ndarray | None
    fetch: Callable
    mean: np.ndarray
    std: np.ndarray
    fetch_crops: Callable | None = None

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.label_names)

    def with_shape(self, chosen, fetched):
        """Returns what was fetched with static shapes."""
        images, labels = fetched  # [B, H, W, C], [B]
        images = tf.ensure_shape(images, [*chosen.shape, *self.image_shape])
        return images, tf.ensure_shape(labels, chosen.shape)


def from_arrays(name, images, labels, label_names, mean=None, std=None):
    """Makes a source of images that are held in memory.

    The images are copied once, into host memory.

    Args:
        name: Name of the set.
        images: uint8 [N, H, W, C].
        labels: Integers [N], from 0 to the number of classes - 1.
        label_names: Name of each class.
        mean: float [C], of the images scaled to [0, 1]; None to measure it.
        std: float [C], standard deviation of the same; None to measure it.

    Raises:
        ValueError: If the arrays do not fit together.
    """
    images = np.asarray(images)
    labels = np.asarray(labels)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"{name}: the images are {images.dtype} {list(images.shape)}; "
            "expected uint8 [N, H, W, C]. Scale them to 0..255 and give grey "
            "images a last axis of length 1."
        )
    if labels.shape != images.shape[:1] or not len(labels):
        raise ValueError(
            f"{name}: {len(images)} images came with labels of shape "
            f"{list(labels.shape)}; expected one label an image, and at least "
            "one image."
        )
    if labels.min() < 0 or labels.max() >= len(label_names):
        raise ValueError(
            f"{name}: the labels lie in {labels.min()}..{labels.max()}; "
            f"expected 0..{len(label_names) - 1} for {len(label_names)} "
            "classes."
        )
    if mean is None or std is None:
        mean, std = statistics(images)
    # Graphs capture an eager tensor by reference: however many of them read it,
    # it is there once. It stays on the host, where input pipelines run.
    with tf.device("CPU:0"):
        held = tf.constant(images)
        held_labels = tf.constant(labels, tf.int32)

    def fetch(indices):
        with tf.device("CPU:0"):
            return tf.gather(held, indices), tf.gather(held_labels, indices)

    return ImageSource(
        name=name,
        image_shape=tuple(images.shape[1:]),
        label_names=tuple(label_names),
        num_examples=len(labels),
        labels=labels.astype(np.int32),
        fetch=fetch,
        mean=np.asarray(mean, np.float32),
        std=np.asarray(std, np.float32),
    )


def resized(source, size, mean=None, std=None):
    """Returns a source of the same images at another size, held in memory.

    A pixel is the mean of those that it covers.

    Args:
        source: `ImageSource`.
        size: Side in pixels of the new images, at least 1.
        mean: float [C], of the images scaled to [0, 1]; None to measure it.
        std: float [C], standard deviation of the same; None to measure it.
    """
    chunks = []
    indices = tf.range(source.num_examples, dtype=tf.int64)
    for start in range(0, source.num_examples, _CHUNK):
        images, _ = source.fetch(indices[start : start + _CHUNK])
        images = tf.image.resize(images, (size, size), "area")
        chunks.append(tf.cast(tf.round(images), tf.uint8).numpy())
    images, names = np.concatenate(chunks), source.label_names
    return from_arrays(source.name, images, source.labels, names, mean, std)


def statistics(images):
    """Measures images scaled to [0, 1], exactly and in little memory.

    Args:
        images: uint8 [N, H, W, C].

    Returns:
        (mean, std), float32 [C] each; std is at least 1/255.
    """
    return level_statistics(count_levels(images))


def count_levels(images):
    """Counts how often each channel has each level: int64 [C, 256].

    Args:
        images: uint8 [N, H, W, C].
    """
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        for channel, count in enumerate(counts):
            values = chunk[..., channel].ravel()
            count += np.bincount(values, minlength=256)
    return counts


def level_statistics(counts):
    """Returns (mean, std) as `statistics` does, of int64 [C, 256] counts."""
    levels = np.arange(256) / 255.0
    shares = counts / counts.sum(axis=1, keepdims=True)  # [C, 256]
    mean = shares @ levels
    variance = shares @ levels**2 - mean**2
    std = np.maximum(np.sqrt(np.maximum(variance, 0.0)), _MIN_STD)
    return mean.astype(np.float32), std.astype(np.float32)
