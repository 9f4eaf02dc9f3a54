"""Matrices of a search as pictures."""

import numpy as np
from matplotlib import figure as figures
from matplotlib.backends import backend_agg

from entrannas_tf.drawing import artist

_DPI = 80


def draw(panels, edges, columns, title):
    """Draws matrices with one row per edge, side by side.

    Args:
        panels: {name: float [E, K]}; values that are not finite stay white.
        edges: The E pairs (source, target) of the rows.
        columns: The K names of the columns.
        title: A line over the picture.

    Returns:
        uint8 [H, W, 3].
    """
    width = len(panels) * (1.6 + 0.3 * len(columns))  # Inches.
    figure = figures.Figure((width, 5.2), dpi=_DPI)
    backend_agg.FigureCanvasAgg(figure)
    figure.suptitle(title)
    # Room for the names, set by hand: measuring it takes twice as long.
    figure.subplots_adjust(0.5 / width, 0.24, 1 - 0.6 / width, 0.9, 0.25)
    rows = [f"{source}-{target}" for source, target in edges]
    for place, (name, values) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), place)
        drawn = axes.imshow(np.ma.masked_invalid(values), aspect="auto")
        axes.set_title(name, fontsize=10)
        axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
        axes.set_yticks(range(len(rows)), rows, fontsize=8)
        figure.colorbar(drawn, ax=axes).ax.tick_params(labelsize=8)
    return artist.render(figure)
