import types

import pytest

from entrannas_tf.architecture import published
from entrannas_tf.retraining import model_card


def render(weights="last", export_format="savedmodel", held_out=0.0, **totals):
    network = {
        "parameters": 1_234_567,
        "multiply_adds": 89_000,
        "multiply_adds_published": 90_000,
    }
    run = {
        "test_accuracy": 0.912,
        "test_top5_accuracy": 0.999,
        "best_epoch": 12,
        "best_test_accuracy": 0.923,
    }
    source = types.SimpleNamespace(name="pets/train")
    images = types.SimpleNamespace(
        image_shape=(32, 48, 3),
        label_names=("cat", "dog"),
        mean=[0.5, 0.25, 0.125],
        std=[0.2, 0.3, 0.4],
    )
    return model_card.render(
        types.SimpleNamespace(
            name="mine",
            training=types.SimpleNamespace(epochs=15),
        ),
        types.SimpleNamespace(
            source=source, indices=range(12_345), test_indices=range(678)
        ),
        {
            "held_out": held_out > 0,
            "mean": {"test_accuracy": 0.912},
            "runs": [run],
            "network": network | totals,
            "provenance": {"seed": 3},
        },
        published.load_genotype("DARTS_V2"),
        images,
        "classification",
        output="model",
        export_format=export_format,
        weights=weights,
        largest_difference=2e-7,
        num_compared=64,
    )


def test_what_it_says():
    card = render()
    for line in (
        "# mine\n",
        "| data | pets/train, 12,345 training images |",
        "| accuracy | 91.20%, top-5 99.90%, on 678 test images; epoch "
        "15, the weights after the last epoch |",
        "| parameters | 1,234,567 |",
        "| multiply-adds | 89,000 (convolutions and dense layers alone), "
        "90,000 (as published) |",
        "| images | [B, 32, 48, 3] of any batch size B, values from 0 to 255",
        "minus the mean (0.5000, 0.2500, 0.1250), divided by (0.2000, ",
        "| classes | cat, dog |",
        "differ by at most 2.0e-07 |",
        'tf.saved_model.load("model")',
        '{"seed": 3}',
    ):
        assert line in card


@pytest.mark.parametrize("weights", ["last", "best"])
def test_images_that_were_held_out_are_no_test_images(weights):
    card = render(weights, held_out=0.1)
    assert ", on 678 held-out training images; epoch 1" in card
    assert "test images" not in card


def test_rows_of_the_table_are_whole():
    card = render()
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3}


def test_other_kinds():
    counts = dict.fromkeys(("multiply_adds", "multiply_adds_published"))
    card = render("best", "litert", **counts)
    assert "92.30%, on 678 test images; epoch 12, the weights that did" in card
    assert "not counted: the images are not squares" in card
    assert 'Interpreter("model/model.tflite")' in card
