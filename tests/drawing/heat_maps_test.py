import numpy as np

from entrannas_tf.architecture import search_space
from entrannas_tf.drawing import heat_maps

SPACE = search_space.STANDARD


def draw(values):
    panels = {"normal": values, "reduction": values}
    return heat_maps.draw(panels, SPACE.edges, SPACE.primitives, "a")


def test_pictures_of_a_search_have_one_size_and_show_the_values():
    flat = draw(np.zeros((14, 8)))
    peak = np.zeros((14, 8))
    peak[3, 5] = 1
    other = draw(peak)
    assert flat.dtype == np.uint8
    assert flat.ndim == 3
    assert flat.shape == other.shape
    assert (flat != other).any()


def test_nan_is_drawn():
    assert draw(np.full((14, 8), np.nan)).shape[2] == 3
