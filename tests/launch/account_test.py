"""The launcher of accounts, run as a user does."""

import json

import pytest

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.networks import cost
from tests.support import programs


def account(*args):
    return programs.run("-m", "launch.account", *args)


def test_json():
    done = account("--genotype=PC_DARTS_cifar", "--network=imagenet", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "genotype": "PC_DARTS_cifar",
        "network": "imagenet",
        "kind": "imagenet",
        "num_cells": 14,
        "init_channels": 48,
        "num_classes": 1000,
        "image_size": 224,
        "image_channels": 3,
        "image_width": 0,
        "output_stride": 0,
        "head_channels": 256,
        "parameters": 5_270_560,
        "parameters_with_auxiliary": 6_531_336,
        "multiply_adds": 571_137_408,
        "multiply_adds_published": 585_945_600,
    }


def test_a_workdir_and_other_sizes(tmp_path):
    genotype = published.load_genotype("FairDARTS_a")
    (tmp_path / "genotype.json").write_text(genotypes.to_json(genotype))
    done = account(
        f"--genotype={tmp_path}",
        "--network=cifar10",
        "--num_cells=5",
        "--init_channels=4",
        "--num_classes=100",
        "--image_size=16",
        "--layers",
        "--json",
    )
    network = cost.Network("cifar", 5, 4, 100, 16)
    expected = cost.to_dict(cost.count(genotype, network), True)
    content = json.loads(done.stdout)
    assert {k: content[k] for k in expected} == json.loads(json.dumps(expected))


def test_segmentation():
    args = "--genotype=DARTS_V2", "--network=segmentation"
    done = account(*args)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "parameters                    9,987,533\n"
        "multiply_adds            11,547,253,704\n"
        "multiply_adds_published  11,655,614,544\n"
    )
    done = account(
        *args,
        "--num_classes=11",
        "--image_size=360",
        "--image_width=480",
        "--output_stride=8",
        "--json",
    )
    network = cost.Network("imagenet", 14, 48, 11, 360, 3, 480, 8)
    counted = cost.count(published.load_genotype("DARTS_V2"), network)
    assert json.loads(done.stdout) == {
        "genotype": "DARTS_V2",
        "network": "segmentation",
        "kind": "imagenet",
        "num_cells": 14,
        "init_channels": 48,
        "num_classes": 11,
        "image_size": 360,
        "image_channels": 3,
        "image_width": 480,
        "output_stride": 8,
        "head_channels": 256,
        **counted.totals(),
    }


def test_text():
    done = account("--genotype=DARTS_V2", "--layers")
    expected = cost.to_text(
        cost.count(
            published.load_genotype("DARTS_V2"), cost.NETWORKS["cifar10"]
        ),
        with_layers=True,
    )
    assert (done.returncode, done.stdout) == (0, expected + "\n")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ([], "Missing --genotype; expected --genotype="),
        (["--genotype=DARTS_V3"], "There is no genotype 'DARTS_V3'; expected "),
        (
            ["--genotype=DARTS_V2", "--network=mnist"],
            "flag --network=mnist: value should be one of "
            "<cifar10|imagenet|segmentation>",
        ),
        (
            ["--genotype=DARTS_V2", "--num_cells=0"],
            "num_cells is 0; expected 3 or more",
        ),
        (
            ["--genotype=DARTS_V2", "--output_stride=8"],
            "output_stride is 8 with the stem 'cifar'; expected the stem ",
        ),
    ],
)
def test_bad_input(args, line):
    done = account(*args)
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert (done.returncode, done.stdout) == (2, "")


def test_tensorflow_stays_away():
    loaded = "import sys, launch.account; print('tensorflow' in sys.modules)"
    done = programs.run_afresh("-c", loaded)
    assert (done.returncode, done.stdout) == (0, "False\n")
