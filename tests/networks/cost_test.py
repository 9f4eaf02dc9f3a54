"""Counts of target networks: published ones, by hand, and what they add up."""

import math
import re

import numpy as np
import pytest

from entrannas_tf.architecture import (
    genotypes,
    operations,
    published,
    search_space,
)
from entrannas_tf.networks import cost
from tests.support import programs

CIFAR10 = cost.NETWORKS["cifar10"]
IMAGENET = cost.NETWORKS["imagenet"]
SEGMENTATION = cost.NETWORKS["segmentation"]
TINY = cost.Network("cifar", 3, 2, 2, 8, image_channels=1)


def genotype_of(normal, reduction=([("max_pool_3x3", 0)],), **fields):
    """Makes a genotype of nodes as lists of (primitive, source)."""
    space = fields.get("space", search_space.STANDARD)
    cells = (genotypes.make_cell(nodes, space) for nodes in (normal, reduction))
    return genotypes.Genotype(*cells, **fields)


# Its operations cost nothing.
SKIP = genotype_of(
    [[("skip_connect", 0), ("skip_connect", 1)]],
    [[("max_pool_3x3", 0), ("max_pool_3x3", 1)]],
)


def totals(name, network):
    return cost.count(published.load_genotype(name), network).totals()


@pytest.mark.parametrize(
    ("name", "network", "expected"),
    [
        (
            "DARTS_V2",
            CIFAR10,
            {
                "parameters": 3_349_342,
                "parameters_with_auxiliary": 3_825_768,
                "multiply_adds": 528_359_040,
            },
        ),
        (
            "DARTS_V2",
            IMAGENET,
            {
                "parameters": 4_718_752,
                "parameters_with_auxiliary": 5_979_528,
                "multiply_adds": 529_911_552,
            },
        ),
        (
            "PC_DARTS_cifar",
            CIFAR10,
            {"parameters": 3_634_678, "multiply_adds": 556_670_592},
        ),
        # The paper has 586 M of this on ImageNet, and 597 M of the other.
        (
            "PC_DARTS_cifar",
            IMAGENET,
            {"multiply_adds_published": 585_945_600},
        ),
        (
            "PC_DARTS_image",
            IMAGENET,
            {"multiply_adds_published": 597_056_448},
        ),
        # P-DARTS's paper: 557 M.
        ("PDARTS", IMAGENET, {"multiply_adds_published": 557_119_488}),
        # The weights of DARTS's own network of this size.
        (
            "DARTS_V2",
            CIFAR10._replace(num_cells=5, init_channels=4),
            {"parameters": 11_554, "parameters_with_auxiliary": 422_444},
        ),
    ],
)
def test_known_counts(name, network, expected):
    counted = totals(name, network)
    assert {key: counted[key] for key in expected} == expected


# Millions of multiply-adds and of parameters, cut off, that the genotypes.py
# of xiaomi-automl/FairDARTS gives; those of its own are with auxiliary head.
@pytest.mark.parametrize(
    ("name", "multiply_adds", "field", "parameters"),
    [
        ("FairDARTS_b", 536, "parameters_with_auxiliary", 3.88),
        ("FairDARTS_d", 532, "parameters_with_auxiliary", 3.84),
        ("FairDARTS_e", 414, "parameters_with_auxiliary", 3.12),
        ("FairDARTS_f", 497, "parameters_with_auxiliary", 3.62),
        ("FairDARTS_g", 453, "parameters_with_auxiliary", 3.37),
        ("GDAS_V1", 519, "parameters", 3.36),
        ("PDARTS", 532, "parameters", 3.43),
        ("SNAS_mild", 422, "parameters", 2.66),
    ],
)
def test_counts_that_others_give(name, multiply_adds, field, parameters):
    counted = totals(name, CIFAR10)
    assert counted["multiply_adds"] // 10**6 == multiply_adds
    assert counted[field] // 10**4 == round(parameters * 100)


def test_a_network_by_hand():
    account = cost.count(SKIP, TINY)
    assert account.layers == (
        # Weights and batch norm; weights times pixels; batch norm, twice.
        ("stem", (8, 8, 6), 54 + 12, 54 * 64, 54 * 64 + 2 * 384),
        # ReLU of what comes in, batch norm, twice, of what goes out.
        *(
            (
                f"cell_0.preprocess_{i}",
                (8, 8, 2),
                12 + 4,
                12 * 64,
                12 * 64 + 384 + 2 * 128,
            )
            for i in range(2)
        ),
        ("cell_0.node_2.skip_connect_from_0", (8, 8, 2), 0, 0, 0),
        ("cell_0.node_2.skip_connect_from_1", (8, 8, 2), 0, 0, 0),
        (
            "cell_1.preprocess_0",
            (8, 8, 4),
            24 + 8,
            24 * 64,
            24 * 64 + 384 + 2 * 256,
        ),
        (
            "cell_1.preprocess_1",
            (8, 8, 4),
            8 + 8,
            8 * 64,
            8 * 64 + 128 + 2 * 256,
        ),
        ("cell_1.node_2.max_pool_3x3_from_0", (4, 4, 4), 0, 0, 0),
        ("cell_1.node_2.max_pool_3x3_from_1", (4, 4, 4), 0, 0, 0),
        # Cell 0, before the reduction, is halved: a factorized reduction.
        (
            "cell_2.preprocess_0",
            (4, 4, 8),
            16 + 16,
            16 * 16,
            16 * 16 + 128 + 2 * 128,
        ),
        (
            "cell_2.preprocess_1",
            (4, 4, 8),
            32 + 16,
            32 * 16,
            32 * 16 + 64 + 2 * 128,
        ),
        ("cell_2.node_2.max_pool_3x3_from_0", (2, 2, 8), 0, 0, 0),
        ("cell_2.node_2.max_pool_3x3_from_1", (2, 2, 8), 0, 0, 0),
        ("head", (2,), 16 + 2, 16, 16),
    )
    auxiliary = 8 * 128 + 256 + 4 * 128 * 768 + 1536 + 768 * 2 + 2
    assert account.auxiliary.parameters == auxiliary
    assert account.auxiliary.shape == (2,)
    assert account.totals() == {
        "parameters": 244,
        "parameters_with_auxiliary": 244 + auxiliary,
        "multiply_adds": 7824,
        "multiply_adds_published": 12112,
    }


def test_the_stem_for_imagenet_by_hand():
    network = cost.Network("imagenet", 3, 4, 2, 64)
    account = cost.count(SKIP, network)
    assert account.layers[:4] == (
        # 3 -> 2 channels of 32x32, ReLU, 2 -> 4 channels of 16x16.
        (
            "stem_0",
            (16, 16, 4),
            54 + 4 + 72 + 8,
            54 * 1024 + 72 * 256,
            54 * 1024 + 72 * 256 + 3 * 2048 + 2 * 1024,
        ),
        ("stem_1", (8, 8, 4), 144 + 8, 144 * 64, 144 * 64 + 1024 + 2 * 256),
        (
            "cell_0.preprocess_0",
            (8, 8, 4),
            16 + 8,
            16 * 64,
            16 * 64 + 1024 + 2 * 256,
        ),
        (
            "cell_0.preprocess_1",
            (8, 8, 4),
            16 + 8,
            16 * 64,
            16 * 64 + 256 + 2 * 256,
        ),
    )
    # No batch norm after the 2x2 convolution.
    assert account.auxiliary.parameters == (
        16 * 128 + 256 + 4 * 128 * 768 + 768 * 2 + 2
    )


# 65x49 pixels, 17x13 and 9x7 after the stem.
SEGMENTED = cost.Network(
    "imagenet",
    num_cells=3,
    init_channels=4,
    num_classes=2,
    image_size=65,
    image_width=49,
    output_stride=16,
    head_channels=5,
)
# Of an operation that has weights at stride 2 only, and one that always has.
REDUCED = genotype_of(
    [[("skip_connect", 0), ("skip_connect", 1)]],
    [[("skip_connect", 0), ("sep_conv_3x3", 1)]],
)


@pytest.mark.parametrize(
    ("output_stride", "first", "second"),
    [(32, (5, 4), (3, 2)), (16, (5, 4), (5, 4)), (8, (9, 7), (9, 7))],
)
def test_cells_that_keep_the_size_by_hand(output_stride, first, second):
    network = SEGMENTED._replace(output_stride=output_stride)
    account = cost.count(REDUCED, network)
    p, q = math.prod(first), math.prod(second)  # Pixels after either cell.
    expected = [
        # Input 0 of a cell comes to the size of input 1.
        ("cell_0.preprocess_0", (9, 7, 4), 16 + 8, 16 * 63),
        ("cell_0.preprocess_1", (9, 7, 4), 16 + 8, 16 * 63),
        ("cell_0.node_2.skip_connect_from_0", (9, 7, 4), 0, 0),
        ("cell_0.node_2.skip_connect_from_1", (9, 7, 4), 0, 0),
        ("cell_1.preprocess_0", (9, 7, 8), 32 + 16, 32 * 63),
        ("cell_1.preprocess_1", (9, 7, 8), 32 + 16, 32 * 63),
        # A factorized reduction, though it may not reduce.
        ("cell_1.node_2.skip_connect_from_0", (*first, 8), 64 + 16, 64 * p),
        (
            "cell_1.node_2.sep_conv_3x3_from_1",
            (*first, 8),
            2 * (72 + 64 + 16),
            2 * (72 + 64) * p,
        ),
        ("cell_2.preprocess_0", (*first, 16), 64 + 32, 64 * p),
        ("cell_2.preprocess_1", (*first, 16), 128 + 32, 128 * p),
        ("cell_2.node_2.skip_connect_from_0", (*second, 16), 256 + 32, 256 * q),
        (
            "cell_2.node_2.sep_conv_3x3_from_1",
            (*second, 16),
            2 * (144 + 256 + 32),
            2 * (144 + 256) * q,
        ),
    ]
    assert [layer[:4] for layer in account.layers[2:-7]] == expected


def test_the_head_for_segmentation_by_hand():
    # 5x4 pixels of 16 channels come in. A batch norm and a ReLU of 5 channels.
    norm, other = 2 * 5, 3 * 20 * 5
    wide = (5, 4, 5), 720 + norm, 720 * 20, 720 * 20 + other
    assert cost.count(SKIP, SEGMENTED).layers[-7:] == (
        ("head.aspp_0", (5, 4, 5), 80 + norm, 80 * 20, 80 * 20 + other),
        ("head.aspp_1", *wide),
        ("head.aspp_2", *wide),
        ("head.aspp_3", *wide),
        ("head.pool", (1, 1, 5), 80 + norm, 80, 80 + 3 * 5),
        ("head.project", (5, 4, 5), 125 + norm, 125 * 20, 125 * 20 + other),
        ("head", (5, 4, 2), 10 + 2, 10 * 20, 10 * 20),
    )


def test_the_head_has_the_parameters_of_deeplabv3():
    # 64 nodes of 32 channels: C = 2048, as in a ResNet. torchvision's
    # deeplabv3_resnet50 has 42,004,074 parameters: 23,508,032 of the backbone,
    # 2,365,205 of an auxiliary head, 590,336 of a further 3x3 convolution, and
    # these.
    nodes = [[("skip_connect", 0)]] * 64
    space = search_space.make("wide", ("skip_connect",), 2, 64)
    genotype = genotype_of(nodes, nodes, space=space)
    network = SEGMENTATION._replace(num_cells=3, init_channels=8)
    *layers, project, head = cost.count(genotype, network).layers[-7:]
    assert project.shape == (33, 33, 256)
    parameters = sum(c.parameters for c in (*layers, project, head))
    assert parameters == 15_540_501


@pytest.mark.parametrize("name", ["DARTS_V2", "PC_DARTS_image"])
def test_what_the_output_stride_changes(name):
    genotype = published.load_genotype(name)
    classifier = cost.count(genotype, SEGMENTATION._replace(output_stride=0))
    eighth, sixteenth, last = (
        cost.count(genotype, SEGMENTATION._replace(output_stride=stride))
        for stride in search_space.OUTPUT_STRIDES
    )
    # The classifier reduces as often; its head is one layer.
    assert last.layers[:-7] == classifier.layers[:-1]
    parameters = [c.parameters for c in last.layers]
    for other in (eighth, sixteenth):
        assert [c.name for c in other.layers] == [c.name for c in last.layers]
        assert [c.parameters for c in other.layers] == parameters
    # Stem and cells 0 to 3 run at the same size everywhere.
    same = [c for c in last.layers if re.match(r"stem|cell_[0-3]\.", c.name)]
    assert list(eighth.layers[: len(same)]) == same
    sums = [
        account.totals()["multiply_adds"]
        for account in (eighth, sixteenth, last)
    ]
    assert sums == sorted(set(sums), reverse=True)


def test_images_that_are_not_squares():
    tall = SEGMENTATION._replace(image_size=480, image_width=360)
    wide = SEGMENTATION._replace(image_size=360, image_width=480)
    genotype = published.load_genotype("DARTS_V2")
    assert cost.count(genotype, tall).layers[-1].shape == (30, 23, 21)
    assert cost.count(genotype, wide).layers[-1].shape == (23, 30, 21)
    sums = [cost.count(genotype, n).totals() for n in (tall, wide)]
    assert sums[0] == sums[1]
    square = IMAGENET._replace(image_width=224)
    assert cost.count(genotype, square) == cost.count(genotype, IMAGENET)


def test_only_input_nodes_are_halved_in_a_reduction_cell():
    reduction = [("max_pool_3x3", 0)], [("conv_3x3", 1), ("conv_1x1", 2)]
    genotype = genotype_of(
        [[("conv_3x3", 1)]], reduction, space=search_space.EXTENDED
    )
    layers = {c.name: c for c in cost.count(genotype, TINY).layers}
    normal = layers["cell_0.node_2.conv_3x3_from_1"]
    assert (normal.shape, normal.multiply_adds) == ((8, 8, 2), 64 * 36)
    outer = layers["cell_1.node_3.conv_3x3_from_1"]
    assert (outer.shape, outer.multiply_adds) == ((4, 4, 4), 16 * 144)
    inner = layers["cell_1.node_3.conv_1x1_from_2"]
    assert (inner.shape, inner.multiply_adds) == ((4, 4, 4), 16 * 16)


def test_the_output_joins_the_nodes_of_the_concat():
    normal = [[("skip_connect", 0)], [("conv_1x1", 2)], [("conv_1x1", 3)]]
    heads = [
        cost.count(
            genotype_of(normal, normal, space=search_space.EXTENDED, **concats),
            TINY,
        ).layers[-1]
        for concats in ({}, {"reduction_concat": (4,)})
    ]
    # Three nodes of 8 channels, and one.
    assert [h.parameters for h in heads] == [24 * 2 + 2, 8 * 2 + 2]


@pytest.mark.parametrize("concats", [{}, {"normal_concat": (4, 2, 5)}])
def test_what_nothing_flows_through_costs_nothing(concats):
    live = [[("skip_connect", 0)], [], [], [("conv_1x1", 1)]]
    dead = [
        live[0],
        [],
        [("sep_conv_3x3", 3)],
        [("conv_1x1", 1), ("conv_3x3", 4)],
    ]
    account = cost.count(
        genotype_of(dead, space=search_space.EXTENDED, **concats), TINY
    )
    expected = cost.count(genotype_of(live, space=search_space.EXTENDED), TINY)
    assert account == expected


@pytest.mark.parametrize("network", cost.CLASSIFIERS.values())
@pytest.mark.parametrize("name", published.names())
def test_totals_are_the_sums_of_the_layers(name, network):
    account = cost.count(published.load_genotype(name), network)
    parameters = sum(layer.parameters for layer in account.layers)
    assert account.totals() == {
        "parameters": parameters,
        "parameters_with_auxiliary": parameters + account.auxiliary.parameters,
        "multiply_adds": sum(c.multiply_adds for c in account.layers),
        "multiply_adds_published": sum(
            c.multiply_adds_published for c in account.layers
        ),
    }


def test_what_the_size_of_the_images_and_the_classes_change():
    genotype = published.load_genotype("PC_DARTS_cifar")
    small = cost.count(genotype, CIFAR10)
    *maps, head = small.layers
    large = cost.count(genotype, CIFAR10._replace(image_size=64))
    assert [c.multiply_adds_published for c in large.layers] == [
        *(4 * c.multiply_adds_published for c in maps),
        head.multiply_adds_published,
    ]
    assert [c.parameters for c in large.layers] == [
        c.parameters for c in small.layers
    ]
    many = cost.count(genotype, CIFAR10._replace(num_classes=100))
    assert many.layers[:-1] == small.layers[:-1]
    features = 4 * 4 * 36
    assert many.layers[-1].parameters - head.parameters == 90 * (features + 1)
    assert many.auxiliary.parameters - small.auxiliary.parameters == 90 * 769


def test_the_smallest_images():
    assert cost.count(SKIP, TINY._replace(image_size=5)).totals()
    imagenet = cost.Network("imagenet", 3, 2, 2, 33)
    account = cost.count(SKIP, imagenet)
    assert account.layers[-2].shape == (2, 2, 8)
    segmented = SEGMENTED._replace(image_size=9, image_width=0)
    assert cost.count(SKIP, segmented).layers[1].shape == (2, 2, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kind": "cifar10"},
            "Unknown kind of network 'cifar10'; expected one of cifar, "
            "imagenet.",
        ),
        (
            {"num_cells": 2},
            "num_cells is 2; expected 3 or more in a network of kind 'cifar'.",
        ),
        (
            {"init_channels": 0},
            "init_channels is 0; expected 1 or more in a network of kind "
            "'cifar'.",
        ),
        (
            {"num_classes": 0},
            "num_classes is 0; expected 1 or more in a network of kind "
            "'cifar'.",
        ),
        (
            {"image_size": 4},
            "image_size is 4; expected 5 or more in a network of kind 'cifar'.",
        ),
        (
            {"kind": "imagenet", "image_size": 32},
            "image_size is 32; expected 33 or more in a network of kind "
            "'imagenet'.",
        ),
        (
            {"image_channels": 0},
            "image_channels is 0; expected 1 or more in a network of kind "
            "'cifar'.",
        ),
        (
            {"kind": "imagenet", "image_size": 64, "init_channels": 5},
            "init_channels is 5; expected an even number, as the network for "
            "ImageNet begins with half of them.",
        ),
        (
            {"image_width": 4},
            "image_width is 4; expected 5 or more in a network of kind "
            "'cifar'.",
        ),
        (
            {"kind": "imagenet", "image_size": 33, "output_stride": 4},
            "output_stride is 4; expected one of 8, 16, 32.",
        ),
        (
            {"output_stride": 16},
            "output_stride is 16 with the stem 'cifar'; expected the stem "
            "'imagenet', which divides the images' size by 8.",
        ),
        (
            {"kind": "imagenet", "output_stride": 16, "image_size": 8},
            "image_size is 8; expected 9 or more in a network for "
            "segmentation.",
        ),
        (
            {
                "kind": "imagenet",
                "output_stride": 16,
                "image_size": 9,
                "image_width": 8,
            },
            "image_width is 8; expected 9 or more in a network for "
            "segmentation.",
        ),
        (
            {
                "kind": "imagenet",
                "output_stride": 16,
                "image_size": 9,
                "head_channels": 0,
            },
            "head_channels is 0; expected 1 or more in a network for "
            "segmentation.",
        ),
    ],
)
def test_networks_that_cannot_be(changes, message):
    with pytest.raises(ValueError) as caught:
        cost.count(SKIP, TINY._replace(**changes))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("normal", "concats"),
    [
        ([[], [("skip_connect", 2)]], {}),
        (
            [[("skip_connect", 0)], [], [("skip_connect", 3)]],
            {"normal_concat": (4,)},
        ),
    ],
)
def test_a_cell_whose_output_nothing_reaches(normal, concats):
    genotype = genotype_of(normal, **concats)
    with pytest.raises(ValueError) as caught:
        cost.count(genotype, TINY)
    assert str(caught.value) == (
        "Nothing flows to the output of the normal cell "
        f"({genotype.describe('normal')}); expected connections from "
        "an input node to a node of the output, through others or not."
    )


def test_to_text():
    account = cost.count(SKIP, TINY)
    sums = (
        "parameters                     244\n"
        "parameters_with_auxiliary  397,814\n"
        "multiply_adds                7,824\n"
        "multiply_adds_published     12,112"
    )
    assert cost.to_text(account) == sums
    table, blank, rest = cost.to_text(account, True).partition("\n\n")
    assert (blank, rest) == ("\n\n", sums)
    head, *rows = table.splitlines()
    assert head.split() == [
        "layer",
        "output",
        "parameters",
        "multiply_adds",
        "multiply_adds_published",
    ]
    assert [row.split()[0] for row in rows] == [
        *(layer.name for layer in account.layers),
        "auxiliary_head",
    ]
    assert rows[0].split()[1:] == ["8x8x6", "66", "3,456", "4,224"]
    assert len({len(row) for row in (head, *rows)}) == 1


def test_to_dict():
    account = cost.count(SKIP, TINY)
    assert cost.to_dict(account) == account.totals()
    content = cost.to_dict(account, True)
    assert content["layers"][0] == {
        "name": "stem",
        "shape": (8, 8, 6),
        "parameters": 66,
        "multiply_adds": 3456,
        "multiply_adds_published": 4224,
    }
    assert len(content["layers"]) == len(account.layers)
    assert content["auxiliary_head"] == account.auxiliary._asdict()


def test_there_is_no_auxiliary_head_for_segmentation():
    account = cost.count(SKIP, SEGMENTED)
    assert account.auxiliary is None
    assert list(account.totals()) == [
        "parameters",
        "multiply_adds",
        "multiply_adds_published",
    ]
    assert account.totals()["parameters"] == sum(
        layer.parameters for layer in account.layers
    )
    assert cost.to_dict(account) == account.totals()
    layers = [layer._asdict() for layer in account.layers]
    assert cost.to_dict(account, True) == {**account.totals(), "layers": layers}
    table = cost.to_text(account, True).partition("\n\n")[0]
    _, *rows = table.splitlines()
    names = [row.split()[0] for row in rows]
    assert names == [layer.name for layer in account.layers]
    assert "auxiliary" not in cost.to_text(account)


FIXTURE = programs.ROOT / "tests" / "fixtures" / "darts_operations.npz"

SHAPE = (4, 4, 2)

# Parameters, then multiply-adds and those of ReLUs and batch norms, first at
# stride 1 (16 pixels, 32 values) and then at stride 2 (4 pixels, 8 values).
BY_HAND = {
    "max_pool_3x3": (0, (0, 0), (0, 0)),
    "avg_pool_3x3": (0, (0, 0), (0, 0)),
    # Two halves of 2 -> 1 channels on 4 pixels each, at stride 2 alone.
    "skip_connect": ((0, 2 * 2 + 4), (0, 0), (4 * 4, 32 + 2 * 8)),
    # Twice: 9 weights a channel, 2 -> 2 channels, a batch norm.
    "sep_conv_3x3": (
        2 * (18 + 4 + 4),
        (2 * 16 * 22, 2 * (32 + 2 * 32)),
        (2 * 4 * 22, 32 + 8 + 2 * 2 * 8),
    ),
    "sep_conv_5x5": (
        2 * (50 + 4 + 4),
        (2 * 16 * 54, 2 * (32 + 2 * 32)),
        (2 * 4 * 54, 32 + 8 + 2 * 2 * 8),
    ),
    "sep_conv_7x7": (
        2 * (98 + 4 + 4),
        (2 * 16 * 102, 2 * (32 + 2 * 32)),
        (2 * 4 * 102, 32 + 8 + 2 * 2 * 8),
    ),
    "dil_conv_3x3": (
        18 + 4 + 4,
        (16 * 22, 32 + 2 * 32),
        (4 * 22, 32 + 2 * 8),
    ),
    "dil_conv_5x5": (
        50 + 4 + 4,
        (16 * 54, 32 + 2 * 32),
        (4 * 54, 32 + 2 * 8),
    ),
    "conv_1x1": (4 + 4, (16 * 4, 32 + 2 * 32), (4 * 4, 32 + 2 * 8)),
    "conv_3x3": (36 + 4, (16 * 36, 32 + 2 * 32), (4 * 36, 32 + 2 * 8)),
    # At stride 2 the first has an output of 4x2 pixels.
    "conv_1x3_3x1": (
        2 * 12 + 4,
        (2 * 16 * 12, 32 + 2 * 32),
        ((8 + 4) * 12, 32 + 2 * 8),
    ),
    "conv_1x5_5x1": (
        2 * 20 + 4,
        (2 * 16 * 20, 32 + 2 * 32),
        ((8 + 4) * 20, 32 + 2 * 8),
    ),
    "conv_1x7_7x1": (
        2 * 28 + 4,
        (2 * 16 * 28, 32 + 2 * 32),
        ((8 + 4) * 28, 32 + 2 * 8),
    ),
    "conv_7x1_1x7": (
        2 * 28 + 4,
        (2 * 16 * 28, 32 + 2 * 32),
        ((8 + 4) * 28, 32 + 2 * 8),
    ),
}


def count_operation(primitive, shape, stride):
    steps = operations.find(primitive).at_stride(stride).steps
    return cost.Layer(primitive, shape).run(steps, shape[-1], stride)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("primitive", BY_HAND)
def test_operations_by_hand(primitive, stride):
    parameters, *costs = BY_HAND[primitive]
    if isinstance(parameters, tuple):
        parameters = parameters[stride - 1]
    multiply_adds, others = costs[stride - 1]
    assert count_operation(primitive, SHAPE, stride) == (
        primitive,
        (4 // stride, 4 // stride, 2),
        parameters,
        multiply_adds,
        multiply_adds + others,
    )


def test_each_primitive_was_counted_by_hand():
    assert set(BY_HAND) == set(operations.OPERATIONS)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("primitive", search_space.NASNET.operations)
def test_parameters_are_those_of_darts(primitive, stride):
    start = f"{primitive}/stride{stride}/affine1/"
    with np.load(FIXTURE) as arrays:
        height, width, channels = arrays["input"].shape[1:]
        output = arrays[start + "eval_output"].shape[1:]
        sizes = [
            arrays[name].size
            for name in arrays
            if name.startswith(start + "weights/")
            and name.endswith((".weight", ".bias"))
        ]
    layer = count_operation(primitive, (height, width, channels), stride)
    assert (layer.parameters, layer.shape) == (sum(sizes), output)


@pytest.mark.parametrize("primitive", BY_HAND)
def test_an_odd_size_is_rounded_up(primitive):
    layer = count_operation(primitive, (5, 7, 2), 2)
    assert layer.shape == (3, 4, 2)
    even = count_operation(primitive, (6, 8, 2), 2)
    assert layer.parameters == even.parameters
    assert layer.multiply_adds <= even.multiply_adds


def test_a_dense_layer_takes_the_maps_for_one_vector():
    layer = cost.Layer("dense", (2, 2, 3)).dense(5)
    assert layer == ("dense", (5,), 12 * 5 + 5, 12 * 5, 12 * 5)
    layer = cost.Layer("dense", (2, 2, 3)).dense(5, bias=False)
    assert layer.parameters == 12 * 5


def test_what_does_not_reach_the_output_is_not_counted():
    """Input 0 and node 3 lead nowhere: they are not built."""
    normal = [[("skip_connect", 1)], [("sep_conv_3x3", 0)]]
    genotype = genotype_of(normal, SKIP.reduction, normal_concat=(2,))
    names = [layer.name for layer in cost.count(genotype, TINY).layers]
    assert [n for n in names if n.startswith("cell_0")] == [
        "cell_0.preprocess_1",
        "cell_0.node_2.skip_connect_from_1",
    ]
