import pathlib

import ml_collections
import pytest

from configs import (
    ablate_paper,
    ablate_small,
    ablate_toy,
    cifar10_entrannas,
    cifar10_entrannas_dst,
    cifar10_extended,
    cifar10_small,
    digits,
    folder,
    imagenet_entrannas,
    imagenet_entrannas_dst,
    imagenet_entrannas_dst_lambda_0_05,
    imagenet_entrannas_dst_lambda_0_1,
    retrain_backbone,
    retrain_cifar10,
    retrain_digits,
    retrain_imagenet,
    retrain_small,
    segment_small,
    segment_voc,
    tune_digits,
)
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.config import segment as segment_config
from entrannas_tf.tuning import config as tuning_config

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPERIMENTS = {
    "cifar10_entrannas": cifar10_entrannas,
    "cifar10_entrannas_dst": cifar10_entrannas_dst,
    "cifar10_extended": cifar10_extended,
    "cifar10_small": cifar10_small,
    "digits": digits,
    "folder": folder,
    "imagenet_entrannas": imagenet_entrannas,
    "imagenet_entrannas_dst": imagenet_entrannas_dst,
    "imagenet_entrannas_dst_lambda_0_1": imagenet_entrannas_dst_lambda_0_1,
    "imagenet_entrannas_dst_lambda_0_05": imagenet_entrannas_dst_lambda_0_05,
}
RETRAININGS = {
    "retrain_backbone": retrain_backbone,
    "retrain_cifar10": retrain_cifar10,
    "retrain_digits": retrain_digits,
    "retrain_imagenet": retrain_imagenet,
    "retrain_small": retrain_small,
}
SEGMENTATIONS = {"segment_small": segment_small, "segment_voc": segment_voc}
ABLATIONS = {
    "ablate_paper": ablate_paper,
    "ablate_small": ablate_small,
    "ablate_toy": ablate_toy,
}
TUNINGS = {"tune_digits": tune_digits}
ALL = {
    **EXPERIMENTS,
    **RETRAININGS,
    **SEGMENTATIONS,
    **ABLATIONS,
    **TUNINGS,
}
PROGRAMS = {
    **dict.fromkeys(EXPERIMENTS, "launch.search"),
    **dict.fromkeys(RETRAININGS, "launch.retrain"),
    **dict.fromkeys(SEGMENTATIONS, "launch.segment"),
    **dict.fromkeys(ABLATIONS, "launch.ablate --table=1"),
    **dict.fromkeys(TUNINGS, "launch.tune"),
}


def values_of(module):
    return schema.flatten(module.get_config().to_dict())


def changes(module, paper=cifar10_entrannas):
    """Returns what a configuration changes in the paper's on CIFAR-10."""
    base = values_of(paper)
    return {k: v for k, v in values_of(module).items() if v != base[k]}


def test_all_files_are_listed():
    stems = {path.stem for path in (ROOT / "configs").glob("*.py")}
    assert stems == {*ALL, "__init__"}


@pytest.mark.parametrize("name", ALL)
def test_configuration_is_locked(name):
    made = ALL[name].get_config()
    assert isinstance(made, ml_collections.ConfigDict)
    assert made.is_locked


@pytest.mark.parametrize("name", TUNINGS)
def test_tuning_is_good(name):
    checked = schema.read(tuning_config.TuneConfig, TUNINGS[name].get_config())
    assert checked.name == name
    assert checked.retraining.data.validation_fraction > 0


@pytest.mark.parametrize("name", [*EXPERIMENTS, *RETRAININGS, *SEGMENTATIONS])
def test_configuration_is_good(name):
    made = ALL[name].get_config()
    kind = search_config.Config
    if name in RETRAININGS:
        kind = retrain_config.RetrainConfig
    if name in SEGMENTATIONS:
        kind = segment_config.SegmentConfig
    elif made.data.name == "folder":
        made.data.dir = "somewhere"
    assert schema.read(kind, made).name == name


@pytest.mark.parametrize("name", ALL)
def test_record_says_how_to_run_it(name):
    text = ALL[name].__doc__
    command = f"python -m {PROGRAMS[name]} --config=configs/{name}.py"
    assert command in " ".join(text.split())
    for word in ("Reproduces", "\nCommand:", "\nCost: ", "\nExpect: "):
        assert word in text


def test_a_folder_must_be_given():
    with pytest.raises(ValueError, match=r"--config\.data\.dir=PATH"):
        schema.read(search_config.Config, folder.get_config())


def test_paper_on_cifar10():
    """Section 4.2, number by number."""
    paper = {
        "data.name": "cifar10",
        "data.num_examples": 0,
        "data.weight_fraction": 0.5,
        "network.space": "standard",
        "network.sparse": False,
        "network.num_cells": 8,
        "network.init_channels": 16,
        "network.engine_cells": "first",
        "network.feature_sharing": True,
        "network.bottleneck": 4,
        "search.epochs": 50,
        "search.batch_size": 512,
        "search.weight_learning_rate": 0.2,
        "search.weight_momentum": 0.9,
        "search.weight_decay": 3e-4,
        "search.architecture_learning_rate": 6e-4,
        "search.architecture_beta_1": 0.5,
        "search.architecture_beta_2": 0.999,
        "search.architecture_weight_decay": 1e-3,
        "search.initial_temperature": 5.0,
        "search.temperature_decay": 0.923,
    }
    values = values_of(cifar10_entrannas)
    assert {path: values[path] for path in paper} == paper


def test_papers_segmentation():
    """Table 5, and what DeepLabV3's paper says, number by number."""
    paper = {
        "data.crop_size": 513,
        "data.min_scale": 0.5,
        "data.max_scale": 2.0,
        "data.flip": True,
        "network.num_cells": 14,
        "network.init_channels": 48,
        "network.stem": "imagenet",
        "network.output_stride": 16,
        "network.head_channels": 256,
        "training.batch_size": 16,
        "training.learning_rate": 0.007,
        "training.schedule": "poly",
        "training.momentum": 0.9,
    }
    values = values_of(segment_voc)
    assert {path: values[path] for path in paper} == paper
    steps = values["training.epochs"] * values["training.steps_per_epoch"]
    assert steps == 30_000


def test_small_segmentation_is_the_papers_but_for_its_size():
    assert set(changes(segment_small, segment_voc)) == {
        "name",
        "data.crop_size",
        "network.num_cells",
        "network.init_channels",
        "network.head_channels",
        "training.epochs",
        "training.steps_per_epoch",
        "training.batch_size",
        "training.learning_rate",
        "training.eval_every_epochs",
        "training.weight_decay",
    }


def test_a_small_backbone_fits_its_segmentation():
    there, here = values_of(retrain_backbone), values_of(segment_small)
    for field in ("stem", "num_cells", "init_channels"):
        assert there[f"network.{field}"] == here[f"network.{field}"]
    assert set(changes(retrain_backbone, retrain_imagenet)) == {
        "name",
        "data.name",
        "data.image_size",
        "data.min_crop_area",
        "data.color_jitter",
        "network.num_cells",
        "network.init_channels",
        "training.epochs",
        "training.batch_size",
        "training.eval_every_epochs",
        "training.learning_rate",
        "training.schedule",
        "training.warmup_epochs",
        "training.weight_decay",
        "training.auxiliary_weight",
    }


@pytest.mark.parametrize("name", ABLATIONS)
def test_backbones_of_an_ablation_fit_its_segmentation(name):
    values = values_of(ABLATIONS[name])
    for field in ("stem", "num_cells", "init_channels"):
        assert (
            values[f"pretraining.network.{field}"]
            == values[f"segmentation.network.{field}"]
        )


def test_variants_differ_by_switches_only():
    assert changes(cifar10_entrannas_dst) == {
        "name": "cifar10_entrannas_dst",
        "network.sparse": True,
        "search.threshold_penalty": 0.1,
    }
    assert changes(cifar10_extended) == {
        "name": "cifar10_extended",
        "network.space": "extended",
    }


def test_small_search_has_the_same_cells():
    changed = [k for k in changes(cifar10_small) if k.startswith("network.")]
    assert changed == ["network.num_cells"]


def test_papers_retraining_on_cifar10():
    """Section 4.2, number by number."""
    paper = {
        "data.name": "cifar10",
        "data.num_examples": 0,
        "data.cutout_length": 16,
        "network.num_cells": 20,
        "network.init_channels": 36,
        "training.epochs": 600,
        "training.batch_size": 96,
        "training.learning_rate": 0.025,
        "training.schedule": "cosine",
        "training.momentum": 0.9,
        "training.weight_decay": 3e-4,
        "training.gradient_clip_norm": 5.0,
        "training.drop_path_rate": 0.2,
        "training.auxiliary_weight": 0.4,
    }
    values = values_of(retrain_cifar10)
    assert {path: values[path] for path in paper} == paper


def test_paper_on_imagenet():
    """Section 4.3, number by number."""
    paper = {
        "data.name": "imagenet2012",
        "data.num_examples": 0,
        "data.image_size": 224,
        "data.weight_fraction": 0.1,
        "data.architecture_fraction": 0.1,
        "network.space": "standard",
        "network.sparse": False,
        "network.num_cells": 8,
        "network.init_channels": 16,
        "network.stem": "imagenet",
        "search.epochs": 50,
        "search.batch_size": 1024,
        "search.weight_learning_rate": 0.5,
        "search.weight_momentum": 0.9,
        "search.weight_decay": 3e-4,
        "search.architecture_learning_rate": 6e-3,
        "search.architecture_schedule": "constant",
        "search.architecture_beta_1": 0.5,
        "search.architecture_beta_2": 0.999,
        "search.architecture_weight_decay": 1e-3,
        "search.initial_temperature": 5.0,
        "search.temperature_decay": 0.923,
    }
    values = values_of(imagenet_entrannas)
    assert {path: values[path] for path in paper} == paper


def test_dst_on_imagenet_differs_by_what_the_paper_says():
    assert changes(imagenet_entrannas_dst, imagenet_entrannas) == {
        "name": "imagenet_entrannas_dst",
        "network.sparse": True,
        "search.initial_temperature": 1.0,
        "search.temperature_decay": 0.9,
        "search.threshold_penalty": 0.2,
    }
    for module, penalty in (
        (imagenet_entrannas_dst_lambda_0_1, 0.1),
        (imagenet_entrannas_dst_lambda_0_05, 0.05),
    ):
        assert set(changes(module, imagenet_entrannas_dst)) == {
            "name",
            "search.threshold_penalty",
        }
        assert values_of(module)["search.threshold_penalty"] == penalty


def test_papers_retraining_on_imagenet():
    """Section 4.3, number by number."""
    paper = {
        "data.name": "imagenet2012",
        "data.num_examples": 0,
        "network.num_cells": 14,
        "network.init_channels": 48,
        "network.stem": "imagenet",
        "data.image_size": 224,
        "training.epochs": 250,
        "training.batch_size": 1024,
        "training.learning_rate": 0.5,
        "training.schedule": "linear",
        "training.momentum": 0.9,
        "training.weight_decay": 3e-5,
        "training.label_smoothing": 0.1,
        "training.auxiliary_weight": 0.4,
    }
    values = values_of(retrain_imagenet)
    assert {path: values[path] for path in paper} == paper


def test_small_retraining_is_the_papers_but_for_its_size():
    assert set(changes(retrain_small, retrain_cifar10)) == {
        "name",
        "data.num_examples",
        "data.image_size",
        "data.crop_padding",
        "data.cutout_length",
        "network.num_cells",
        "network.init_channels",
        "training.epochs",
        "training.eval_every_epochs",
        "training.learning_rate",
        "training.drop_path_rate",
    }
