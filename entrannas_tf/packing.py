"""Layers with one vector of weights, run through shared graphs."""

import json

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf import graphs


class PackedLayer(keras.layers.Layer):
    """A layer whose weights are one vector, and its statistics another.

    Args:
        layer: The layer to pack, built. Its configuration, without the name,
            must say all about its computation. It gives the initial values.
        cache: `GraphCache` to take graphs from and put them in.

    Attributes:
        vector: float32 [n] variable, the weights in turn.
        statistics: float32 [m] variable, moving means and variances.
        layer: The layer; see `pack` and `unpack` for its own variables.
    """

    def __init__(self, layer, cache, **kwargs):
        super().__init__(**kwargs)
        self._hidden = (lambda: layer,)  # not tracked: its weights are ours
        self._cache = cache
        self._key = _layer_key(layer)
        self._masks = {}
        self.vector = self.add_weight(
            name="vector", shape=(_total(layer.trainable_variables),)
        )
        self.statistics = self.add_weight(
            name="statistics",
            shape=(_total(layer.non_trainable_variables),),
            trainable=False,
        )
        self.built = True
        self.pack()

    @property
    def layer(self):
        return self._hidden[0]()

    def pack(self):
        """Takes over the values of the layer's own variables."""
        self.vector.assign(_flat(self.layer.trainable_variables))
        self.statistics.assign(_flat(self.layer.non_trainable_variables))

    def unpack(self):
        """Gives the layer's own variables the current values; returns it."""
        for packed, variables in (
            (self.vector, self.layer.trainable_variables),
            (self.statistics, self.layer.non_trainable_variables),
        ):
            values, start = keras.ops.convert_to_numpy(packed), 0
            for variable in variables:
                stop = start + _size(variable)
                variable.assign(values[start:stop].reshape(variable.shape))
                start = stop
        return self.layer

    def mask(self, chosen):
        """Returns bool [n]: the weights that a call with `chosen` uses."""
        if chosen not in self._masks:
            variables = self.layer.trainable_variables
            used = variables
            if chosen is not None:
                layers = self.layer.used_layers(chosen)
                used = [v for part in layers for v in part.trainable_variables]
            ids = {id(v) for v in used}
            self._masks[chosen] = tf.constant(
                np.repeat(
                    np.array([id(v) in ids for v in variables], bool),
                    [_size(v) for v in variables],
                )
            )
        return self._masks[chosen]

    def graph(self, tensors, arguments, training):
        """Returns the `Graph` for tensors like these.

        Its inputs are the vector, the statistics and the tensors; its only
        extra, if the layer has any statistics, the new ones.

        Args:
            tensors: Tensors that `layer.call` takes, in order.
            arguments: Dict of its other arguments, hashable values.
            training: Whether batch norms use the batch's statistics. Only
                then can the graph be run backwards.
        """
        specs = tuple((tuple(t.shape), t.dtype) for t in tensors)
        key = (self._key, tuple(arguments.items()), specs, training)
        return self._cache.get(
            key, lambda: self._trace(specs, arguments, training)
        )

    def _trace(self, specs, arguments, training):
        layer = self.layer
        weights = layer.trainable_variables
        statistics = layer.non_trainable_variables

        def function(vector, statistics_vector, *tensors):
            outputs, new_statistics = layer.stateless_call(
                _unflat(vector, weights),
                _unflat(statistics_vector, statistics),
                *tensors,
                **arguments,
                training=training,
            )
            extras = []
            if training and new_statistics:
                extras = [tf.concat(new_statistics, 0)]
            return tf.nest.flatten(outputs), extras

        vectors = [((_total(v),), tf.float32) for v in (weights, statistics)]
        wrt = (0, *range(2, 2 + len(specs))) if training else ()
        with tf.init_scope():
            return graphs.Graph(function, [*vectors, *specs], wrt)


def _layer_key(layer):
    config = {k: v for k, v in layer.get_config().items() if k != "name"}
    text = json.dumps(config, sort_keys=True, default=str)
    return f"{type(layer).__name__} {text}"


def _size(variable):
    return int(np.prod(variable.shape))


def _total(variables):
    return sum(_size(v) for v in variables)


def _flat(variables):
    arrays = [keras.ops.convert_to_numpy(v).ravel() for v in variables]
    return np.concatenate([np.zeros(0, np.float32), *arrays])


def _unflat(vector, variables):
    if not variables:
        return []
    pieces = tf.split(vector, [_size(v) for v in variables])
    return [
        piece if len(v.shape) == 1 else tf.reshape(piece, v.shape)
        for piece, v in zip(pieces, variables, strict=True)
    ]
