"""Layers with one vector of weights and one of statistics."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.networks import cells
from entrannas_tf.networks.layers import precision


class PackedLayer:
    """The weights of a layer as one vector, its statistics as another.

    A search reads, moves and sums up few large variables far faster than
    thousands of small ones. The computation is that of `template`, an ordinary
    Keras layer whose own variables are never used. Whoever wants the weights
    by name, to port or to compare them, gets a second ordinary layer, `layer`;
    `pack` and `unpack` copy between it and the vectors.

    Args:
        template: A layer, built; it may serve many packed layers. Its
            configuration, without the name, must say all about its
            computation. One of half precision computes in it, with weights
            rounded to it.
        name: Name of the variables' owner.

    Attributes:
        vector: float32 [n] variable, the weights in a row, drawn anew; float64
            if the template computes in it.
        statistics: Variable [m] of the same type, moving means and variances.
        template: The layer given.
        parts: Dict by (node, name) of the layers that the vectors consist of,
            in order: those that a Transit-cell calls one by one, or the
            template alone.
        sizes: Pairs of numbers, of each part's weights and statistics.
    """

    def __init__(self, template, name):
        self.template = template
        self.name = name
        self.dtype = precision.accumulation_dtype(template.compute_dtype)
        nodes = _nodes(template)
        self.parts = {
            (number, name): part
            for number, node in enumerate(nodes)
            for name, part in node.items()
        }
        self.sizes = [
            tuple(map(total, variables(p))) for p in self.parts.values()
        ]
        self._layer = None
        self._used = {}
        num_weights, num_statistics = map(sum, zip(*self.sizes, strict=True))
        self.vector = keras.Variable(
            "glorot_uniform", (num_weights,), self.dtype, name=f"{name}_vector"
        )
        self.vector.assign(
            np.concatenate([_draw(node.values()) for node in nodes])
        )
        self.statistics = keras.Variable(
            "zeros",
            (num_statistics,),
            self.dtype,
            trainable=False,
            name=f"{name}_statistics",
        )
        self.statistics.assign(self._flat(template)[1])

    @property
    def layer(self):
        """An ordinary layer with these weights, in full precision."""
        if self._layer is None:
            config = {**self.template.get_config(), "dtype": self.dtype}
            self._layer = type(self.template).from_config(config)
            self.unpack()
        return self._layer

    def pack(self):
        """Takes over the values of `layer`'s variables."""
        vector, statistics = self._flat(self.layer)
        self.vector.assign(vector)
        self.statistics.assign(statistics)

    def unpack(self):
        """Gives `layer`'s variables the current values; returns it."""
        groups = zip(*map(variables, _parts(self.layer)), strict=True)
        for vector, lists in zip(
            (self.vector, self.statistics), groups, strict=True
        ):
            values, start = vector.numpy(), 0
            for variable in itertools.chain(*lists):
                stop = start + total([variable])
                variable.assign(values[start:stop].reshape(variable.shape))
                start = stop
        return self.layer

    def used(self, names):
        """Returns which weights some parts hold.

        Args:
            names: frozenset of keys of `parts`.

        Returns:
            bool [n].
        """
        if names not in self._used:
            flags = [name in names for name in self.parts]
            flags = np.repeat(flags, [n for n, _ in self.sizes])
            with tf.init_scope():
                self._used[names] = tf.constant(flags)
        return self._used[names]

    def _flat(self, layer):
        """Returns the values of a layer like the template as two vectors."""
        groups = zip(*map(variables, _parts(layer)), strict=True)
        return [_concatenated(itertools.chain(*lists)) for lists in groups]


def variables(layer):
    """Returns a layer's weights and its statistics, two lists of variables."""
    return layer.trainable_variables, layer.non_trainable_variables


def total(variables):
    """Returns how many numbers some variables hold."""
    return sum(int(np.prod(variable.shape)) for variable in variables)


def _nodes(layer):
    """Returns the parts of a layer by name, a dict for each node of a cell."""
    if not isinstance(layer, cells.SearchCell):
        return [{"layer": layer}]
    *nodes, last = (node.parts for node in layer.nodes)
    return [*nodes, {**last, "output": layer.output_layer}]


def _parts(layer):
    return [part for node in _nodes(layer) for part in node.values()]


def _concatenated(variables):
    return np.concatenate(
        [np.zeros(0), *(v.numpy().ravel() for v in variables)]
    )


def _draw(parts):
    """Returns initial weights, drawn as those of the parts were."""
    weights = [v for part in parts for v in part.trainable_variables]
    bounds = [getattr(v, "bound", 0.0) for v in weights]
    bounds = np.repeat(np.float32(bounds), [total([v]) for v in weights])
    drawn = keras.random.uniform(bounds.shape, -1.0, 1.0) * bounds
    # Scale and offset of batch norms start from constants.
    return np.where(bounds > 0, drawn, _concatenated(weights))
