"""Films of searches: how the coefficients fade, epoch by epoch.

Nodes stand at the same place in every frame, so that only what the search
changes moves. Searched cells have `search_space.NUM_INTERMEDIATE_NODES`.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.drawing import artist as artist_lib
from entrannas_tf.drawing import geometry
from entrannas_tf.training import files

_LAYOUT = geometry.of(search_space.NUM_INTERMEDIATE_NODES)
_DPI = 100
_HEADER = 30.0  # Height of the caption, in points.


class Frame(NamedTuple):
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


def save(frames, path, frame_seconds=0.4):
    """Writes the film of a search as an animated GIF, whole or not at all.

    Every candidate connection but `none` is a strand whose width and opacity
    follow its coefficient; the connections of the genotype are labelled.

    Args:
        frames: A sequence of `Frame`, all with the same primitives.
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
    palette = artist_lib.make_palette()
    images = [
        Image.fromarray(pixels).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for pixels in _pixels(frames)
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


def _pixels(frames):
    """Yields a picture a frame, uint8 [H, W, 3], all from one figure."""
    names = frames[0].primitives
    columns = [k for k, n in enumerate(names) if n != search_space.NONE]
    names = [names[k] for k in columns]
    step = artist_lib.RIBBON_WIDTH / len(names)
    offsets = geometry.spread(len(names), step)
    paths = [
        artist_lib.strand(_LAYOUT, *edge, offset, offset)
        for edge in search_space.EDGES
        for offset in offsets
    ]
    hues = [artist_lib.tint(artist_lib.color_of(n), 1.0) for n in names]
    hues = np.tile(hues, (len(search_space.EDGES), 1))  # [E * K, 3]
    figure, both_axes, caption = artist_lib.make_canvas(
        _LAYOUT, ["normal cell", "reduction cell"], _HEADER, _DPI
    )
    strands = []
    for axes in both_axes:
        artist_lib.draw_nodes(axes, _LAYOUT, _LAYOUT.inner, _LAYOUT.inner)
        artist_lib.draw_legend(axes, _LAYOUT, names)
        strands.append(artist_lib.add_strands(axes, paths, hues, 1.0))
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
            labels += artist_lib.draw_labels(axes, _LAYOUT, cell)
        yield artist_lib.render(figure)
        for artist in labels:
            artist.remove()


def _check_cell(cell):
    if len(cell) != search_space.NUM_INTERMEDIATE_NODES:
        raise ValueError(
            f"A cell with {len(cell)} intermediate nodes cannot be filmed; "
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
        for kind in genotypes.KINDS:
            shape = np.shape(frame.coefficients[kind])
            if shape != expected:
                raise ValueError(
                    f"Frame {number} has {kind} coefficients of shape "
                    f"{shape}; expected {expected}, edges by primitives."
                )
