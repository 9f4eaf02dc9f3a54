"""Every primitive against DARTS's own, and the others against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import porting
from entrannas_tf.networks.layers import folding, operations
from tests.support import programs, slow_layers

# From ../shared/reference, whose README says how it was computed.
REFERENCE = np.load(
    programs.ROOT / "tests" / "fixtures" / "darts_operations.npz"
)
INPUT = REFERENCE["input"]  # [2, 10, 10, 6]
CHANNELS = INPUT.shape[-1]

# Ours -> DARTS's name of what has a reference. DARTS's conv_7x1_1x7 runs its
# 1x7 kernel first.
REFERENCE_NAMES = {
    **{
        n: n for n in search_space.STANDARD.primitives if n != search_space.NONE
    },
    "conv_1x7_7x1": "conv_7x1_1x7",
    "conv_7x1_1x7": "conv_7x1_1x7",
    "sep_conv_7x7": "sep_conv_7x7",
}
WITHOUT_REFERENCE = sorted(set(operations.OPERATIONS) - set(REFERENCE_NAMES))

by_stride = pytest.mark.parametrize("stride", [1, 2])
by_affine = pytest.mark.parametrize("affine", [False, True])
by_reference = pytest.mark.parametrize("name", REFERENCE_NAMES)
by_fold = pytest.mark.parametrize("fold", [1, 2])


def make_ported(name, stride, affine):
    """Returns the layer with DARTS's weights, and its expected arrays."""
    place = f"{REFERENCE_NAMES[name]}/stride{stride}/affine{affine:d}/"
    layer = operations.OPERATIONS[name](CHANNELS, stride, affine)
    weights = porting.layer_weights(REFERENCE, place + "weights/", layer)
    # Each of our variables has a value, and each of DARTS's arrays a place.
    assert {id(w.variable) for w in weights} == {id(v) for v in layer.weights}
    assert {w.name for w in weights} == {
        k for k in REFERENCE.files if k.startswith(place + "weights/")
    }
    porting.copy_weights(weights)
    return layer, {
        key: REFERENCE[place + key]
        for key in ("eval_output", "train_output", "train_input_gradient")
    }


def rewind_statistics(layer):
    """Takes running statistics one training step back.

    The reference holds them as they were after `train_output` was computed,
    although `eval_output` had been computed with those before. PyTorch moves
    them by 0.1 of the way to the batch's mean and unbiased variance.
    """
    saved = [v.numpy() for v in layer.non_trainable_variables]
    for variable in layer.non_trainable_variables:
        variable.assign(tf.zeros(variable.shape))
    layer(tf.constant(INPUT), training=True)
    for variable, after in zip(
        layer.non_trainable_variables, saved, strict=True
    ):
        variable.assign((after - variable.numpy()) / 0.9)


def test_every_primitive_has_a_layer():
    names = set(search_space.known_primitives())
    assert set(operations.OPERATIONS) == names - {"none"}


@by_fold
@by_affine
@by_stride
@by_reference
def test_evaluation_is_that_of_darts(name, stride, affine, fold):
    layer, expected = make_ported(name, stride, affine)
    rewind_statistics(layer)
    y = layer(folding.fold(tf.constant(INPUT), fold), training=False)
    assert y.shape[-1] == fold * CHANNELS
    np.testing.assert_allclose(
        folding.unfold(y, CHANNELS), expected["eval_output"], atol=1e-4
    )


@by_fold
@by_affine
@by_stride
@by_reference
def test_training_is_that_of_darts(name, stride, affine, fold):
    layer, expected = make_ported(name, stride, affine)
    images = tf.constant(INPUT)
    with tf.GradientTape() as tape:
        tape.watch(images)
        y = layer(folding.fold(images, fold), training=True)
        loss = tf.reduce_sum(tf.square(y))
    np.testing.assert_allclose(
        folding.unfold(y, CHANNELS), expected["train_output"], atol=1e-4
    )
    # Standardised values have a constant sum of squares: without scale, what
    # is left of this gradient is rounding, summed over windows.
    np.testing.assert_allclose(
        tape.gradient(loss, images),
        expected["train_input_gradient"],
        atol=1e-4 if affine else 1e-3,
        rtol=1e-4,
    )


@by_stride
@pytest.mark.parametrize("name", WITHOUT_REFERENCE)
def test_convolutions_against_numpy(name, stride):
    layer = operations.OPERATIONS[name](CHANNELS, stride, affine=True)
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=k.shape) for k in layer.kernels]
    statistics = rng.uniform(0.5, 1.5, (4, CHANNELS))
    for variable, value in zip(layer.kernels, kernels, strict=True):
        variable.assign(value)
    norm = layer.norm
    variables = norm.moving_mean, norm.moving_variance, norm.scale, norm.offset
    for variable, value in zip(variables, statistics, strict=True):
        variable.assign(value)

    expected = np.maximum(INPUT, 0)
    strides = [(stride, stride)]
    if len(kernels) == 2:
        strides = [(1, stride), (stride, 1)]
    for kernel, by in zip(kernels, strides, strict=True):
        expected = slow_layers.convolution(expected, kernel, by)
    expected = slow_layers.batch_norm(expected, *statistics)
    np.testing.assert_allclose(layer(tf.constant(INPUT)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("conv_1x1", [(1, 1)]),
        ("conv_3x3", [(3, 3)]),
        ("conv_1x3_3x1", [(1, 3), (3, 1)]),
        ("conv_1x5_5x1", [(1, 5), (5, 1)]),
        ("conv_1x7_7x1", [(1, 7), (7, 1)]),
    ],
)
def test_kernels_are_those_of_the_name(name, sizes):
    layer = operations.OPERATIONS[name](4)
    assert [tuple(k.shape[:2]) for k in layer.kernels] == sizes


@by_stride
@pytest.mark.parametrize("size", [(7, 7), (8, 5)])
@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_odd_sizes_agree_on_the_output(name, size, stride):
    """Operations on one edge are added up, so their shapes must agree."""
    layer = operations.OPERATIONS[name](4, stride)
    y = layer(tf.ones([2, *size, 4]))
    assert y.shape == (2, *(-(-s // stride) for s in size), 4)


def test_skip_at_stride_1_is_the_input_itself():
    layer = operations.SkipConnect(CHANNELS)
    assert layer.weights == []
    np.testing.assert_array_equal(layer(tf.constant(INPUT)), INPUT)


@by_stride
@pytest.mark.parametrize("name", ["max_pool_3x3", "avg_pool_3x3"])
def test_a_pool_is_normalised_in_the_supernet_only(name, stride):
    pool = operations.OPERATIONS[name]
    plain = pool(CHANNELS, stride, affine=True)
    y = pool(CHANNELS, stride)(tf.constant(INPUT), training=True).numpy()
    pooled = plain(tf.constant(INPUT), training=True).numpy()
    assert plain.weights == []
    axes = (0, 1, 2)
    np.testing.assert_allclose(
        y,
        slow_layers.batch_norm(pooled, pooled.mean(axes), pooled.var(axes)),
        atol=1e-4,
    )


def test_factorized_reduce_wants_even_channels():
    with pytest.raises(ValueError) as caught:
        operations.SkipConnect(5, stride=2)
    assert str(caught.value) == (
        "FactorizedReduce got channels=5; expected an even number, as each "
        "half comes from other pixels."
    )
