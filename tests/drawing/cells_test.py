import os
import pathlib
import random
import re
from xml.etree import ElementTree

import numpy as np
import pydot
import pytest
from matplotlib import collections, patches
from PIL import Image

from entrannas_tf.architecture import genotypes, published, search_space
from entrannas_tf.drawing import artist, geometry
from entrannas_tf.drawing import cells as cell_drawing

PRIMITIVES = search_space.STANDARD.operations
DARTS_V2, DARTS_V2_REDUCTION = published.load_genotype("DARTS_V2")[:2]
NASNET, NASNET_REDUCTION = published.load_genotype("NASNet")[:2]
AMOEBANET = published.load_genotype("AmoebaNet")
FAIR_DARTS = published.load_genotype(
    "FairDARTS_c"
).normal  # Node 3 has no connection.
EVERYTHING = genotypes.make_cell(
    [[(p, i) for i in range(j) for p in PRIMITIVES] for j in range(2, 6)]
)


def of(cell):
    """Returns a genotype whose two cells are the same."""
    return genotypes.Genotype(cell, cell)


def graph_of(cell, title="cell"):
    return cell_drawing.cell_graph(of(cell), "normal", title)


def figure_of(cell, title="cell"):
    return cell_drawing.make_figure(of(cell), "normal", title)


def picture_of(cell, title="cell"):
    return cell_drawing.cell_figure(of(cell), "normal", title)


def save(cell, stem, title="cell"):
    return cell_drawing.save_cell(of(cell), "normal", stem, title)


def random_cell(num_connections, seed):
    """Returns a cell in which edges may have several connections."""
    chosen = random.Random(seed).sample(
        [(s, t, p) for s, t in search_space.STANDARD.edges for p in PRIMITIVES],
        num_connections,
    )
    return genotypes.make_cell(
        [[(p, s) for s, t, p in chosen if t == j] for j in range(2, 6)]
    )


CELLS = [
    DARTS_V2,
    EVERYTHING,
    *(random_cell(n, seed) for seed, n in enumerate((5, 8, 10, 12, 14, 14))),
    NASNET,
    AMOEBANET.reduction,
    FAIR_DARTS,
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


def circles_of(figure):
    """Returns the circles of a figure's nodes, by number of the node."""
    found = [p for p in figure.axes[0].patches if isinstance(p, patches.Circle)]
    return dict(enumerate(found))


def strands_of(figure):
    """Returns two lists of paths: to the output, and of connections."""
    found = figure.axes[0].collections
    assert all(isinstance(c, collections.PathCollection) for c in found)
    return [strands.get_paths() for strands in found]


def test_graph_has_darts_nodes_and_labelled_connections():
    source = graph_of(DARTS_V2, "normal cell").to_string()
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
    source = graph_of(cell, 'a "title"').to_string()
    assert source.count('"c_{k-2}" -> "0"') == 2
    assert source.count("dashed") == 3
    assert source.count('-> "c_{k}"') == 1
    assert r'label="a \"title\""' in source


def test_cells_behind_one_input(monkeypatch, tmp_path):
    without_graphviz(monkeypatch, tmp_path)
    names = ("skip_connect", "sep_conv_3x3")
    space = search_space.make("mine", names, 1, 3, ("normal",))
    cell_drawing.draw(genotypes.draw(0, space), tmp_path)
    assert sorted(os.listdir(tmp_path)) == [
        f"normal.{suffix}" for suffix in ("dot", "png", "svg")
    ]
    source = (tmp_path / "normal.dot").read_text()
    edges = re.findall(r'"(\S+)" -> "(\S+)" \[label', source)
    assert edges[0] == ("c_{k-1}", "0")
    assert len(edges) == 5
    assert "c_{k-2}" not in source
    assert re.findall(r'"(\w+)" -> "c_{k}"', source) == ["0", "1", "2"]


# Of pydot's parser.
@pytest.mark.filterwarnings("ignore:.* deprecated:DeprecationWarning")
def test_graph_of_five_nodes_can_be_read_back():
    source = cell_drawing.cell_graph(AMOEBANET, "normal", "a: b").to_string()
    (graph,) = pydot.graph_from_dot_data(source)
    names = [node.get_name().strip('"') for node in graph.get_nodes()]
    names = [n for n in names if n not in ("graph", "node", "edge")]
    assert names == ["c_{k-2}", "c_{k-1}", "0", "1", "2", "3", "4", "c_{k}"]
    edges = [
        (
            names.index(edge.get_source().strip('"')),
            names.index(edge.get_destination().strip('"')),
            (edge.get_label() or "").strip('"'),
        )
        for edge in graph.get_edges()
    ]
    assert sorted(edges) == sorted(
        [
            (source, target, primitive)
            for target, connections in enumerate(AMOEBANET.normal, 2)
            for primitive, source in connections
        ]
        + [(4, 7, ""), (5, 7, ""), (6, 7, "")]
    )


@pytest.mark.parametrize("cell", CELLS, ids=genotypes.num_connections)
def test_texts_do_not_overlap_and_are_not_cut_off(cell):
    figure = figure_of(cell, "a normal cell")
    boxes = boxes_of(figure)
    labels = boxes_of(figure, lambda text: text.get_gid() == "label")
    assert len(labels) == genotypes.num_connections(cell)
    assert len(boxes) == len(labels) + len(cell) + 3 + 1  # Nodes and title.
    assert np.all(boxes[:, :2] >= 0)
    assert np.all(boxes[:, 2:] <= figure.canvas.get_width_height())
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = np.all(high > low, axis=-1)
    np.testing.assert_array_equal(overlap, np.eye(len(boxes), dtype=bool))
    widths = (labels[:, 2] - labels[:, 0]) * 72 / figure.dpi
    assert np.all(widths < geometry.LABEL_WIDTH)


def test_pictures_have_one_size_and_nodes_one_place():
    layout = geometry.of(4)
    pictures = [picture_of(cell, "cell") for cell in CELLS[:3]]
    scale = pictures[0].shape[0] / layout.height
    colors = artist.node_colors(layout)
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.shape == pictures[0].shape
        assert picture.shape[2] == 3
        np.testing.assert_array_equal(picture[0, 0], 255)
        for node, (x, y) in layout.nodes.items():
            row = round((layout.height - y - 9.5) * scale)
            np.testing.assert_allclose(
                picture[row, round(x * scale)] / 255,
                artist.tint(colors[node], 1.0),
                atol=0.01,
            )


def test_nodes_without_a_connection_are_dashed():
    figure = figure_of(FAIR_DARTS, "cell")
    circles = circles_of(figure)
    dashed = [n for n, c in circles.items() if c.get_linestyle() == "--"]
    assert dashed == [3]
    source = graph_of(FAIR_DARTS, "cell").to_string()
    assert re.findall(r'"(\w+)" \[style="rounded,dashed"', source) == ["1"]
    (to_output, _) = strands_of(figure)
    assert len(to_output) == 3


@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_only_outputs_lead_to_the_output(kind):
    outputs = AMOEBANET.outputs(kind)
    figure = cell_drawing.make_figure(AMOEBANET, kind, "cell")
    layout = geometry.of(5)
    (to_output, connections) = strands_of(figure)
    starts = [tuple(strand.vertices[0]) for strand in to_output]
    for node, start in zip(outputs, starts, strict=True):
        distance = np.linalg.norm(np.subtract(start, layout.nodes[node]))
        assert distance < geometry.RADIUS
    assert len(connections) == 10
    tips = [
        tuple(patch.get_xy()[0])
        for patch in figure.axes[0].patches
        if isinstance(patch, patches.Polygon)
    ]
    assert tips[: len(outputs)] == [
        layout.port(node, layout.output) for node in outputs
    ]


def test_a_primitive_twice_on_an_edge_is_drawn_twice():
    source = graph_of(NASNET, "cell").to_string()
    twice = re.findall(r'"c_{k-2}" -> "3" \[label="?(\w+)', source)
    assert twice == ["avg_pool_3x3", "avg_pool_3x3"]
    figure = figure_of(NASNET, "cell")
    strands = {str(strand.vertices) for strand in strands_of(figure)[1]}
    assert len(strands) == genotypes.num_connections(NASNET)


def test_pictures_differ_where_cells_do():
    first = picture_of(DARTS_V2, "cell")
    assert np.any(first != picture_of(DARTS_V2_REDUCTION, "cell"))
    np.testing.assert_array_equal(first, picture_of(DARTS_V2, "cell"))


def test_cell_without_nodes_is_refused():
    for draw in (graph_of, picture_of):
        with pytest.raises(ValueError, match="expected one or more"):
            draw(())


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
    save(DARTS_V2, tmp_path / "epoch_001.normal", "normal cell")
    assert sorted(os.listdir(tmp_path)) == [
        f"epoch_001.normal.{suffix}" for suffix in ("dot", "png", "svg")
    ]
    svg = (tmp_path / "epoch_001.normal.svg").read_bytes()
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    source = (tmp_path / "epoch_001.normal.dot").read_text()
    assert source == graph_of(DARTS_V2, "normal cell").to_string()
    with Image.open(tmp_path / "epoch_001.normal.png") as image:
        np.testing.assert_array_equal(
            np.asarray(image), picture_of(DARTS_V2, "normal cell")
        )


def test_save_cell_writes_the_same_bytes_again(monkeypatch, tmp_path):
    without_graphviz(monkeypatch, tmp_path)
    first = save(DARTS_V2, tmp_path / "first", "normal cell")
    again = save(DARTS_V2, tmp_path / "again", "normal cell")
    assert len(first) == 3
    for one, other in zip(first, again, strict=True):
        assert (
            pathlib.Path(one).read_bytes() == pathlib.Path(other).read_bytes()
        )


def test_save_cells_draws_both_with_their_outputs(monkeypatch, tmp_path):
    without_graphviz(monkeypatch, tmp_path)
    paths = cell_drawing.draw(AMOEBANET, tmp_path, "AmoebaNet")
    assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, paths))
    for kind, nodes in {"normal": "234", "reduction": "124"}.items():
        source = (tmp_path / f"{kind}.dot").read_text()
        assert f'label="AmoebaNet, {kind} cell"' in source
        assert re.findall(r'"(\w+)" -> "c_{k}"', source) == list(nodes)
        drawn = cell_drawing.cell_figure(
            AMOEBANET, kind, f"AmoebaNet, {kind} cell"
        )
        with Image.open(tmp_path / f"{kind}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), drawn)


def test_save_cell_takes_the_pictures_from_graphviz(monkeypatch, tmp_path):
    with_program_dot(monkeypatch, tmp_path, 'echo "$1"; cat')
    save(DARTS_V2, tmp_path / "cell", "normal cell")
    source = (tmp_path / "cell.dot").read_text()
    assert (tmp_path / "cell.png").read_text() == f"-Tpng\n{source}"
    assert (tmp_path / "cell.svg").read_text() == f"-Tsvg\n{source}"


def test_save_cell_survives_a_broken_graphviz(monkeypatch, tmp_path):
    with_program_dot(monkeypatch, tmp_path, "exit 1")
    save(DARTS_V2, tmp_path / "cell", "normal cell")
    with Image.open(tmp_path / "cell.png") as image:
        assert image.format == "PNG"


def test_nothing_is_left_behind_when_writing_fails(monkeypatch, tmp_path):
    without_graphviz(monkeypatch, tmp_path)

    def refuse(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        save(DARTS_V2, tmp_path / "cell", "cell")
    assert os.listdir(tmp_path) == []
