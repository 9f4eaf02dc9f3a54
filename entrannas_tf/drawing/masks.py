"""A photograph, its true and its predicted classes, side by side."""

import io

import numpy as np
from matplotlib import figure as figures
from matplotlib import patches

_DPI = 100
_INCHES = 4.0  # Width of each of the three panels.
_LEGEND_INCHES = 0.9
_COLUMNS = 7  # Of the legend.
_WHITE = (
    255,
    255,
    255,
)  # Of pixels without a class; VOC's background is black.


def draw(image, truth, prediction, palette, label_names, ignored, title):
    """Returns the picture, the bytes of a PNG file.

    Args:
        image: uint8 [H, W, 3].
        truth: Integers [H, W], the classes; those that are `ignored` are
            white.
        prediction: Integers [H, W].
        palette: uint8 [C, 3], the color of each class.
        label_names: Name of each class.
        ignored: The label of pixels without a class.
        title: Text above the picture.
    """
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(palette)] = palette
    colors[ignored] = _WHITE
    height, width, _ = image.shape
    panel = _INCHES * min(2.0, height / width)
    figure = figures.Figure(
        (3 * _INCHES, panel + _LEGEND_INCHES), _DPI, layout="constrained"
    )
    figure.suptitle(title, fontsize=10)
    panels = {
        "photograph": image,
        "truth": colors[truth],
        "prediction": colors[prediction],
    }
    for axes, (name, pixels) in zip(
        figure.subplots(1, 3), panels.items(), strict=True
    ):
        axes.imshow(pixels)
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    shown = np.union1d(truth, prediction)
    handles = [
        patches.Patch(
            facecolor=colors[label] / 255.0, edgecolor="gray", label=name
        )
        for label, name in [*enumerate(label_names), (ignored, "ignored")]
        if label in shown
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(_COLUMNS, len(handles)),
        fontsize=8,
        frameon=False,
    )
    held = io.BytesIO()
    figure.savefig(held, format="png")
    return held.getvalue()
