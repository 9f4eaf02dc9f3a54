"""The super-net with all switches off is that of DARTS."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf import objective, porting, search_space, supernet
from tests import darts_weights


@pytest.fixture(scope="module")
def reference(shared_data):
    path = shared_data.parent / "reference" / "darts_supernet_c4_l8.npz"
    if not path.exists():
        pytest.skip(f"the reference values of DARTS are missing: {path.name}")
    return np.load(pathlib.Path(path))


@pytest.fixture(scope="module")
def darts(reference):
    """DARTS's super-net with its weights, and one run of it."""
    net = supernet.Supernet(
        search_space.STANDARD,
        3,
        10,
        num_cells=8,
        init_channels=4,
        engine_cells="all",
        feature_sharing=False,
        bottleneck=1,
    )
    weights = darts_weights.supernet_weights(reference, net)
    porting.copy_weights(weights)
    for unit in net.units:
        unit.pack()
    return net, weights


@pytest.fixture(scope="module")
def alphas(reference):
    names = {"normal": "alphas_normal", "reduction": "alphas_reduce"}
    return {kind: tf.constant(reference[n]) for kind, n in names.items()}


class TestDarts:
    """The super-net with switches off against the original."""

    def test_every_weight_of_the_original_is_used(self, darts, reference):
        _, weights = darts
        names = [k for k in reference if k.startswith("weights/")]
        assert sorted(w.name for w in weights) == sorted(names)

    def test_logits_loss_and_gradients(self, darts, alphas, reference):
        net, _ = darts
        with tf.GradientTape() as tape:
            tape.watch(alphas)
            split = net.split({k: tf.nn.softmax(a) for k, a in alphas.items()})
        run = net.forward(
            tf.constant(reference["input"]), split, None, "architecture"
        )
        logits = run.logits
        with tf.GradientTape() as loss_tape:
            loss_tape.watch(logits)
            loss = objective.cross_entropy(
                tf.constant(reference["labels"], tf.int32), logits
            )
        np.testing.assert_allclose(logits, reference["logits"], atol=1e-4)
        np.testing.assert_allclose(loss, reference["loss"], atol=1e-4)
        sources = tf.nest.flatten(split)
        gradients = run.gradients(loss_tape.gradient(loss, logits), sources)
        found = tape.gradient(sources, alphas, output_gradients=gradients)
        for kind, name in (("normal", "normal"), ("reduction", "reduce")):
            expected = reference[f"gradient_alphas_{name}"]
            np.testing.assert_allclose(found[kind], expected, atol=1e-4)

    def test_weight_gradients(self, darts, alphas, reference):
        net, _ = darts
        split = net.split({k: tf.nn.softmax(a) for k, a in alphas.items()})
        run = net.forward(
            tf.constant(reference["input"]), split, None, "weights"
        )
        probabilities = tf.nn.softmax(run.logits)
        labels = tf.one_hot(reference["labels"], 10)
        units = [net.stem, net.head]
        (stem, head), masks = run.weight_gradients(
            (probabilities - labels) / len(labels), units
        )
        # The stem's gradient is up to 1, and comes through 8 cells. The
        # reference's float32 differs by 8e-4 from our result in float64, and
        # our own float32 by 6e-4.
        expected = reference["gradient_stem"].transpose(2, 3, 1, 0)
        np.testing.assert_allclose(
            stem[: expected.size], expected.ravel(), atol=1.5e-3
        )
        expected = reference["gradient_classifier"].T
        np.testing.assert_allclose(
            head[: expected.size], expected.ravel(), atol=1e-5
        )
        assert all(np.all(mask) for mask in masks)


def test_darts_supernet_has_its_number_of_weights():
    net = supernet.Supernet(
        search_space.STANDARD,
        3,
        10,
        engine_cells="all",
        feature_sharing=False,
        bottleneck=1,
    )
    assert sum(int(np.prod(u.vector.shape)) for u in net.units) == 1_930_618
