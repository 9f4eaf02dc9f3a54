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
    *,
    name,
    output,
    export_format,
    image_shape,
    label_names,
    mean,
    std,
    data_name,
    num_train,
    num_test,
    held_out,
    weights,
    epoch,
    accuracy,
    top5_accuracy,
    totals,
    genotype,
    provenance,
    largest_difference,
    num_compared,
):
    """Returns the card, Markdown.

    Args:
        name: Name of the network in the configuration.
        output: Directory of the export, as the user gave it.
        export_format: "savedmodel" or "litert".
        image_shape: (H, W, C) of the images.
        label_names: Names of the classes, in the order of the probabilities.
        mean: [C], subtracted inside of the model from images in [0, 1].
        std: [C], by which the model then divides them.
        data_name: Name of the training images.
        num_train: Number of training images.
        num_test: Number of test images.
        held_out: Whether these are held-out training images.
        weights: "last" or "best".
        epoch: Epoch after which the weights were taken.
        accuracy: Share of test images, from 0 to 1.
        top5_accuracy: Top-5 accuracy on them; None where it was not kept.
        totals: `cost.Account.totals`.
        genotype: A `genotypes.Genotype`.
        provenance: A dict of `provenance.collect`.
        largest_difference: Largest difference of a probability between the
            export and the network.
        num_compared: Number of test images they were compared on.
    """
    height, width, channels = image_shape
    use = _USE[export_format].format(
        output=output, num_classes=len(label_names)
    )
    tested = "held-out training images" if held_out else "test images"
    chosen = (
        "the weights after the last epoch"
        if weights == "last"
        else f"the weights that did best on the {tested}, so that this is "
        "optimistic"
    )
    top5 = "" if top5_accuracy is None else f", top-5 {top5_accuracy:.2%}"
    rows = [
        ("data", f"{data_name}, {num_train:,} training images"),
        (
            "accuracy",
            f"{accuracy:.2%}{top5}, on {num_test:,} {tested}; epoch "
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
            f"{_numbers(mean)}, divided by {_numbers(std)}",
        ),
        ("output", "the probabilities of the classes, in this order"),
        ("classes", ", ".join(label_names)),
        (
            "checked",
            f"reloaded and compared with the trained network on "
            f"{num_compared} {tested}: probabilities differ by at most "
            f"{largest_difference:.1e}",
        ),
    ]
    return (
        f"# {name}\n\nAn image classifier whose cells were searched by "
        "differentiable architecture search, trained from scratch and "
        "exported by entrannas_tf.\n\n"
        f"{formatting.table(('', ''), rows)}\n\n## Use\n\n{use}\n"
        "## Provenance\n\n"
        f"    {json.dumps(provenance)}\n"
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
