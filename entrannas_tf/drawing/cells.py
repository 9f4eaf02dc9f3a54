"""Drawings of cells, by Graphviz and without it.

Functions that take a `genotype` and a `kind` draw its "normal" or "reduction"
cell. They raise ValueError if that has no intermediate node.
"""

import io
import os
import shutil
import subprocess

import pydot
from absl import logging
from PIL import Image

from entrannas_tf.architecture import genotypes
from entrannas_tf.drawing import artist, geometry
from entrannas_tf.training import files

_DPI = 150


def cell_graph(genotype, kind, title):
    """Returns a cell as a `pydot.Dot` for Graphviz, in DARTS's manner.

    An intermediate node without a connection is dashed.
    """
    cell, layout, connected = _read_cell(genotype, kind)
    graph = pydot.Dot("cell", rankdir="LR", label=_quote(title), labelloc="t")
    graph.set_graph_defaults(fontname="Helvetica")
    graph.set_node_defaults(shape="box", fontname="Helvetica")
    graph.set_edge_defaults(fontname="Helvetica", fontsize="11")
    names = [_quote(name) for name in artist.names(layout)]
    colors = artist.node_colors(layout)
    for node, (name, color) in enumerate(zip(names, colors, strict=True)):
        dashed = node in layout.inner and node not in connected
        style = "rounded,dashed" if dashed else "rounded,filled"
        graph.add_node(
            pydot.Node(name, style=_quote(style), fillcolor=_quote(color))
        )
    for (source, target), primitives in artist.by_edge(cell, layout).items():
        for primitive in primitives:
            graph.add_edge(
                pydot.Edge(
                    names[source],
                    names[target],
                    label=_quote(primitive),
                    color=_quote(artist.color_of(primitive)),
                )
            )
    for node in genotype.outputs(kind):
        graph.add_edge(pydot.Edge(names[node], names[-1]))
    return graph


def make_figure(genotype, kind, title):
    """Returns a cell as a Matplotlib figure, drawn without Graphviz."""
    cell, layout, connected = _read_cell(genotype, kind)
    figure, (axes,), _ = artist.make_canvas(layout, [title], 0.0, _DPI)
    artist.draw_nodes(axes, layout, connected, genotype.outputs(kind))
    strands, tints = [], []
    for edge, primitives in artist.by_edge(cell, layout).items():
        count = len(primitives)
        step = min(2.0, artist.RIBBON_WIDTH / count)
        offsets = geometry.spread(count, step)
        rows = geometry.spread(count, geometry.row_height(count))
        for offset, row in zip(offsets, rows, strict=True):
            strands.append(artist.strand(layout, *edge, offset, row))
        tints += [artist.color_of(primitive) for primitive in primitives]
    width = 1.5 if len(strands) <= 2 * len(layout.edges) else 0.9
    artist.add_strands(axes, strands, tints, width)
    artist.draw_labels(axes, layout, cell)
    return figure


def cell_figure(genotype, kind, title):
    """Returns a picture of a cell, drawn without Graphviz: uint8 [H, W, 3].

    The size, and the place of every node in it, are the same for all cells
    with that number of nodes.
    """
    return artist.render(make_figure(genotype, kind, title))


def save_cell(genotype, kind, stem, title):
    """Writes `<stem>.dot`, `.svg` and `.png`, each whole or not at all.

    The pictures come from Graphviz's `dot` where that is installed and works,
    otherwise from `make_figure`.

    Args:
        genotype: A `Genotype`.
        kind: "normal" or "reduction".
        stem: Path of the files without their suffixes, in a directory that
            exists.
        title: Text above the picture.

    Returns:
        The paths of the files, a list.

    Raises:
        ValueError: If the cell has no intermediate node.
        OSError: If a file cannot be written.
    """
    source = cell_graph(genotype, kind, title).to_string().encode()
    pictures = _run_graphviz(source)
    if pictures is None:
        figure = make_figure(genotype, kind, title)
        png = io.BytesIO()
        Image.fromarray(artist.render(figure)).save(png, "PNG")
        pictures = {"svg": artist.to_svg(figure), "png": png.getvalue()}
    paths = []
    for suffix, data in {"dot": source, **pictures}.items():
        paths.append(f"{os.fspath(stem)}.{suffix}")
        files.write_bytes(paths[-1], data)
    return paths


def draw(genotype, folder, name="genotype"):
    """Draws the cells of a genotype: normal.* and reduction.* in a folder.

    Each is written as .dot, .svg and .png. The reduction cell is not drawn
    where the search space has one kind of cell.

    Args:
        genotype: A `Genotype`.
        folder: Path of the directory, made if it is not there.
        name: Name of the genotype in the titles.

    Returns:
        The paths of the files, a list.

    Raises:
        ValueError: If a cell has no intermediate node.
        OSError: If a file cannot be written.

    Example:

    >>> import entrannas_tf
    >>> genotype = entrannas_tf.load_genotype("DARTS_V2")
    >>> paths = entrannas_tf.draw(genotype, "cells", name="DARTS_V2")
    >>> [path.rpartition(".")[2] for path in paths[:3]]
    ['dot', 'svg', 'png']
    """
    os.makedirs(folder, exist_ok=True)
    paths = []
    for kind in genotype.space.kinds:
        stem = os.path.join(folder, kind)
        paths += save_cell(genotype, kind, stem, f"{name}, {kind} cell")
    return paths


def _read_cell(genotype, kind):
    """Returns a cell, its layout, and its nodes that have a connection."""
    cell = getattr(genotype, kind)
    num_inputs = genotype.space.num_input_nodes
    if not cell:
        raise ValueError(
            "A cell without intermediate nodes cannot be drawn; expected one "
            "or more."
        )
    connected = genotypes.connected_nodes(cell, num_inputs)
    return cell, geometry.of(len(cell), num_inputs), connected


def _quote(text):
    """Returns a text as a quoted string of the dot language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _run_graphviz(source):
    """Returns {"svg": ..., "png": ...} of a dot source, None without Graphviz.

    A broken Graphviz must not end a search of days, so it is only logged.
    """
    program = shutil.which("dot")
    if program is None:
        return None
    options = {"svg": ["-Tsvg"], "png": ["-Tpng", f"-Gdpi={_DPI}"]}
    try:
        return {
            suffix: subprocess.run(
                [program, *chosen],
                input=source,
                capture_output=True,
                check=True,
                timeout=60,
            ).stdout
            for suffix, chosen in options.items()
        }
    except (OSError, subprocess.SubprocessError) as error:
        logging.warning("Drawing without Graphviz, which failed: %s", error)
        return None
