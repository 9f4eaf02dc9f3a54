"""Every primitive against DARTS's own, in the super-net and as Keras's layers.

Those that DARTS does not have are in the super-net compared with NumPy;
target_test does so for all of Keras's layers.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import operations as definitions
from entrannas_tf.architecture import search_space
from entrannas_tf.networks import porting
from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.layers import fast, folding, operations
from tests.support import darts_weights, programs, slow_layers

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
WITHOUT_REFERENCE = sorted(set(definitions.OPERATIONS) - set(REFERENCE_NAMES))

by_stride = pytest.mark.parametrize("stride", [1, 2])
by_reference = pytest.mark.parametrize("name", REFERENCE_NAMES)
by_fold = pytest.mark.parametrize("fold", [1, 2])


def place_of(name, stride, affine):
    """Returns what the names of an operation's arrays start with."""
    return f"{REFERENCE_NAMES[name]}/stride{stride}/affine{affine:d}/"


def check_complete(weights, variables, place):
    """Each of our variables has a value, and each of DARTS's arrays a place."""
    assert {id(w.variable) for w in weights} == {id(v) for v in variables}
    assert {w.name for w in weights} == {
        k for k in REFERENCE.files if k.startswith(place + "weights/")
    }


def make_ported(name, stride):
    """Returns the super-net's layer with DARTS's weights, and their place."""
    place = place_of(name, stride, affine=False)
    layer = operations.Operation(name, CHANNELS, stride)
    prefix = place + "weights/"
    weights = darts_weights.layer_weights(REFERENCE, prefix, layer)
    check_complete(weights, layer.weights, place)
    darts_weights.copy_weights(weights)
    return layer, place


def make_ported_target(name, stride):
    """Returns a model of Keras's layers likewise."""
    place = place_of(name, stride, affine=True)
    operation = definitions.find(name).at_stride(stride)
    entry = keras.Input(INPUT.shape[1:])
    y = target_network.run_steps(operation.steps, entry, CHANNELS, stride, "op")
    model = keras.Model(entry, y)
    layers = {layer.name: layer for layer in model.layers}
    weights = porting._steps_weights(
        layers,
        "op",
        operation.steps,
        [f"{place}weights/{module}" for module in operation.modules],
    )
    check_complete(weights, model.weights, place)
    for weight in weights:
        weight.variable.assign(weight.convert(REFERENCE[weight.name]))
    return model, place


def make_fast(model):
    """Returns a model that trains the weights of one, as retraining does."""
    return keras.models.clone_model(model, clone_function=fast.replace)


def rewind_statistics(layer):
    """Takes running statistics one training step back.

    The reference holds them as they were after `train_output` was computed,
    although `eval_output` had been computed with those before. PyTorch moves
    them by 0.1 of the way to the batch's mean and unbiased variance, and so
    must the layer.
    """
    saved = [v.numpy() for v in layer.non_trainable_variables]
    for variable in layer.non_trainable_variables:
        variable.assign(tf.zeros(variable.shape))
    layer(tf.constant(INPUT), training=True)
    for variable, after in zip(
        layer.non_trainable_variables, saved, strict=True
    ):
        variable.assign((after - variable.numpy()) / 0.9)


def gradient_of_square_sum(run):
    """Returns the output for the input, and that of its sum of squares."""
    images = tf.constant(INPUT)
    with tf.GradientTape() as tape:
        tape.watch(images)
        y = run(images)
        loss = tf.reduce_sum(tf.square(y))
    return y, tape.gradient(loss, images)


def test_every_primitive_has_a_layer():
    for name in definitions.OPERATIONS:
        assert operations.Operation(name, 4).primitive == name


@by_fold
@by_stride
@by_reference
def test_evaluation_is_that_of_darts(name, stride, fold):
    layer, place = make_ported(name, stride)
    rewind_statistics(layer)
    y = layer(folding.fold(tf.constant(INPUT), fold), training=False)
    expected = REFERENCE[place + "eval_output"]
    np.testing.assert_allclose(folding.unfold(y), expected, atol=1e-4)


@by_fold
@by_stride
@by_reference
def test_training_is_that_of_darts(name, stride, fold):
    layer, place = make_ported(name, stride)
    y, gradient = gradient_of_square_sum(
        lambda x: layer(folding.fold(x, fold), training=True)
    )
    np.testing.assert_allclose(
        folding.unfold(y),
        REFERENCE[place + "train_output"],
        atol=1e-4,
    )
    # Standardised values have a constant sum of squares: what is left of this
    # gradient is rounding, summed over windows.
    np.testing.assert_allclose(
        gradient,
        REFERENCE[place + "train_input_gradient"],
        atol=1e-3,
        rtol=1e-4,
    )


@by_stride
@by_reference
def test_evaluation_of_a_target_is_that_of_darts(name, stride):
    model, place = make_ported_target(name, stride)
    # Keras's own batch norm would move the biased variance.
    rewind_statistics(make_fast(model))
    np.testing.assert_allclose(
        model(tf.constant(INPUT), training=False),
        REFERENCE[place + "eval_output"],
        atol=1e-4,
    )


@pytest.mark.parametrize("is_fast", [False, True])
@by_stride
@by_reference
def test_training_of_a_target_is_that_of_darts(name, stride, is_fast):
    model, place = make_ported_target(name, stride)
    model = make_fast(model) if is_fast else model
    y, gradient = gradient_of_square_sum(lambda x: model(x, training=True))
    np.testing.assert_allclose(y, REFERENCE[place + "train_output"], atol=1e-4)
    np.testing.assert_allclose(
        gradient,
        REFERENCE[place + "train_input_gradient"],
        atol=1e-4,
        rtol=1e-4,
    )


def kernels_of(layer):
    """Returns the kernels of the convolutions of all channels, in order."""
    return [
        getattr(weights, "kernel", weights)
        for step, weights in zip(layer.steps, layer.step_weights, strict=True)
        if isinstance(step, definitions.Convolution)
    ]


@by_fold
@by_stride
@pytest.mark.parametrize("name", WITHOUT_REFERENCE)
def test_convolutions_against_numpy(name, stride, fold):
    layer = operations.Operation(name, CHANNELS, stride)
    sizes = [s.kernel for s in layer.steps[1:]]
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(*s, CHANNELS, CHANNELS)) for s in sizes]
    statistics = rng.uniform(0.5, 1.5, (2, CHANNELS))
    for variable, value in zip(kernels_of(layer), kernels, strict=True):
        variable.assign(value.reshape(variable.shape))
    norm = layer.norm
    variables = norm.moving_mean, norm.moving_variance
    for variable, value in zip(variables, statistics, strict=True):
        variable.assign(value)

    expected = np.maximum(INPUT, 0)
    strides = [(stride, stride)]
    if len(kernels) == 2:
        strides = [(1, stride), (stride, 1)]
    for kernel, by in zip(kernels, strides, strict=True):
        expected = slow_layers.convolution(expected, kernel, by)
    expected = slow_layers.batch_norm(expected, *statistics)
    y = layer(folding.fold(tf.constant(INPUT), fold))
    np.testing.assert_allclose(
        folding.unfold(y), expected, atol=1e-4, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("conv_3x3", [(3, 3)]),
        ("conv_1x3_3x1", [(1, 3), (3, 1)]),
        ("conv_1x5_5x1", [(1, 5), (5, 1)]),
        ("conv_1x7_7x1", [(1, 7), (7, 1)]),
    ],
)
def test_kernels_are_those_of_the_name(name, sizes):
    layer = operations.Operation(name, 4)
    assert [tuple(k.shape[:2]) for k in kernels_of(layer)] == sizes


@pytest.mark.parametrize(("stride", "shape"), [(1, (4, 4)), (2, (1, 1, 4, 4))])
def test_a_1x1_kernel_is_a_matrix_at_stride_1(stride, shape):
    (kernel,) = kernels_of(operations.Operation("conv_1x1", 4, stride))
    assert tuple(kernel.shape) == shape


@by_stride
@pytest.mark.parametrize("size", [(7, 7), (8, 5)])
@pytest.mark.parametrize("name", definitions.OPERATIONS)
def test_odd_sizes_agree_on_the_output(name, size, stride):
    """Operations on one edge are added up, so their shapes must agree."""
    layer = operations.Operation(name, 4, stride)
    y = layer(tf.ones([2, *size, 4]))
    assert y.shape == (2, *(-(-s // stride) for s in size), 4)


def test_skip_at_stride_1_is_the_input_itself():
    layer = operations.Operation("skip_connect", CHANNELS)
    assert layer.is_identity
    assert layer.weights == []
    np.testing.assert_array_equal(layer(tf.constant(INPUT)), INPUT)


@by_stride
@pytest.mark.parametrize("name", ["max_pool_3x3", "avg_pool_3x3"])
def test_a_pool_is_normalised_in_the_supernet_only(name, stride):
    plain, _ = make_ported_target(name, stride)
    pool = operations.Operation(name, CHANNELS, stride)
    y = pool(tf.constant(INPUT), training=True).numpy()
    pooled = plain(tf.constant(INPUT), training=True).numpy()
    assert plain.weights == []
    axes = (0, 1, 2)
    np.testing.assert_allclose(
        y,
        slow_layers.batch_norm(pooled, pooled.mean(axes), pooled.var(axes)),
        atol=1e-4,
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fold", [1, 2])
@by_stride
def test_together_is_one_after_another(stride, fold, training):
    """Moving statistics included."""
    names = definitions.OPERATIONS
    layers = [operations.Operation(n, CHANNELS, stride) for n in names]
    x = folding.fold(tf.constant(INPUT), fold)
    before = [layer.get_weights() for layer in layers]
    apart = [layer(x, training=training) for layer in layers]
    moved = [layer.get_weights() for layer in layers]
    for layer, values in zip(layers, before, strict=True):
        layer.set_weights(values)
    each = np.eye(len(names), len(names) + 1, dtype=np.float32)
    together = operations.weighted_sums(layers, x, each, training)
    for y, expected in zip(together, apart, strict=True):
        np.testing.assert_allclose(y, expected, atol=1e-5)
    for layer, values in zip(layers, moved, strict=True):
        for now, value in zip(layer.get_weights(), values, strict=True):
            np.testing.assert_allclose(now, value, atol=1e-5)


def test_a_step_of_another_type_is_named(monkeypatch):
    odd = definitions.Operation(("sigmoid",), "#000000")
    monkeypatch.setitem(definitions.OPERATIONS, "odd", odd)
    with pytest.raises(TypeError, match=r"'sigmoid' is no step of `archit"):
        operations.Operation("odd", 4)


def test_factorized_reduce_wants_even_channels():
    with pytest.raises(ValueError) as caught:
        operations.Operation("skip_connect", 5, stride=2)
    assert str(caught.value) == (
        "A factorized reduction got 5 channels; expected an even number, as "
        "each half comes from other pixels."
    )
