"""The best of several searches, from what they left."""

import dataclasses
import json

import pytest

from configs import digits
from entrannas_tf.architecture import genotypes
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import repeats
from entrannas_tf.search import results as search_results
from entrannas_tf.training import files, workdirs

CONFIG = schema.read(search_config.Config, digits.get_config())
WHOLE = dataclasses.replace(CONFIG, num_searches=3)
# Of the child networks; the third is as good as the second.
ACCURACIES = 0.25, 0.75, 0.75
PRIMITIVES = "skip_connect", "sep_conv_3x3", "max_pool_3x3"


@pytest.fixture
def workdir(tmp_path):
    """The workdir of three searches that have ended."""
    for number, accuracy in enumerate(ACCURACIES, 1):
        path = repeats.directory(tmp_path, number)
        workdirs.make_workdir(
            path, dataclasses.replace(CONFIG, seed=7 + number)
        )
        cell = genotypes.make_cell([[(PRIMITIVES[number - 1], 0)]] * 4)
        record = {
            "epoch": 1,
            "supernet_accuracy": 0.5,
            "child_accuracy": accuracy,
            "timing": {"elapsed_seconds": 60.0, "peak_memory_mib": 1.0},
        }
        text = genotypes.to_json(genotypes.Genotype(cell, cell))
        contents = {
            "metrics.jsonl": json.dumps(record) + "\n",
            "genotype.json": text,
            "search.gif": f"film {number}",
            "cells/normal.png": f"picture {number}",
            "genotypes/epoch_001.json": text,
        }
        for name, content in contents.items():
            target = tmp_path / "searches" / f"{number:02d}" / name
            target.parent.mkdir(exist_ok=True)
            files.write_text(target, content)
    return tmp_path


def test_the_best_is_kept(workdir):
    assert not search_results.is_finished(workdir)
    repeats.keep(workdir, WHOLE)
    assert search_results.is_finished(workdir)
    best = workdir / "searches" / "02"
    names = [p.relative_to(best) for p in best.rglob("*") if p.is_file()]
    assert len(names) == 6
    for name in names:
        if name.name != "config.json":
            assert (workdir / name).read_text() == (best / name).read_text()
    assert not (workdir / "config.json").exists()


def test_table(workdir):
    repeats.keep(workdir, WHOLE)
    cell = "2: {0}(0) / 3: {0}(0) / 4: {0}(0) / 5: {0}(0)"
    rows = [
        f"| {number} | {seed} | 50.00% | {accuracy} | 1:00 | {found} | "
        f"{found} |"
        for number, seed, accuracy, found in (
            ("01", 8, "25.00%", cell.format("skip_connect")),
            ("**02**", 9, "75.00%", cell.format("sep_conv_3x3")),
            ("03", 10, "75.00%", cell.format("max_pool_3x3")),
        )
    ]
    table = repeats.read_table(workdir).splitlines()
    assert table[2:] == rows
    assert {line.count("|") for line in table} == {8}
