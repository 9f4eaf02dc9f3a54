"""A trained network as SavedModel, Keras or LiteRT file, with a model card."""

import os
import shutil
import warnings

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.retraining import model_card, trained
from entrannas_tf.training import files

FORMATS = ("savedmodel", "litert")
WEIGHTS = trained.WEIGHTS
CARD_FILE = "README.md"
LABELS_FILE = "labels.txt"
KERAS_FILE = "model.keras"
LITERT_FILE = "model.tflite"

# Largest difference of a probability; rounding alone gives a thousandth of it.
_TOLERANCE = 1e-4


def export(workdir, output, export_format="savedmodel", weights="last"):
    """Exports the network of a finished training, and checks the export.

    Args:
        workdir: Directory of the retraining or segmentation. Of several runs
            the first is taken: a choice by test accuracy would flatter.
        output: Directory to write; it must not be there, or be empty.
        export_format: "savedmodel", a SavedModel and a Keras file,
            `model.keras`; or "litert".
        weights: "last", those after the last epoch, or "best", those that did
            best on the test images.

    Returns:
        The largest difference of a probability between the export and the
        network, on test images.

    Raises:
        ValueError: If the training has not ended, the output is there, or the
            data are not.
        OSError: If a file cannot be read or written.
        RuntimeError: If the export does not do what the network does; nothing
            is left of it then.

    Example:

    >>> import entrannas_tf
    >>> difference = entrannas_tf.export("runs/digits_net", "model")
    model: README.md, ...model.keras...saved_model.pb...
    >>> difference < 1e-4
    True
    """
    workdir, output = os.fspath(workdir), os.fspath(output)
    if os.path.exists(output) and (
        not os.path.isdir(output) or os.listdir(output)
    ):
        raise ValueError(
            f"{output} is there already; choose another --output, or remove it."
        )
    found = trained.read(workdir, weights)
    if export_format == "litert" and None in found.images.image_shape:
        raise ValueError(
            f"The network of {workdir} takes images of any size, and LiteRT "
            "needs a fixed one; expected --format=savedmodel."
        )
    task, names = found.task, found.images.label_names
    data = task.load_data(found.config)
    server = found.make_server()
    shape = [None, *found.images.image_shape]
    signature = tf.TensorSpec(shape, name="images")
    logging.info("writes   %s", output)
    temporary = f"{os.path.abspath(output)}.{os.getpid()}.tmp"
    try:
        os.makedirs(temporary)
        is_litert = export_format == "litert"
        write = _write_litert if is_litert else _write_savedmodel
        run = write(server, signature, names, temporary)
        difference, num_compared = _compare(server, run, task.samples(data))
        card = model_card.render(
            found.config,
            data,
            found.results,
            found.cells,
            found.images,
            task.name,
            output=output,
            export_format=export_format,
            weights=weights,
            largest_difference=difference,
            num_compared=num_compared,
        )
        files.write_text(os.path.join(temporary, CARD_FILE), card)
        text = "".join(f"{name}\n" for name in names)
        files.write_text(os.path.join(temporary, LABELS_FILE), text)
        if found.cells is not None:
            files.write_text(
                os.path.join(temporary, published.GENOTYPE_FILE),
                genotypes.to_json(found.cells),
            )
        os.replace(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    logging.info(
        "checked  reloaded; on %d test images probabilities differ by at most "
        "%.1e",
        num_compared,
        difference,
    )
    print(f"{output}: {', '.join(sorted(os.listdir(output)))}", flush=True)
    return difference


def load(workdir, weights="last"):
    """Returns the network of a finished training, with its preprocessing.

    Args:
        workdir: Directory of the training; of several runs the first.
        weights: "last", those after the last epoch, or "best".

    Returns:
        The `keras.Model` of `task.Task.make_server`.

    Raises:
        ValueError: If the training has not ended, or the data are not there.
        OSError: If a file cannot be read.
    """
    return trained.read(os.fspath(workdir), weights).make_server()


def _as_dict(outputs):
    """Returns the outputs of a model by name."""
    return outputs if isinstance(outputs, dict) else {"probabilities": outputs}


def _write_savedmodel(server, signature, names, directory):
    """Writes a SavedModel and a Keras file; returns a call of both."""

    def serve(images):
        outputs = server(tf.cast(images, tf.float32))
        if isinstance(outputs, dict):
            return outputs
        return {"probabilities": outputs, "label_names": tf.constant(names)}

    archive = keras.export.ExportArchive()
    archive.track(server)
    archive.add_endpoint("serve", serve, [signature])
    in_bytes = tf.TensorSpec(signature.shape, tf.uint8, name="images")
    archive.add_endpoint("serve_uint8", serve, [in_bytes])
    archive.write_out(directory, verbose=False)
    model = tf.saved_model.load(directory)
    path = os.path.join(directory, KERAS_FILE)
    server.save(path)
    reloaded = keras.models.load_model(path)

    def run(images):
        floats = images.astype(np.float32)
        served = model.serve(tf.constant(floats))["probabilities"].numpy()
        others = (
            model.serve_uint8(tf.constant(images))["probabilities"].numpy(),
            _as_dict(reloaded(floats))["probabilities"].numpy(),
        )
        # Where they differ, one of them is wrong.
        agree = [np.abs(served - same) < _TOLERANCE for same in others]
        return np.where(np.logical_and(*agree), served, np.nan)

    return run


def _write_litert(server, signature, names, directory):
    """Writes a LiteRT file; returns a call of it, reloaded."""
    del names  # Its strings are of no use on small devices: labels.txt.
    path = os.path.join(directory, LITERT_FILE)
    server.export(
        path, format="litert", input_signature=[signature], verbose=False
    )
    with warnings.catch_warnings():  # It is to be a package of its own.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(path)
    runner = interpreter.get_signature_runner()

    def run(images):
        (probabilities,) = runner(images=images.astype(np.float32)).values()
        return probabilities

    return run


def _compare(server, run, samples):
    """Returns how far an export is off, and on how many test images."""
    difference, count = 0.0, 0
    for images in samples:
        outputs = server(tf.cast(images, tf.float32))
        expected = _as_dict(outputs)["probabilities"].numpy()
        largest = float(np.abs(run(images.numpy()) - expected).max())
        if not largest < _TOLERANCE:
            raise RuntimeError(
                f"The export gives probabilities that differ by {largest:.1e} "
                f"from the network's; expected less than {_TOLERANCE:.0e}. It "
                "was removed."
            )
        difference, count = max(difference, largest), count + len(images)
    return difference, count
