"""Draws what a trained segmentation network sees."""

import os

import numpy as np
import tensorflow as tf
from absl import logging

from entrannas_tf.data import voc
from entrannas_tf.drawing import masks as mask_drawing
from entrannas_tf.retraining import segmentation, trained
from entrannas_tf.training import files

_NUM_PHOTOGRAPHS = 8


def draw_masks(workdir, output, num_photographs=_NUM_PHOTOGRAPHS):
    """Draws test photographs beside their true and their predicted classes.

    Args:
        workdir: Directory of a finished segmentation. Of several runs the
            first is taken.
        output: Folder of the pictures, made if it is not there.
        num_photographs: Number of photographs, evenly chosen from the test
            list.

    Returns:
        List of the paths of the pictures.

    Raises:
        ValueError: If the workdir is not of a finished segmentation, the data
            are not there, or the output is a file.
        OSError: If a file cannot be read or written.

    Example:

    >>> import entrannas_tf
    >>> entrannas_tf.draw_masks("runs/seg", "masks", num_photographs=1)
    ['masks/...png']
    """
    workdir, output = os.fspath(workdir), os.fspath(output)
    if os.path.exists(output) and not os.path.isdir(output):
        raise ValueError(
            f"The output {output} is a file; expected a folder, such as masks/."
        )
    found = trained.read(workdir)
    if found.task is not segmentation.TASK:
        raise ValueError(
            f"{workdir} is the workdir of a {found.task.name}; expected that "
            "of a segmentation."
        )
    data = found.task.load_data(found.config)
    source, server = data.test_source, found.make_server()
    predict = tf.function(
        lambda image: server(image)["class_map"],
        input_signature=[tf.TensorSpec([None, None, None, 3])],
        autograph=False,
    )
    count = min(num_photographs, len(data.test_indices))
    places = np.linspace(0, len(data.test_indices) - 1, count).round()
    os.makedirs(output, exist_ok=True)
    paths = []
    for index in data.test_indices[places.astype(np.int64)]:
        pixels, labels = source.fetch(tf.constant([index], tf.int64))
        truth = labels[0].numpy()
        prediction = predict(tf.cast(pixels, tf.float32))[0].numpy()
        counted = truth != voc.IGNORED
        right = (prediction == truth)[counted]
        name = os.path.splitext(os.path.basename(source.photographs[index]))[0]
        share = (
            f", {right.mean():.1%} of the pixels right" if right.size else ""
        )
        picture = mask_drawing.draw(
            pixels[0].numpy(),
            truth,
            prediction,
            source.palette,
            source.label_names,
            voc.IGNORED,
            f"{name}{share}",
        )
        paths.append(os.path.join(output, f"{name}.png"))
        files.write_bytes(paths[-1], picture)
        logging.info("drawn    %s", paths[-1])
    return paths
