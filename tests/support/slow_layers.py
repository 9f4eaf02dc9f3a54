"""Convolution and pooling again, slowly, in NumPy and in PyTorch's words.

Arrays are [B, H, W, C]. Padding is symmetric: dilation * (size - 1) / 2 on
either side, and the output has
floor((H + 2 * padding - dilation * (size - 1) - 1) / stride) + 1 rows.
"""

import numpy as np

from entrannas_tf.architecture import operations


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


def run_step(step, x, stride, layers, name):
    """Does a step of an operation with the weights of a model's layers.

    Args:
        step: Of `operations`.
        x: float [B, H, W, C].
        stride: The operation's.
        layers: Dict of the model's layers by name.
        name: Name of the step's layer.
    """
    match step:
        case operations.ReLU():
            return np.maximum(x, 0)
        case operations.BatchNorm():
            norm = layers[name]
            return batch_norm(
                x,
                *map(np.asarray, (norm.moving_mean, norm.moving_variance)),
                *map(np.asarray, (norm.gamma, norm.beta)),
            )
        case operations.Convolution():
            strides = tuple(stride if s else 1 for s in step.strided)
            return convolution(x, np.asarray(layers[name].kernel), strides)
        case operations.Depthwise():
            kernel = np.asarray(layers[name].kernel)
            by = stride if step.strided else 1
            return depthwise(x, kernel, by, step.dilation)
        case operations.MaxPool():
            return max_pool(x, stride)
        case operations.AveragePool():
            return average_pool(x, stride)
        case operations.FactorizedReduce():
            even, odd = (
                np.asarray(layers[f"{name}.{part}"].kernel)[0, 0]
                for part in ("even", "odd")
            )
            height, width = x.shape[1:3]
            x = np.pad(x, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)])
            halves = x[:, ::2, ::2] @ even, x[:, 1::2, 1::2] @ odd
            return np.concatenate(halves, axis=-1)
    raise TypeError(step)


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
