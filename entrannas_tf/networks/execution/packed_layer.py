"""Layers with one vector of weights, run through shared graphs."""

import json

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.networks.execution import graphs
from entrannas_tf.networks.layers import precision


class PackedLayer(keras.layers.Layer):
    """A layer that runs through graphs, shared with all layers like it.

    Its weights are one vector and its statistics another, which makes a graph
    cheap to call. The graphs are traced from `template`, an ordinary Keras
    layer whose own variables are never used. Whoever wants the weights by name,
    to port or to compare them, gets a second ordinary layer, `layer`; `pack`
    and `unpack` copy between it and the vectors.

    Args:
        template: A layer, built; it may serve many packed layers. Its
            configuration, without the name, must say all about its
            computation. It is not changed. One of half precision computes in
            it, with weights rounded to it.
        cache: `GraphCache` to take graphs from and put them in.

    Attributes:
        vector: float32 [n] variable, the weights in turn, drawn anew; float64
            if the template computes in it.
        statistics: Variable [m] of the same type, moving means and variances.
        template: The layer given.
    """

    def __init__(self, template, cache, **kwargs):
        super().__init__(
            dtype=precision.accumulation_dtype(template.compute_dtype), **kwargs
        )
        # Not tracked: their weights are no weights of ours.
        self._hidden = {"template": lambda: template, "layer": None}
        self._cache = cache
        self._key = _layer_key(template)
        self._masks = {}
        weights, statistics = _variables(template)
        self.vector = self.add_weight(name="vector", shape=(_total(weights),))
        self.vector.assign(_draw(weights))
        self.statistics = self.add_weight(
            name="statistics", shape=(_total(statistics),), trainable=False
        )
        self.statistics.assign(_flat(statistics, self.compute_dtype))
        self.built = True

    @property
    def template(self):
        return self._hidden["template"]()

    @property
    def layer(self):
        """An ordinary layer with these weights, in full precision."""
        if self._hidden["layer"] is None:
            config = {**self.template.get_config(), "dtype": self.compute_dtype}
            layer = type(self.template).from_config(config)
            self._hidden["layer"] = lambda: layer
            self.unpack()
        return self._hidden["layer"]()

    def pack(self):
        """Takes over the values of `layer`'s variables."""
        weights, statistics = _variables(self.layer)
        self.vector.assign(_flat(weights, self.compute_dtype))
        self.statistics.assign(_flat(statistics, self.compute_dtype))

    def unpack(self):
        """Gives `layer`'s variables the current values; returns it."""
        packed = (self.vector, self.statistics)
        own = _variables(self.layer)
        for vector, variables in zip(packed, own, strict=True):
            values, start = vector.numpy(), 0
            for variable in variables:
                stop = start + _size(variable)
                variable.assign(values[start:stop].reshape(variable.shape))
                start = stop
        return self.layer

    def mask(self, parts):
        """Returns bool [n]: the weights that calls of some parts use.

        Args:
            parts: Tuple of what `graph` was asked for.
        """
        if parts not in self._masks:
            weights = self.template.trainable_variables
            ids = {id(v) for part in parts for v in self._used(part)}
            self._masks[parts] = tf.constant(
                np.repeat(
                    np.array([id(v) in ids for v in weights], bool),
                    [_size(v) for v in weights],
                )
            )
        return self._masks[parts]

    def graph(self, tensors, part, training):
        """Returns the `Graph` for tensors like these.

        Its inputs are the vector, the statistics and the tensors; its only
        extra, if the layer has any statistics, the new ones.

        Args:
            tensors: Tensors that `layer.call` takes, in order.
            part: What of the layer to run; None for a layer without parts.
            training: Whether batch norms use the batch's statistics. Only
                then can the graph be run backwards.
        """
        specs = tuple((tuple(t.shape), t.dtype) for t in tensors)
        key = (self._key, part, specs, training)
        return self._cache.get(key, lambda: self._trace(specs, part, training))

    def _trace(self, specs, part, training):
        weights, statistics = _variables(self.template)
        used = {id(v) for v in self._used(part)}
        arguments = {} if part is None else {"part": part}

        def function(vector, statistics_vector, *tensors):
            pieces = _split(statistics_vector, statistics, used)
            outputs, moved = self.template.stateless_call(
                _values(_split_by_type(vector, weights, used), weights),
                _values(pieces, statistics),
                *tensors,
                **arguments,
                training=training,
            )
            moved = {id(v): m for v, m in zip(statistics, moved, strict=True)}
            extras = []
            if training and any(id(v) in used for v in statistics):
                extras = [tf.concat([moved.get(k, p) for k, p in pieces], 0)]
            return tf.nest.flatten(outputs), extras

        vectors = [
            ((_total(v),), self.compute_dtype) for v in (weights, statistics)
        ]
        wrt = (0, *range(2, 2 + len(specs))) if training else ()
        with tf.init_scope():
            return graphs.Graph(
                function, [*vectors, *specs], wrt, self._cache.jit_compile
            )

    def _used(self, part):
        """Returns the variables that a part uses."""
        if part is None:
            return self.template.variables
        layers = self.template.used_layers(part)
        return [v for layer in layers for v in layer.variables]


def _layer_key(layer):
    config = {k: v for k, v in layer.get_config().items() if k != "name"}
    text = json.dumps(config, sort_keys=True, default=str)
    return f"{type(layer).__name__} {text}"


def _variables(layer):
    return layer.trainable_variables, layer.non_trainable_variables


def _draw(weights):
    """Returns initial values like those that the layer drew for itself."""
    bounds = [getattr(v, "bound", 0.0) for v in weights]
    bounds = np.repeat(np.float32(bounds), [_size(v) for v in weights])
    drawn = keras.random.uniform(bounds.shape, -1.0, 1.0) * bounds
    # Scale and offset of batch norms start from constants.
    return tf.where(bounds > 0, drawn, _flat(weights, "float32"))


def _size(variable):
    return int(np.prod(variable.shape))


def _total(variables):
    return sum(_size(v) for v in variables)


def _flat(variables, dtype):
    arrays = [v.numpy().ravel() for v in variables]
    empty = np.zeros(0, dtype)
    return np.concatenate([empty, *arrays], dtype=dtype, casting="unsafe")


def _split_by_type(vector, variables, used):
    """Splits off values, each of its variable's type, as `_split` does.

    The whole vector is cast, once, and not each piece: a piece is small, and
    most of its cast would be overhead.
    """
    pieces = []
    for dtype in dict.fromkeys(v.dtype for v in variables):
        ids = used & {id(v) for v in variables if v.dtype == dtype}
        if ids:
            pieces += _split(tf.cast(vector, dtype), variables, ids)
    return pieces


def _split(vector, variables, used):
    """Splits a vector into the values of variables.

    Args:
        vector: float32 [n], the values of all variables.
        variables: The variables.
        used: Set of the ids of those to split off, in the order of the vector;
            the others stay together.

    Returns:
        List of (id or None, piece); the pieces make up the vector.
    """
    sizes = []  # [id or None, size]
    for variable in variables:
        key = id(variable) if id(variable) in used else None
        if sizes and key is None and sizes[-1][0] is None:
            sizes[-1][1] += _size(variable)
        else:
            sizes.append([key, _size(variable)])
    if len(sizes) < 2:
        return [(key, vector) for key, _ in sizes]
    pieces = tf.split(vector, [size for _, size in sizes])
    return [(key, p) for (key, _), p in zip(sizes, pieces, strict=True)]


def _values(pieces, variables):
    """Returns what `stateless_call` takes; what is unused stays as it is."""
    pieces = dict(pieces)
    return [
        tf.reshape(pieces[id(v)], v.shape) if id(v) in pieces else v.value
        for v in variables
    ]
