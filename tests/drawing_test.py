import itertools
import os
import random
import re

import numpy as np
import pytest
from PIL import Image

from entrannas_tf import (
    cell_artist,
    cell_layout,
    drawing,
    genotypes,
    search_space,
)

PRIMITIVES = search_space.primitives("standard", with_none=False)

DARTS_V2 = genotypes.make_cell(
    [
        [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
        [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
        [("sep_conv_3x3", 1), ("skip_connect", 0)],
        [("skip_connect", 0), ("dil_conv_3x3", 2)],
    ]
)
DARTS_V2_REDUCTION = genotypes.make_cell(
    [
        [("max_pool_3x3", 0), ("max_pool_3x3", 1)],
        [("skip_connect", 2), ("max_pool_3x3", 1)],
        [("max_pool_3x3", 0), ("skip_connect", 2)],
        [("skip_connect", 2), ("max_pool_3x3", 1)],
    ]
)
EVERYTHING = genotypes.make_cell(
    [[(p, i) for i in range(j) for p in PRIMITIVES] for j in range(2, 6)]
)


def random_cell(num_connections, seed):
    """Returns a cell in which edges may have several connections."""
    chosen = random.Random(seed).sample(
        [(s, t, p) for s, t in search_space.EDGES for p in PRIMITIVES],
        num_connections,
    )
    return genotypes.make_cell(
        [[(p, s) for s, t, p in chosen if t == j] for j in range(2, 6)]
    )


CELLS = [
    DARTS_V2,
    EVERYTHING,
    *(random_cell(n, seed) for seed, n in enumerate((5, 8, 10, 12, 14, 14))),
]


def make_frames(num_frames, primitives=("none", *PRIMITIVES)):
    rng = np.random.default_rng(0)
    shape = (len(search_space.EDGES), len(primitives))
    genotype = genotypes.Genotype(DARTS_V2, DARTS_V2_REDUCTION)
    return [
        drawing.FilmFrame(
            genotype,
            {
                "normal": rng.random(shape),
                "reduction": rng.random(shape),
            },
            primitives,
            f"epoch {number}",
        )
        for number in range(num_frames)
    ]


def boxes_of(figure, keep=lambda text: True):
    """Returns the extents in pixels, [T, 4], of a figure's texts."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    return np.array(
        [
            text.get_window_extent(renderer).extents
            for axes in figure.axes
            for text in axes.texts
            if text.get_text() and keep(text)
        ]
    )


def test_graph_has_darts_nodes_and_labelled_connections():
    source = drawing.cell_graph(DARTS_V2, "normal cell").to_string()
    edges = re.findall(r'"(.+?)" -> "(.+?)" \[label="?(\w+)"?,', source)
    assert edges == [
        ("c_{k-2}", "0", "sep_conv_3x3"),
        ("c_{k-1}", "0", "sep_conv_3x3"),
        ("c_{k-2}", "1", "sep_conv_3x3"),
        ("c_{k-1}", "1", "sep_conv_3x3"),
        ("c_{k-2}", "2", "skip_connect"),
        ("c_{k-1}", "2", "sep_conv_3x3"),
        ("c_{k-2}", "3", "skip_connect"),
        ("0", "3", "dil_conv_3x3"),
    ]
    outputs = re.findall(r'"(\w+)" -> "c_{k}"', source)
    assert outputs == ["0", "1", "2", "3"]
    assert "rankdir=LR" in source
    assert 'label="normal cell"' in source


def test_graph_keeps_parallel_connections_and_dashes_empty_nodes():
    cell = genotypes.make_cell(
        [[("sep_conv_3x3", 0), ("skip_connect", 0)], [], [], []]
    )
    source = drawing.cell_graph(cell, 'a "title"').to_string()
    assert source.count('"c_{k-2}" -> "0"') == 2
    assert source.count("dashed") == 3
    assert source.count('-> "c_{k}"') == 1
    assert r'label="a \"title\""' in source


def test_every_primitive_has_a_colour_of_its_own():
    names = search_space.primitives("extended", with_none=False)
    assert set(cell_artist.COLORS) == set(names)
    assert len(set(cell_artist.COLORS.values())) == len(names)
    assert list(cell_artist.COLORS) == list(names)


@pytest.mark.parametrize("cell", CELLS, ids=genotypes.num_connections)
def test_texts_do_not_overlap_and_are_not_cut_off(cell):
    figure = drawing.make_figure(cell, "a normal cell")
    boxes = boxes_of(figure)
    labels = boxes_of(figure, lambda text: text.get_gid() == "label")
    assert len(labels) == genotypes.num_connections(cell)
    assert len(boxes) == len(labels) + 7 + 1  # And nodes and title.
    assert np.all(boxes[:, :2] >= 0)
    assert np.all(boxes[:, 2:] <= figure.canvas.get_width_height())
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = np.all(high > low, axis=-1)
    np.testing.assert_array_equal(overlap, np.eye(len(boxes), dtype=bool))
    widths = (labels[:, 2] - labels[:, 0]) * 72 / figure.dpi
    assert np.all(widths < cell_layout.LABEL_WIDTH)


def test_curves_keep_clear_of_other_nodes_and_other_labels():
    to_output = [(i, cell_layout.OUTPUT) for i in range(2, 6)]
    for source, target in [*search_space.EDGES, *to_output]:
        for offset in (-3.5, 3.5):
            strand = cell_artist.strand(source, target, offset, offset)
            (points,) = strand.to_polygons(closed_only=False)
            points = np.concatenate(
                [np.linspace(a, b, 50) for a, b in itertools.pairwise(points)]
            )
            for node, centre in cell_layout.NODES.items():
                if node not in (source, target):
                    distance = np.linalg.norm(points - centre, axis=1)
                    assert distance.min() > cell_layout.RADIUS + 3
            for i, j in search_space.EDGES:
                if (i, j) != (source, target):
                    x, y = points.T - [
                        [cell_layout.label_x(j) + cell_layout.LABEL_WIDTH / 2],
                        [cell_layout.NODES[i][1]],
                    ]
                    inside = np.abs(x) < cell_layout.LABEL_WIDTH / 2
                    inside &= np.abs(y) < 1.5 * cell_layout.ROW_HEIGHT
                    assert not inside.any(), (source, target, i, j)


def test_pictures_have_one_size_and_nodes_one_place():
    pictures = [drawing.cell_figure(cell, "cell") for cell in CELLS[:3]]
    scale = pictures[0].shape[0] / cell_layout.HEIGHT
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.shape == pictures[0].shape
        assert picture.shape[2] == 3
        np.testing.assert_array_equal(picture[0, 0], 255)
        for node, (x, y) in cell_layout.NODES.items():
            row = round((cell_layout.HEIGHT - y - 9.5) * scale)
            fill = cell_artist.tint(cell_artist.NODE_COLORS[node], 1.0)
            np.testing.assert_allclose(
                picture[row, round(x * scale)] / 255, fill, atol=0.01
            )


def test_pictures_differ_where_cells_do():
    first = drawing.cell_figure(DARTS_V2, "cell")
    assert np.any(first != drawing.cell_figure(DARTS_V2_REDUCTION, "cell"))
    np.testing.assert_array_equal(first, drawing.cell_figure(DARTS_V2, "cell"))


def test_cell_of_another_size_is_refused():
    for draw in (drawing.cell_graph, drawing.cell_figure):
        with pytest.raises(ValueError, match=r"3 intermediate .* expected 4"):
            draw(DARTS_V2[:3], "cell")


def without_graphviz(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


def with_program_dot(monkeypatch, tmp_path, script):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_save_cell_without_graphviz(monkeypatch, tmp_path):
    without_graphviz(monkeypatch, tmp_path)
    drawing.save_cell(DARTS_V2, tmp_path / "epoch_001.normal", "normal cell")
    assert sorted(os.listdir(tmp_path)) == [
        "epoch_001.normal.dot",
        "epoch_001.normal.png",
    ]
    source = (tmp_path / "epoch_001.normal.dot").read_text()
    assert source == drawing.cell_graph(DARTS_V2, "normal cell").to_string()
    with Image.open(tmp_path / "epoch_001.normal.png") as image:
        np.testing.assert_array_equal(
            np.asarray(image), drawing.cell_figure(DARTS_V2, "normal cell")
        )


def test_save_cell_takes_the_picture_from_graphviz(monkeypatch, tmp_path):
    with_program_dot(monkeypatch, tmp_path, 'echo "$1"; cat')
    drawing.save_cell(DARTS_V2, tmp_path / "cell", "normal cell")
    source = (tmp_path / "cell.dot").read_text()
    assert (tmp_path / "cell.png").read_text() == f"-Tpng\n{source}"


def test_save_cell_survives_a_broken_graphviz(monkeypatch, tmp_path):
    with_program_dot(monkeypatch, tmp_path, "exit 1")
    drawing.save_cell(DARTS_V2, tmp_path / "cell", "normal cell")
    with Image.open(tmp_path / "cell.png") as image:
        assert image.format == "PNG"


def test_film_opens_with_all_frames(tmp_path):
    path = tmp_path / "search.gif"
    drawing.save_film(make_frames(3), path, frame_seconds=0.2)
    assert os.listdir(tmp_path) == ["search.gif"]
    with Image.open(path) as film:
        assert film.n_frames == 3
        durations, pixels = [], []
        for number in range(3):
            film.seek(number)
            durations.append(film.info["duration"])
            pixels.append(np.asarray(film.convert("RGB")))
        assert film.info["loop"] == 0
    assert durations == [200, 200, 1200]
    assert np.any(pixels[0] != pixels[1])
    np.testing.assert_array_equal(pixels[2][0, 0], 255)
    height, width = pixels[0].shape[:2]
    assert height / width == pytest.approx(
        (2 * cell_layout.HEIGHT + 30) / cell_layout.WIDTH, rel=0.01
    )


def test_film_fades_connections_with_their_coefficients(tmp_path):
    frame = make_frames(1)[0]
    means = []
    for value in (0.0, 0.5, 1.0):
        kinds = ("normal", "reduction")
        coefficients = {kind: np.full([14, 8], value) for kind in kinds}
        path = tmp_path / "search.gif"
        drawing.save_film([frame._replace(coefficients=coefficients)], path)
        with Image.open(path) as film:
            means.append(np.asarray(film.convert("L")).mean())
    assert means[0] > means[1] > means[2]


def test_film_leaves_no_label_of_an_earlier_frame(tmp_path):
    frames = make_frames(2)
    empty = genotypes.Genotype(((), (), (), ()), ((), (), (), ()))
    last = frames[1]._replace(genotype=empty)
    drawing.save_film([frames[0], last], tmp_path / "both.gif")
    drawing.save_film([last], tmp_path / "last.gif")
    with Image.open(tmp_path / "both.gif") as film:
        film.seek(1)
        after = np.asarray(film.convert("RGB"))
    with Image.open(tmp_path / "last.gif") as film:
        np.testing.assert_array_equal(after, np.asarray(film.convert("RGB")))


def test_film_refuses_what_it_cannot_show(tmp_path):
    path = tmp_path / "search.gif"
    with pytest.raises(ValueError, match="at least one frame"):
        drawing.save_film([], path)
    first, second = make_frames(2)
    wrong = second._replace(
        coefficients={**second.coefficients, "reduction": np.ones([14, 7])}
    )
    message = r"Frame 1 has reduction .* \(14, 7\); expected \(14, 8\)"
    with pytest.raises(ValueError, match=message):
        drawing.save_film([first, wrong], path)
    with pytest.raises(ValueError, match="Frame 1 has the primitives"):
        drawing.save_film([first, *make_frames(1, PRIMITIVES)], path)
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_behind_when_writing_fails(monkeypatch, tmp_path):
    without_graphviz(monkeypatch, tmp_path)

    def refuse(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        drawing.save_cell(DARTS_V2, tmp_path / "cell", "cell")
    with pytest.raises(OSError, match="disk full"):
        drawing.save_film(make_frames(1), tmp_path / "search.gif")
    assert os.listdir(tmp_path) == []


def test_a_failed_film_leaves_the_former_one(monkeypatch, tmp_path):
    path = tmp_path / "search.gif"
    drawing.save_film(make_frames(1), path)
    former = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda source, target: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            drawing.save_film(make_frames(2), path)
    assert path.read_bytes() == former
    assert os.listdir(tmp_path) == ["search.gif"]
