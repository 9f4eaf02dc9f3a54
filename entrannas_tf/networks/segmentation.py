"""Networks for semantic segmentation: a backbone, DeepLabV3's head (Table 5).

All is made of Keras's own layers and operations, for images of any size.
"""

import math

import keras

from entrannas_tf.architecture import search_space
from entrannas_tf.networks import target
from entrannas_tf.networks.layers import batch_norm

HEAD_CHANNELS = 256

_HEAD = "head"  # What the names of its layers begin with.

# Distances of the pixels that the 3x3 convolutions read, at output stride 16
# (Chen et al., 2017, section 4.1); doubled at 8.
_RATES = (6, 12, 18)
# First layers of ResNet-50's stages that would bring output stride 16 and 32.
_RESNET_STAGES = {16: "conv4", 32: "conv5"}


def Backbone(
    genotype,
    image_shape=(None, None, 3),
    num_cells=14,
    init_channels=48,
    output_stride=16,
    name="backbone",
):
    """Builds the ImageNet network of a genotype, up to its last cell.

    Its layers have the names and the weights of `target.TargetNetwork`'s; see
    `target.run_cells` for the output stride.

    Args:
        genotype: `genotypes.Genotype`.
        image_shape: (H, W, C) of the images; H and W may be None.
        num_cells: Number of cells, 3 or more.
        init_channels: C of the first cells, even.
        output_stride: 8, 16 or 32.
        name: Name of the model.

    Returns:
        A functional `keras.Model` that maps float32 [B, H, W, C], normalized
        images, to float [B, ceil(H / output_stride), ..., C_out].

    Raises:
        ValueError: If an argument is out of its range, or nothing flows to
            the output of a cell of the genotype.
    """
    search_space.check_output_stride(output_stride, "imagenet")
    images = keras.Input(image_shape, name="images")
    features = target.run_cells(
        genotype, images, num_cells, init_channels, "imagenet", output_stride
    )
    return keras.Model(images, features, name=name)


def ResNet50(image_shape=(None, None, 3), output_stride=16, name="backbone"):
    """Builds ResNet-50 of `keras.applications`, dilated, without its head.

    Args:
        image_shape: (H, W, C) of the images; H and W may be None.
        output_stride: 8, 16 or 32.
        name: Name of the model.

    Returns:
        A functional `keras.Model` that maps float32 [B, H, W, C], normalized
        images, to float [B, ceil(H / output_stride), ..., 2048].

    Raises:
        ValueError: If the output stride is another number.
    """
    search_space.check_output_stride(output_stride, "imagenet")
    network = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=image_shape
    )
    rates = {}  # By stage.
    for stride, stage in _RESNET_STAGES.items():
        if stride > output_stride:
            rates[stage] = stride // output_stride

    def dilate(layer):
        # Each is a new layer, whose output is that of the new network alone.
        config = layer.get_config()
        rate = rates.get(layer.name.partition("_")[0])
        if rate is not None and isinstance(layer, keras.layers.Conv2D):
            config["strides"] = (1, 1)
            if layer.kernel_size == (3, 3):
                config["dilation_rate"] = (rate, rate)
        return type(layer).from_config(config)

    made = keras.models.clone_model(network, clone_function=dilate)
    return keras.Model(made.inputs[0], made.outputs[0], name=name)


def SegmentationNetwork(
    backbone,
    num_classes,
    output_stride=16,
    channels=HEAD_CHANNELS,
    dropout=0.1,
    name="segmentation_network",
):
    """Builds DeepLabV3's head on a backbone (Chen et al., 2017, section 3.3).

    Atrous spatial pyramid pooling sees the features at four scales and as a
    whole; its logits are enlarged to the images' size, feature i lying on
    pixel i * output_stride.

    Args:
        backbone: A `Backbone` or `ResNet50`, whose layers and weights become
            those of the network.
        num_classes: Number of classes C.
        output_stride: 8, 16 or 32, that of the backbone.
        channels: Channels of the head.
        dropout: Share of values dropped before the last convolution.
        name: Name of the model.

    Returns:
        A functional `keras.Model` that maps float32 [B, H, W, 3], normalized
        images of any size, to float32 [B, H, W, C], logits.

    Raises:
        ValueError: If the output stride is another number.

    Example:

    >>> import numpy as np
    >>> import entrannas_tf
    >>> from entrannas_tf.networks import segmentation
    >>> backbone = segmentation.Backbone(
    ...     entrannas_tf.load_genotype("DARTS_V2"), num_cells=3, init_channels=4
    ... )
    >>> model = segmentation.SegmentationNetwork(backbone, num_classes=21)
    >>> model(np.zeros((1, 50, 40, 3), "float32")).shape
    TensorShape([1, 50, 40, 21])
    """
    search_space.check_output_stride(output_stride, "imagenet")
    images, features = backbone.input, backbone.output  # [B, h, w, F]

    def convolve(x, size, rate, own):
        convolution = keras.layers.Conv2D(
            channels,
            size,
            padding="same",
            dilation_rate=rate,
            use_bias=False,
            kernel_initializer="he_uniform",
            name=f"{own}.convolution",
        )
        norm = keras.layers.BatchNormalization(
            momentum=batch_norm.BATCH_NORM_MOMENTUM,
            epsilon=batch_norm.BATCH_NORM_EPSILON,
            name=f"{own}.norm",
        )
        return keras.layers.ReLU(name=own)(norm(convolution(x)))

    branches = [convolve(features, 1, 1, "head.aspp_0")]
    for index, rate in enumerate(_RATES, 1):
        rate = max(1, rate * 16 // output_stride)
        branches.append(convolve(features, 3, rate, f"head.aspp_{index}"))
    mean = keras.layers.GlobalAveragePooling2D(
        keepdims=True, name="head.pool.mean"
    )
    pooled = convolve(mean(features), 1, 1, "head.pool")  # [B, 1, 1, channels]
    spread = keras.layers.Add(name="head.pool.spread")
    branches.append(spread([pooled, keras.ops.zeros_like(branches[0])]))
    x = keras.layers.Concatenate(name="head.concatenate")(branches)
    x = convolve(x, 1, 1, "head.project")
    x = keras.layers.Dropout(dropout, name="head.dropout")(x)
    logits = keras.layers.Conv2D(num_classes, 1, dtype="float32", name="head")(
        x
    )
    logits = _enlarge(logits, images, output_stride)
    return keras.Model(images, logits, name=name)


def is_of_head(name):
    """Whether a layer, or a variable, of this name or path is the head's."""
    return name.startswith(_HEAD)


def count_resnet50(num_classes, size, output_stride, channels=HEAD_CHANNELS):
    """Returns the totals of `cost.Account` of a network on `ResNet50`.

    Args:
        num_classes: Number of classes.
        size: Side of the images in pixels.
        output_stride: 8, 16 or 32.
        channels: Channels of the head.
    """
    network = SegmentationNetwork(
        ResNet50((size, size, 3), output_stride),
        num_classes,
        output_stride,
        channels,
    )
    parameters = sum(math.prod(v.shape) for v in network.trainable_variables)
    multiply_adds = elementwise = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            places = math.prod(layer.output.shape[1:3])
            multiply_adds += places * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.BatchNormalization):
            elementwise += 2 * math.prod(layer.output.shape[1:])
        elif isinstance(layer, keras.layers.ReLU | keras.layers.Activation):
            elementwise += math.prod(layer.output.shape[1:])
    return {
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "multiply_adds_published": multiply_adds + elementwise,
    }


def _enlarge(x, images, stride):
    """Returns bilinear interpolations of x [B, h, w, C] at each pixel.

    Values lie on every `stride`-th pixel, the first on the first, as padding
    is symmetric. Keras's layers that resize think of them as means of squares,
    half of a square further on. A linear interpolation is a product with
    [H, h], which is faster than TensorFlow's own kernel and its gradient.
    """
    ops = keras.ops
    rows = _interpolation(
        ops.max(images, (0, 2, 3)), ops.max(x, (0, 2, 3)), stride
    )
    columns = _interpolation(
        ops.max(images, (0, 1, 3)), ops.max(x, (0, 1, 3)), stride
    )
    x = ops.einsum("ph,bhwc->bpwc", rows, x)
    return ops.einsum("qw,bpwc->bpqc", columns, x)


def _interpolation(pixels, values, stride):
    """Returns float32 [H, h], the weight of each value for each pixel.

    The contents of `pixels` [H] and `values` [h] do not matter.
    """
    ops = keras.ops
    pixel, value = (
        ops.cumsum(ops.cast(ops.ones_like(x), "float32")) - 1.0
        for x in (pixels, values)
    )
    place = ops.minimum(pixel / stride, ops.max(value))  # Clamped at the end.
    distance = ops.abs(ops.expand_dims(place, 1) - ops.expand_dims(value, 0))
    return ops.relu(1.0 - distance)
