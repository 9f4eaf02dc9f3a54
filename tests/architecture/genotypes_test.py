"""Genotypes as values, and as the JSON that others read."""

import json

import pytest

from entrannas_tf.architecture import genotypes, search_space

NORMAL = genotypes.make_cell(
    [
        [("sep_conv_3x3", 0), ("skip_connect", 1)],
        [("skip_connect", 0), ("skip_connect", 2)],
        [("max_pool_3x3", 3), ("dil_conv_5x5", 1)],
        [("sep_conv_5x5", 4), ("avg_pool_3x3", 0)],
    ]
)
# As DST derives: any number of connections, several on one edge.
REDUCTION = genotypes.make_cell(
    [
        [("max_pool_3x3", 1)],
        [("skip_connect", 2), ("sep_conv_3x3", 2), ("sep_conv_5x5", 2)],
        [],
        [("dil_conv_3x3", 0)],
    ]
)
GENOTYPE = genotypes.Genotype(NORMAL, REDUCTION)
FIVE_NODES = genotypes.Genotype(
    genotypes.make_cell([[("sep_conv_7x7", 0)]] * 5, search_space.NASNET),
    genotypes.make_cell([[("conv_7x1_1x7", 1)] * 2] * 5, search_space.NASNET),
    search_space.NASNET,
    reduction_concat=(4, 6),
)
# Of a user's own space: cells of three nodes behind one input, all alike.
OWN_SPACE = search_space.make(
    "mine", ("none", "skip_connect", "conv_3x3"), 1, 3, ("normal",)
)
OWN_CELL = genotypes.make_cell(
    [
        [("skip_connect", 0)],
        [("conv_3x3", 0), ("skip_connect", 1)],
        [("conv_3x3", 1), ("conv_3x3", 2)],
    ],
    OWN_SPACE,
)
OWN = genotypes.Genotype(OWN_CELL, OWN_CELL, OWN_SPACE)


def edited(genotype=GENOTYPE, **members):
    """Returns the JSON text of a genotype with members replaced."""
    content = json.loads(genotypes.to_json(genotype))
    content.update(members)
    return json.dumps({k: v for k, v in content.items() if v is not None})


def test_connections_are_named_tuples():
    assert NORMAL[0][1] == genotypes.Connection("skip_connect", 1)
    assert (NORMAL[0][1].primitive, NORMAL[0][1].source) == ("skip_connect", 1)


def test_equal_genotypes_are_one_key():
    again = genotypes.Genotype(
        genotypes.make_cell([list(node) for node in NORMAL]), REDUCTION
    )
    assert again == GENOTYPE
    assert len({again, GENOTYPE}) == 1


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [[("sep_conv_9x9", 0)]],
            "Node 2 uses the primitive 'sep_conv_9x9', which the 'standard' "
            "space does not have; expected one of max_pool_3x3, avg_pool_3x3, "
            "skip_connect, sep_conv_3x3, sep_conv_5x5, dil_conv_3x3, "
            "dil_conv_5x5.",
        ),
        (
            [[], [("none", 0)]],
            "Node 3 uses the primitive 'none', which the 'standard' space "
            "does not have; expected one of max_pool_3x3, avg_pool_3x3, "
            "skip_connect, sep_conv_3x3, sep_conv_5x5, dil_conv_3x3, "
            "dil_conv_5x5.",
        ),
        (
            [[("skip_connect", 2)]],
            "Node 2 has a connection from node 2; expected an integer from 0 "
            "to 1.",
        ),
        (
            [[], [], [("skip_connect", -1)]],
            "Node 4 has a connection from node -1; expected an integer from "
            "0 to 3.",
        ),
        (
            [[("skip_connect", "0")]],
            "Node 2 has a connection from node '0'; expected an integer from "
            "0 to 1.",
        ),
    ],
)
def test_make_cell_names_what_is_wrong(nodes, message):
    with pytest.raises(ValueError) as caught:
        genotypes.make_cell(nodes)
    assert str(caught.value) == message


def test_extended_primitives_need_the_extended_space():
    nodes = [[("conv_1x7_7x1", 0)]]
    assert genotypes.make_cell(nodes, search_space.EXTENDED)[0][0].source == 0
    with pytest.raises(ValueError, match=r"'standard' space does not have"):
        genotypes.make_cell(nodes)


def test_outputs_are_the_nodes_with_connections_unless_named():
    assert GENOTYPE.outputs("normal") == (2, 3, 4, 5)
    assert GENOTYPE.outputs("reduction") == (2, 3, 5)
    assert FIVE_NODES.outputs("normal") == (2, 3, 4, 5, 6)
    assert FIVE_NODES.outputs("reduction") == (4, 6)


def test_connected_nodes():
    cell = genotypes.make_cell(
        [
            [("skip_connect", 0)],
            [],
            [("sep_conv_3x3", 3)],
            [("sep_conv_5x5", 4), ("dil_conv_3x3", 2)],
        ]
    )
    assert genotypes.connected_nodes(cell) == (2, 5)
    assert genotypes.Genotype(cell, cell).outputs("normal") == (2, 5)


def test_make_concat():
    assert genotypes.make_concat(None, REDUCTION) is None
    assert genotypes.make_concat([2, 3, 5], REDUCTION) is None
    assert genotypes.make_concat([5, 3], REDUCTION) == (5, 3)


@pytest.mark.parametrize(
    ("concat", "cell", "message"),
    [
        (
            [2, 4],
            REDUCTION,
            "The cell's output is made of the nodes [2, 4]; expected each "
            "once, and of those that have a connection: 2, 3, 5.",
        ),
        (
            [2, 2],
            REDUCTION,
            "The cell's output is made of the nodes [2, 2]; expected each "
            "once, and of those that have a connection: 2, 3, 5.",
        ),
        (
            [],
            REDUCTION,
            "The cell's output is made of the nodes []; expected each once, "
            "and of those that have a connection: 2, 3, 5.",
        ),
        (
            None,
            ((), ()),
            "The cell's output is made of the nodes []; expected each once, "
            "and of those that have a connection: but none has any.",
        ),
    ],
)
def test_make_concat_names_what_is_wrong(concat, cell, message):
    with pytest.raises(ValueError) as caught:
        genotypes.make_concat(concat, cell)
    assert str(caught.value) == message


def test_from_json_checks_the_concat():
    with pytest.raises(ValueError) as caught:
        genotypes.from_json(edited(normal_concat="2, 3"))
    assert str(caught.value) == (
        "The genotype's normal_concat is '2, 3'; expected a list of numbers "
        "of nodes."
    )
    with pytest.raises(ValueError, match=r"\[6\]; expected each once"):
        genotypes.from_json(edited(normal_concat=[6]))


def test_counts():
    assert genotypes.num_connections(NORMAL) == 8
    assert genotypes.num_connections(REDUCTION) == 5
    assert genotypes.num_skip_connections(NORMAL) == 3
    assert genotypes.num_skip_connections(REDUCTION) == 1


def test_num_changed_counts_what_only_one_cell_has():
    node = [("sep_conv_3x3", 0), ("skip_connect", 1)]
    before = genotypes.make_cell([node, []])
    swapped = genotypes.make_cell([node[::-1], []])
    moved = genotypes.make_cell([node[:1], node[1:]])
    other = genotypes.make_cell([[("sep_conv_3x3", 0), ("skip_connect", 0)]])
    assert genotypes.num_changed(before, before) == 0
    assert genotypes.num_changed(before, swapped) == 0
    assert genotypes.num_changed(before, moved) == 2
    assert genotypes.num_changed(before, other) == 2
    assert genotypes.num_changed(other, before) == 2
    assert genotypes.num_changed(NORMAL, REDUCTION) == 11


def test_describe_is_one_line():
    assert GENOTYPE.describe("reduction") == (
        "2: max_pool_3x3(1) | 3: skip_connect(2) sep_conv_3x3(2) "
        "sep_conv_5x5(2) | 4: - | 5: dil_conv_3x3(0)"
    )


def test_json_is_the_documented_format():
    provenance = {"seed": 3, "accuracy": 0.5}
    text = genotypes.to_json(GENOTYPE, provenance=provenance)
    assert json.loads(text) == {
        "format": "entrannas-genotype",
        "version": 1,
        "space": "standard",
        "normal": [
            [["sep_conv_3x3", 0], ["skip_connect", 1]],
            [["skip_connect", 0], ["skip_connect", 2]],
            [["max_pool_3x3", 3], ["dil_conv_5x5", 1]],
            [["sep_conv_5x5", 4], ["avg_pool_3x3", 0]],
        ],
        "reduction": [
            [["max_pool_3x3", 1]],
            [["skip_connect", 2], ["sep_conv_3x3", 2], ["sep_conv_5x5", 2]],
            [],
            [["dil_conv_3x3", 0]],
        ],
        "provenance": provenance,
    }
    assert '\n    [["sep_conv_3x3", 0], ["skip_connect", 1]],\n' in text


@pytest.mark.parametrize(
    "genotype",
    [
        GENOTYPE,
        genotypes.Genotype(
            genotypes.make_cell(
                [[("conv_1x3_3x1", 1)]] * 4, search_space.EXTENDED
            ),
            genotypes.make_cell([[("conv_1x1", 0)]] * 4, search_space.EXTENDED),
            search_space.EXTENDED,
        ),
        FIVE_NODES,
        OWN,
    ],
)
def test_json_round_trip(genotype):
    text = genotypes.to_json(genotype, provenance={"seed": 1})
    assert genotypes.from_json(text) == genotype


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{",
            "Not a genotype: not valid JSON (Expecting property name "
            "enclosed in double quotes: line 1 column 2 (char 1)).",
        ),
        (
            "[]",
            "Not a genotype: expected a JSON object with "
            '"format": "entrannas-genotype".',
        ),
        (
            edited(format="darts-genotype"),
            "Not a genotype: expected a JSON object with "
            '"format": "entrannas-genotype".',
        ),
        (
            edited(version=2),
            "The genotype has version 2; this software reads version 1.",
        ),
        (
            edited(version=None),
            "The genotype has version None; this software reads version 1.",
        ),
        (
            edited(normal=None, space=None),
            "The genotype lacks space, normal.",
        ),
        (
            edited(space="huge"),
            "Unknown search space 'huge'; expected one of "
            "['extended', 'nasnet', 'standard', 'tiny'].",
        ),
    ],
)
def test_from_json_says_what_is_wrong(text, message):
    with pytest.raises(ValueError) as caught:
        genotypes.from_json(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "cell",
    [
        7,
        {"2": []},
        [],
        [[], [], [], 0],
        [[], [], [], ["skip_connect"]],
        [[], [], [], [["skip_connect"]]],
        [[], [], [], [["skip_connect", 0, 1]]],
    ],
)
def test_from_json_wants_a_list_of_pairs_a_node(cell):
    with pytest.raises(ValueError) as caught:
        genotypes.from_json(edited(reduction=cell))
    assert str(caught.value) == (
        "The genotype's reduction cell is not a list that has, for each "
        "intermediate node, a list of [primitive, source] pairs."
    )


def test_from_json_checks_the_cells():
    with pytest.raises(ValueError, match=r"Node 5 .* from 0 to 4"):
        genotypes.from_json(edited(normal=[[], [], [], [["skip_connect", 5]]]))


def test_a_space_of_ones_own_is_in_the_file():
    content = json.loads(genotypes.to_json(OWN))
    assert content["space"] == {
        "name": "mine",
        "primitives": ["none", "skip_connect", "conv_3x3"],
        "num_input_nodes": 1,
        "num_intermediate_nodes": 3,
        "kinds": ["normal"],
    }


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"space": {"name": "mine"}}, "The search space has the fields name;"),
        ({"space": ["tiny"]}, "Unknown search space ['tiny']; expected one of"),
        (
            {"space": {"name": "mine", "primitives": ["conv_9x9"]}},
            "primitives has 'conv_9x9', which is not known; expected names",
        ),
        (
            {"reduction": [[["conv_3x3", 0]]]},
            "The genotype's reduction cell is not its normal cell; expected "
            "the same, as its space has the kinds ('normal',).",
        ),
        (
            {"normal_concat": [3, 2]},
            "The genotype's reduction cell is not its normal cell; expected",
        ),
        (
            {"normal": [[["conv_3x3", 1]]]},
            "Node 1 has a connection from node 1; expected an integer from 0 "
            "to 0.",
        ),
    ],
)
def test_from_json_checks_a_space_of_ones_own(members, message):
    with pytest.raises(ValueError) as caught:
        genotypes.from_json(edited(OWN, **members))
    assert str(caught.value).startswith(message)


def test_nodes_behind_one_input():
    assert OWN.outputs("normal") == OWN.outputs("reduction") == (1, 2, 3)
    assert genotypes.make_concat([1, 2, 3], OWN_CELL, 1) is None
    assert OWN.describe("reduction") == (
        "1: skip_connect(0) | 2: conv_3x3(0) skip_connect(1) | "
        "3: conv_3x3(1) conv_3x3(2)"
    )


def test_random_genotypes_of_ones_own():
    drawn = [genotypes.draw(seed, OWN_SPACE) for seed in range(20)]
    assert len(set(drawn)) > 10
    for genotype in drawn:
        assert genotype.normal == genotype.reduction
        assert genotype.space == OWN_SPACE
        assert [len(node) for node in genotype.normal] == [1, 2, 2]
        assert (
            genotypes.make_cell(genotype.normal, OWN_SPACE) == genotype.normal
        )


def test_random_genotypes():
    drawn = [genotypes.draw(seed) for seed in range(200)]
    assert drawn[0] == genotypes.draw(0)
    assert len(set(drawn)) == 200
    cells = [cell for g in drawn for cell in (g.normal, g.reduction)]
    for node in (pairs for cell in cells for pairs in cell):
        first, second = (connection.source for connection in node)
        assert first < second
    # Every connection is as likely as any other: 2 of node's sources, 1 of 7.
    last = [connection for cell in cells for connection in cell[3]]
    counts = {c: last.count(c) for c in set(last)}
    assert len(counts) == 5 * 7
    assert max(counts.values()) < 3 * len(last) / len(counts)
