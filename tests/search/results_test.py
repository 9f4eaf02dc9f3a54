import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from configs import digits
from entrannas_tf.architecture import derivation, genotypes, search_space
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import results as search_results
from entrannas_tf.training import files, workdirs

CONFIG = schema.read(search_config.Config, digits.get_config())
SPACE = search_space.STANDARD


@pytest.fixture
def workdir(tmp_path):
    """A workdir whose search has just ended, and its genotype."""
    workdirs.make_workdir(tmp_path, CONFIG)
    for name in search_results.DIRECTORIES:
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for epoch in range(1, CONFIG.search.epochs + 1):
        values = rng.dirichlet(np.ones(8), 14)
        cell = derivation.top_two(values, SPACE)
        files.write_text(
            search_results.epoch_file(tmp_path, epoch),
            genotypes.to_json(
                genotypes.Genotype(cell, cell),
                epoch=epoch,
                temperature=0.5,
                validation_accuracy=0.5,
                primitives=SPACE.primitives,
                coefficients={
                    "normal": values.tolist(),
                    "reduction": values.tolist(),
                },
            ),
        )
        record = {
            "epoch": epoch,
            "loss": 1.0,
            "supernet_accuracy": 0.5,
            "child_accuracy": 0.25,
            "timing": {
                "elapsed_seconds": 10.0 * epoch,
                "peak_memory_mib": 1234.5,
            },
        }
        files.append_line(tmp_path / "metrics.jsonl", json.dumps(record))
    return tmp_path, genotypes.Genotype(cell, cell)


def test_files(workdir):
    workdir, genotype = workdir
    assert not search_results.is_finished(workdir)
    search_results.write(workdir, genotype, CONFIG)
    assert search_results.is_finished(workdir)
    assert search_results.read_genotype(workdir) == genotype
    provenance = json.loads((workdir / "genotype.json").read_text())[
        "provenance"
    ]
    assert provenance["metrics"] == {
        "supernet_accuracy": 0.5,
        "child_accuracy": 0.25,
        "loss": 1.0,
    }
    assert provenance["seed"] == CONFIG.seed
    assert sorted(os.listdir(workdir / "cells")) == [
        f"{kind}.{suffix}"
        for kind in ("normal", "reduction")
        for suffix in ("dot", "png", "svg")
    ]
    with Image.open(workdir / "search.gif") as film:
        assert film.n_frames == CONFIG.search.epochs


def test_a_long_film_is_thinned_out(workdir, monkeypatch):
    workdir, genotype = workdir
    monkeypatch.setattr(search_results, "_MAX_FRAMES", 3)
    search_results.write(workdir, genotype, CONFIG)
    with Image.open(workdir / "search.gif") as film:
        assert film.n_frames == 3


def test_film_says_the_epoch(workdir, monkeypatch):
    frames = []
    monkeypatch.setattr(
        search_results.film, "save", lambda shown, path: frames.extend(shown)
    )
    search_results.write_film(workdir[0], "search.gif")
    assert [frame.caption for frame in frames] == [
        f"epoch {epoch} of 12, temperature 0.5, validation accuracy 50.0%"
        for epoch in range(1, 13)
    ]


def test_film_of_a_search_that_goes_on(workdir):
    workdir, _ = workdir
    for epoch in range(4, CONFIG.search.epochs + 1):
        os.remove(search_results.epoch_file(workdir, epoch))
    # As `files` leaves it beside the file when it is killed.
    (workdir / "genotypes" / "epoch_004.json.17.tmp").write_text("")
    path = workdir / "films" / "search.gif"
    search_results.write_film(workdir, path)
    with Image.open(path) as film:
        assert film.n_frames == 3


def test_film_needs_the_epochs_of_a_search(workdir, tmp_path_factory):
    workdir, _ = workdir
    path = workdir / "search.gif"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(ValueError, match=r"elsewhere0 has no epoch to film"):
        search_results.write_film(elsewhere, path)
    epoch = search_results.epoch_file(workdir, 2)
    content = json.loads(pathlib.Path(epoch).read_text("utf-8"))
    del content["coefficients"]
    files.write_text(epoch, json.dumps(content))
    with pytest.raises(ValueError, match=r"_002.json lacks 'coefficients'"):
        search_results.write_film(workdir, path)
    files.write_text(epoch, "{")
    with pytest.raises(ValueError, match=r"_002.json: Not a genotype"):
        search_results.write_film(workdir, path)
    assert not path.exists()


def test_summary(workdir):
    workdir, genotype = workdir
    search_results.write(workdir, genotype, CONFIG)
    line = genotype.describe("normal")
    assert search_results.summary(workdir) == (
        f"normal cell     {line}\n"
        f"reduction cell  {line}\n"
        "accuracy        50.00% as super-net, 25.00% as child network (images "
        "that trained the architecture)\n"
        "wall time       2:00, 12 epoch(s), at most 1,234 MiB of memory\n"
        f"files           {workdir}/genotype.json, {workdir}/cells, "
        f"{workdir}/search.gif; curves: tensorboard "
        f"--logdir={workdir}/tensorboard"
    )
