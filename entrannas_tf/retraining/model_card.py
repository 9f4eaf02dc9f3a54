"""The model card: describes an exported network to those who receive it."""

import json

from entrannas_tf.training import formatting

_USE = {
    ("classification", "savedmodel"): """\
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
    ("classification", "litert"): """\
    import tensorflow as tf

    interpreter = tf.lite.Interpreter("{output}/model.tflite")
    run = interpreter.get_signature_runner()
    (probabilities,) = run(images=images).values()  # float32, 0 to 255
""",
    ("segmentation", "savedmodel"): """\
    import tensorflow as tf

    model = tf.saved_model.load("{output}")
    result = model.serve(images)        # float32, 0 to 255, or
    result = model.serve_uint8(images)  # uint8
    result["class_map"]      # int32 [B, H, W], lines of labels.txt from 0 on
    result["probabilities"]  # float32 [B, H, W, {num_classes}]

The same as a model of Keras's own layers, to train on, quantize or take apart:

    import keras

    model = keras.models.load_model("{output}/model.keras")
    model(images)            # the same dict, of images of 0 to 255
    network = model.get_layer("segmentation_network")  # of normalized images
""",
}
_TITLES = {
    "classification": "An image classifier whose cells were searched by "
    "differentiable architecture search, trained from scratch and exported by "
    "entrannas_tf.",
    "segmentation": "A network for semantic segmentation, DeepLabV3's head on "
    "a backbone, trained and exported by entrannas_tf.",
}


def render(
    config,
    data,
    results,
    genotype,
    images,
    task,
    *,
    output,
    export_format,
    weights,
    largest_difference,
    num_compared,
):
    """Returns the card, Markdown.

    Args:
        config: The configuration of the training.
        data: `datasets.RetrainData` that the network was trained and tested on.
        results: The run's results, a dict of `retraining_results.read`.
        genotype: A `genotypes.Genotype`, or None.
        images: The `trained.Images`.
        task: Name of the task.
        output: Directory of the export, as the user gave it.
        export_format: "savedmodel" or "litert".
        weights: "last", those after the last epoch, or "best".
        largest_difference: Largest difference of a probability between the
            export and the network.
        num_compared: Number of test images on which they were compared.
    """
    totals, names = results["network"], images.label_names
    height, width, channels = images.image_shape
    use = _USE[task, export_format].format(
        output=output, num_classes=len(names)
    )
    is_held_out = results["held_out"]
    tested = "held-out training images" if is_held_out else "test images"
    (run,) = results["runs"]
    best = next(iter(results["mean"]))
    if weights == "last":
        epoch = config.training.epochs
        score = formatting.scores(run)
        chosen = "the weights after the last epoch"
    else:  # Its other scores were not kept.
        epoch = run["best_epoch"]
        score = f"{run[f'best_{best}']:.2%}"
        chosen = (
            f"the weights that did best on the {tested}, so that this is "
            "optimistic"
        )
    rows = [
        ("data", f"{data.source.name}, {len(data.indices):,} training images"),
        (
            formatting.SCORES[best],
            f"{score}, on {len(data.test_indices):,} {tested}; epoch "
            f"{epoch}, {chosen}",
        ),
        ("parameters", f"{totals['parameters']:,}"),
        ("multiply-adds", _multiply_adds(totals)),
    ]
    if genotype is not None:
        rows += [
            ("normal cell", f"`{genotype.describe('normal')}`"),
            ("reduction cell", f"`{genotype.describe('reduction')}`"),
        ]
    size = f"{height}, {width}" if height else "H, W"
    any_size = "" if height else " and any size"
    outputs = "the probabilities of the classes, in this order"
    if task == "segmentation":
        outputs = (
            "for each pixel the class and the probabilities of the classes, in "
            "this order"
        )
        rows += [
            (f"IoU, {name}", "-" if iou is None else f"{iou:.2%}")
            for name, iou in run["test_iou"].items()
            if weights == "last"
        ]
    rows += [
        (
            "images",
            f"[B, {size}, {channels}] of any batch size B{any_size}, values "
            "from 0 to 255",
        ),
        (
            "preprocessing",
            "inside of the model: scaled to [0, 1], minus the mean "
            f"{_numbers(images.mean)}, divided by {_numbers(images.std)}",
        ),
        ("output", outputs),
        ("classes", ", ".join(names)),
        (
            "checked",
            f"reloaded and compared with the trained network on "
            f"{num_compared} {tested}: probabilities differ by at most "
            f"{largest_difference:.1e}",
        ),
    ]
    return (
        f"# {config.name}\n\n{_TITLES[task]}\n\n"
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
