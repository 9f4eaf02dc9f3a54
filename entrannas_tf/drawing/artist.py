"""Cells in Matplotlib: colours, nodes, strands and labels.

Figures are made without pyplot, so that nothing outlives its figure and no
display is needed. The geometry is a `geometry.Layout`, in points.
"""

import io
import math

import matplotlib
import numpy as np
from matplotlib import collections, colors, patches, path
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from entrannas_tf.architecture import operations
from entrannas_tf.drawing import geometry

OTHER_COLOR = "#8C8C8C"
LINE_COLOR = "#777777"
RIBBON_WIDTH = 7.0  # Of all the strands of an edge together, in points.

_INPUT_COLOR, _INNER_COLOR, _OUTPUT_COLOR = "#C9E8C5", "#CFE3F5", "#F3E9B5"


def names(layout):
    """Returns the names of a layout's nodes, the output's last, as DARTS's."""
    inputs = ("c_{k-2}", "c_{k-1}")[-layout.num_inputs :]
    return (*inputs, *map(str, range(len(layout.inner))), "c_{k}")


def node_colors(layout):
    """Returns the colours of a layout's nodes, the output's last."""
    inputs = (_INPUT_COLOR,) * layout.num_inputs
    return (*inputs, *(_INNER_COLOR for _ in layout.inner), _OUTPUT_COLOR)


def by_edge(cell, layout):
    """Returns {(source, target): [primitive, ...]}, both in a fixed order.

    A primitive that an edge has twice is listed twice.

    Args:
        cell: A `genotypes.Cell`.
        layout: Its `geometry.Layout`.
    """
    order = {name: k for k, name in enumerate(operations.OPERATIONS)}
    edges = {edge: [] for edge in layout.edges}
    for target, connections in enumerate(cell, layout.num_inputs):
        for primitive, source in connections:
            edges[source, target].append(primitive)
    return {
        edge: sorted(primitives, key=lambda name: order.get(name, len(order)))
        for edge, primitives in edges.items()
        if primitives
    }


def color_of(primitive):
    """Returns a primitive's colour; foreign primitives share one."""
    known = operations.OPERATIONS.get(primitive)
    return known.color if known else OTHER_COLOR


def tint(color, share):
    """Returns a colour with white mixed in, as [3] floats."""
    return 1 - share * (1 - np.asarray(colors.to_rgb(color)))


def make_canvas(layout, titles, header, dpi):
    """Returns a white figure with room for cells below each other.

    Args:
        layout: The cells' `geometry.Layout`.
        titles: The cells' titles, from the top down.
        header: Height of a caption over the cells, in points; may be 0.
        dpi: Resolution, in pixels an inch.

    Returns:
        The figure, a list of one axes per cell, in points, and the caption, an
        empty text.
    """
    width = layout.width
    height = header + len(titles) * layout.height
    figure = Figure(figsize=(width / 72, height / 72), dpi=dpi)
    FigureCanvasAgg(figure)
    share = layout.height / height
    all_axes = []
    for row, title in enumerate(reversed(titles)):
        axes = figure.add_axes((0, row * share, 1, share))
        axes.set(xlim=(0, width), ylim=(0, layout.height))
        axes.axis("off")
        at = 10, layout.height - 8
        axes.text(*at, title, fontsize=12, va="top", parse_math=False)
        all_axes.insert(0, axes)
    middle = 1 - header / 2 / height
    caption = figure.text(
        0.5, middle, "", fontsize=14, ha="center", va="center", parse_math=False
    )
    return figure, all_axes, caption


def draw_nodes(axes, layout, connected, outputs):
    """Draws the nodes, and the lines from intermediate nodes to the output.

    Args:
        axes: Axes of `make_canvas`.
        layout: The cell's `geometry.Layout`.
        connected: Numbers of the intermediate nodes that have a connection;
            the others are dashed.
        outputs: Numbers of the nodes that lead to the cell's output.
    """
    fills = node_colors(layout)
    for node, name in enumerate(names(layout)):
        x, y = layout.nodes[node]
        inner = node in layout.inner
        dashed = inner and node not in connected
        axes.add_patch(
            patches.Circle(
                (x, y),
                geometry.RADIUS,
                facecolor="white" if dashed else fills[node],
                edgecolor="#333333",
                linestyle="--" if dashed else "-",
                zorder=3,
            )
        )
        text = name if inner else f"${name.replace('-', '{-}')}$"
        axes.text(x, y, text, fontsize=11, ha="center", va="center", zorder=4)
    lines = [strand(layout, n, layout.output, 0.0, 0.0) for n in outputs]
    add_strands(axes, lines, [LINE_COLOR] * len(lines), 1.0)
    for node in outputs:
        _draw_arrow(axes, layout.port(node, layout.output), LINE_COLOR, 2.5)


def strand(layout, source, target, lane_offset, label_offset):
    """Returns the `Path` of a connection; see `geometry.Layout.curve`."""
    (x, right, y), *runs = layout.curve(
        source, target, lane_offset, label_offset
    )
    points = [(x, y), (right, y)]
    codes = [path.Path.MOVETO, path.Path.LINETO]
    for left, right, y in runs:
        x, before = points[-1]
        # In a steep turn the strands of an edge would close up; those above
        # turn earlier on the way up, and later on the way down.
        steepness = (y - before) / math.hypot(left - x, y - before)
        middle = (x + left) / 2 - 1.3 * lane_offset * steepness
        points += [(middle, before), (middle, y), (left, y), (right, y)]
        codes += [path.Path.CURVE4] * 3 + [path.Path.LINETO]
    return path.Path(points, codes)


def add_strands(axes, lines, tints, width):
    """Draws paths below labels and nodes, and returns their collection."""
    strands = collections.PathCollection(
        lines, facecolors="none", edgecolors=tints, linewidths=width, zorder=1
    )
    axes.add_collection(strands, autolim=False)
    return strands


def _draw_arrow(axes, tip, color, half_width):
    x, y = tip
    left = x - 2.4 * half_width
    corners = (x, y), (left, y + half_width), (left, y - half_width)
    arrow = patches.Polygon(corners, color=color, lw=0, zorder=2.5)
    return axes.add_patch(arrow)


def draw_labels(axes, layout, cell):
    """Draws a cell's labels and arrow heads, and returns these artists."""
    artists = []
    for (source, target), primitives in by_edge(cell, layout).items():
        same = len(set(primitives)) == 1
        color = color_of(primitives[0]) if same else LINE_COLOR
        half_width = 2.5 if len(primitives) == 1 else 3.0
        tip = layout.port(source, target)
        artists.append(_draw_arrow(axes, tip, color, half_width))
        height = geometry.row_height(len(primitives))
        left = layout.label_x(target)
        y = layout.nodes[source][1]
        rows = geometry.spread(len(primitives), height)
        for primitive, row in zip(primitives, rows, strict=True):
            box = patches.FancyBboxPatch(
                (left, y + row - 0.45 * height),
                geometry.LABEL_WIDTH,
                0.9 * height,
                boxstyle=f"round,pad=0,rounding_size={height / 4}",
                facecolor=tint(color_of(primitive), 0.15),
                edgecolor=color_of(primitive),
                linewidth=0.06 * height,
                zorder=2,
            )
            artists.append(axes.add_patch(box))
            artists.append(
                axes.text(
                    left + geometry.LABEL_WIDTH / 2,
                    y + row,
                    primitive,
                    fontsize=0.69 * height,
                    ha="center",
                    va="center_baseline",
                    gid="label",
                    zorder=4,
                )
            )
    return artists


def draw_legend(axes, layout, primitives):
    """Names the colours, in the room left of the intermediate nodes."""
    middle = layout.nodes[layout.output][1]
    rows = geometry.spread(len(primitives), 13.0)
    for primitive, row in zip(primitives, rows, strict=True):
        y = middle + row
        axes.plot((14, 34), (y, y), color=color_of(primitive), lw=3)
        axes.text(40, y, primitive, fontsize=9, va="center", gid="legend")


def render(figure):
    """Returns a figure as uint8 [H, W, 3]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def to_svg(figure):
    """Returns a figure as the bytes of an SVG file, the same each time."""
    file = io.BytesIO()
    # By default the names in the file are random, and it holds the date.
    with matplotlib.rc_context({"svg.hashsalt": "cell"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def make_palette(primitives):
    """Returns a palette image: each colour in 15 steps to white, and white.

    The step next to white is left out: Pillow would take it for white.

    Args:
        primitives: Names of the primitives that are drawn. A palette has room
            for 14 of their colours; others become the nearest one.
    """
    found = list(dict.fromkeys([*map(color_of, primitives), OTHER_COLOR]))
    hues = [*found[:15], "#000000"]
    tints = [tint(hue, step / 16) for hue in hues for step in range(2, 17)]
    nodes = (_INPUT_COLOR, _INNER_COLOR, _OUTPUT_COLOR)
    tints += [tint(color, 1.0) for color in ("#FFFFFF", *nodes)]
    values = np.unique(np.rint(255 * np.array(tints)).astype(np.uint8), axis=0)
    palette = Image.new("P", (1, 1))
    palette.putpalette(values.tobytes())
    return palette
