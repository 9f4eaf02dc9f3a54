"""Segmentation networks: features of any output stride, and the head."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import genotypes, published, search_space
from entrannas_tf.networks import cost, segmentation, target
from tests.support import built_costs, programs

STRIDES = search_space.OUTPUT_STRIDES

# One-sided convolutions, and at stride 2 every kind of operation.
ONE_SIDED = genotypes.Genotype(
    genotypes.make_cell(
        [
            [("conv_1x5_5x1", 0), ("avg_pool_3x3", 1)],
            [("conv_3x3", 0), ("skip_connect", 2)],
        ],
        search_space.EXTENDED,
    ),
    genotypes.make_cell(
        [
            [("conv_1x7_7x1", 0), ("dil_conv_3x3", 1)],
            [("dil_conv_5x5", 0), ("skip_connect", 1)],
            [("conv_3x3", 0), ("max_pool_3x3", 2)],
            [("avg_pool_3x3", 1), ("conv_1x3_3x1", 3)],
            [("sep_conv_5x5", 0), ("conv_1x1", 1)],
        ],
        search_space.EXTENDED,
    ),
    space=search_space.EXTENDED,
)
# Saves what a network makes of images, where the package cannot be imported.
ELSEWHERE = """
import sys
sys.modules["entrannas_tf"] = None
import keras
import numpy as np

network = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], network(np.load(sys.argv[2])))
"""


def load(genotype):
    if genotype == "one-sided":
        return ONE_SIDED
    return published.load_genotype(genotype)


def make_backbone(
    genotype="DARTS_V2", output_stride=16, size=(None, None), num_cells=3
):
    return segmentation.Backbone(
        load(genotype), (*size, 3), num_cells, 4, output_stride
    )


def make(genotype="DARTS_V2", output_stride=16, size=(None, None), **options):
    backbone = make_backbone(genotype, output_stride, size)
    return randomized(
        segmentation.SegmentationNetwork(
            backbone, 5, output_stride, channels=8, **options
        )
    )


def make_head(channels=6, num_classes=5, output_stride=16, **options):
    """Makes a network whose features are the images themselves."""
    images = keras.Input((None, None, channels))
    return segmentation.SegmentationNetwork(
        keras.Model(images, images), num_classes, output_stride, **options
    )


def randomized(model):
    """Returns a model after random values, which keep the features' size."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        shape = variable.shape
        if variable.name == "kernel":
            is_depthwise = shape[-1] == 1
            fan_in = math.prod(shape[: 2 if is_depthwise else 3])
            values = rng.normal(0, (2 / fan_in) ** 0.5, shape)
        elif variable.name in ("gamma", "moving_variance"):
            values = rng.uniform(0.5, 1.5, shape)
        elif variable.name in ("beta", "bias", "moving_mean"):
            values = rng.normal(0, 0.5, shape)
        else:
            continue  # The state of a dropout.
        variable.assign(values)
    return model


def copied(model, source):
    """Returns a model after weights of the layers of the same names."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())
    return model


def draw(*size, channels=3):
    rng = np.random.default_rng(1)
    return rng.normal(size=(2, *size, channels)).astype("float32")


def assert_same(found, expected):
    """Compares features, which must differ from pixel to pixel."""
    assert found.shape == expected.shape
    size = np.std(expected, (1, 2)).max()
    assert size > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * size)


def test_the_features_are_those_of_the_classifier():
    size = (129, 97)
    classifier = randomized(
        target.TargetNetwork(
            load("DARTS_V2"), 10, (*size, 3), 4, 4, stem="imagenet"
        )
    )
    cell = classifier.get_layer("cell_3").output
    backbone = make_backbone("DARTS_V2", 32, num_cells=4)
    copied(backbone, classifier)
    x = draw(*size)
    features = keras.Model(classifier.input, cell)(x).numpy()
    assert features.shape[1:3] == (5, 4)
    assert_same(backbone(x), features)


@pytest.mark.parametrize(
    ("genotype", "num_cells"),
    [("DARTS_V2", 7), ("NASNet", 3), ("AmoebaNet", 3), ("one-sided", 4)],
)
def test_features_at_every_second_or_fourth_pixel_are_those_of_stride_32(
    genotype, num_cells
):
    """Up to the borders, whatever the size of the images."""
    last, *others = (
        make_backbone(genotype, stride, num_cells=num_cells)
        for stride in (32, 16, 8)
    )
    randomized(last)
    shapes = {v.path: v.shape for v in last.variables}
    for backbone in others:
        assert {v.path: v.shape for v in backbone.variables} == shapes
        copied(backbone, last)
    for height, width in ((129, 65), (75, 98)):
        x = draw(height, width)
        features = last(x).numpy()
        assert features.shape[1:3] == (-(-height // 32), -(-width // 32))
        for backbone, stride in zip(others, (16, 8), strict=True):
            every = 32 // stride
            found = backbone(x).numpy()
            sizes = -(-height // stride), -(-width // stride)
            assert found.shape[1:3] == sizes
            assert_same(found[:, ::every, ::every], features)


@pytest.mark.long
def test_features_of_a_resnet_are_those_of_stride_32():
    last = randomized(segmentation.ResNet50(output_stride=32))
    x = draw(75, 66)
    features = last(x).numpy()
    assert features.shape == (2, 3, 3, 2048)
    for stride in (16, 8):
        backbone = copied(segmentation.ResNet50(output_stride=stride), last)
        # The outputs of its layers are its own.
        inner = backbone.get_layer("conv5_block1_out").output
        keras.Model(backbone.input, inner)
        every = 32 // stride
        found = backbone(x).numpy()
        assert found.shape[1:3] == (-(-75 // stride), -(-66 // stride))
        assert_same(found[:, ::every, ::every], features)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(
    "size", [(65, 33), (75, 98), (64, 7), (9, 131), (1, 1), (2, 32)]
)
def test_enlarge_against_numpy(size, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *(-(-n // stride) for n in size), 3))
    x = x.astype("float32")
    expected = x
    for axis, length in enumerate(size, 1):
        # `np.interp` clamps at the ends.
        places = np.arange(x.shape[axis]) * stride
        expected = np.apply_along_axis(
            lambda values, length=length, places=places: np.interp(
                np.arange(length), places, values
            ),
            axis,
            expected,
        )
    images = draw(*size)
    found = segmentation._enlarge(x, images, stride)
    assert found.shape == (2, *size, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_logits_lie_on_every_sixteenth_pixel():
    network = make()
    coarse = keras.Model(network.input, network.get_layer("head").output)
    x = draw(65, 50)
    logits = network(x).numpy()
    assert logits.shape == (2, 65, 50, 5)
    assert_same(logits[:, ::16, ::16], coarse(x).numpy())


def test_the_head_has_the_parameters_of_deeplabv3():
    # torchvision's deeplabv3_resnet50 has 42,004,074 parameters: 23,508,032 of
    # the backbone, 2,365,205 of an auxiliary head, 590,336 of a further 3x3
    # convolution, and these.
    head = make_head(channels=2048, num_classes=21)
    total = sum(math.prod(v.shape) for v in head.trainable_variables)
    assert total == 15_540_501
    assert total == 42_004_074 - 23_508_032 - 2_365_205 - 590_336


@pytest.mark.parametrize(
    ("stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))]
)
def test_the_head_reads_as_far_at_each_output_stride(stride, rates):
    head = make_head(output_stride=stride)
    layers = [head.get_layer(f"head.aspp_{k}.convolution") for k in range(4)]
    assert [layer.dilation_rate for layer in layers] == [
        (rate, rate) for rate in (1, *rates)
    ]
    assert [layer.kernel_size for layer in layers] == [(1, 1), *[(3, 3)] * 3]


def test_the_head_sees_the_features_as_a_whole():
    """Its last branch is the mean of all pixels, at each of them."""
    head = randomized(make_head(channels=6))
    joined = keras.Model(
        head.input,
        [
            head.get_layer("head.concatenate").output,
            head.get_layer("head.pool").output,
        ],
    )
    x = draw(4, 5, channels=6)
    together, pooled = (y.numpy() for y in joined(x))
    assert together.shape == (2, 4, 5, 5 * segmentation.HEAD_CHANNELS)
    spread = together[..., -segmentation.HEAD_CHANNELS :]
    np.testing.assert_array_equal(spread, np.broadcast_to(pooled, spread.shape))
    norm = head.get_layer("head.pool.norm")
    kernel = head.get_layer("head.pool.convolution").kernel.numpy()[0, 0]
    mean, variance, scale, offset = (
        v.numpy()
        for v in (
            norm.moving_mean,
            norm.moving_variance,
            norm.gamma,
            norm.beta,
        )
    )
    y = x.mean((1, 2)) @ kernel
    y = (y - mean) / np.sqrt(variance + 1e-5) * scale + offset
    np.testing.assert_allclose(pooled[:, 0, 0], np.maximum(y, 0), atol=1e-4)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("genotype", ["DARTS_V2", "NASNet"])
def test_counts_are_those_of_the_network_as_built(genotype, stride):
    network = cost.Network(
        "imagenet", 3, 4, 5, 65, 3, 50, output_stride=stride, head_channels=8
    )
    account = cost.count(load(genotype), network)
    assert account.totals() == built_costs.measured(
        make(genotype, stride, (65, 50))
    )


def count_by_hand(size, output_stride):
    """Counts ResNet-50 as He et al. (2016), Table 1, describe it.

    Returns:
        Multiply-adds, those of batch norms and ReLUs, and the number of pixels
        of the result.
    """
    half, pixels = -(-size // 2), -(-size // 4)
    total = 7 * 7 * 3 * 64 * half**2
    others = 3 * 64 * half**2
    stride, width = 4, 64  # Of the maps that a stage reads.
    for stage, (blocks, channels) in enumerate(
        ((3, 64), (4, 128), (6, 256), (3, 512))
    ):
        if stage and stride < output_stride:
            stride, pixels = stride * 2, -(-pixels // 2)
        for _ in range(blocks):
            others += (2 * 3 + 4 * 3) * channels * pixels**2
            per_pixel = width * channels + 9 * channels**2
            per_pixel += channels * 4 * channels
            if width != 4 * channels:  # The first has a projection.
                per_pixel += width * 4 * channels
                others += 2 * 4 * channels * pixels**2
            total += per_pixel * pixels**2
            width = 4 * channels
    return total, others, pixels**2


@pytest.mark.long
@pytest.mark.parametrize("stride", STRIDES)
def test_counts_of_a_resnet(stride):
    totals = segmentation.count_resnet50(21, 65, stride)
    # The first are those of `keras.applications.ResNet50` without its top.
    assert totals["parameters"] == 23_534_592 + 15_540_501
    expected, others, pixels = count_by_hand(65, stride)
    pooled = 2048 * 256
    per_pixel = 2048 * 256 * (1 + 3 * 9) + 5 * 256 * 256 + 256 * 21
    expected += pooled + per_pixel * pixels
    assert totals["multiply_adds"] == expected
    others += 3 * 256 * (5 * pixels + 1)  # The pooled pixel, and five layers.
    assert totals["multiply_adds_published"] == expected + others


@pytest.mark.long
def test_a_resnet_by_hand_costs_what_its_authors_say():
    # Table 1: 3.8 billion. The dense layer has 2 million.
    multiply_adds, _, pixels = count_by_hand(224, 32)
    assert (multiply_adds, pixels) == (3_855_925_248, 7 * 7)


def test_any_size_of_images():
    network = make()
    for size in ((50, 40), (17, 129), (9, 9)):
        x = draw(*size)
        # Of a fixed size, max pooling is made in another way.
        fixed = copied(make(size=size), network)
        logits = network(x).numpy()
        assert logits.shape == (2, *size, 5)
        np.testing.assert_allclose(fixed(x), logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("genotype", ["DARTS_V2", "AmoebaNet", "one-sided"])
def test_only_layers_and_operations_of_keras(genotype):
    network = make(genotype, 8)
    for operation in network.operations:
        assert type(operation).__module__.startswith("keras.")
        assert not isinstance(operation, keras.layers.Lambda)


@pytest.mark.long
def test_it_is_reloaded_without_the_package(tmp_path):
    """At output stride 8, where pools are made of Keras's operations."""
    network, x = make("AmoebaNet", 8), draw(33, 49)
    network.save(tmp_path / "network.keras")
    np.save(tmp_path / "images.npy", x)
    files = ("network.keras", "images.npy", "logits.npy")
    done = programs.run_afresh(
        "-c", ELSEWHERE, *(tmp_path / name for name in files), timeout=120
    )
    assert done.returncode == 0, done.stderr
    logits = np.load(tmp_path / "logits.npy")
    assert logits.shape == (2, 33, 49, 5)
    np.testing.assert_allclose(logits, network(x), rtol=1e-3, atol=1e-3)


def test_a_training_network_has_the_logits_of_the_network():
    network = make(dropout=0.5)
    trained = target.training_network(network)
    x = draw(50, 41)
    np.testing.assert_allclose(
        trained(x)["logits"], network(x), rtol=1e-3, atol=1e-3
    )
    own = {id(variable) for variable in network.variables}
    assert own <= {id(variable) for variable in trained.variables}
    # In training the statistics are the batch's, and the dropout acts.
    one, other = (trained(x, training=True)["logits"] for _ in range(2))
    assert np.abs(one - other).max() > 0.1


def test_frozen_batch_norms_keep_and_use_their_statistics():
    network = make(dropout=0.0)
    trained = target.training_network(network)
    norms = [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for norm in norms:
        norm.trainable = False
    before = [v.numpy() for n in norms for v in n.non_trainable_variables]
    x = draw(50, 41)
    np.testing.assert_allclose(
        trained(x, training=True)["logits"], network(x), rtol=1e-3, atol=1e-3
    )
    after = [v.numpy() for n in norms for v in n.non_trainable_variables]
    for value, now in zip(before, after, strict=True):
        np.testing.assert_array_equal(now, value)
    norms[0].trainable = True
    trained(x, training=True)
    assert np.any(norms[0].moving_mean != before[0])


def test_training_moves_every_weight():
    trained = target.training_network(make())
    with tf.GradientTape() as tape:
        logits = trained(draw(65, 97), training=True)["logits"]
        loss = tf.reduce_sum(logits**2)
    gradients = tape.gradient(
        loss, [v.value for v in trained.trainable_variables]
    )
    assert all(g is not None and np.any(g) for g in gradients)


@pytest.mark.parametrize(
    ("name", "is_head"),
    [
        ("head.aspp_1.convolution", True),
        ("head", True),
        ("head.pool.norm/gamma", True),
        ("cell_0.preprocess_1", False),
        ("conv4_block1_1_conv/kernel", False),
    ],
)
def test_what_is_of_the_head(name, is_head):
    assert segmentation.is_of_head(name) == is_head


@pytest.mark.parametrize(
    "build",
    [
        lambda: make_backbone(output_stride=4),
        lambda: segmentation.ResNet50(output_stride=4),
        lambda: make_head(output_stride=4),
    ],
    ids=["Backbone", "ResNet50", "SegmentationNetwork"],
)
def test_bad_output_strides(build):
    with pytest.raises(
        ValueError, match=r"output_stride is 4; expected one of 8, 16, 32\."
    ):
        build()
