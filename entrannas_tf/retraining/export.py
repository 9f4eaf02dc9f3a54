"""A trained network as SavedModel, Keras or LiteRT file, with a model card."""

import dataclasses
import os
import shutil
import warnings

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.retraining import model_card
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import run as retraining_run
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.training import checkpoints, files, workdirs

FORMATS = ("savedmodel", "litert")
WEIGHTS = ("last", "best")
CARD_FILE = "README.md"
LABELS_FILE = "labels.txt"
KERAS_FILE = "model.keras"
LITERT_FILE = "model.tflite"

_NUM_COMPARED = 64
# Largest difference of a probability; rounding alone gives a thousandth of it.
_TOLERANCE = 1e-4


def make_classifier(network, mean, std):
    """Returns a network with its preprocessing: images in, probabilities out.

    Args:
        network: The model of `target_network.TargetNetwork`.
        mean: float [C], of images scaled to [0, 1].
        std: float [C], the standard deviation of these.

    Returns:
        A functional `keras.Model` of Keras's own layers that maps images,
        float32 [B, H, W, C] from 0 to 255, to float32 [B, num_classes], the
        probabilities of the classes. The network is one of its layers.
    """
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    images = keras.Input(network.input_shape[1:], name="images")
    normalize = keras.layers.Rescaling(
        (1 / (255 * std)).tolist(), (-mean / std).tolist(), name="normalize"
    )
    logits = network(normalize(images))
    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model(images, probabilities, name="classifier")


def export(workdir, output, export_format="savedmodel", weights="last"):
    """Exports the network of a finished retraining, and checks the export.

    Args:
        workdir: Directory of the retraining. Of several runs the first is
            taken: a choice by test accuracy would flatter.
        output: Directory to write; it must not be there, or be empty.
        export_format: "savedmodel", a SavedModel and a Keras file,
            `model.keras`; or "litert".
        weights: "last", those after the last epoch, or "best", those that did
            best on the test images.

    Returns:
        The largest difference of a probability between the export and the
        network, on test images.

    Raises:
        ValueError: If the retraining has not ended, the output is there, or
            the data are not.
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
    config, results, data, genotype, classifier = _load(workdir, weights)
    height, width, channels = data.test_source.image_shape
    signature = tf.TensorSpec([None, height, width, channels], name="images")
    names = data.source.label_names
    logging.info("writes   %s", output)
    temporary = f"{os.path.abspath(output)}.{os.getpid()}.tmp"
    try:
        os.makedirs(temporary)
        is_litert = export_format == "litert"
        write = _write_litert if is_litert else _write_savedmodel
        run = write(classifier, signature, names, temporary)
        difference, num_compared = _compare(classifier, run, data)
        card = model_card.render(
            config,
            data,
            results,
            genotype,
            output=output,
            export_format=export_format,
            weights=weights,
            largest_difference=difference,
            num_compared=num_compared,
        )
        files.write_text(os.path.join(temporary, CARD_FILE), card)
        text = "".join(f"{name}\n" for name in names)
        files.write_text(os.path.join(temporary, LABELS_FILE), text)
        files.write_text(
            os.path.join(temporary, published.GENOTYPE_FILE),
            genotypes.to_json(genotype),
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
    """Returns the classifier of a finished retraining, see `make_classifier`.

    Args:
        workdir: Directory of the retraining; of several runs the first.
        weights: "last", those after the last epoch, or "best".

    Raises:
        ValueError: If the retraining has not ended, or the data are not there.
        OSError: If a file cannot be read.
    """
    return _load(os.fspath(workdir), weights)[-1]


def _load(workdir, weights):
    """Returns a run's configuration, results, data, genotype, classifier."""
    config = workdirs.read_config(workdir, retrain_config.RetrainConfig)
    if not retraining_results.is_finished(workdir):
        raise ValueError(
            f"The retraining in {workdir} has not ended; the command that "
            "started it goes on with it."
        )
    if config.num_runs > 1:
        first = retraining_results.directory(workdir, 1)
        logging.info(
            "takes    %s, the first of %d runs", first, config.num_runs
        )
        return _load(first, weights)
    data = retraining_workflow.load_data(config)
    genotype = published.load_genotype(workdir)
    training = dataclasses.replace(
        config.training, precision="float32", xla=False
    )
    trainer = retraining_workflow.make_trainer(
        dataclasses.replace(config, training=training), genotype, data.source
    )
    directory = os.path.join(workdir, checkpoints.DIRECTORY)
    path = os.path.join(directory, retraining_run.BEST_FILE)
    if weights == "last":
        path = checkpoints.newest(directory)
    if path is None or not os.path.exists(path):
        raise ValueError(f"{directory} holds no checkpoint of the network.")
    checkpoints.read(path, checkpoints.network_variables(trainer))
    classifier = make_classifier(
        trainer.network, data.source.mean, data.source.std
    )
    results = retraining_results.read(workdir)
    return config, results, data, genotype, classifier


def _write_savedmodel(classifier, signature, names, directory):
    """Writes a SavedModel and a Keras file; returns a call of both."""

    def serve(images):
        return {
            "probabilities": classifier(tf.cast(images, tf.float32)),
            "label_names": tf.constant(names),
        }

    archive = keras.export.ExportArchive()
    archive.track(classifier)
    archive.add_endpoint("serve", serve, [signature])
    in_bytes = tf.TensorSpec(signature.shape, tf.uint8, name="images")
    archive.add_endpoint("serve_uint8", serve, [in_bytes])
    archive.write_out(directory, verbose=False)
    model = tf.saved_model.load(directory)
    path = os.path.join(directory, KERAS_FILE)
    classifier.save(path)
    reloaded = keras.models.load_model(path)

    def run(images):
        floats = images.astype(np.float32)
        served = model.serve(tf.constant(floats))["probabilities"].numpy()
        others = (
            model.serve_uint8(tf.constant(images))["probabilities"].numpy(),
            reloaded(floats).numpy(),
        )
        # Where they differ, one of them is wrong.
        agree = [np.abs(served - same) < _TOLERANCE for same in others]
        return np.where(np.logical_and(*agree), served, np.nan)

    return run


def _write_litert(classifier, signature, names, directory):
    """Writes a LiteRT file; returns a call of it, reloaded."""
    del names  # Its strings are of no use on small devices: labels.txt.
    path = os.path.join(directory, LITERT_FILE)
    classifier.export(
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


def _compare(classifier, run, data):
    """Returns how far an export is off, and on how many test images."""
    chosen = data.test_indices[:_NUM_COMPARED]
    images, _ = data.test_source.fetch(tf.constant(chosen, tf.int64))
    expected = classifier(tf.cast(images, tf.float32)).numpy()
    difference = float(np.abs(run(images.numpy()) - expected).max())
    if not difference < _TOLERANCE:
        raise RuntimeError(
            f"The export gives probabilities that differ by {difference:.1e} "
            f"from the network's; expected less than {_TOLERANCE:.0e}. It was "
            "removed."
        )
    return difference, len(chosen)
