"""The target network: a functional model of Keras's own layers.

`TargetNetwork` builds a model that trains, saves, loads and quantizes as any
Keras model does, without this package. `training_network` returns a model that
retraining runs: it has the same weights, a faster batch norm, drop path and
the auxiliary head.

Layers are named after the paper: `cell_3` is the output of a cell,
`cell_3.node_4` that of a node, `cell_3.node_4.sep_conv_3x3_from_1` that of an
operation on node 1, and `cell_3.node_4.sep_conv_3x3_from_1.depthwise_1` that of
its second step. Keras allows no slash in the name of a layer.
"""

import collections
import math
import re

import keras

from entrannas_tf.architecture import operations, search_space
from entrannas_tf.networks import cost
from entrannas_tf.networks.layers import batch_norm, dropout, fast

AUXILIARY_HEAD = "auxiliary_head"
DROP_PATH = "drop_path"

# The steps of the auxiliary head before its 2x2 convolution.
NARROW = (operations.Convolution((1, 1)), operations.BatchNorm())

# The default of each stem.
_IMAGE_SIZES = {n.kind: n.image_size for n in cost.CLASSIFIERS.values()}
_OPERATION_NAME = re.compile(r"cell_\d+\.node_\d+\.[^.]+")


def TargetNetwork(
    genotype,
    num_classes,
    image_shape=None,
    num_cells=20,
    init_channels=36,
    stem="cifar",
    name="target_network",
):
    """Builds the network of a genotype, as DARTS builds it.

    It consists of Keras's own layers alone. `fit` trains it; so does
    `training_network`, faster and as DARTS does.

    Args:
        genotype: `genotypes.Genotype`.
        num_classes: Number of logits.
        image_shape: (H, W, C) of the images. H and W may be None, for images
            of any size. The default is (32, 32, 3), and (224, 224, 3) with
            stem="imagenet".
        num_cells: Number of cells, 3 or more; those at 1/3 and 2/3 of the
            depth are reduction cells.
        init_channels: C of the first cells; doubled by each reduction.
        stem: "cifar" keeps the images' size, "imagenet" divides it by 8.
        name: Name of the model.

    Returns:
        A functional `keras.Model` that maps float32 [B, H, W, C], normalized
        images, to float32 [B, num_classes], logits.

    Raises:
        ValueError: If an argument is out of its range, or nothing flows to
            the output of a cell of the genotype.

    Example:

    >>> import numpy as np
    >>> import entrannas_tf
    >>> model = entrannas_tf.TargetNetwork(
    ...     entrannas_tf.load_genotype("DARTS_V2"),
    ...     num_classes=10,
    ...     num_cells=3,
    ...     init_channels=4,
    ... )
    >>> model.predict(np.zeros((2, 32, 32, 3), "float32"), verbose=0).shape
    (2, 10)
    """
    search_space.check_stem(stem)
    if image_shape is None:
        image_shape = (_IMAGE_SIZES[stem], _IMAGE_SIZES[stem], 3)
    images = keras.Input(image_shape, name="images")
    x = run_cells(genotype, images, num_cells, init_channels, stem)
    logits = _classify(x, num_classes, "head")
    return keras.Model(images, logits, name=name)


def run_cells(
    genotype, images, num_cells, init_channels, stem, output_stride=32
):
    """Returns the output of the last cell of a target network.

    With a smaller `output_stride` the reduction cells that would exceed it run
    at stride 1, and what follows reads pixels further apart (Chen et al., 2017,
    section 3.1): the features of output stride 32 are then found at every
    second or fourth pixel, up to the borders. The weights are the same.

    Args:
        genotype: `genotypes.Genotype`.
        images: Symbolic float32 [B, H, W, C], normalized.
        num_cells: Number of cells, 3 or more.
        init_channels: C of the first cells.
        stem: "cifar" or "imagenet".
        output_stride: 8, 16 or 32: how many pixels of an image lie between
            two of the result, with stem="imagenet".

    Returns:
        Symbolic float [B, h, w, C_out].

    Raises:
        ValueError: If an argument is out of its range, or nothing flows to
            the output of a cell of the genotype.
    """
    search_space.check_stem(stem)
    if num_cells < search_space.MIN_CELLS:
        raise ValueError(
            f"A target network of {num_cells} cells came; expected "
            f"{search_space.MIN_CELLS} or more, two of which are reduction "
            "cells."
        )
    search_space.check_init_channels(init_channels, stem)
    before, x = _stem(images, init_channels, stem)
    cells = search_space.cells(num_cells, init_channels, stem)
    dilations = search_space.dilations(num_cells, output_stride)
    first = 1  # The dilation of `before`.
    for index, (kind, channels, halve_first) in enumerate(cells):
        own = f"cell_{index}"
        y = _cell(
            genotype,
            kind,
            (before, x),
            channels,
            halve_first,
            own,
            (first, *dilations[index]),
        )
        before, x = x, y
        first = dilations[index][0]
    return x


def training_network(network, auxiliary=False, drop_path=False, seed=0):
    """Returns a model that trains the weights of a target network.

    It shares the weights of `network`. Its batch norms use TensorFlow's fused
    kernel, and their moving variances are unbiased, as PyTorch's are.

    Args:
        network: A `TargetNetwork`, built or reloaded.
        auxiliary: Whether there is an auxiliary head, after the second
            reduction cell.
        drop_path: Whether paths other than identities are dropped in
            training, at the rate `get_layer("drop_path").rate`, a variable.
        seed: Seed of the dropped paths.

    Returns:
        A functional `keras.Model` that maps the images to a dict of "logits"
        and, with `auxiliary=True`, "auxiliary_logits".

    Raises:
        ValueError: If there is an auxiliary head, and the images have no
            fixed size or are too small.

    Example:

    >>> import keras
    >>> import entrannas_tf
    >>> from entrannas_tf.networks import target
    >>> network = entrannas_tf.TargetNetwork(
    ...     entrannas_tf.load_genotype("DARTS_V2"),
    ...     num_classes=10,
    ...     num_cells=3,
    ...     init_channels=4,
    ... )
    >>> trained = target.training_network(network, drop_path=True)
    >>> rate = trained.get_layer("drop_path").rate
    >>> raise_rate = keras.callbacks.LambdaCallback(
    ...     on_epoch_begin=lambda epoch, logs: rate.assign(0.2 * epoch / 600)
    ... )  # For `trained.fit`; then save `network`.
    """
    drop = dropout.DropPath(seed, name=DROP_PATH) if drop_path else None
    outputs = {"logits": network.output}
    if auxiliary:
        names = {layer.name for layer in network.layers}
        _, place = search_space.reduction_indices(count_cells(names))
        outputs["auxiliary_logits"] = _auxiliary(
            network.get_layer(f"cell_{place}").output,
            num_classes=network.output_shape[-1],
            last_norm="stem" in names,  # That of CIFAR.
        )

    def call(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        is_identity = isinstance(layer, keras.layers.Identity)
        if drop and not is_identity and _OPERATION_NAME.fullmatch(layer.name):
            y = drop(y)
        return y

    return keras.models.clone_model(
        keras.Model(network.input, outputs, name=f"training_{network.name}"),
        clone_function=fast.replace,
        call_function=call,
    )


def layer_name(name, steps, index):
    """Returns the name of the layer that does a step.

    Args:
        name: Of the layers together, such as that of an operation.
        steps: Of `operations`.
        index: Of the step. The last layer has the name itself.
    """
    if index == len(steps) - 1:
        return name
    label = re.sub(
        r"(?<=[a-z])(?=[A-Z][a-z])", "_", type(steps[index]).__name__
    )
    return f"{name}.{label.lower()}_{index}"


def run_steps(steps, x, channels, stride, name, dilation=1, keep_size=False):
    """Returns the result of the steps of an operation, as Keras's layers.

    Args:
        steps: Of `operations`.
        x: Symbolic float [B, H, W, C_in].
        channels: C_out of the convolutions.
        stride: 1 or 2.
        name: Of the last layer; those before are named after it.
        dilation: Distance of the pixels of x that are neighbours.
        keep_size: Whether the stride multiplies the dilation instead: the
            result is that of the stride at every `stride`-th pixel.

    Returns:
        Symbolic float [B, ceil(H / stride), ceil(W / stride), C_out], or of
        the size of x with `keep_size`.
    """
    if not steps:
        return keras.layers.Identity(name=name)(x)
    rates = (dilation, dilation)
    for index, step in enumerate(steps):
        own = layer_name(name, steps, index)
        strides = step.strides(stride)
        further = rates
        if keep_size:
            further = tuple(r * s for r, s in zip(rates, strides, strict=True))
            strides = (1, 1)
        match step:
            case operations.ReLU():
                x = keras.layers.ReLU(name=own)(x)
            case operations.BatchNorm():
                x = _norm(own)(x)
            case operations.Convolution():
                x = _convolution(x, channels, step.kernel, strides, own, rates)
            case operations.Depthwise():
                by = tuple(step.dilation * rate for rate in rates)
                x = _depthwise(x, step.size, strides, by, own)
            case operations.MaxPool():
                x = _max_pool(x, strides[0], own, rates)
            case operations.AveragePool():
                x = _average_pool(x, strides[0], own, rates)
            case operations.FactorizedReduce():
                apart = rates[0] if keep_size else None
                x = _factorized_reduce(x, channels, own, apart)
            case _:
                raise TypeError(f"{step!r} is no step of `operations`.")
        rates = further
    return x


def _cell(genotype, kind, inputs, channels, halve_first, name, dilations):
    """Returns the output of a cell (Eq. 3): no coefficients, no bottleneck.

    `inputs` are the outputs of cells k-2 and k-1; the first is twice as large
    if `halve_first`. `dilations` are theirs, and that of the output: where one
    is twice the one before, a stride keeps the size.
    """
    first, before, after = dilations
    values, arriving = {}, collections.defaultdict(list)  # By node.
    for node, entry in genotype.entries(kind, halve_first).items():
        place = node - genotype.space.num_input_nodes
        own = f"{name}.preprocess_{node}"
        dilation = (first, before)[place]
        keeps = dilation != before
        values[node] = run_steps(
            entry.steps, inputs[place], channels, 1, own, dilation, keeps
        )

    def value(node):
        if node not in values:
            add = keras.layers.Add(name=f"{name}.node_{node}")
            values[node] = add(arriving[node])
        return values[node]

    for c in genotype.named_connections(kind):
        if c.used:
            steps = operations.find(c.primitive).at_stride(c.stride).steps
            own = f"{name}.{c.name}"
            dilation = before if c.stride == 2 else after
            y = run_steps(
                steps,
                value(c.source),
                channels,
                c.stride,
                own,
                dilation,
                after != before,
            )
            arriving[c.node].append(y)
    outputs = [value(node) for node in genotype.outputs(kind)]
    return keras.layers.Concatenate(name=name)(outputs)


def _stem(images, channels, kind):
    """Returns the two features that the first cell reads."""
    if kind == "cifar":
        width = search_space.STEM_MULTIPLIER * channels
        x = run_steps(operations.CONV_BN, images, width, 1, "stem")
        return x, x
    steps = (*operations.CONV_BN, operations.ReLU())
    x = run_steps(steps, images, channels // 2, 2, "stem_0.half")
    first = run_steps(operations.CONV_BN, x, channels, 2, "stem_0")
    steps = (operations.ReLU(), *operations.CONV_BN)
    return first, run_steps(steps, first, channels, 2, "stem_1")


def _classify(x, num_classes, name):
    """Returns logits: global average pooling and a dense layer, in float32."""
    pool = keras.layers.GlobalAveragePooling2D(
        dtype="float32", name=f"{name}.pool"
    )
    x = pool(x)
    dense = keras.layers.Dense(
        num_classes,
        kernel_initializer=_uniform(x.shape[-1]),
        bias_initializer=_uniform(x.shape[-1]),
        dtype="float32",
        name=name,
    )
    return dense(x)


def _norm(name):
    return keras.layers.BatchNormalization(
        momentum=batch_norm.BATCH_NORM_MOMENTUM,
        epsilon=batch_norm.BATCH_NORM_EPSILON,
        name=name,
    )


def _uniform(fan_in):
    """Returns the initializer of PyTorch's layers."""
    bound = fan_in**-0.5
    return keras.initializers.RandomUniform(-bound, bound)


def _convolution(x, channels, kernel, strides, name, dilation=(1, 1)):
    x, padding = _pad(x, kernel, strides, name)
    convolution = keras.layers.Conv2D(
        channels,
        kernel,
        strides,
        padding,
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer=_uniform(kernel[0] * kernel[1] * x.shape[-1]),
        name=name,
    )
    return convolution(x)


def _depthwise(x, size, strides, dilation, name):
    if strides == dilation == (2, 2):
        # The kernel reads even pixels only.
        x = _subsample(x, f"{name}.subsample")
        strides = dilation = (1, 1)
    x, padding = _pad(x, (size, size), strides, name)
    depthwise = keras.layers.DepthwiseConv2D(
        size,
        strides,
        padding,
        dilation_rate=dilation,
        use_bias=False,
        depthwise_initializer=_uniform(size * size),
        name=name,
    )
    return depthwise(x)


def _pad(x, kernel, strides, name):
    """Pads symmetrically, as DARTS does: Keras's "same" does at stride 1 only.

    Returns:
        The padded x, and the padding that is left to the convolution.
    """
    if strides == (1, 1) or kernel == (1, 1):
        return x, "same"
    height, width = kernel
    pad = keras.layers.ZeroPadding2D(
        (height // 2, width // 2), name=f"{name}.pad"
    )
    return pad(x), "valid"


def _max_pool(x, stride, name, dilation):
    """Returns 3x3 max pooling, padded symmetrically: padding never wins."""
    if dilation != (1, 1):
        highest = keras.layers.Maximum
        x = _join(highest, x, 1, dilation[0], f"{name}.rows", -math.inf)
        return _join(highest, x, 2, dilation[1], name, -math.inf)
    pool = keras.layers.MaxPooling2D
    if stride == 1 or None in x.shape[1:3]:
        return _pool(pool, x, stride, name)
    # The same in half of the time: copies of the rows and columns at the
    # border are put around, which change no maximum.
    x = _repeat_border(x, 1, f"{name}.rows")
    x = _repeat_border(x, 2, f"{name}.columns")
    return pool(3, 2, "valid", name=name)(x)


def _repeat_border(x, axis, name):
    """Returns x with its first row or column, and an odd one's last, twice."""
    size = x.shape[axis]
    parts = [x]
    for side, cut in (("first", (0, size - 1)), ("last", (size - 1, 0))):
        if side == "first" or size % 2:
            cuts = (cut, (0, 0)) if axis == 1 else ((0, 0), cut)
            crop = keras.layers.Cropping2D(cuts, name=f"{name}.{side}")
            parts.insert(0 if side == "first" else len(parts), crop(x))
    return keras.layers.Concatenate(axis, name=name)(parts)


def _average_pool(x, stride, name, dilation):
    """Returns 3x3 average pooling; the padding does not count."""
    if dilation == (1, 1):
        return _pool(keras.layers.AveragePooling2D, x, stride, name)
    totals = []
    for part, values in (("sum", x), ("count", keras.ops.ones_like(x))):
        own = f"{name}.{part}"
        rows = _join(keras.layers.Add, values, 1, dilation[0], f"{own}.rows")
        totals.append(_join(keras.layers.Add, rows, 2, dilation[1], own))
    share = keras.ops.reciprocal(totals[1])
    return keras.layers.Multiply(name=name)([totals[0], share])


def _join(layer, x, axis, distance, name, padding=0.0):
    """Returns a layer of each pixel and those at a distance on both sides."""
    sides = [(0, 0)] * 4
    sides[axis] = (distance, distance)
    padded = keras.ops.pad(x, sides, constant_values=padding)
    parts = []
    for number in range(3):
        cuts = [(0, 0), (0, 0)]
        cuts[axis - 1] = (number * distance, (2 - number) * distance)
        crop = keras.layers.Cropping2D(cuts, name=f"{name}.crop_{number}")
        parts.append(crop(padded))
    return layer(name=name)(parts)


def _pool(pool, x, stride, name):
    """Returns 3x3 pooling, padded symmetrically; the padding does not count."""
    if stride == 1:
        return pool(3, 1, "same", name=name)(x)
    return _subsample(pool(3, 1, "same", name=f"{name}.pool")(x), name)


def _subsample(x, name):
    """Returns the even rows and columns."""
    return keras.layers.AveragePooling2D(1, 2, name=name)(x)


def _factorized_reduce(x, channels, name, apart=None):
    """Returns half of the channels from even, the others from odd pixels.

    With `apart` the size is kept: then each pixel is an even one, and its odd
    one lies this many rows and columns further on.
    """
    half = operations.FactorizedReduce.half(channels)
    strides = (1, 1) if apart else (2, 2)
    even = _convolution(x, half, (1, 1), strides, f"{name}.even")
    # Padded by one, the odd pixels are the even ones but the first. Cropping
    # the result is faster than cropping x.
    shift = apart or 1
    sides = ((0, shift), (0, shift)) if apart else 1
    odd = keras.layers.ZeroPadding2D(sides, name=f"{name}.pad")(x)
    odd = _convolution(odd, half, (1, 1), strides, f"{name}.odd")
    cuts = ((shift, 0), (shift, 0))
    odd = keras.layers.Cropping2D(cuts, name=f"{name}.crop")(odd)
    return keras.layers.Concatenate(name=name)([even, odd])


def _auxiliary(x, num_classes, last_norm):
    """Returns the logits of DARTS's auxiliary head, for features half-way up.

    A batch norm follows the 2x2 convolution if `last_norm`; networks for
    ImageNet have none, by an omission of the original.
    """
    name = AUXILIARY_HEAD
    sizes = x.shape[1:3]
    if None in sizes or min(sizes) < 2:
        raise ValueError(
            "The auxiliary head reads features of the shape "
            f"{list(x.shape[1:])}; expected at least 2x2. Build the network "
            "with a larger image_shape, or train it without auxiliary head."
        )
    narrow, wide = cost.AUXILIARY_CHANNELS
    # To 2x2; DARTS's windows, 5 wide, for a side of 8 or 7.
    strides = [max(1, (side - 2) // 2) for side in sizes]
    windows = [side - by for side, by in zip(sizes, strides, strict=True)]
    x = keras.layers.ReLU(name=f"{name}.relu_0")(x)
    pool = keras.layers.AveragePooling2D(
        windows, strides, name=f"{name}.to_2x2"
    )
    x = pool(x)
    x = run_steps(NARROW, x, narrow, 1, f"{name}.narrow")
    x = keras.layers.ReLU(name=f"{name}.relu_1")(x)
    convolution = keras.layers.Conv2D(
        wide,
        2,
        use_bias=False,
        kernel_initializer=_uniform(4 * narrow),
        name=f"{name}.wide",
    )
    x = convolution(x)  # [B, 1, 1, wide]
    if last_norm:
        x = _norm(f"{name}.norm")(x)
    x = keras.layers.ReLU(name=f"{name}.relu_2")(x)
    return _classify(x, num_classes, name)


def count_cells(layers):
    """Returns the number of cells of a network, from its layers' names."""
    return sum(re.fullmatch(r"cell_\d+", name) is not None for name in layers)
