"""Properties of single layers; the exam of all is conformance_test."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.layers import batch_norm, blocks, dropout
from entrannas_tf.networks.layers import folding as folding_lib
from tests.support import slow_layers

FOLDS = pytest.mark.parametrize("fold", [1, 2, 4])


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# TensorFlow's kernel, which the affine one calls, knows no float64.
DTYPES = {False: "float64", True: "float32"}
TOLERANCES = {False: 1e-10, True: 2e-6}


def make_norm(channels, affine):
    """Returns a batch norm with values away from the initial ones."""
    norm = batch_norm.BatchNorm(channels, affine, dtype=DTYPES[affine])
    rng = np.random.default_rng(1)
    for variable in norm.weights:
        variable.assign(rng.uniform(0.5, 1.5, channels))
    return norm


@FOLDS
@pytest.mark.parametrize("affine", [False, True])
def test_batch_norm_in_training_uses_the_batch(affine, fold):
    images = (3 * random(4, 5, 3, 2) + 1).astype(DTYPES[affine])
    norm = make_norm(2, affine)
    y = norm(folding_lib.fold(tf.constant(images), fold), training=True)
    axes = (0, 1, 2)
    expected = slow_layers.batch_norm(
        images,
        images.mean(axes),
        images.var(axes),
        *((norm.scale.numpy(), norm.offset.numpy()) if affine else ()),
    )
    np.testing.assert_allclose(
        folding_lib.unfold(y), expected, atol=TOLERANCES[affine]
    )


@FOLDS
@pytest.mark.parametrize("affine", [False, True])
def test_batch_norm_in_evaluation_uses_the_moving_statistics(affine, fold):
    images = random(4, 5, 3, 2).astype(DTYPES[affine])
    norm = make_norm(2, affine)
    y = norm(folding_lib.fold(tf.constant(images), fold), training=False)
    expected = slow_layers.batch_norm(
        images,
        norm.moving_mean.numpy(),
        norm.moving_variance.numpy(),
        *((norm.scale.numpy(), norm.offset.numpy()) if affine else ()),
    )
    np.testing.assert_allclose(
        folding_lib.unfold(y), expected, atol=TOLERANCES[affine]
    )


@FOLDS
@pytest.mark.parametrize("affine", [False, True])
def test_batch_norm_moves_its_statistics_by_a_tenth(affine, fold):
    images = (3 * random(16, 8, 8, 2) + 1).astype(DTYPES[affine])
    norm = make_norm(2, affine)
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    norm(folding_lib.fold(tf.constant(images), fold), training=True)
    axes = (0, 1, 2)
    np.testing.assert_allclose(
        norm.moving_mean, 0.9 * mean + 0.1 * images.mean(axes), rtol=1e-6
    )
    np.testing.assert_allclose(
        norm.moving_variance,
        0.9 * variance + 0.1 * images.var(axes, ddof=1),
        rtol=1e-5,
    )


@FOLDS
def test_batch_norm_gradient_check(fold):
    """Its gradient is written out by hand."""
    norm = make_norm(2, affine=False)
    mix = tf.constant(random(4, 1, 2, 2, seed=2))

    @tf.function
    def loss(images):
        y = norm(folding_lib.fold(images, fold), training=True)
        return tf.reduce_sum(folding_lib.unfold(y) * mix)

    images = tf.constant(random(4, 1, 2, 2))
    theoretical, numerical = tf.test.compute_gradient(
        loss, [images], delta=1e-5
    )
    assert np.abs(numerical[0]).max() > 0.1
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-7)


@FOLDS
def test_batch_norm_with_scale_has_the_gradient_of_one_without(fold):
    plain, affine = make_norm(2, affine=False), make_norm(2, affine=True)
    images, mix = random(4, 5, 3, 2), random(4, 5, 3, 2, seed=2)
    gradients = []
    for norm, factor in ((plain, affine.scale.numpy()), (affine, 1.0)):
        x = tf.constant(images, norm.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = norm(folding_lib.fold(x, fold), training=True)
            loss = tf.reduce_sum(folding_lib.unfold(y) * (mix * factor))
        gradients.append(tape.gradient(loss, x))
    np.testing.assert_allclose(*gradients, atol=1e-5)


def test_batch_norm_learns_scale_and_offset():
    norm = make_norm(2, affine=True)
    images = random(4, 2, 3, 2).astype("float32")
    mix = random(4, 2, 3, 2, seed=2).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(norm(tf.constant(images), training=True) * mix)
    scale, offset = tape.gradient(loss, [norm.scale, norm.offset])
    np.testing.assert_allclose(offset, mix.sum((0, 1, 2)), atol=1e-5)
    standardised = slow_layers.batch_norm(
        images, images.mean((0, 1, 2)), images.var((0, 1, 2))
    )
    expected = (standardised * mix).sum((0, 1, 2))
    np.testing.assert_allclose(scale, expected, atol=1e-5)


def test_batch_norm_of_a_constant_is_zero():
    norm = batch_norm.BatchNorm(2)
    y = norm(tf.fill([4, 3, 3, 2], 0.3), training=True)
    np.testing.assert_allclose(y, np.zeros((4, 3, 3, 2)), atol=1e-3)


def test_uniform_is_pytorchs():
    layer = keras.layers.Layer()
    weight = blocks.add_uniform_weight(layer, "kernel", (100, 100), fan_in=25)
    values = weight.numpy()
    assert weight.bound == 0.2
    assert np.abs(values).max() <= 0.2
    assert np.abs(values).max() > 0.199
    assert abs(values.mean()) < 0.005


@FOLDS
def test_factorized_reduce_sees_both_diagonals(fold):
    layer = blocks.EvenAndOdd(2, 4)
    images = tf.constant(np.abs(random(4, 6, 6, 2)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(images)
        y = folding_lib.unfold(layer(folding_lib.fold(images, fold)))
        loss = tf.reduce_sum(y * random(*y.shape, seed=2))
    assert y.shape == (4, 3, 3, 4)
    # DARTS's too looks at two of each four pixels.
    row, column = np.indices((6, 6)) % 2
    np.testing.assert_array_equal(
        (tape.gradient(loss, images).numpy() != 0).all(axis=(0, 3)),
        row == column,
    )


@pytest.mark.parametrize("training", [False, True])
def test_stem_against_numpy_and_folds(training):
    keras.utils.set_random_seed(0)
    images = random(4, 5, 6, 3).astype("float32")
    plain = blocks.CifarStem(3, 8, max_fold=1)
    folding = blocks.CifarStem(3, 8)
    folding.set_weights(plain.get_weights())
    y = plain(tf.constant(images), training=training)
    convolved = slow_layers.convolution(images, plain.kernel.numpy())
    statistics = 0.0, 1.0
    if training:
        statistics = convolved.mean((0, 1, 2)), convolved.var((0, 1, 2))
    expected = slow_layers.batch_norm(convolved, *statistics)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    folded = folding(tf.constant(images), training=training)
    assert folded.shape == (1, 5, 6, 4, 8)
    np.testing.assert_allclose(folding_lib.unfold(folded), y, atol=1e-5)


def test_imagenet_stem_against_numpy():
    keras.utils.set_random_seed(0)
    images = random(2, 16, 24, 3).astype("float32")
    stem = blocks.ImageNetStem(3, 4)
    first, second = stem(tf.constant(images))
    x = images
    for number, kernel in enumerate(stem.kernels):
        x = np.maximum(x, 0) if number else x
        x = slow_layers.convolution(x, kernel.numpy(), strides=(2, 2))
        x = slow_layers.batch_norm(x, 0.0, 1.0)
        if number == 1:
            np.testing.assert_allclose(first, x, atol=1e-5)
    assert x.shape == (2, 2, 3, 4)
    np.testing.assert_allclose(second, x, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_imagenet_stem_of_a_search_folds_and_rectifies(training):
    images = tf.constant(random(4, 16, 24, 3), tf.float32)
    plain = blocks.ImageNetStem(3, 4)
    stem = blocks.ImageNetStem(3, 4, max_fold=2, rectify=True)
    for old, new in zip(plain.weights, stem.weights, strict=True):
        new.assign(old)
    outputs = stem(images, training=training)
    assert [y.shape for y in outputs] == [(2, 4, 6, 2, 4), (2, 2, 3, 2, 4)]
    for y, expected in zip(
        outputs, plain(images, training=training), strict=True
    ):
        np.testing.assert_allclose(
            folding_lib.unfold(y), tf.nn.relu(expected), atol=1e-5
        )


def test_imagenet_stem_wants_an_even_number_of_channels():
    with pytest.raises(ValueError, match=r"channels=5; expected an even"):
        blocks.ImageNetStem(3, 5)


def test_restore_shuffles_channels():
    x = random(2, 3, 2, 6)
    y = blocks.Restore(6, 6, num_groups=2)(tf.constant(x, tf.float32))
    np.testing.assert_allclose(y, x[..., [0, 3, 1, 4, 2, 5]], atol=1e-6)


def test_drop_path_drops_images_and_keeps_the_mean():
    layer = dropout.DropPath(seed=1)
    images = tf.ones([2000, 1, 2, 3])
    np.testing.assert_array_equal(layer(images, training=True), images)
    layer.rate.assign(0.3)
    np.testing.assert_array_equal(layer(images), images)
    y = layer(images, training=True).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert (y == y[:, :1, :1, :1]).all()
    assert abs(y.mean() - 1) < 0.03
    assert (layer(images, training=True).numpy() != y).any()
