"""The model card: describes an exported network to those who receive it."""

import json

from entrannas_tf.training import formatting

_USE = {
    "savedmodel": """\
    import tensorflow as tf

    model = tf.saved_model.load("{output}")
    result = model.serve(images)        # float32, 0 to 255, or
    result = model.serve_uint8(images)  # uint8
    result["probabilities"]  # float32 [B, {num_classes}]
    result["label_names"]    # string [{num_classes}]

The same as a model of Keras's own layers, to train on, quantize or take apart:

    import keras

    model = keras.models.load_model("{output}/model.keras")
    model.predict(images)    # float32 [B, {num_classes}], of 0 to 255
    network = model.get_layer("target_network")  # of normalized images
""",
    "litert": """\
    import tensorflow as tf

    interpreter = tf.lite.Interpreter("{output}/model.tflite")
    run = interpreter.get_signature_runner()
    (probabilities,) = run(images=images).values()  # float32, 0 to 255
""",
}


def render(
    config,
    data,
    results,
    genotype,
    *,
    output,
    export_format,
    weights,
    largest_difference,
    num_compared,
):
    """Returns the card, Markdown.

    Args:
        config: The `retrain_config.RetrainConfig`.
        data: `datasets.RetrainData` that the network was trained and tested on.
        results: The run's results, a dict of `retraining_results.read`.
        genotype: A `genotypes.Genotype`.
        output: Directory of the export, as the user gave it.
        export_format: "savedmodel" or "litert".
        weights: "last", those after the last epoch, or "best".
        largest_difference: Largest difference of a probability between the
            export and the network.
        num_compared: Number of test images on which they were compared.
    """
    source, totals = data.source, results["network"]
    height, width, channels = source.image_shape
    use = _USE[export_format].format(
        output=output, num_classes=len(source.label_names)
    )
    is_held_out = config.data.validation_fraction > 0
    tested = "held-out training images" if is_held_out else "test images"
    (run,) = results["runs"]
    if weights == "last":
        epoch, accuracy = config.training.epochs, f"{run['test_accuracy']:.2%}"
        accuracy += f", top-5 {run['test_top5_accuracy']:.2%}"
        chosen = "the weights after the last epoch"
    else:  # Its top-5 accuracy was not kept.
        epoch, accuracy = run["best_epoch"], f"{run['best_test_accuracy']:.2%}"
        chosen = (
            f"the weights that did best on the {tested}, so that this is "
            "optimistic"
        )
    rows = [
        ("data", f"{source.name}, {len(data.indices):,} training images"),
        (
            "accuracy",
            f"{accuracy}, on {len(data.test_indices):,} {tested}; epoch "
            f"{epoch}, {chosen}",
        ),
        ("parameters", f"{totals['parameters']:,}"),
        ("multiply-adds", _multiply_adds(totals)),
        ("normal cell", f"`{genotype.describe('normal')}`"),
        ("reduction cell", f"`{genotype.describe('reduction')}`"),
        (
            "images",
            f"[B, {height}, {width}, {channels}] of any batch size B, values "
            "from 0 to 255",
        ),
        (
            "preprocessing",
            "inside of the model: scaled to [0, 1], minus the mean "
            f"{_numbers(source.mean)}, divided by {_numbers(source.std)}",
        ),
        ("output", "the probabilities of the classes, in this order"),
        ("classes", ", ".join(source.label_names)),
        (
            "checked",
            f"reloaded and compared with the trained network on "
            f"{num_compared} {tested}: probabilities differ by at most "
            f"{largest_difference:.1e}",
        ),
    ]
    return (
        f"# {config.name}\n\nAn image classifier whose cells were searched by "
        "differentiable architecture search, trained from scratch and "
        "exported by entrannas_tf.\n\n"
        f"{formatting.table(('', ''), rows)}\n\n## Use\n\n{use}\n"
        "## Provenance\n\n"
        f"    {json.dumps(results['provenance'])}\n"
    )


def _multiply_adds(totals):
    if totals["multiply_adds"] is None:
        return "not counted: the images are not squares"
    return (
        f"{totals['multiply_adds']:,} (convolutions and dense layers alone), "
        f"{totals['multiply_adds_published']:,} (as published)"
    )


def _numbers(values):
    return "(" + ", ".join(f"{float(value):.4f}" for value in values) + ")"
