"""The table of operations, and operations that a user adds."""

import json
import re

import pytest

from entrannas_tf.architecture import genotypes, operations, search_space

OWN = operations.Operation(
    (
        operations.ReLU(),
        operations.Depthwise(3, dilation=2),
        operations.Convolution((1, 1), strided=(False, False)),
        operations.BatchNorm(),
    ),
    color="#112233",
    reduction=operations.Operation(
        (operations.MaxPool(),), "#112233", modules=("pool",)
    ),
)
SPACE = search_space.SearchSpace("mine", ("none", "own"))
CELL = ((genotypes.Connection("own", 0),),)
GENOTYPE = genotypes.Genotype(CELL, CELL, SPACE)


@pytest.fixture(autouse=True)
def table(monkeypatch):
    """A table to add to, which the next test does not see."""
    monkeypatch.setattr(operations, "OPERATIONS", {**operations.OPERATIONS})


def steps_of(name, stride=1):
    steps = operations.find(name).at_stride(stride).steps
    return [type(step).__name__ for step in steps]


def test_every_space_is_made_of_operations():
    for space in search_space.SPACES.values():
        assert set(space.operations) <= set(operations.OPERATIONS)
    extended = search_space.EXTENDED.operations
    assert tuple(operations.OPERATIONS)[: len(extended)] == extended


def test_colors_are_distinct():
    colors = [o.color for o in operations.OPERATIONS.values()]
    assert len(set(colors)) == len(colors)
    assert all(re.fullmatch("#[0-9A-F]{6}", color) for color in colors)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_what_is_built_in_can_be_added_and_ported(name, stride):
    operation = operations.find(name)
    operations.add(name, operation)
    at_stride = operation.at_stride(stride)
    assert len(at_stride.modules) == len(at_stride.steps)


def test_steps():
    round_ = ["ReLU", "Depthwise", "Convolution", "BatchNorm"]
    assert steps_of("sep_conv_5x5", 2) == 2 * round_
    assert steps_of("dil_conv_3x3") == round_
    assert steps_of("skip_connect") == []
    assert steps_of("skip_connect", 2) == [
        "ReLU",
        "FactorizedReduce",
        "BatchNorm",
    ]
    assert steps_of("max_pool_3x3") == ["MaxPool"]
    assert operations.find("conv_1x3_3x1").steps[1].kernel == (1, 3)


def test_an_unknown_operation():
    with pytest.raises(ValueError, match=r"Unknown operation 'conv'; expected"):
        operations.find("conv")


def test_an_operation_goes_with_the_genotype():
    operations.add("own", OWN)
    operations.add("own", OWN)  # A configuration may be read twice.
    text = genotypes.to_json(GENOTYPE)
    del operations.OPERATIONS["own"]
    assert genotypes.from_json(text) == GENOTYPE
    assert operations.find("own") == OWN
    assert operations.own(SPACE.operations) == {"own": operations.to_dict(OWN)}
    # Of those that are built in nothing is written.
    assert "operations" not in json.loads(genotypes.to_json(genotypes.draw(0)))


def test_another_operation_of_the_same_name():
    operations.add("own", OWN)
    text = genotypes.to_json(GENOTYPE)
    operations.OPERATIONS["own"] = operations.find("conv_3x3")
    with pytest.raises(ValueError, match=r"another operation 'own', Operation"):
        genotypes.from_json(text)
    with pytest.raises(ValueError, match=r"There is another operation 'sep_"):
        operations.add("sep_conv_3x3", OWN)


def conv(*strides, kernel=(3, 3), **fields):
    steps = [operations.Convolution(kernel, (s, s)) for s in strides]
    fields = {"color": "#112233", **fields}
    return operations.Operation(tuple(steps), **fields)


@pytest.mark.parametrize(
    ("name", "operation", "message"),
    [
        ("none", OWN, r'called "none"; expected another name'),
        ("5x5", OWN, r"called '5x5'; expected letters, digits"),
        ("own", "conv", r"is 'conv'; expected an `Operation`"),
        ("own", conv(True, color="red"), r"has the color 'red'; expected"),
        ("own", conv(True, kernel=(2, 2)), r"expected odd sizes"),
        ("own", conv(True, True), r"the stride 2 times along the height; exp"),
        ("own", conv(False), r"applies the stride 0 times"),
        ("own", conv(True, modules=("1", "2")), r"has 2 modules; expected one"),
        (
            "own",
            operations.Operation(("relu",), "#112233"),
            r"has the step 'relu'; expected one of ReLU, Convolution",
        ),
    ],
)
def test_bad_operations(name, operation, message):
    with pytest.raises(ValueError, match=message):
        operations.add(name, operation)
    assert "own" not in operations.OPERATIONS


@pytest.mark.parametrize(
    "definitions",
    [
        ["own"],
        {"own": {}},
        {"own": {**operations.to_dict(OWN), "steps": [{"step": "Tanh"}]}},
        {"own": {**operations.to_dict(OWN), "steps": [{"step": "Depthwise"}]}},
        {"own": {**operations.to_dict(OWN), "color": 3}},
    ],
)
def test_bad_definitions_in_a_file(definitions):
    operations.add("own", OWN)
    content = json.loads(genotypes.to_json(GENOTYPE))
    del operations.OPERATIONS["own"]
    content["operations"] = definitions
    with pytest.raises(ValueError, match=r"operation.*; expected"):
        genotypes.from_json(json.dumps(content))
