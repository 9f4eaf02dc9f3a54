"""Table 5: which runs there are, what they share, and the whole at toy size."""

import collections
import csv
import dataclasses
import json
import os

import numpy as np
import pytest
from PIL import Image

from configs import ablate_toy
from entrannas_tf.architecture import genotypes
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.config import segment as segment_config
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.studies.ablations import segmentation
from entrannas_tf.studies.ablations import workflow as ablation_workflow
from entrannas_tf.training import files, interruptions, workdirs
from tests.support import toy_genotype, voc_folder

CONFIG = ablation_config.read(ablate_toy.get_config())
RANDOM = ", random weights"


def changed(**changes):
    return dataclasses.replace(CONFIG, **changes)


def list_runs(**changes):
    return ablation_workflow.list_runs(changed(**changes), "table5")


def test_rows():
    found = list_runs(
        backbones=("resnet50", "NASNet", "DARTS_V2"), pretrained=(True, False)
    )
    cells = ("NASNet", "DARTS_V2", "lambda 0.2", "lambda 0.1", "lambda 0.05")
    assert [run.row for run in found] == [
        f"resnet50{RANDOM}",
        *(row + weights for row in cells for weights in ("", RANDOM)),
    ]
    assert [run.genotype for run in found] == [
        None,
        *2 * ["NASNet"],
        *2 * ["DARTS_V2"],
        *6 * [None],
    ]
    for run in found:
        is_resnet = run.row.startswith("resnet50")
        assert run.config.network.backbone == (
            "resnet50" if is_resnet else "cells"
        )
        assert run.weights is None
        assert bool(run.search) == run.row.startswith("lambda")
        has_weights = not run.row.endswith(RANDOM)
        assert run.pretraining == (CONFIG.pretraining if has_weights else None)


def test_weights_of_resnet50_are_those_given():
    """It is not trained on ImageNet, and has one row, whatever the others."""
    for pretrained in ((True,), (False,), (True, False)):
        run, *others = list_runs(
            backbones=("resnet50",),
            penalties=(),
            pretrained=pretrained,
            resnet50_weights="resnet50.keras",
        )
        assert not others
        assert (run.row, run.weights) == ("resnet50", "resnet50.keras")
        assert run.pretraining is None


def test_all_have_the_seed():
    search = dataclasses.replace(CONFIG.search, seed=7)
    found = list_runs(search=search, num_seeds=2, pretrained=(True,))
    assert [run.seed for run in found] == 4 * [7, 8]
    assert [run.config.seed for run in found] == 4 * [7, 8]
    assert [run.pretraining.seed for run in found] == 4 * [7, 8]


def test_cells_of_a_lambda_are_searched_once():
    found = list_runs(num_seeds=2, pretrained=(True, False), backbones=())
    assert len(found) == 3 * 2 * 2
    searches = {run.row.removesuffix(RANDOM): run.search for run in found}
    assert {run.search for run in found} == set(searches.values())
    penalties = {
        row: search.config.search.threshold_penalty
        for row, search in searches.items()
    }
    assert penalties == {
        "lambda 0.2": 0.2,
        "lambda 0.1": 0.1,
        "lambda 0.05": 0.05,
    }
    for search in searches.values():
        assert search.seed == 0
        assert search.config.network.sparse
        assert search.retrain_config is None
    # And Table 4 has the same ones.
    assert set(searches.values()) <= set(
        ablation_workflow.list_runs(changed(num_seeds=2), "table4")
    )


def test_rows_with_and_without_weights_share_the_cells_alone():
    found = list_runs(num_seeds=2, pretrained=(True, False))
    directories = [run.directory for run in found]
    directories += [run._pretrained for run in found if run.pretraining]
    assert len(set(directories)) == len(directories) == 16 + 8
    assert all(os.path.dirname(d) != "runs" for d in directories)
    for run in found:
        assert os.path.basename(run.directory) == f"seed_{run.seed}"


def test_names_of_backbones_are_the_ends_of_their_paths():
    rows = [
        run.row
        for run in list_runs(
            backbones=("runs/mine/genotype.json", "runs/yours/", "theirs.json"),
            penalties=(),
            pretrained=(True,),
        )
    ]
    assert rows == ["mine", "yours", "theirs.json"]


@pytest.mark.parametrize(
    ("backbones", "names"),
    [
        (("a/search", "b/search"), "search and search"),
        (("a/Search-1", "search_1"), "Search-1 and search_1"),
        (("lambda_0.2",), "lambda_0.2 and lambda 0.2"),
    ],
)
def test_two_backbones_of_one_name(backbones, names):
    with pytest.raises(ValueError, match=f"Two backbones are called {names}; "):
        list_runs(backbones=backbones, pretrained=(True,))


def test_the_commonest_class_by_hand(tmp_path):
    voc_folder.write(tmp_path)
    masks = {name: np.full((30, 40), 2, np.uint8) for name in ("t0", "v2")}
    masks["v0"] = np.full((30, 40), 255, np.uint8)
    masks["v0"].flat[:700] = 0
    masks["v0"].flat[700:1000] = 2
    masks["v1"] = np.full((36, 24), 0, np.uint8)
    for name, mask in masks.items():
        voc_folder.save_mask(
            tmp_path / "SegmentationClass" / f"{name}.png", mask
        )
    data = dataclasses.replace(CONFIG.segmentation.data, dir=str(tmp_path))
    record = segmentation.trivial_record(
        dataclasses.replace(CONFIG.segmentation, data=data)
    )
    # Class 2 is most of those that train. Of 700 + 864 pixels of class 0 and
    # 300 + 1,200 of class 2 it sees the latter; there is none of class 1.
    share = 1500 / 3064
    assert record == {
        "row": "the commonest class",
        "test_miou": pytest.approx(share / 2),
        "test_pixel_accuracy": pytest.approx(share),
    }


class Runs:
    """Stands in for searches and trainings: leaves what they leave.

    Attributes:
        done: Counts (what, where its genotype is, where its weights are).
        failure: What segmentations raise, or None.
    """

    def __init__(self):
        self.done = collections.Counter()
        self.failure = None

    def search(self, values, workdir):
        config = schema.read(search_config.Config, values)
        self.done["search", None, None] += 1
        workdirs.make_workdir(workdir, config)
        path = os.path.join(workdir, "genotype.json")
        files.write_text(path, genotypes.to_json(toy_genotype.GENOTYPE))
        files.write_text(os.path.join(workdir, "search.gif"), "film")

    def retrain(self, values, genotype, workdir):
        assert values["network"]["stem"] == "imagenet"
        self.done["retrain", _shown(genotype), None] += 1
        _leave(workdir, {"test_accuracy": 0.75}, seconds=30.0)

    def segment(self, values, workdir, genotype, backbone):
        schema.read(segment_config.SegmentConfig, values)
        self.done["segment", _shown(genotype), _shown(backbone)] += 1
        if self.failure:
            raise self.failure
        _leave(workdir, {"test_miou": 0.5, "test_pixel_accuracy": 0.625}, 60.0)


def _shown(path):
    """Returns the part of a path that says whose it is."""
    if path is None or "runs/" not in path:
        return path
    return path.partition("runs/")[2].partition("_")[0]


def _leave(workdir, mean, seconds):
    os.makedirs(workdir)
    network = {
        "parameters": 200_000,
        "multiply_adds": 8_000_000,
        "multiply_adds_published": 9_000_000,
    }
    for name, values in (
        ("metrics.jsonl", {"timing": {"elapsed_seconds": seconds}}),
        ("results.json", {"mean": mean, "network": network}),
    ):
        files.write_text(os.path.join(workdir, name), json.dumps(values) + "\n")


@pytest.fixture
def runs(monkeypatch):
    made = Runs()
    monkeypatch.setattr(search_workflow, "search", made.search)
    monkeypatch.setattr(retraining_workflow, "retrain", made.retrain)
    monkeypatch.setattr(retraining_workflow, "segment", made.segment)
    return made


def make_photos(root):
    rng = np.random.default_rng(0)
    for part, count in (("train", 5), ("val", 2)):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(256, size=(48, 64, 3), dtype=np.uint8)
                path = root / part / name / f"{number}.png"
                Image.fromarray(pixels).save(path)


@pytest.fixture
def folders(tmp_path):
    """{field: folder} of made photographs."""
    make_photos(tmp_path / "photos")
    voc_folder.write(tmp_path / "voc")
    return {
        "photos_dir": str(tmp_path / "photos"),
        "voc_dir": str(tmp_path / "voc"),
    }


def ablate(workdir, result="table5", **changes):
    values = dataclasses.asdict(changed(**changes))
    return ablation_workflow.ablate(values, result, workdir, "the command")


def read_lines(paths):
    with open(paths[0], encoding="utf-8") as file:
        return [line for line in file.read().splitlines() if line[:1] == "|"]


def test_each_run_is_done_once(tmp_path, folders, runs):
    arguments = {**folders, "penalties": (0.2,), "num_seeds": 2}
    lines = read_lines(ablate(tmp_path / "ablate", **arguments))
    cells = "entrannas"
    assert runs.done == {
        ("search", None, None): 1,
        ("retrain", "DARTS_V2", None): 2,
        ("retrain", cells, None): 2,
        ("segment", "DARTS_V2", "backbone"): 2,
        ("segment", "DARTS_V2", None): 2,
        ("segment", cells, "backbone"): 2,
        ("segment", cells, None): 2,
    }
    assert lines[2].startswith(
        "| DARTS_V2 | 50.00 ± 0.00 | 62.50 ± 0.00 | 0.20 ± 0.00 | 9 ± 0 "
        "| 75.00 ± 0.00 | 1:00 | 75.1 |"
    )
    assert [line.split(" | ")[0] for line in lines[3:]] == [
        "| DARTS_V2, random weights",
        "| lambda 0.2",
        "| lambda 0.2, random weights",
        "| the commonest class",
    ]
    count = runs.done.total()
    assert read_lines(ablate(tmp_path / "ablate", **arguments)) == lines
    assert runs.done.total() == count


def test_penalties_may_be_empty_for_table_5_alone(tmp_path, folders, runs):
    arguments = {**folders, "penalties": (), "pretrained": (False,)}
    for result in ("table4", "figure5"):
        with pytest.raises(ValueError) as caught:
            ablate(tmp_path / "ablate", result, **arguments)
        assert str(caught.value) == (
            f"There is no run for {result}: penalties is empty; expected "
            "numbers such as (0.2, 0.1, 0.05)."
        )
        assert not (tmp_path / "ablate").exists()
    lines = read_lines(ablate(tmp_path / "ablate", **arguments))
    assert len(lines) == 2 + 2
    assert runs.done == {("segment", "DARTS_V2", None): 1}


def test_a_table_of_runs_that_all_fail(tmp_path, folders, runs):
    """The commonest class alone makes none."""
    runs.failure = FloatingPointError("The loss is nan.")
    with pytest.raises(interruptions.RunFailed, match=r"All 2 runs .* is nan"):
        ablate(tmp_path / "ablate", **folders, penalties=())
    assert not (tmp_path / "ablate" / "table5.md").exists()


def test_data_are_looked_for_before_the_workdir_is_taken(
    tmp_path, folders, runs
):
    arguments = {**folders, "penalties": ()}
    for field, message in (
        ("voc_dir", "nothing"),
        ("photos_dir", "nothing"),
    ):
        wrong = {**arguments, field: str(tmp_path / "nothing")}
        with pytest.raises(ValueError, match=message):
            ablate(tmp_path / "ablate", **wrong)
    assert not (tmp_path / "ablate").exists()
    assert not runs.done
    # ResNet-50 is not trained on the photographs.
    wrong["backbones"] = ("resnet50",)
    ablate(tmp_path / "ablate", **wrong)
    assert runs.done == {("segment", None, None): 1}


@pytest.mark.long
def test_the_whole_and_once_more(tmp_path, folders, monkeypatch):
    values = ablate_toy.get_config()
    values.update(folders)
    values.backbones = ()
    values.penalties = (0.2,)
    values.search.network.space = "tiny"
    arguments = values, "table5", tmp_path / "ablate", "the command"
    paths = ablation_workflow.ablate(*arguments)
    rows = [
        "lambda 0.2",
        "lambda 0.2, random weights",
        "the commonest class",
    ]
    lines = read_lines(paths)
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        f"| {row}" for row in rows
    ]
    with open(paths[1], encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    assert [record["row"] for record in records] == rows
    for record in records:
        assert 0 <= float(record["test_miou"]) <= 1
        assert bool(record["backbone_accuracy"]) == (
            record["row"] == "lambda 0.2"
        )
    *trained, _ = records
    for record in trained:
        path = tmp_path / "ablate" / record["directory"] / "backbone.json"
        assert path.exists() == bool(record["backbone_accuracy"])

    def never(*_):
        raise AssertionError("It was done already.")

    monkeypatch.setattr(search_workflow, "search", never)
    monkeypatch.setattr(retraining_workflow, "retrain", never)
    monkeypatch.setattr(retraining_workflow, "segment", never)
    assert read_lines(ablation_workflow.ablate(*arguments)) == lines
