"""The super-net with all switches off is that of DARTS."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import supernet
from entrannas_tf.training import losses
from tests.support import darts_weights

BOTH = ("weights", "architecture")


def load(shared_data, name):
    path = shared_data.parent / "reference" / name
    if not path.exists():
        pytest.skip(f"the reference values of DARTS are missing: {path.name}")
    return np.load(path)


@pytest.fixture(scope="module")
def reference(shared_data):
    """The original's weights and inputs, and what it makes in float32."""
    return load(shared_data, "darts_supernet_c4_l8.npz")


@pytest.fixture(scope="module")
def exact(shared_data):
    """Returns the outputs of the original code in float64."""
    return load(shared_data, "darts_supernet_c4_l8_float64.npz")


def make_darts(reference, precision):
    """Returns DARTS's super-net with its weights, and these."""
    net = supernet.Supernet(
        search_space.STANDARD,
        3,
        10,
        num_cells=8,
        init_channels=4,
        engine_cells="all",
        feature_sharing=False,
        bottleneck=1,
        precision=precision,
    )
    weights = darts_weights.supernet_weights(reference, net)
    darts_weights.copy_weights(weights)
    for layer in net.engine.layers:
        layer.pack()
    return net, weights


@pytest.fixture(scope="module")
def darts(reference):
    return make_darts(reference, "float32")


@pytest.fixture(scope="module")
def darts_float64(reference):
    return make_darts(reference, "float64")[0]


def run_forward(net, reference, wrt, dtype):
    """Runs a super-net on the reference's images.

    Returns:
        The `engine.ForwardPass`, and a callable that makes alpha's gradients
        of those to the coefficients.
    """
    names = {"normal": "alphas_normal", "reduction": "alphas_reduce"}
    alphas = {k: tf.constant(reference[n], dtype) for k, n in names.items()}
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        coefficients = {k: tf.nn.softmax(a) for k, a in alphas.items()}
    images = tf.constant(reference["input"], dtype)
    run = net.forward(images, coefficients, None, wrt=wrt)

    def to_alphas(gradients):
        return tape.gradient(coefficients, alphas, output_gradients=gradients)

    return run, to_alphas


def loss_and_gradient(logits, labels):
    """Returns the mean cross entropy and its gradient, float [B, classes]."""
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.cross_entropy(tf.constant(labels, tf.int32), logits)
    return loss, tape.gradient(loss, logits)


@pytest.mark.long
def test_every_weight_of_the_original_is_used(darts, reference):
    _, weights = darts
    names = [k for k in reference if k.startswith("weights/")]
    assert sorted(w.name for w in weights) == sorted(names)


@pytest.mark.long
def test_logits_and_loss(darts, reference):
    run, _ = run_forward(darts[0], reference, (), "float32")
    loss, _ = loss_and_gradient(run.logits, reference["labels"])
    np.testing.assert_allclose(run.logits, reference["logits"], atol=1e-4)
    np.testing.assert_allclose(loss, reference["loss"], atol=1e-4)


# Gradients through eight cells of batch norms depend on the processor in
# float32, PyTorch's too; so they are compared in float64.
@pytest.mark.long
def test_gradients(darts_float64, reference, exact):
    net = darts_float64
    run, to_alphas = run_forward(net, reference, BOTH, "float64")
    loss, gradient = loss_and_gradient(run.logits, reference["labels"])
    np.testing.assert_allclose(run.logits, exact["logits"], atol=1e-10)
    np.testing.assert_allclose(loss, exact["loss"], atol=1e-10)
    weights, coefficients = run.gradients(gradient)
    found = to_alphas(coefficients)
    for kind, name in (("normal", "normal"), ("reduction", "reduce")):
        expected = exact[f"gradient_alphas_{name}"]
        np.testing.assert_allclose(found[kind], expected, atol=1e-9)
    expected = exact["gradient_stem"].transpose(2, 3, 1, 0).ravel()
    stem, head = weights[0], weights[-1]
    np.testing.assert_allclose(stem[: expected.size], expected, atol=1e-9)
    expected = exact["gradient_classifier"].T.ravel()
    np.testing.assert_allclose(head[: expected.size], expected, atol=1e-9)
    assert all(np.all(used) for used in run.used())


def test_darts_supernet_has_its_number_of_weights():
    net = supernet.Supernet(
        search_space.STANDARD,
        3,
        10,
        engine_cells="all",
        feature_sharing=False,
        bottleneck=1,
    )
    sizes = [int(np.prod(v.shape)) for v in net.trainable_variables]
    assert sum(sizes) == 1_930_618
