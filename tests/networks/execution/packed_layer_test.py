import keras
import numpy as np
import pytest

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import cells
from entrannas_tf.networks.execution import packed_layer
from entrannas_tf.networks.layers import blocks


@pytest.fixture
def packed():
    return packed_layer.PackedLayer(blocks.Conv1x1BN(4, 2), "layer")


def test_unpack_gives_back_what_pack_took(packed):
    kernel = packed.layer.convolution.kernel
    kernel.assign(np.arange(8).reshape(4, 2))
    packed.pack()
    kernel.assign(np.zeros((4, 2)))
    packed.unpack()
    np.testing.assert_array_equal(kernel.numpy(), np.arange(8).reshape(4, 2))


def test_each_draws_its_own_weights_from_one_template():
    template = blocks.CifarStem(4, 100)
    keras.utils.set_random_seed(3)
    one, other = (packed_layer.PackedLayer(template, n) for n in "ab")
    keras.utils.set_random_seed(3)
    again = packed_layer.PackedLayer(template, "again")
    np.testing.assert_array_equal(one.vector, again.vector)
    kernel, scale, offset = np.split(one.vector.numpy(), [3600, 3700])
    assert 0.166 < np.abs(kernel).max() <= 1 / 6
    assert abs(kernel.mean()) < 0.01
    np.testing.assert_array_equal(scale, np.ones(100))
    np.testing.assert_array_equal(offset, np.zeros(100))
    assert np.all(other.vector.numpy()[:3600] != kernel)
    np.testing.assert_array_equal(
        other.layer.kernel, other.vector.numpy()[:3600].reshape(3, 3, 4, 100)
    )


def test_vectors_consist_of_a_cells_parts_in_order():
    """As Keras orders the variables of the whole cell."""
    cell = cells.EngineCell((4, 4), 8, True, True, search_space.TINY)
    packed = packed_layer.PackedLayer(cell, "cell")
    for number, whole in enumerate(packed_layer.variables(cell)):
        parts = [
            variable
            for part in packed.parts.values()
            for variable in packed_layer.variables(part)[number]
        ]
        assert list(map(id, parts)) == list(map(id, whole))


def test_used_marks_the_weights_of_parts():
    cell = cells.TransitCell((4, 4), 8, False, False, search_space.TINY)
    packed = packed_layer.PackedLayer(cell, "cell")
    names = frozenset({(0, "form"), (3, "squeeze")})
    used = packed.used(names).numpy()
    sizes = [packed.parts[n].count_params() for n in names]
    statistics = [2 * 8, 2 * 2]
    assert used.sum() == sum(sizes) - sum(statistics)
    assert used[: 4 * 8].all()
    assert not used[4 * 8]
