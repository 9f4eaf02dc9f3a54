"""Convolution and pooling again, slowly, in NumPy and in PyTorch's words.

Arrays are [B, H, W, C]. Padding is symmetric: dilation * (size - 1) / 2 on
either side, and the output has
floor((H + 2 * padding - dilation * (size - 1) - 1) / stride) + 1 rows.
"""

import numpy as np


def convolution(x, kernel, strides=(1, 1)):
    """Ordinary convolution; kernel is [k_h, k_w, C_in, C_out]."""
    return _slide(
        x,
        kernel.shape[:2],
        strides,
        1,
        lambda window: np.einsum("bhwi,hwio->bo", window, kernel),
    )


def depthwise(x, kernel, stride=1, dilation=1):
    """Depthwise convolution; kernel is [k, k, C, 1]."""
    return _slide(
        x,
        kernel.shape[:2],
        (stride, stride),
        dilation,
        lambda window: np.einsum("bhwc,hwc->bc", window, kernel[..., 0]),
    )


def max_pool(x, stride):
    """3x3 max pooling; padding never wins."""
    return _slide(
        x,
        (3, 3),
        (stride, stride),
        1,
        lambda window: np.nanmax(window, axis=(1, 2)),
        outside=np.nan,
    )


def average_pool(x, stride):
    """3x3 average pooling that does not count the padding."""
    return _slide(
        x,
        (3, 3),
        (stride, stride),
        1,
        lambda window: np.nanmean(window, axis=(1, 2)),
        outside=np.nan,
    )


def batch_norm(x, mean, variance, scale=1.0, offset=0.0):
    """Batch normalisation with given statistics, [C] each."""
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + offset


def _slide(x, size, strides, dilation, function, outside=0.0):
    """Applies a function of [B, k_h, k_w, C] to every window."""
    spans = [dilation * (s - 1) for s in size]
    margins = [(span // 2, span // 2) for span in spans]
    padded = np.pad(x, [(0, 0), *margins, (0, 0)], constant_values=outside)
    rows, columns = (
        (length - span - 1) // stride + 1
        for length, span, stride in zip(
            padded.shape[1:3], spans, strides, strict=True
        )
    )
    return np.stack(
        [
            np.stack(
                [
                    function(
                        padded[
                            :,
                            i * strides[0] :: dilation,
                            j * strides[1] :: dilation,
                        ][:, : size[0], : size[1]]
                    )
                    for j in range(columns)
                ],
                axis=1,
            )
            for i in range(rows)
        ],
        axis=1,
    )
