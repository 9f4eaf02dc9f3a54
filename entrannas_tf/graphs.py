"""Pure graphs of layers: traced once, shared, composed, kept in a cache.

Tracing an operation, deriving its gradient and handing both to the runtime
takes far longer than running it, and a search may change its cells at every
iteration. Three things make such a change cheap:

- A graph is a pure function of weights, batch-norm statistics and inputs, so
  all layers of one configuration share it, on every replica.
- A cell's graph refers to the graphs of its parts (operations and 1x1 blocks)
  by name instead of containing copies of their nodes: a new derivation
  composes a few dozen nodes, and no operation is traced twice.
- All weights of a cell are one vector, and its statistics another: handing
  130 tensors to a function takes longer than many of its kernels.
"""

import collections
import json
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf


class Mode(NamedTuple):
    """What a graph is for; each mode has graphs of its own.

    Attributes:
        training: Whether batch norms use the batch's statistics.
        weights: Whether gradients flow to the weights.
        inputs: Whether gradients flow to the layer's inputs.
        coefficients: Whether gradients flow to an Engine-cell's coefficients.
    """

    training: bool = False
    weights: bool = False
    inputs: bool = False
    coefficients: bool = False


class Graph(NamedTuple):
    """A traced pure function.

    Attributes:
        function: ConcreteFunction (vector, statistics, *inputs) -> (output,
            new statistics).
        weight_mask: bool [n], the entries of the vector that it uses.
    """

    function: object
    weight_mask: tf.Tensor


class GraphCache:
    """Graphs by what they compute; the least recently used go first.

    Args:
        max_graphs: Number of graphs to keep.

    Attributes:
        num_built: Graphs traced so far, those of parts included.
        build_seconds: Time spent tracing them. Their gradients and the
            runtime's share come at the first call and are not in it.
    """

    def __init__(self, max_graphs=512):
        self.num_built = 0
        self.build_seconds = 0.0
        self._graphs = collections.OrderedDict()
        self._max_graphs = max_graphs
        self._depth = 0

    def __len__(self):
        return len(self._graphs)

    def get(self, key, build):
        """Returns the graph of a key, built by `build()` if it is not here."""
        if key not in self._graphs:
            start = time.monotonic()
            self._depth += 1
            try:
                graph = build()
            finally:
                self._depth -= 1
            if not self._depth:  # the time of a part is in its cell's
                self.build_seconds += time.monotonic() - start
            self.num_built += 1
            self._graphs[key] = graph
            while len(self._graphs) > self._max_graphs:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        return self._graphs[key]


class PackedLayer(keras.layers.Layer):
    """A layer whose weights are one vector, and its statistics another.

    Args:
        layer: The layer to pack, built. A cell lists its `parts`; any other
            layer is its own only part. It gives the computation and the
            initial values.
        cache: `GraphCache` to take graphs from and put them in.

    Attributes:
        vector: float32 [n] variable, the weights of all parts in turn.
        statistics: float32 [m] variable, moving means and variances.
    """

    def __init__(self, layer, cache, **kwargs):
        super().__init__(**kwargs)
        self._packing = _Packing(layer)
        self._cache = cache
        self.vector = self.add_weight(
            name="vector", shape=(sum(self._packing.weight_sizes),)
        )
        self.statistics = self.add_weight(
            name="statistics",
            shape=(sum(self._packing.statistic_sizes),),
            trainable=False,
        )
        self.built = True
        self.pack()

    @property
    def layer(self):
        """The layer that gives the computation; see `pack` and `unpack`."""
        return self._packing.layer

    def pack(self):
        """Takes over the values of the layer's own variables."""
        parts = self._packing.parts
        self.vector.assign(_flat(v for p in parts for v in _weights(p)))
        self.statistics.assign(_flat(v for p in parts for v in _statistics(p)))

    def unpack(self):
        """Gives the layer's own variables the current values; returns it."""
        for packed, kind in (
            (self.vector, _weights),
            (self.statistics, _statistics),
        ):
            values, start = keras.ops.convert_to_numpy(packed), 0
            for variable in (v for p in self._packing.parts for v in kind(p)):
                stop = start + _size(variable)
                variable.assign(values[start:stop].reshape(variable.shape))
                start = stop
        return self.layer

    def graph(self, mode, inputs, coefficients=None, cell=None):
        """Returns the `Graph` for inputs like these.

        Args:
            mode: `Mode`.
            inputs: Tuple of tensors.
            coefficients: float32 [E, K], to run an Engine-cell with.
            cell: `genotypes.Cell`, to run a cell's derived connections.
        """
        tensors = _tensors(inputs, coefficients)
        signature = tuple((tuple(t.shape), t.dtype) for t in tensors)
        packing = self._packing
        if len(packing.parts) == 1:
            key = (packing.keys[0], signature, mode, "layer")
            return self._cache.get(
                key, lambda: _trace_part(packing.layer, signature, mode, False)
            )
        key = (packing.key, signature, mode, cell)
        return self._cache.get(
            key, lambda: self._trace_cell(signature, mode, cell)
        )

    def run(self, mode, inputs, coefficients=None, cell=None):
        """Runs the graph for these inputs.

        Args:
            mode: `Mode`.
            inputs: Tuple of tensors, float [B / F, H, W, F * C].
            coefficients: float32 [E, K], to run an Engine-cell with.
            cell: `genotypes.Cell`, to run a cell's derived connections.

        Returns:
            The output; the new statistics, float32 [m], the old ones where a
            part did not run; and bool [n], the weights that it used.
        """
        graph = self.graph(mode, inputs, coefficients, cell)
        output, statistics = graph.function(
            tf.convert_to_tensor(self.vector),
            tf.convert_to_tensor(self.statistics),
            *_tensors(inputs, coefficients),
        )
        return output, statistics, graph.weight_mask

    def _trace_cell(self, signature, mode, cell):
        packing, used = self._packing, set()

        def function(vector, statistics, *tensors):
            slices = {
                id(part): (vector_slice, statistics_slice)
                for part, vector_slice, statistics_slice in zip(
                    packing.parts,
                    tf.split(vector, packing.weight_sizes),
                    tf.split(statistics, packing.statistic_sizes),
                    strict=True,
                )
            }
            news = {key: old for key, (_, old) in slices.items()}

            def run(part, x):
                used.add(id(part))
                if not part.variables:
                    return part(x, training=mode.training)
                v, st = slices[id(part)]
                if not mode.weights: v = tf.stop_gradient(v)
                y, new = part.stateless_call(_unflat(v, _weights(part)), _unflat(st, _statistics(part)), x, training=mode.training)
                if mode.training: news[id(part)] = _concatenate(new)
                return y

            if cell is not None:
                inputs = _detached(tensors, not mode.inputs)
                output = packing.layer.derived(inputs, cell, run)
            else:
                inputs = _detached(tensors[:-1], not mode.inputs)
                weights = _detached(tensors[-1:], not mode.coefficients)[0]
                output = packing.layer.weighted(inputs, weights, run)
            return output, tf.concat([news[id(p)] for p in packing.parts], 0)

        sizes = (sum(packing.weight_sizes), sum(packing.statistic_sizes))
        concrete = _concrete(function, sizes, signature)
        mask = np.repeat(
            [id(p) in used for p in packing.parts], packing.weight_sizes
        )
        with tf.init_scope():
            return Graph(concrete, tf.constant(mask))

    def _part_graph(self, part_key, part, x, mode):
        signature = ((tuple(x.shape), x.dtype),)
        # A part inside a cell always passes the gradient on; the cell's own
        # graph leaves out what nobody asks for.
        mode = Mode(mode.training, mode.weights, inputs=True)
        key = (part_key, signature, mode, "part")
        return self._cache.get(
            key, lambda: _trace_part(part, signature, mode, True)
        )


class _Packing:
    """Where each part's weights and statistics lie in the two vectors."""

    def __init__(self, layer):
        self.layer = layer
        self.parts = layer.parts() if hasattr(layer, "parts") else [layer]
        self.weight_sizes = [_total(_weights(p)) for p in self.parts]
        self.statistic_sizes = [_total(_statistics(p)) for p in self.parts]
        self.key = _layer_key(layer)
        self.keys = [_layer_key(part) for part in self.parts]
        self._numbers = {id(part): i for i, part in enumerate(self.parts)}

    def key_of(self, part):
        """Returns the key of a part: equal for parts that compute alike."""
        return self.keys[self._numbers[id(part)]]


def _trace_part(layer, signature, mode, inside):
    """Traces a layer by itself; `inside` a larger graph it stays one node."""
    weights, statistics = _weights(layer), _statistics(layer)

    def function(vector, statistics_vector, *inputs):
        if not mode.weights:
            vector = tf.stop_gradient(vector)
        output, new_statistics = layer.stateless_call(
            _unflat(vector, weights),
            _unflat(statistics_vector, statistics),
            *_detached(inputs, not mode.inputs),
            training=mode.training,
        )
        return output, _concatenate(new_statistics)

    with tf.init_scope():
        sizes = (_total(weights), _total(statistics))
        concrete = _concrete(function, sizes, signature, inside)
        return Graph(concrete, tf.ones(sizes[0], tf.bool))


def _concrete(function, sizes, signature, inside=False):
    attributes = {"_noinline": True} if inside else None
    traced = tf.function(
        function,
        autograph=False,
        jit_compile=False,
        experimental_attributes=attributes,
    )
    return traced.get_concrete_function(
        *(tf.TensorSpec([size]) for size in sizes),
        *(tf.TensorSpec(shape, dtype) for shape, dtype in signature),
    )


def _layer_key(layer):
    config = {k: v for k, v in layer.get_config().items() if k != "name"}
    text = json.dumps(config, sort_keys=True, default=str)
    return f"{type(layer).__name__} {text}"


def _tensors(inputs, coefficients):
    return inputs if coefficients is None else (*inputs, coefficients)


def _detached(tensors, detach):
    return tuple(tf.stop_gradient(t) if detach else t for t in tensors)


def _weights(layer):
    return layer.trainable_variables


def _statistics(layer):
    return layer.non_trainable_variables


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


def _concatenate(vectors):
    return tf.concat(vectors, 0) if vectors else tf.zeros([0])
