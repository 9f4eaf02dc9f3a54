"""Names and numbers of the search space."""

import itertools

import pytest

from entrannas_tf.architecture import search_space


def test_spaces_are_the_papers():
    assert len(search_space.STANDARD) == 8
    assert len(search_space.EXTENDED) == 13
    assert search_space.EXTENDED[:8] == search_space.STANDARD
    assert len(set(search_space.EXTENDED)) == 13


def test_standard_order_is_the_one_of_darts():
    # PRIMITIVES in genotypes.py of quark0/darts.
    assert search_space.primitives("standard", with_none=True) == (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )


@pytest.mark.parametrize("space", ["standard", "extended"])
def test_without_none_only_none_is_gone(space):
    every = search_space.primitives(space, with_none=True)
    assert search_space.primitives(space, with_none=False) == every[1:]
    assert every[0] == "none"


def test_unknown_space_is_named_beside_the_known():
    with pytest.raises(ValueError) as caught:
        search_space.primitives("huge", with_none=True)
    assert str(caught.value) == (
        "Unknown search space 'huge'; expected one of ['extended', 'nasnet', "
        "'standard', 'tiny']."
    )


def test_edges_join_earlier_nodes_to_intermediate_ones():
    assert search_space.NUM_NODES == 6
    assert len(search_space.EDGES) == 14
    assert set(search_space.EDGES) == {
        (i, j) for i, j in itertools.combinations(range(6), 2) if j > 1
    }


def test_edges_are_numbered_by_target_then_source():
    assert search_space.EDGES[:5] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert list(search_space.EDGES) == sorted(
        search_space.EDGES, key=lambda edge: edge[::-1]
    )


def test_edges_of_a_node():
    assert search_space.edges_into(2) == (0, 1)
    assert search_space.edges_into(5) == (9, 10, 11, 12, 13)
    assert search_space.edges_into(0) == ()
    assert search_space.edges_from(0) == (0, 2, 5, 9)
    assert search_space.edges_from(4) == (13,)
    assert search_space.edges_from(5) == ()


@pytest.mark.parametrize(
    "edges_of", [search_space.edges_into, search_space.edges_from]
)
def test_every_edge_belongs_to_one_node(edges_of):
    found = [e for node in range(6) for e in edges_of(node)]
    assert sorted(found) == list(range(14))


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("first", {0, 2}),
        ("last", {7, 5}),
        ("half", {0, 1, 3, 2}),
        ("all", set(range(8))),
        ("none", set()),
    ],
)
def test_engine_indices(which, expected):
    assert search_space.engine_indices(8, which) == expected


def test_unknown_placement_lists_the_known_ones():
    with pytest.raises(ValueError, match="first, last, half, all"):
        search_space.engine_indices(8, "middle")


def test_unknown_stem_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown stem 'vgg'; .* imagenet"):
        search_space.check_stem("vgg")
