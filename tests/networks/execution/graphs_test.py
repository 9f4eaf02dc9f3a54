import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks.execution import graphs

SPEC = ((3, 4), tf.float32)


def product(x, y):
    z = tf.nn.relu(x) * y
    return [z, tf.sin(z)], [tf.reduce_sum(x)]


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    return [tf.constant(rng.normal(size=(3, 4)), tf.float32) for _ in "xy"]


@pytest.mark.parametrize("wide", [0, 200])
def test_forward_and_backward_equal_tensorflows(tensors, wide, monkeypatch):
    monkeypatch.setattr(graphs, "_WIDE", wide)
    graph = graphs.Graph(product, [SPEC, SPEC], (0, 1))
    results = graph.forward(*tensors)
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs, (extra,) = product(*tensors)
    cotangents = [tf.cos(tensors[0]), tf.sin(tensors[1])]
    expected = tape.gradient(outputs, tensors, output_gradients=cotangents)
    np.testing.assert_allclose(results[0], outputs[0], rtol=1e-6)
    np.testing.assert_allclose(results[1], outputs[1], rtol=1e-6)
    np.testing.assert_allclose(results[2], extra, rtol=1e-6)
    for wrt in ((0, 1), (1,), (0,)):
        backward = graph.backward(wrt)
        assert sorted(backward.numbers) == sorted(wrt)
        kept = [results[3:][i] for i in backward.residual_indices]
        found = backward.function(*kept, *cotangents)
        for number, gradient in zip(backward.numbers, found, strict=True):
            np.testing.assert_allclose(gradient, expected[number], rtol=1e-5)


def test_cache_drops_the_least_recently_used():
    cache = graphs.GraphCache(max_graphs=2)
    built = []
    for key in "abacab":
        cache.get(key, lambda key=key: built.append(key) or key)
    assert built == ["a", "b", "c", "b"]
    assert len(cache) == 2
    assert cache.num_built == 4


def test_a_gradient_of_slices_is_made_dense():
    """That of a gather, which TensorFlow gives by rows."""
    rows = graphs.Graph(
        lambda x: ([tf.gather(x, [2, 0])], []), [((3, 4), tf.float32)], (0,)
    )
    y, *residuals = rows.forward(tf.zeros((3, 4)))
    backward = rows.backward((0,))
    kept = [residuals[i] for i in backward.residual_indices]
    (found,) = backward.function(*kept, tf.ones_like(y))
    np.testing.assert_array_equal(found, np.outer([1, 0, 1], np.ones(4)))
