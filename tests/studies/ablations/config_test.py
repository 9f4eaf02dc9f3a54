import pytest

from configs import ablate_paper, ablate_small, ablate_toy
from entrannas_tf.studies.ablations import config as ablation_config
from tests.support import changed_config


def read(**changes):
    values = changed_config.changed(ablate_toy.get_config(), **changes)
    return ablation_config.read(values)


@pytest.mark.parametrize("module", [ablate_paper, ablate_small, ablate_toy])
def test_the_configurations_are_good(module):
    config = ablation_config.read(module.get_config())
    assert config.name == module.__name__.rpartition(".")[2]
    assert config.penalties == (0.2, 0.1, 0.05)
    assert config.search.network.engine_cells == "first"


def test_one_directory_of_data_for_both():
    config = read(data_dir="elsewhere")
    assert config.search.data.data_dir == "elsewhere"
    assert config.retraining.data.data_dir == "elsewhere"
    config = read(retraining__data__data_dir="there")
    assert config.search.data.data_dir != "there"
    assert config.retraining.data.data_dir == "there"


def test_folders_replace_the_data_of_table_5():
    config = read()
    assert config.pretraining.data.name == "imagenet2012"
    assert config.segmentation.data.dir == ""
    config = read(photos_dir="photos", voc_dir="voc")
    data = config.pretraining.data
    assert (data.name, data.dir) == ("folder", "photos")
    assert config.segmentation.data.dir == "voc"
    assert config.search.data == read().search.data
    assert config.retraining.data == read().retraining.data
    config = read(segmentation__data__dir="mine", data_dir="elsewhere")
    assert config.segmentation.data.dir == "mine"
    assert config.pretraining.data == read().pretraining.data


def test_rows_of_table_5_may_be_few():
    config = read(penalties=(), backbones=(), pretrained=(True, False))
    assert (config.penalties, config.backbones) == ((), ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"search__search__epochs": 0},
            "search: search.epochs is 0; expected 1 or more.",
        ),
        (
            {"retraining__training__epoch": 3},
            "Unknown field retraining.training.epoch; did you mean "
            "retraining.training.epochs?",
        ),
        (
            {"methods": ("darts", "nasnet")},
            "methods is ('darts', 'nasnet'); expected some of entrannas, ",
        ),
        ({"methods": ()}, "methods is (); expected some of entrannas"),
        (
            {"penalties": (0.1, 0.1)},
            "penalties is (0.1, 0.1); expected numbers of 0 or more, each once",
        ),
        ({"penalties": (-0.1,)}, "penalties is (-0.1,); expected numbers of 0"),
        ({"num_rank_seeds": 2}, "num_rank_seeds is 2; expected 3 or more."),
        ({"num_seeds": 0}, "num_seeds is 0; expected 1 or more."),
        (
            {"search__num_searches": 5},
            "search.num_searches is 5; expected 1; num_seeds and ",
        ),
        ({"retraining__num_runs": 2}, "retraining.num_runs is 2; expected 1;"),
        ({"pretraining__num_runs": 2}, "pretraining.num_runs is 2; expected "),
        ({"segmentation__num_runs": 2}, "segmentation.num_runs is 2; expecte"),
        (
            {"penalties": (float("nan"),)},
            "penalties is (nan,); expected numbers of 0 or more, each once",
        ),
        (
            {"backbones": ("NASNet", "NASNet")},
            "backbones is ('NASNet', 'NASNet'); expected names, each once",
        ),
        (
            {"pretrained": ()},
            "pretrained is (); expected True, False or both.",
        ),
        (
            {"pretrained": (True, True)},
            "pretrained is (True, True); expected True, False or both.",
        ),
        (
            {"segmentation__network__output_stride": 4},
            "Of the section segmentation: network.output_stride is 4; expect",
        ),
        (
            {"segmentation__data__max_scale": 0.25},
            "Of the section segmentation: data.min_scale is 0.5; expected at "
            "most data.max_scale, which is 0.25.",
        ),
        (
            {"pretraining__data__name": "folder"},
            "which holds train/<class>/<image>: "
            "--config.pretraining.data.dir=PATH.",
        ),
        ({"num_seed": 3}, "Unknown field num_seed; did you mean num_seeds?"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ValueError) as caught:
        read(**changes)
    assert message in str(caught.value)


def test_a_missing_section():
    values = ablate_toy.get_config().to_dict()
    del values["search"]
    with pytest.raises(ValueError, match=r"The field search is missing"):
        ablation_config.read(values)
