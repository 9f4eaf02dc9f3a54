import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.networks import cells
from entrannas_tf.networks.execution import graphs, packed_layer
from entrannas_tf.networks.execution import tape as tape_lib
from entrannas_tf.networks.layers import blocks

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


def test_tape_adds_up_what_reaches_a_tensor_on_two_ways(tensors):
    x, y = tensors
    graph = graphs.Graph(lambda a, b: ([a * b], []), [SPEC, SPEC], (0, 1))
    tape = tape_lib.Tape()
    (square,), _ = tape.call(graph, (x, x), (0, 1))
    assert tape.knows(square)
    assert not tape.knows(x)
    (cube,), _ = tape.call(graph, (square, x), (0, 1))
    gradients = tape.gradient(cube, tf.ones_like(cube), [x, y])
    np.testing.assert_allclose(gradients[0], 3 * x**2, rtol=1e-5)
    np.testing.assert_array_equal(gradients[1], np.zeros((3, 4)))


def test_cache_drops_the_least_recently_used():
    cache = graphs.GraphCache(max_graphs=2)
    built = []
    for key in "abacab":
        cache.get(key, lambda key=key: built.append(key) or key)
    assert built == ["a", "b", "c", "b"]
    assert len(cache) == 2
    assert cache.num_built == 4


class TestPackedLayer:
    @pytest.fixture
    def packed(self):
        layer = blocks.ReLUConvBN(4, 2)
        return packed_layer.PackedLayer(layer, graphs.GraphCache())

    def test_unpack_gives_back_what_pack_took(self, packed):
        kernel = packed.layer.convolution.kernel
        kernel.assign(np.arange(8).reshape(4, 2))
        packed.pack()
        kernel.assign(np.zeros((4, 2)))
        packed.unpack()
        np.testing.assert_array_equal(
            kernel.numpy(), np.arange(8).reshape(4, 2)
        )

    def test_only_the_two_vectors_are_its_variables(self, packed):
        assert [v.name for v in packed.variables] == ["vector", "statistics"]

    def test_layers_alike_share_a_graph(self):
        cache = graphs.GraphCache()
        x = tf.ones((2, 3, 3, 4))
        for name in ("one", "other"):
            layer = blocks.ReLUConvBN(4, 2, name=name)
            packed_layer.PackedLayer(layer, cache).graph((x,), None, True)
        assert cache.num_built == 1

    def test_each_draws_its_own_weights_from_one_template(self):
        template = blocks.CifarStem(4, 100)
        keras.utils.set_random_seed(3)
        one, other = (
            packed_layer.PackedLayer(template, graphs.GraphCache())
            for _ in "ab"
        )
        keras.utils.set_random_seed(3)
        again = packed_layer.PackedLayer(template, graphs.GraphCache())
        np.testing.assert_array_equal(one.vector, again.vector)
        kernel, scale, offset = np.split(one.vector.numpy(), [3600, 3700])
        assert 0.166 < np.abs(kernel).max() <= 1 / 6
        assert abs(kernel.mean()) < 0.01
        np.testing.assert_array_equal(scale, np.ones(100))
        np.testing.assert_array_equal(offset, np.zeros(100))
        assert np.all(other.vector.numpy()[:3600] != kernel)
        np.testing.assert_array_equal(
            other.layer.kernel,
            other.vector.numpy()[:3600].reshape(3, 3, 4, 100),
        )

    def test_a_part_takes_and_gives_its_own_weights_only(self):
        """One operation of a node against the plain layer."""
        node = cells.CellNode(None, 8, ("sep_conv_3x3", "max_pool_3x3"))
        packed = packed_layer.PackedLayer(node, graphs.GraphCache())
        x = tf.random.stateless_normal((2, 4, 4, 2), (0, 1))
        part = (0, "sep_conv_3x3")
        graph = packed.graph((x,), part, True)
        vector = tf.convert_to_tensor(packed.vector)
        y, statistics, *residuals = graph.forward(
            vector, tf.convert_to_tensor(packed.statistics), x
        )
        plain = packed.layer.groups[0]["sep_conv_3x3"]
        np.testing.assert_allclose(y, plain(x, training=True), atol=1e-6)
        expected = packed.statistics.numpy()
        packed.pack()  # the plain layer moved its statistics
        np.testing.assert_allclose(statistics, packed.statistics, atol=1e-6)
        assert np.any(statistics != expected)
        mask = packed.mask((part,)).numpy()
        assert mask.sum() == sum(np.size(w) for w in plain.trainable_variables)
        backward = graph.backward((0,))
        kept = [residuals[i] for i in backward.residual_indices]
        (found,) = backward.function(*kept, tf.sin(y))
        np.testing.assert_array_equal(found.numpy() != 0, mask)


def test_tape_adds():
    """A sum passes its gradient on to each of its parts."""
    double = graphs.Graph(lambda x: ([2 * x], []), [((3,), tf.float32)], (0,))
    tape = tape_lib.Tape()
    x, constant = tf.constant([1.0, 2.0, 3.0]), tf.ones([3])
    (y,), _ = tape.call(double, (x,), (0,))
    total = tape.add([y, constant, y])
    np.testing.assert_allclose(total, 4 * x + 1)
    assert tape.knows(total)
    (z,), _ = tape.call(double, (total,), (0,))
    (gradient,) = tape.gradient(z, tf.ones([3]), [x])
    np.testing.assert_allclose(gradient, [8.0, 8.0, 8.0])


def test_tape_adds_what_it_does_not_know():
    tape = tape_lib.Tape()
    one, two = tf.ones([2]), tf.fill([2], 2.0)
    assert tape.add([one]) is one
    total = tape.add([one, two])
    np.testing.assert_allclose(total, [3.0, 3.0])
    assert not tape.knows(total)
