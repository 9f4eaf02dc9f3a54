"""Classifies images by an exported SavedModel alone, not by the network."""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.data import decoding
from entrannas_tf.retraining import workflow as retraining_workflow

_BATCH_SIZE = 100
_CHUNK = 1000  # images fetched at a time: bounds the memory
_NUM_NAMED = 3  # Classes named for an image.
_NUM_SHOWN = 5  # Test images shown one by one.


class Model(NamedTuple):
    """An export, reloaded.

    Attributes:
        serve: Maps images, uint8 [B, H, W, C], to a dict of `probabilities`,
            float32 [B, num_classes], and `label_names`.
        image_shape: (H, W, C).
        label_names: Name of each class.
    """

    serve: object
    image_shape: tuple
    label_names: tuple

    def probabilities(self, images):
        """Returns float32 [N, num_classes] of uint8 [N, H, W, C]."""
        starts = range(0, len(images), _BATCH_SIZE)
        batches = [images[start : start + _BATCH_SIZE] for start in starts]
        return np.concatenate(
            [self.serve(tf.constant(b))["probabilities"] for b in batches]
        )


def load(directory):
    """Returns the `Model` that `launch.export` wrote to a directory.

    Raises:
        ValueError: If there is none.
    """
    if not os.path.exists(os.path.join(directory, "saved_model.pb")):
        raise ValueError(
            f"{directory} holds no saved_model.pb; expected what launch.export "
            "wrote, with --format=savedmodel."
        )
    loaded = tf.saved_model.load(directory)
    signature = loaded.signatures["serve_uint8"]
    if "class_map" in signature.structured_outputs:
        raise ValueError(
            f"{directory} holds a network for segmentation; expected a "
            "classifier. launch.draw --workdir=RUN draws what a segmentation "
            "sees."
        )
    _, arguments = signature.structured_input_signature
    shape = tuple(arguments["images"].shape[1:])
    result = loaded.serve_uint8(tf.zeros([1, *shape], tf.uint8))
    names = [name.decode() for name in result["label_names"].numpy()]
    return Model(loaded.serve_uint8, shape, tuple(names))


def classify(directory, paths, config_dict):
    """Classifies images, or without paths the test images of a data set.

    Args:
        directory: Directory of the export.
        paths: Sequence of paths of images; they are resized and cropped.
        config_dict: The configuration of the network's retraining; acts only
            without paths.

    Returns:
        List of str: a line an image, such as "cat.png: cat 98.1%, dog 1.2%,
        frog 0.4%"; of test images the first ones, then how many are right.

    Raises:
        ValueError: If there is no export, an image cannot be read, or the
            network is not one of such images.
    """
    if not paths and config_dict is None:
        raise ValueError(
            "Missing --images; expected --images=cat.jpg,dog.png, or --config "
            "for the test images of a data set."
        )
    model = load(directory)
    if not paths:
        return _classify_test_images(model, directory, config_dict)
    images = decoding.decode(paths, model.image_shape)
    return [
        f"{path}: {_named(row, model.label_names)}"
        for path, row in zip(paths, model.probabilities(images), strict=True)
    ]


def _classify_test_images(model, directory, config_dict):
    config = schema.read(retrain_config.RetrainConfig, config_dict)
    data = retraining_workflow.load_data(config)
    source, indices = data.test_source, data.test_indices
    if source.image_shape != model.image_shape:
        raise ValueError(
            f"The images of {source.name} are {list(source.image_shape)} and "
            f"those of {directory} {list(model.image_shape)}; expected the "
            "configuration that its network was trained by."
        )
    rows, labels = [], []
    for start in range(0, len(indices), _CHUNK):
        chosen = tf.constant(indices[start : start + _CHUNK], tf.int64)
        images, found = source.fetch(chosen)
        rows.append(model.probabilities(images.numpy()))
        labels.append(found.numpy())
    rows, labels = np.concatenate(rows), np.concatenate(labels)
    lines = [
        f"test image {index}, {source.label_names[label]}: "
        f"{_named(row, model.label_names)}"
        for index, label, row in zip(indices, labels, rows, strict=True)
    ]
    right = int((rows.argmax(axis=1) == labels).sum())
    return [
        *lines[:_NUM_SHOWN],
        f"{right} of {len(labels)} test images are right, "
        f"{right / len(labels):.2%}",
    ]


def _named(row, names):
    """Returns the most likely classes with their probabilities."""
    best = np.argsort(-row, kind="stable")[:_NUM_NAMED]
    return ", ".join(f"{names[index]} {row[index]:.1%}" for index in best)
