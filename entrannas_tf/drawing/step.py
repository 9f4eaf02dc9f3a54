"""Draws how a search step goes: the figure of docs/step.md.

python -m entrannas_tf.drawing.step docs/images/step.png
"""

import sys

from matplotlib import patches
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure

_ENGINE, _TRANSIT, _VALUE, _PLAIN = "#f4b183", "#9dc3e6", "#d9ead3", "#eeeeee"

# (x, y, width, text, color), in units of the figure; boxes are 1.1 high.
_BOXES = [
    (0, 6, 2.4, "alpha, beta\nparameters.py", _VALUE),
    (3.2, 6, 2.9, "coefficients [E, K]\nrelaxation.py", _VALUE),
    (7.0, 6, 2.4, "genotype\nderivation.py", _VALUE),
    (0, 3.4, 1.3, "images", _PLAIN),
    (1.8, 3.4, 0.9, "stem", _PLAIN),
    (3.1, 3.4, 1.5, "Engine-cell\nnormal", _ENGINE),
    (5.0, 3.4, 1.5, "Transit-cell", _TRANSIT),
    (6.9, 3.4, 1.5, "Engine-cell\nreduction", _ENGINE),
    (8.8, 3.4, 1.5, "Transit-cells", _TRANSIT),
    (10.7, 3.4, 0.9, "head", _PLAIN),
    (1.8, 0.5, 3.3, "CoupledAdam\nnew alpha and beta", _VALUE),
    (7.6, 0.5, 3.3, "CoupledSGD\nnew weights, where used", _VALUE),
]
# (from, to, text, color): points (x, y).
_ARROWS = [
    ((2.4, 6.55), (3.2, 6.55), "", "black"),
    ((6.1, 6.55), (7.0, 6.55), "", "black"),
    ((4.2, 6.0), (3.9, 4.5), "weigh all operations", "black"),
    ((5.5, 6.0), (7.4, 4.5), "", "black"),
    ((7.6, 6.0), (6.0, 4.5), "", "black"),
    ((8.8, 6.0), (9.4, 4.5), "names the operations to run", "black"),
    *(
        ((x, 3.95), (x + 0.4, 3.95), "", "black")
        for x in (1.3, 2.7, 4.6, 6.5, 8.4, 10.3)
    ),
    (
        (3.5, 3.4),
        (3.5, 1.6),
        "first half: loss of validation images,\ngradient to the coefficients",
        "tab:red",
    ),
    (
        (9.2, 3.2),
        (9.2, 1.6),
        "second half: loss of training\nimages, gradient to all weights",
        "tab:red",
    ),
]


def draw(path):
    """Draws the figure.

    Args:
        path: Path of the file to write, which ends in .png.

    Raises:
        OSError: If it cannot be written.
    """
    figure = Figure((12, 6.6), dpi=100)
    backend_agg.FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set(xlim=(-0.2, 12), ylim=(0, 7.6))
    axes.axis("off")
    for x, y, width, text, color in _BOXES:
        style = patches.BoxStyle.Round(pad=0, rounding_size=0.15)
        box = patches.FancyBboxPatch(
            (x, y), width, 1.1, boxstyle=style, fc=color, ec="#555555"
        )
        axes.add_patch(box)
        axes.text(x + width / 2, y + 0.55, text, ha="center", va="center")
    supernet = {"fill": False, "ls": "--", "ec": "#555555"}
    axes.add_patch(patches.Rectangle((1.6, 3.2), 10.2, 1.5, **supernet))
    for start, end, text, color in _ARROWS:
        arrow = {"arrowstyle": "-|>", "color": color}
        axes.annotate("", end, start, arrowprops=arrow)
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        axes.text(middle[0] + 0.15, middle[1], text, color=color, va="center")
    figure.savefig(path)


if __name__ == "__main__":
    draw(sys.argv[1])
