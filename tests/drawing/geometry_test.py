import itertools

import numpy as np
import pytest

from entrannas_tf.architecture import search_space
from entrannas_tf.drawing import artist, geometry

SIZES = tuple(itertools.product((1, 2, 4, 5, 7), (1, 2)))  # Nodes, inputs.


def all_edges(layout):
    """Returns the edges of a layout, those to the output among them."""
    return [*layout.edges, *((i, layout.output) for i in layout.inner)]


def points_of(layout, source, target, offset):
    """Returns points, float [P, 2], close together on a connection's way."""
    strand = artist.strand(layout, source, target, offset, offset)
    (points,) = strand.to_polygons(closed_only=False)
    return np.concatenate(
        [np.linspace(a, b, 50) for a, b in itertools.pairwise(points)]
    )


def test_edges_are_those_of_the_search_space():
    layout = geometry.of(4)
    assert layout.edges == search_space.STANDARD.edges
    assert layout.output == search_space.STANDARD.num_nodes
    assert geometry.of(4) is layout


@pytest.mark.parametrize("size", SIZES)
def test_nodes_stand_apart_in_order_within_the_picture(size):
    layout = geometry.of(*size)
    inner, inputs = size
    assert list(layout.inner) == list(range(inputs, inputs + inner))
    assert sorted(layout.nodes) == [
        *range(inputs),
        *layout.inner,
        layout.output,
    ]
    centres = np.array([layout.nodes[n] for n in sorted(layout.nodes)])
    size = np.array([layout.width, layout.height])
    assert np.all(centres > geometry.RADIUS)
    assert np.all(centres < size - geometry.RADIUS)
    assert np.all(np.diff(centres[inputs - 1 :, 0]) > 4 * geometry.RADIUS)
    if inputs == 2:
        assert centres[0, 1] - centres[1, 1] > 2 * geometry.RADIUS


@pytest.mark.parametrize("size", SIZES)
def test_curves_keep_clear_of_other_nodes_and_other_labels(size):
    layout = geometry.of(*size)
    for source, target in all_edges(layout):
        for offset in (-3.5, 3.5):
            points = points_of(layout, source, target, offset)
            assert np.all(points > 0)
            assert np.all(points < [layout.width, layout.height])
            for node, centre in layout.nodes.items():
                if node not in (source, target):
                    distance = np.linalg.norm(points - centre, axis=1)
                    assert distance.min() > geometry.RADIUS + 3
            for i, j in layout.edges:
                if (i, j) != (source, target):
                    x, y = points.T - [
                        [layout.label_x(j) + geometry.LABEL_WIDTH / 2],
                        [layout.nodes[i][1]],
                    ]
                    inside = np.abs(x) < geometry.LABEL_WIDTH / 2
                    inside &= np.abs(y) < 1.5 * geometry.ROW_HEIGHT
                    assert not inside.any(), (source, target, i, j)


@pytest.mark.parametrize("size", SIZES)
def test_curves_start_within_their_node_and_end_at_its_rim(size):
    layout = geometry.of(*size)
    ends = set()
    for source, target in all_edges(layout):
        points = points_of(layout, source, target, 0.0)
        start = np.linalg.norm(points[0] - layout.nodes[source])
        assert start < geometry.RADIUS
        tip = layout.port(source, target)
        distance = np.linalg.norm(np.subtract(tip, layout.nodes[target]))
        assert distance == pytest.approx(geometry.RADIUS)
        assert np.linalg.norm(points[-1] - tip) < 3
        ends.add(tip)
    assert len(ends) == len(all_edges(layout))


@pytest.mark.parametrize("size", SIZES)
def test_lanes_do_not_run_over_each_other(size):
    layout = geometry.of(*size)
    runs = [run for e in all_edges(layout) for run in layout.curve(*e, 0, 0)]
    for (a, b, y), (c, d, z) in itertools.combinations(runs, 2):
        together = min(b, d) - max(a, c)
        # What leaves or enters a node is closer together, and short.
        if together > geometry.RADIUS:
            assert abs(y - z) >= 9
