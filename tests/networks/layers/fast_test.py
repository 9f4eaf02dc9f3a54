"""The layers that train a target network against those of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.layers import fast

X = np.random.default_rng(0).normal(1, 2, (4, 5, 6, 3)).astype("float32")


def make_norm():
    norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    norm.build(X.shape)
    rng = np.random.default_rng(1)
    for variable in norm.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return norm


def run(layer, weights, **options):
    """Returns the output and the gradients of a sum of its parts."""
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.cast(layer(x, **options), tf.float32)
        mix = np.random.default_rng(2).normal(size=y.shape)
        loss = tf.reduce_sum(y * mix)
    return [y, *tape.gradient(loss, [x, *weights])]


@pytest.mark.parametrize("training", [False, True])
def test_fused_batch_norm(training):
    norm, twin = make_norm(), make_norm()
    found = run(
        fast.FusedBatchNorm(twin), twin.trainable_weights, training=training
    )
    expected = run(norm, norm.trainable_weights, training=training)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(twin.moving_mean, norm.moving_mean, atol=1e-5)


def test_fused_batch_norm_moves_the_unbiased_variance():
    norm = make_norm()
    before = norm.moving_variance.numpy()
    fast.FusedBatchNorm(norm)(X, training=True)
    np.testing.assert_allclose(
        norm.moving_variance,
        0.9 * before + 0.1 * X.var((0, 1, 2), ddof=1),
        rtol=1e-4,
    )


def test_a_frozen_batch_norm_keeps_and_uses_its_statistics():
    norm = make_norm()
    frozen = fast.FusedBatchNorm(norm)
    before = norm.get_weights()
    norm.trainable = False
    found = frozen(X, training=True)
    for value, now in zip(before, norm.get_weights(), strict=True):
        np.testing.assert_array_equal(now, value)
    expected = norm(X, training=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    norm.trainable = True
    assert np.abs(frozen(X, training=True) - expected).max() > 0.1


@pytest.mark.parametrize("size", [(5, 6), (None, None)])
def test_pointwise_convolution(size):
    images = keras.Input((*size, 3))
    convolution = keras.layers.Conv2D(4, 1, use_bias=False)
    plain = keras.Model(images, convolution(images))
    fast_model = keras.models.clone_model(plain, clone_function=fast.replace)
    assert isinstance(fast_model.layers[1], fast.PointwiseConvolution)
    weights = convolution.trainable_weights
    for one, other in zip(
        run(fast_model, weights), run(plain, weights), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout(rate):
    layer = fast.replace(keras.layers.Dropout(rate, seed=3))
    assert isinstance(layer, fast.Dropout)
    x = np.ones((20, 5, 10, 20), "float32")
    np.testing.assert_array_equal(layer(x, training=False), x)
    y, again = (layer(x, training=True).numpy() for _ in range(2))
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-5)
    # 20,000 elements: 5 standard deviations are 0.018 at most.
    assert abs((y == 0).mean() - rate) < 0.02
    assert abs(y.mean() - 1) < 0.04
    # Elements, not images, places or channels, and others each time.
    for axes in ((1, 2, 3), (0, 3), (0, 1, 2)):
        assert (y.mean(axis=axes) > 0).all()
    assert (y != again).any()


def test_dropout_at_a_rate_of_zero_changes_nothing():
    layer = fast.replace(keras.layers.Dropout(0.0))
    np.testing.assert_array_equal(layer(X, training=True), X)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "use_bias": False},
        {"kernel_size": 1, "strides": 2, "use_bias": False},
        {"kernel_size": 1},
        {"kernel_size": 1, "use_bias": False, "activation": "relu"},
        {"kernel_size": 1, "use_bias": False, "groups": 3},
    ],
)
def test_other_convolutions_stay(options):
    layer = keras.layers.Conv2D(3, **options)
    layer.build(X.shape)
    assert fast.replace(layer) is layer


def test_half_precision():
    """Weights and statistics are float32, as those of Keras's layers."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        images = keras.Input(X.shape[1:])
        y = keras.layers.Conv2D(3, 1, use_bias=False)(images)
        y = keras.layers.BatchNormalization()(y)
        plain = keras.Model(images, y)
    finally:
        keras.config.set_dtype_policy("float32")
    model = keras.models.clone_model(plain, clone_function=fast.replace)
    for training in (False, True):
        y = model(X, training=training)
        assert y.dtype == tf.float16
        np.testing.assert_allclose(y, plain(X, training=training), atol=0.02)
    assert {v.dtype for v in model.variables} == {"float32"}
