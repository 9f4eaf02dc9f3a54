"""Films of searches: how the coefficients fade, epoch by epoch.

Nodes stand at the same place in every frame, so that only changes by the
search are seen to move.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.drawing import artist, geometry
from entrannas_tf.training import files

_DPI = 100
_HEADER = 30.0  # Height of the caption, in points.


class Frame(NamedTuple):
    """One epoch of a search.

    Attributes:
        genotype: The `Genotype` derived at this epoch.
        coefficients: {kind of cell: float [E, K] in 0..1}, rows in the order
            of the `edges` of the genotype's space.
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
        frames: A sequence of `Frame`, all with the same primitives and of the
            same search space.
        path: Path of the GIF, in a directory that exists.
        frame_seconds: Duration of a frame in seconds; the last one stays six
            times as long.

    Raises:
        ValueError: If there is no frame, a cell does not have the nodes of its
            space, the space or the primitives change, or coefficients do not
            have a row an edge and a column a primitive.
    """
    frames = list(frames)
    _check_frames(frames)
    palette = artist.make_palette(frames[0].primitives)
    first, *others = (
        Image.fromarray(pixels).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for pixels in _pixels(frames)
    )
    durations = [round(1000 * frame_seconds)] * len(frames)
    durations[-1] *= 6
    file = io.BytesIO()
    first.save(
        file,
        "GIF",
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
    )
    files.write_bytes(path, file.getvalue())


def _pixels(frames):
    """Yields a picture a frame, uint8 [H, W, 3], all from one figure."""
    names, space = frames[0].primitives, frames[0].genotype.space
    layout = geometry.of(space.num_intermediate_nodes, space.num_input_nodes)
    columns = [k for k, n in enumerate(names) if n != search_space.NONE]
    names = [names[k] for k in columns]
    step = artist.RIBBON_WIDTH / len(names)
    offsets = geometry.spread(len(names), step)
    paths = [
        artist.strand(layout, *edge, offset, offset)
        for edge in space.edges
        for offset in offsets
    ]
    hues = [artist.tint(artist.color_of(n), 1.0) for n in names]
    hues = np.tile(hues, (len(space.edges), 1))  # [E * K, 3]
    figure, all_axes, caption = artist.make_canvas(
        layout, [f"{kind} cell" for kind in space.kinds], _HEADER, _DPI
    )
    strands = []
    for axes in all_axes:
        artist.draw_nodes(axes, layout, layout.inner, layout.inner)
        artist.draw_legend(axes, layout, names)
        strands.append(artist.add_strands(axes, paths, hues, 1.0))
    drawn = list(zip(all_axes, strands, space.kinds, strict=True))
    for frame in frames:
        caption.set_text(frame.caption)
        labels = []
        for axes, lines, kind in drawn:
            values = np.nan_to_num(frame.coefficients[kind])  # [E, K]
            values = np.clip(values[:, columns].ravel(), 0, 1)  # [E * K]
            # A new array each time, for Matplotlib holds on to the old one.
            lines.set_edgecolor(np.column_stack([hues, values**0.6]))
            lines.set_linewidth(0.5 + 2.5 * values)
            cell = getattr(frame.genotype, kind)
            labels += artist.draw_labels(axes, layout, cell)
        yield artist.render(figure)
        for label in labels:
            label.remove()


def _check_frames(frames):
    if not frames:
        raise ValueError("A film needs at least one frame; none came.")
    primitives, space = frames[0].primitives, frames[0].genotype.space
    expected = (len(space.edges), len(primitives))
    for number, frame in enumerate(frames):
        if frame.genotype.space != space:
            raise ValueError(
                f"Frame {number} has the search space {frame.genotype.space}; "
                f"expected that of frame 0, {space}."
            )
        if tuple(frame.primitives) != tuple(primitives):
            raise ValueError(
                f"Frame {number} has the primitives {frame.primitives}; "
                f"expected those of frame 0, {primitives}."
            )
        for kind in space.kinds:
            num_nodes = len(getattr(frame.genotype, kind))
            if num_nodes != space.num_intermediate_nodes:
                raise ValueError(
                    f"A cell with {num_nodes} intermediate nodes cannot be "
                    f"filmed; expected {space.num_intermediate_nodes}, as in "
                    "its space."
                )
            shape = np.shape(frame.coefficients[kind])
            if shape != expected:
                raise ValueError(
                    f"Frame {number} has {kind} coefficients of shape "
                    f"{shape}; expected {expected}, edges by primitives."
                )
