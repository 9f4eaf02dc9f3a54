import pytest

from entrannas_tf.architecture import published
from entrannas_tf.retraining import model_card


@pytest.fixture
def values():
    return {
        "name": "mine",
        "output": "model",
        "export_format": "savedmodel",
        "image_shape": (32, 48, 3),
        "label_names": ("cat", "dog"),
        "mean": [0.5, 0.25, 0.125],
        "std": [0.2, 0.3, 0.4],
        "data_name": "pets/train",
        "num_train": 12_345,
        "num_test": 678,
        "held_out": False,
        "weights": "last",
        "epoch": 15,
        "accuracy": 0.912,
        "top5_accuracy": 0.999,
        "totals": {
            "parameters": 1_234_567,
            "multiply_adds": 89_000,
            "multiply_adds_published": 90_000,
        },
        "genotype": published.load_genotype("DARTS_V2"),
        "provenance": {"seed": 3},
        "largest_difference": 2e-7,
        "num_compared": 64,
    }


def test_what_it_says(values):
    card = model_card.render(**values)
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
def test_images_that_were_held_out_are_no_test_images(values, weights):
    values |= {"held_out": True, "weights": weights}
    card = model_card.render(**values)
    assert ", on 678 held-out training images; epoch 15" in card
    assert "test images" not in card


def test_rows_of_the_table_are_whole(values):
    card = model_card.render(**values)
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3}


def test_other_kinds(values):
    values |= {"weights": "best", "top5_accuracy": None}
    values |= {"export_format": "litert"}
    values["totals"] = dict.fromkeys(values["totals"]) | {"parameters": 1}
    card = model_card.render(**values)
    assert "91.20%, on 678 test images; epoch 15, the weights that did" in card
    assert "not counted: the images are not squares" in card
    assert 'Interpreter("model/model.tflite")' in card
