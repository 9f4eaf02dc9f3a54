import dataclasses

import pytest

from configs import retrain_cifar10, segment_voc
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.config import segment as segment_config
from tests.support import changed_config

SegmentConfig = segment_config.SegmentConfig


def make_dict(**changes):
    """Returns the values of a good configuration with dotted changes."""
    return changed_config.changed(segment_voc.get_config(), **changes)


def test_round_trips():
    first = schema.read(SegmentConfig, make_dict())
    assert isinstance(first.training, segment_config.SegmentTrainingConfig)
    assert isinstance(first.network, segment_config.SegmentNetworkConfig)
    assert schema.read(SegmentConfig, dataclasses.asdict(first)) == first


def test_defaults_fill_in():
    """They are those of the paper's networks."""
    values = make_dict()
    values["data"], values["network"] = {}, {}
    for name in ("schedule", "steps_per_epoch", "backbone_rate_factor"):
        del values["training"][name]
    made = schema.read(SegmentConfig, values)
    there = schema.read(SegmentConfig, make_dict())
    assert (made.data, made.network) == (there.data, there.network)
    assert made.training.schedule == "poly"
    assert made.training.steps_per_epoch == 0  # One pass.
    assert made.training.backbone_rate_factor == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"data__min_scale": 1, "data__max_scale": 1},
        {"data__min_scale": 0.1},
        {"network__dropout": 0.0},
        {"network__num_cells": 3, "network__init_channels": 2},
        {"network__backbone": "resnet50", "network__output_stride": 8},
        {"network__output_stride": 32},
        {"training__backbone_rate_factor": 0.0},
        {"training__frozen_batch_norms": "all"},
        {"training__frozen_batch_norms": "backbone"},
        {"training__warmup_epochs": 49},
    ],
)
def test_ends_of_the_ranges(changes):
    schema.read(SegmentConfig, make_dict(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "detection"}, "task is 'detection'; expected one of segmen"),
        ({"num_runs": 0}, "num_runs is 0; expected 1 or more."),
        ({"seed": -1}, "seed is -1; expected from 0 to 2**31 - 1."),
        (
            {"data__crop_sise": 2},
            "Unknown field data.crop_sise; did you mean data.crop_size? ",
        ),
        (
            {"data__color_jitter": 0.4},
            "Unknown field data.color_jitter; The fields of data are dir, ",
        ),
        ({"data__crop_size": 8}, "data.crop_size is 8; expected 9 or more."),
        (
            {"data__min_scale": 0.0},
            "data.min_scale is 0.0; expected more than 0.",
        ),
        (
            {"data__max_scale": -1.0},
            "data.max_scale is -1.0; expected more than 0.",
        ),
        (
            {"data__max_scale": float("inf")},
            "data.max_scale is inf; expected more than 0.",
        ),
        (
            {"data__min_scale": 2.5},
            "data.min_scale is 2.5; expected at most data.max_scale, which is "
            "2.0.",
        ),
        (
            {"data__dir": 3},
            "data.dir is 3, of type int; expected a text.",
        ),
        (
            {"data__train_list": None},
            "data.train_list is None, of type NoneType; expected a text.",
        ),
        (
            {"data__flip": 1},
            "data.flip is 1, of type int; expected true or false.",
        ),
        (
            {"network__backbone": "resnet101"},
            "network.backbone is 'resnet101'; expected one of cells, resnet50.",
        ),
        (
            {"network__num_cells": 2},
            "network.num_cells is 2; expected 3 or more.",
        ),
        (
            {"network__init_channels": 0},
            "network.init_channels is 0; expected 1 or more.",
        ),
        (
            {"network__init_channels": 5},
            "network.init_channels is 5; expected an even number, as the stem",
        ),
        (
            {"network__stem": "cifar"},
            "network.stem is 'cifar'; expected one of imagenet.",
        ),
        (
            {"network__output_stride": 4},
            "network.output_stride is 4; expected one of 8, 16, 32.",
        ),
        (
            {"network__head_channels": 0},
            "network.head_channels is 0; expected 1 or more.",
        ),
        (
            {"network__dropout": 1.0},
            "network.dropout is 1.0; expected from 0 to below 1.",
        ),
        (
            {"training__label_smoothing": 0.1},
            "Unknown field training.label_smoothing; ",
        ),
        (
            {"training__schedule": "constant"},
            "training.schedule is 'constant'; expected one of cosine, linear, "
            "poly.",
        ),
        (
            {"training__steps_per_epoch": -1},
            "training.steps_per_epoch is -1; expected 0 or more.",
        ),
        (
            {"training__backbone_rate_factor": -0.1},
            "training.backbone_rate_factor is -0.1; expected 0 or more.",
        ),
        (
            {"training__frozen_batch_norms": "head"},
            "training.frozen_batch_norms is 'head'; expected one of none, "
            "backbone, all.",
        ),
        (
            {"training__warmup_epochs": 50},
            "training.warmup_epochs is 50; expected less than "
            "training.epochs, which is 50.",
        ),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ValueError) as caught:
        schema.read(SegmentConfig, make_dict(**changes))
    assert str(caught.value).startswith(message)


def test_the_other_kind_is_told():
    with pytest.raises(ValueError) as caught:
        schema.read(SegmentConfig, retrain_cifar10.get_config())
    assert str(caught.value) == (
        "The configuration has no field task: it is not one for launch.segment."
    )
    for kind in (retrain_config.RetrainConfig, search_config.Config):
        with pytest.raises(ValueError) as caught:
            schema.read(kind, segment_voc.get_config())
        assert str(caught.value) == (
            "The configuration has a field task: it is one for launch.segment."
        )


def test_expected_type():
    for path, kind in (
        ("data.max_scale", "a number"),
        ("network.output_stride", "an integer"),
        ("training.frozen_batch_norms", "a text"),
    ):
        assert schema.expected_type(SegmentConfig, path) == kind
