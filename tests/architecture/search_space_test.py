"""Search spaces as values: names, numbers and rules."""

import itertools
import json

import pytest

from entrannas_tf.architecture import search_space

STANDARD = search_space.STANDARD
OWN = search_space.make(
    "mine", ("skip_connect", "sep_conv_3x3"), 1, 3, ("normal",)
)


def sized(num_input_nodes, num_intermediate_nodes):
    return STANDARD._replace(
        num_input_nodes=num_input_nodes,
        num_intermediate_nodes=num_intermediate_nodes,
    )


SIZES = list(itertools.product((1, 2), (1, 3, 4, 5)))
every_size = pytest.mark.parametrize(("inputs", "inner"), SIZES)


def test_spaces_are_the_papers():
    extended = search_space.EXTENDED.primitives
    assert len(STANDARD.primitives) == 8
    assert len(extended) == 13
    assert extended[:8] == STANDARD.primitives
    assert len(set(extended)) == 13
    for name, space in search_space.SPACES.items():
        search_space.check(space)
        assert space.name == name
        assert space.num_nodes == 6
        assert space.kinds == ("normal", "reduction")


def test_standard_order_is_the_one_of_darts():
    # PRIMITIVES in genotypes.py of quark0/darts.
    assert STANDARD.primitives == (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )


@pytest.mark.parametrize("space", search_space.SPACES.values())
def test_without_none_only_none_is_gone(space):
    assert space.primitives[0] == "none"
    assert space.operations == space.primitives[1:]
    assert space.without_none() == space._replace(primitives=space.operations)
    assert space.without_none().without_none() == space.without_none()


def test_the_standard_edges_join_earlier_nodes_to_intermediate_ones():
    assert STANDARD.num_nodes == 6
    assert list(STANDARD.intermediate_nodes) == [2, 3, 4, 5]
    assert len(STANDARD.edges) == 14
    assert set(STANDARD.edges) == {
        (i, j) for i, j in itertools.combinations(range(6), 2) if j > 1
    }
    assert STANDARD.edges[:5] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def test_edges_of_a_standard_node():
    assert STANDARD.edges_into(2) == (0, 1)
    assert STANDARD.edges_into(5) == (9, 10, 11, 12, 13)
    assert STANDARD.edges_into(0) == ()
    assert STANDARD.edges_from(0) == (0, 2, 5, 9)
    assert STANDARD.edges_from(4) == (13,)
    assert STANDARD.edges_from(5) == ()


def test_edges_of_three_nodes_behind_one_input():
    assert OWN.edges == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert OWN.targets == (0, 1, 1, 2, 2, 2)
    assert OWN.edges_into(1) == (0,)
    assert OWN.edges_from(0) == (0, 1, 3)


@every_size
def test_edges_are_numbered_by_target_then_source(inputs, inner):
    space = sized(inputs, inner)
    assert space.num_nodes == inputs + inner
    assert space.edges == tuple(
        sorted(
            (
                (i, j)
                for i, j in itertools.combinations(range(inputs + inner), 2)
                if j in space.intermediate_nodes
            ),
            key=lambda edge: edge[::-1],
        )
    )
    assert space.targets == tuple(j - inputs for _, j in space.edges)


@every_size
def test_every_edge_belongs_to_one_node(inputs, inner):
    space = sized(inputs, inner)
    for edges_of in (space.edges_into, space.edges_from):
        found = [e for node in range(space.num_nodes) for e in edges_of(node)]
        assert sorted(found) == list(range(len(space.edges)))


def test_kinds():
    assert STANDARD.kind_of(True) == "reduction"
    assert STANDARD.kind_of(False) == "normal"
    assert OWN.kind_of(True) == OWN.kind_of(False) == "normal"


def test_equal_spaces_are_one_key():
    again = search_space.make("standard")
    assert again == STANDARD
    assert len({again, STANDARD, sized(2, 4), sized(2, 5)}) == 2


def test_get_takes_what_names_a_space():
    assert search_space.get("tiny") is search_space.TINY
    assert search_space.get(OWN) is OWN
    named = {"name": "x", "primitives": ["sep_conv_3x3"]}
    assert search_space.get(named) == ("x", ("sep_conv_3x3",), *STANDARD[2:])


@pytest.mark.parametrize("unknown", ["huge", 3, None, ["tiny"]])
def test_unknown_space_is_named_beside_the_known(unknown):
    with pytest.raises(ValueError) as caught:
        search_space.get(unknown)
    assert str(caught.value) == (
        f"Unknown search space {unknown!r}; expected one of ['extended', "
        "'nasnet', 'standard', 'tiny']."
    )


@pytest.mark.parametrize("fields", [{}, {"name": "x"}, {"size": 3}])
def test_a_dict_that_is_no_space(fields):
    if "size" in fields:
        fields = {**search_space.serialize(OWN), **fields}
    with pytest.raises(ValueError, match=r"^The search space has the fields"):
        search_space.get(fields)


@pytest.mark.parametrize(
    "space",
    [*search_space.SPACES.values(), OWN, sized(2, 5), STANDARD.without_none()],
)
def test_serialize_goes_through_json(space):
    text = json.dumps(search_space.serialize(space))
    assert search_space.get(json.loads(text)) == space
    assert (text == f'"{space.name}"') == (
        space in search_space.SPACES.values()
    )


def test_make_takes_the_primitives_of_the_name():
    space = search_space.make("tiny", num_intermediate_nodes=3)
    assert space.primitives == search_space.TINY.primitives
    assert space.num_intermediate_nodes == 3
    with pytest.raises(ValueError, match="Unknown search space 'mine'"):
        search_space.make("mine")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": " "}, "name is ' '; expected a text that is not empty."),
        ({"name": 3}, "name is 3; expected a text that is not empty."),
        ({"primitives": ()}, "primitives is (); expected names among none, "),
        ({"primitives": "none"}, "primitives is 'none'; expected names among "),
        ({"primitives": (1,)}, "primitives is (1,); expected names among "),
        (
            {"primitives": ("none", "sep_conv_9x9")},
            "primitives has 'sep_conv_9x9', which is not known; expected names "
            "among none, max_pool_3x3, avg_pool_3x3, ",
        ),
        (
            {"primitives": ("none", "skip_connect", "skip_connect")},
            "primitives has 'skip_connect' more than once; expected each name "
            "once.",
        ),
        (
            {"primitives": ("none",)},
            "primitives is ('none',); expected an operation beside none.",
        ),
        (
            {"num_input_nodes": 3},
            "num_input_nodes is 3; expected 2, for the outputs of cells k-2 "
            "and k-1, or 1, for that of cell k-1.",
        ),
        ({"num_input_nodes": True}, "num_input_nodes is True; expected 2, "),
        (
            {"num_intermediate_nodes": 0},
            "num_intermediate_nodes is 0; expected 1 or more.",
        ),
        (
            {"num_intermediate_nodes": 3.0},
            "num_intermediate_nodes is 3.0; expected 1 or more.",
        ),
        (
            {"kinds": ("reduction",)},
            "kinds is ('reduction',); expected ('normal', 'reduction'), or "
            "('normal',) for reduction cells that are normal cells at stride "
            "2.",
        ),
        ({"kinds": ()}, "kinds is (); expected ('normal', 'reduction'), or "),
    ],
)
def test_check_names_what_is_wrong(fields, message):
    space = STANDARD._replace(**fields)
    with pytest.raises(ValueError) as caught:
        search_space.get(space)
    assert str(caught.value).startswith(message)
    with pytest.raises(ValueError) as caught:
        search_space.check(space, "network.")
    assert str(caught.value).startswith(f"network.{message}")


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


@pytest.mark.parametrize(
    ("num_cells", "output_stride", "expected"),
    [
        (14, 32, [(1, 1)] * 14),
        (14, 16, [(1, 1)] * 9 + [(1, 2)] + [(2, 2)] * 4),
        (
            14,
            8,
            [(1, 1)] * 4 + [(1, 2)] + [(2, 2)] * 4 + [(2, 4)] + [(4, 4)] * 4,
        ),
        (3, 8, [(1, 1), (1, 2), (2, 4)]),
    ],
)
def test_dilations(num_cells, output_stride, expected):
    assert search_space.dilations(num_cells, output_stride) == expected


@pytest.mark.parametrize("output_stride", [0, 4, 12, 64])
def test_an_unknown_output_stride_is_named_beside_the_known(output_stride):
    with pytest.raises(ValueError) as caught:
        search_space.check_output_stride(output_stride, "imagenet")
    assert str(caught.value) == (
        f"output_stride is {output_stride}; expected one of 8, 16, 32."
    )


def test_only_the_stem_for_imagenet_has_an_output_stride():
    for output_stride in search_space.OUTPUT_STRIDES:
        search_space.check_output_stride(output_stride, "imagenet")
    with pytest.raises(ValueError) as caught:
        search_space.check_output_stride(16, "cifar")
    assert str(caught.value) == (
        "output_stride is 16 with the stem 'cifar'; expected the stem "
        "'imagenet', which divides the images' size by 8."
    )
