"""Drawings of cells, and films of searches."""

import io
import os
import shutil
import subprocess
from typing import NamedTuple

import numpy as np
import pydot
from absl import logging
from PIL import Image

from entrannas_tf import (
    cell_artist,
    cell_layout,
    files,
    genotypes,
    search_space,
)

_RIBBON_WIDTH = 7.0  # Of all the strands of an edge together, in points.
_CELL_DPI = 150
_FILM_DPI = 100
_FILM_HEADER = 30.0  # Height of the caption, in points.


class FilmFrame(NamedTuple):
    """One epoch of a search.

    Attributes:
        genotype: The `Genotype` derived at this epoch.
        coefficients: {"normal": ..., "reduction": ...}, each float [E, K] in
            0..1, rows in the order of `search_space.EDGES`.
        primitives: The K names of the columns of the coefficients.
        caption: A line over the picture, such as the epoch and the accuracy.
    """

    genotype: genotypes.Genotype
    coefficients: dict
    primitives: tuple
    caption: str


def cell_graph(cell, title):
    """Returns a cell as a graph for Graphviz, in DARTS's manner.

    Args:
        cell: A `genotypes.Cell`.
        title: Text over the graph.

    Returns:
        A `pydot.Dot`. An intermediate node without a connection is dashed and
        does not lead to the cell's output.

    Raises:
        ValueError: If the cell does not have four intermediate nodes.
    """
    _check_cell(cell)
    graph = pydot.Dot("cell", rankdir="LR", label=_quote(title), labelloc="t")
    graph.set_graph_defaults(fontname="Helvetica")
    graph.set_node_defaults(shape="box", fontname="Helvetica")
    graph.set_edge_defaults(fontname="Helvetica", fontsize="11")
    names = [_quote(name) for name in cell_artist.NAMES]
    for node, name in enumerate(names):
        style = "rounded,filled"
        inner = search_space.NUM_INPUT_NODES <= node < search_space.NUM_NODES
        if inner and not cell[node - search_space.NUM_INPUT_NODES]:
            style = "rounded,dashed"
        color = _quote(cell_artist.NODE_COLORS[node])
        graph.add_node(pydot.Node(name, style=_quote(style), fillcolor=color))
    for (source, target), primitives in cell_artist.by_edge(cell).items():
        for primitive in primitives:
            graph.add_edge(
                pydot.Edge(
                    names[source],
                    names[target],
                    label=_quote(primitive),
                    color=_quote(cell_artist.color_of(primitive)),
                )
            )
    for name, connections in zip(
        names[search_space.NUM_INPUT_NODES : -1], cell, strict=True
    ):
        if connections:
            graph.add_edge(pydot.Edge(name, names[-1]))
    return graph


def make_figure(cell, title):
    """Returns a cell as a Matplotlib figure, drawn without Graphviz.

    Args:
        cell: A `genotypes.Cell`.
        title: Text over the picture.

    Raises:
        ValueError: If the cell does not have four intermediate nodes.
    """
    _check_cell(cell)
    figure, (axes,), _ = cell_artist.make_canvas([title], 0.0, _CELL_DPI)
    cell_artist.draw_nodes(axes, cell)
    strands, tints = [], []
    for edge, primitives in cell_artist.by_edge(cell).items():
        count = len(primitives)
        offsets = cell_layout.spread(count, min(2.0, _RIBBON_WIDTH / count))
        rows = cell_layout.spread(count, cell_layout.row_height(count))
        for offset, row in zip(offsets, rows, strict=True):
            strands.append(cell_artist.strand(*edge, offset, row))
        tints += [cell_artist.color_of(primitive) for primitive in primitives]
    width = 1.5 if len(strands) <= 2 * len(search_space.EDGES) else 0.9
    cell_artist.add_strands(axes, strands, tints, width)
    cell_artist.draw_labels(axes, cell)
    return figure


def cell_figure(cell, title):
    """Returns a picture of a cell, drawn without Graphviz.

    Args:
        cell: A `genotypes.Cell`.
        title: Text over the picture.

    Returns:
        uint8 [H, W, 3]. The size, and where every node stands in it, are the
        same for every cell.

    Raises:
        ValueError: If the cell does not have four intermediate nodes.
    """
    return cell_artist.render(make_figure(cell, title))


def save_cell(cell, stem, title):
    """Writes `<stem>.dot` and `<stem>.png`, each whole or not at all.

    The PNG comes from Graphviz's `dot` where that is installed and works,
    otherwise from `cell_figure`.

    Args:
        cell: A `genotypes.Cell`.
        stem: Path of the files without their suffixes, in a directory that
            exists.
        title: Title of the picture.

    Raises:
        ValueError: If the cell does not have four intermediate nodes.
    """
    source = cell_graph(cell, title).to_string().encode()
    picture = _run_graphviz(source)
    if picture is None:
        file = io.BytesIO()
        Image.fromarray(cell_figure(cell, title)).save(file, "PNG")
        picture = file.getvalue()
    files.write_bytes(f"{os.fspath(stem)}.dot", source)
    files.write_bytes(f"{os.fspath(stem)}.png", picture)


def save_film(frames, path, frame_seconds=0.4):
    """Writes the film of a search as an animated GIF, whole or not at all.

    Every candidate connection but `none` is a strand whose width and opacity
    follow its coefficient; the connections of the genotype are labelled.

    Args:
        frames: A sequence of `FilmFrame`, all with the same primitives.
        path: Path of the GIF, in a directory that exists.
        frame_seconds: How long a frame stays, in seconds. The last stays
            six times as long.

    Raises:
        ValueError: If there is no frame, a cell does not have four
            intermediate nodes, the primitives change, or coefficients do not
            have a row an edge and a column a primitive.
    """
    frames = list(frames)
    _check_frames(frames)
    palette = cell_artist.make_palette()
    images = [
        Image.fromarray(pixels).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for pixels in _film_pixels(frames)
    ]
    durations = [round(1000 * frame_seconds)] * len(images)
    durations[-1] *= 6
    file = io.BytesIO()
    images[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
    )
    files.write_bytes(path, file.getvalue())


def _film_pixels(frames):
    """Yields a picture a frame, uint8 [H, W, 3], all from one figure."""
    names = frames[0].primitives
    columns = [k for k, n in enumerate(names) if n != search_space.NONE]
    names = [names[k] for k in columns]
    offsets = cell_layout.spread(len(names), _RIBBON_WIDTH / len(names))
    paths = [
        cell_artist.strand(*edge, offset, offset)
        for edge in search_space.EDGES
        for offset in offsets
    ]
    hues = [cell_artist.tint(cell_artist.color_of(n), 1.0) for n in names]
    hues = np.tile(hues, (len(search_space.EDGES), 1))  # [E * K, 3]
    figure, both_axes, caption = cell_artist.make_canvas(
        ["normal cell", "reduction cell"], _FILM_HEADER, _FILM_DPI
    )
    strands = []
    for axes in both_axes:
        cell_artist.draw_nodes(axes)
        cell_artist.draw_legend(axes, names)
        strands.append(cell_artist.add_strands(axes, paths, hues, 1.0))
    for frame in frames:
        caption.set_text(frame.caption)
        labels = []
        for axes, lines, cell, values in zip(
            both_axes,
            strands,
            (frame.genotype.normal, frame.genotype.reduction),
            (frame.coefficients["normal"], frame.coefficients["reduction"]),
            strict=True,
        ):
            values = np.nan_to_num(values)[:, columns].ravel()  # [E * K]
            values = np.clip(values, 0.0, 1.0)
            # A new array each time, for Matplotlib holds on to the old one.
            lines.set_edgecolor(np.column_stack([hues, values**0.6]))
            lines.set_linewidth(0.5 + 2.5 * values)
            labels += cell_artist.draw_labels(axes, cell)
        yield cell_artist.render(figure)
        for artist in labels:
            artist.remove()


def _check_cell(cell):
    if len(cell) != search_space.NUM_INTERMEDIATE_NODES:
        raise ValueError(
            f"A cell with {len(cell)} intermediate nodes cannot be drawn; "
            f"expected {search_space.NUM_INTERMEDIATE_NODES}."
        )


def _check_frames(frames):
    if not frames:
        raise ValueError("A film needs at least one frame; none came.")
    primitives = frames[0].primitives
    expected = (len(search_space.EDGES), len(primitives))
    for number, frame in enumerate(frames):
        _check_cell(frame.genotype.normal)
        _check_cell(frame.genotype.reduction)
        if tuple(frame.primitives) != tuple(primitives):
            raise ValueError(
                f"Frame {number} has the primitives {frame.primitives}; "
                f"expected those of frame 0, {primitives}."
            )
        for kind in ("normal", "reduction"):
            shape = np.shape(frame.coefficients[kind])
            if shape != expected:
                raise ValueError(
                    f"Frame {number} has {kind} coefficients of shape "
                    f"{shape}; expected {expected}, edges by primitives."
                )


def _quote(text):
    """Returns a text as a quoted string of the dot language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _run_graphviz(source):
    """Returns the PNG of a dot source, or None where Graphviz cannot do it.

    A broken Graphviz shall not end a search of days, so it is only logged.
    """
    program = shutil.which("dot")
    if program is None:
        return None
    command = [program, "-Tpng", f"-Gdpi={_CELL_DPI}"]
    try:
        return subprocess.run(
            command, input=source, capture_output=True, check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        logging.warning("Drawing without Graphviz, which failed: %s", error)
        return None
