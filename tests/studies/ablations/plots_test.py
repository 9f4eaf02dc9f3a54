import io

import numpy as np
from matplotlib import image

from entrannas_tf.studies.ablations import plots


def draw(*sizes):
    """Returns the pixels of Figure 5 with a row for each size."""
    rows = {
        f"{number}": [
            {
                "parameters": size,
                "multiply_adds_published": size,
                "test_accuracy": 0.5,
            }
        ]
        for number, size in enumerate(sizes)
    }
    return image.imread(io.BytesIO(plots.draw("figure5", rows, "A title")))


def test_every_row_is_drawn():
    """Each has a colour of its own, in both panels and the legend."""
    one, two = (_num_colours(draw(*s)) for s in ([1e6], [1e6, 2e6]))
    assert two == one + 1


def _num_colours(pixels):
    """Counts the colours, beside grey, of 50 pixels or more."""
    flat = np.round(255 * pixels[..., :3].reshape(-1, 3))
    coloured = flat[np.ptp(flat, axis=1) > 60]
    _, counts = np.unique(coloured, axis=0, return_counts=True)
    return (counts >= 50).sum()
