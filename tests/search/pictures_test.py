import os

import numpy as np
import pytest
from PIL import Image

from configs import digits
from entrannas_tf.architecture import genotypes, published, search_space
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import pictures
from entrannas_tf.search import results as search_results
from entrannas_tf.training import files, workdirs
from tests.support import programs

CELLS = [
    f"{kind}.{suffix}"
    for kind in ("normal", "reduction")
    for suffix in ("dot", "svg", "png")
]


@pytest.fixture
def workdir(tmp_path):
    """The workdir of a search that has done two epochs."""
    workdir = tmp_path / "run"
    workdirs.make_workdir(
        workdir, schema.read(search_config.Config, digits.get_config())
    )
    (workdir / search_results.GENOTYPES).mkdir()
    names = search_space.STANDARD.primitives
    values = np.full(
        [len(search_space.STANDARD.edges), len(names)], 1 / len(names)
    )
    for epoch in (1, 2):
        text = genotypes.to_json(
            published.load_genotype("DARTS_V2"),
            temperature=1.0,
            validation_accuracy=0.1 * epoch,
            primitives=names,
            coefficients={
                "normal": values.tolist(),
                "reduction": values.tolist(),
            },
        )
        files.write_text(search_results.epoch_file(workdir, epoch), text)
    return workdir


def launch(*args):
    """Runs launch.draw in the repository's root, where TensorFlow is amiss."""
    program = (
        "import runpy, sys; sys.modules.update(tensorflow=None, keras=None); "
        "sys.argv[0] = 'launch.draw'; "
        "runpy.run_module('launch.draw', run_name='__main__')"
    )
    return programs.run_afresh("-c", program, *args)


def titles(folder):
    """Returns the titles of both graphs in a folder."""
    graphs = (folder / f"{kind}.dot" for kind in ("normal", "reduction"))
    lines = [g.read_text().split("label=", 1)[1] for g in graphs]
    return [line.split('"')[1] for line in lines]


def test_cells_of_every_published_genotype_can_be_drawn(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        pictures.cell_drawing,
        "draw",
        lambda genotype, folder, name: drawn.update({name: genotype}),
    )
    for name in published.names():
        pictures.write(name, None, str(tmp_path))
    assert tuple(drawn) == published.names()
    assert all(g == published.load_genotype(n) for n, g in drawn.items())


def test_cells_are_named_after_their_genotype(tmp_path):
    genotype = published.load_genotype("NASNet")
    run, file = tmp_path / "run", tmp_path / "found.json"
    run.mkdir()
    for path in (run / published.GENOTYPE_FILE, file):
        path.write_text(genotypes.to_json(genotype))
    for where, name in (
        (run, "run"),
        (run / published.GENOTYPE_FILE, "run"),
        (file, "found"),
    ):
        folder = tmp_path / "pictures" / "cells"
        paths = pictures.write(str(where), None, str(folder))
        assert paths == [str(folder / file) for file in CELLS]
        assert sorted(os.listdir(folder)) == sorted(CELLS)
        assert titles(folder) == [
            f"{name}, normal cell",
            f"{name}, reduction cell",
        ]


def test_film(workdir, tmp_path):
    path = str(tmp_path / "films" / "search.GIF")
    assert pictures.write(None, str(workdir), path) == [path]
    with Image.open(path) as film:
        assert film.n_frames == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((None, None, "cells"), "Got neither of --genotype and --workdir; exp"),
        (("", "", "cells"), "Got neither of --genotype and --workdir; exp"),
        (("NASNet", "run", "cells"), "Got both of --genotype and --workdir; "),
        (("NASNet", None, "a.gif"), "'a.gif' ends in .gif; expected a folder"),
        (("NASNet", None, "a.PNG"), "'a.PNG' ends in .png; expected a folder"),
        (("NASNat", None, "cells"), "There is no genotype 'NASNat'"),
        ((None, "run", "cells"), "'cells' does not end in .gif; expected"),
        ((None, "run", "a.gif"), "run has no epoch to film; expected"),
    ],
)
def test_mistakes(args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        pictures.write(*args)
    assert os.listdir(tmp_path) == []


def test_launcher_prints_what_it_wrote(workdir, tmp_path):
    folder = tmp_path / "cells"
    done = launch("--genotype=AmoebaNet", f"--output={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(folder / file) for file in CELLS]
    path = tmp_path / "search.gif"
    done = launch(f"--workdir={workdir}", f"--output={path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}\n"


def test_launcher_ends_in_a_line_on_a_mistake(tmp_path):
    done = launch("--genotype=NASNet", f"--output={tmp_path}/search.gif")
    assert done.returncode == 2
    assert done.stderr.startswith("The output ")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []
