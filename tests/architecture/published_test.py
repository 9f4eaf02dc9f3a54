"""Published genotypes, their forms, and what a user may mean by one."""

import pytest

from entrannas_tf.architecture import genotypes, published, search_space

# Liu et al. (2019), as quark0/darts lists it.
DARTS_V2 = {
    "normal": [
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("skip_connect", 0),
        ("dil_conv_3x3", 2),
    ],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 1),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
        ("max_pool_3x3", 0),
        ("skip_connect", 2),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
    ],
    "reduce_concat": [2, 3, 4, 5],
}


def test_names():
    others = {
        "AmoebaNet",
        "DARTS_V1",
        "DARTS_V2",
        "GDAS_V1",
        "ISTA_ImageNet",
        "ISTA_onestage",
        "ISTA_twostage",
        "NASNet",
        "PC_DARTS_cifar",
        "PC_DARTS_image",
        "PDARTS",
        "SNAS_mild",
        "SNAS_moderate",
    }
    fair = {f"FairDARTS_{letter}" for letter in "abcdefg"}
    assert set(published.names()) == others | fair


def test_a_list():
    genotype = published.from_list(DARTS_V2)
    assert genotype == published.load_genotype("DARTS_V2")
    assert genotype.normal[3] == (("skip_connect", 0), ("dil_conv_3x3", 2))
    assert genotype.normal_concat is None
    assert genotype.space == search_space.STANDARD


def test_list_with_a_concat_of_some_nodes():
    amoeba = published.load_genotype("AmoebaNet")
    assert len(amoeba.normal) == 5
    assert amoeba.outputs("normal") == (4, 5, 6)
    assert amoeba.outputs("reduction") == (3, 4, 6)
    assert amoeba.space == search_space.NASNET


def test_triples_leave_out_nodes():
    fair = published.load_genotype("FairDARTS_a")
    assert [len(node) for node in fair.normal] == [2, 0, 1, 1]
    assert fair.outputs("normal") == (2, 4, 5)
    assert fair.outputs("reduction") == (2, 3, 4, 5)
    assert fair.normal == (
        (("sep_conv_3x3", 0), ("sep_conv_5x5", 1)),
        (),
        (("max_pool_3x3", 0),),
        (("sep_conv_3x3", 0),),
    )


@pytest.mark.parametrize("name", published.names())
def test_json_keeps_all(name):
    genotype = published.load_genotype(name)
    assert genotypes.from_json(genotypes.to_json(genotype)) == genotype


def test_the_extended_space_is_found_from_its_primitives():
    nodes = [("conv_1x1", 0), ("skip_connect", 1)]
    genotype = published.from_list({"normal": nodes, "reduce": nodes})
    assert genotype.space == search_space.EXTENDED


def test_files_and_workdirs(tmp_path):
    genotype = published.load_genotype("PDARTS")
    path = tmp_path / "genotype.json"
    path.write_text(genotypes.to_json(genotype))
    assert published.load_genotype(str(path)) == genotype
    assert published.load_genotype(str(tmp_path)) == genotype


def pairs(*names):
    return [(name, 0) for name in names]


@pytest.mark.parametrize(
    ("make", "content", "message"),
    [
        (
            published.from_list,
            {"normal": pairs("skip_connect"), "reduce": []},
            "The list of the normal cell has 1 connections; expected 2 for "
            "each intermediate node.",
        ),
        (
            published.from_triples,
            {"normal": [("skip_connect", 1, 0)], "reduce": []},
            "A triple of the normal cell has the target 1; expected an "
            "integer from 2 on.",
        ),
        (
            published.from_list,
            {"normal": pairs("skip_connect", "conv_9x9"), "reduce": []},
            "Node 2 uses the primitive 'conv_9x9', which the 'standard' space "
            "does not have; expected one of max_pool_3x3, avg_pool_3x3, "
            "skip_connect, sep_conv_3x3, sep_conv_5x5, dil_conv_3x3, "
            "dil_conv_5x5.",
        ),
    ],
)
def test_what_is_wrong(make, content, message):
    with pytest.raises(ValueError) as caught:
        make(content)
    assert str(caught.value) == message


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"no genotype 'DARTS_V3'; .*DARTS_V2"):
        published.load_genotype("DARTS_V3")
    with pytest.raises(ValueError, match=r"holds no genotype.json; expected"):
        published.load_genotype(str(tmp_path))
    path = tmp_path / "bad.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json: Not a genotype: not val"):
        published.load_genotype(str(path))


def test_a_random_genotype_by_its_seed():
    assert published.load_genotype("random:3") == genotypes.draw(3)
