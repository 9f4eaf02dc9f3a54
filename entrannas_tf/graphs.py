"""Graphs of layers and of their gradients: traced once, shared, cached.

Tracing a graph and deriving its gradient takes Python far longer than the
processor needs to run it, and a search may change its cells at any iteration.
So the super-net runs as a chain of small graphs, and each is a pure function
of weights, batch-norm statistics and inputs: all layers of one configuration
share it, on every replica, and a new derivation needs a new graph only where
a node gets a set of operations that no node of its shape has had before.

The chain is run from Python, so each link must be cheap to call. Two things
see to it: the weights of a layer are one vector, and its statistics another;
and a graph is cut into a forward and a backward function when it is traced,
which spares the general machinery of `tf.GradientTape` at each call.
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
        weights: Whether the gradient with respect to weights is wanted.
        inputs: Likewise, to a layer's inputs.
        coefficients: Likewise, to an Engine-cell's coefficients.
    """

    training: bool = False
    weights: bool = False
    inputs: bool = False
    coefficients: bool = False


class Graph(NamedTuple):
    """A pure function and its vector-Jacobian product.

    Attributes:
        forward: Callable of the inputs; returns a list: the outputs, the
            extras (not differentiated), the residuals.
        backward: Callable of the residuals and the outputs' cotangents;
            returns the gradients with respect to the inputs `wrt`.
        num_outputs: Number of outputs.
        num_extras: Number of extras.
        wrt: Numbers of the inputs that get a gradient.
    """

    forward: object
    backward: object
    num_outputs: int
    num_extras: int
    wrt: tuple


class GraphCache:
    """Graphs by what they compute; the least recently used go first.

    Args:
        max_graphs: Number of graphs to keep.

    Attributes:
        num_built: Number of graphs traced so far.
        build_seconds: Time spent tracing them. The runtime's share comes at
            a graph's first call and is not in it.
    """

    def __init__(self, max_graphs=512):
        self.num_built = 0
        self.build_seconds = 0.0
        self._graphs = collections.OrderedDict()
        self._max_graphs = max_graphs

    def __len__(self):
        return len(self._graphs)

    def get(self, key, build):
        """Returns the graph of a key, built by `build()` if it is not here."""
        if key not in self._graphs:
            start = time.monotonic()
            self._graphs[key] = build()
            self.build_seconds += time.monotonic() - start
            self.num_built += 1
            while len(self._graphs) > self._max_graphs:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        return self._graphs[key]


class Tape:
    """Remembers a chain of graphs in order to run it backwards."""

    def __init__(self):
        self._calls = []
        self._known = set()

    def knows(self, tensors):
        """Whether a gradient may be asked for through any of the tensors."""
        return any(id(t) in self._known for t in tensors)

    def call(self, graph, inputs):
        """Runs a graph forward; returns its outputs and its extras."""
        results = graph.forward(*inputs)
        end = graph.num_outputs + graph.num_extras
        outputs = results[: graph.num_outputs]
        if graph.wrt:
            self._calls.append((graph, inputs, outputs, results[end:]))
            self._known.update(id(t) for t in outputs)
        return outputs, results[graph.num_outputs : end]

    def gradient(self, target, cotangent, sources):
        """Runs the chain backwards, and forgets it.

        Args:
            target: An output of one of the graphs.
            cotangent: The gradient with respect to it, of its shape.
            sources: Tensors that were inputs of graphs.

        Returns:
            One gradient a source, zeros where the target does not depend
            on it.
        """
        gradients = collections.defaultdict(list)
        gradients[id(target)].append(cotangent)
        while self._calls:
            graph, inputs, outputs, residuals = self._calls.pop()
            if not any(id(output) in gradients for output in outputs):
                continue
            cotangents = [
                _sum(gradients.pop(id(output), None), output)
                for output in outputs
            ]
            found = graph.backward(*residuals, *cotangents)
            for number, gradient in zip(graph.wrt, found, strict=True):
                gradients[id(inputs[number])].append(gradient)
        return [_sum(gradients.get(id(s)), s) for s in sources]


def _sum(parts, like):
    if not parts:
        return tf.zeros_like(like)
    return parts[0] if len(parts) == 1 else tf.add_n(parts)


def trace(function, specs, wrt):
    """Traces a function and its gradient, and cuts them apart.

    Args:
        function: Callable of tensors; returns a list of outputs and a list
            of extras that are not differentiated.
        specs: A (shape, dtype) for each input.
        wrt: Numbers of the inputs that get a gradient; those that no output
            depends on are dropped.

    Returns:
        A `Graph`.
    """
    with tf.Graph().as_default() as graph:
        inputs = [_placeholder(*spec) for spec in specs]
        outputs, extras = function(*inputs)
        outputs = [tf.identity(t) for t in outputs]
        cotangents = [_placeholder(t.shape, t.dtype) for t in outputs]
        gradients = []
        if wrt:
            gradients = tf.gradients(
                outputs, [inputs[i] for i in wrt], cotangents
            )
    wrt = tuple(i for i, g in zip(wrt, gradients, strict=True) if g is not None)
    gradients = [g for g in gradients if g is not None]
    residuals, nodes = _cut(gradients, cotangents)
    definition = graph.as_graph_def()
    forward = _function(definition, inputs, [*outputs, *extras, *residuals])
    backward = _function(
        definition, [*residuals, *cotangents], gradients, nodes
    )
    return Graph(forward, backward, len(outputs), len(extras), wrt)


def _placeholder(shape, dtype):
    return tf.compat.v1.placeholder(dtype, shape)


def _cut(gradients, cotangents):
    """Finds where the backward pass takes up what the forward pass made.

    Returns:
        The tensors that backward needs from forward, and the names of
        backward's own nodes; constants are copied rather than handed over.
    """
    behind, waiting = set(), [t.op for t in cotangents]
    while waiting:
        op = waiting.pop()
        if op not in behind:
            behind.add(op)
            waiting += [c for t in op.outputs for c in t.consumers()]
    residuals, nodes = {}, {}
    waiting = list(gradients)
    while waiting:
        tensor = waiting.pop()
        if tensor.op not in behind and tensor.op.type != "Const":
            residuals[tensor.name] = tensor
        elif tensor.op not in nodes:
            nodes[tensor.op] = None
            waiting += tensor.op.inputs
    return list(residuals.values()), {op.name for op in nodes}


def _function(definition, inputs, outputs, names=None):
    """Makes a ConcreteFunction of a part of a graph.

    Args:
        definition: GraphDef.
        inputs: Tensors of the graph that become arguments.
        outputs: Tensors of the graph to return.
        names: Nodes of the part; found from the outputs if not given.
    """
    if names is None:
        names, waiting = set(), [t.op for t in outputs]
        while waiting:
            op = waiting.pop()
            if op.name not in names:
                names.add(op.name)
                waiting += [t.op for t in op.inputs]
    names = names - {t.op.name for t in inputs if t.op.type == "Placeholder"}
    part = tf.compat.v1.GraphDef(versions=definition.versions)
    part.node.extend(node for node in definition.node if node.name in names)
    for node in part.node:
        node.attr.pop("_class", None)  # colocation, perhaps with a node outside
        # An edge of control to a node outside the part has done its work.
        kept = [i for i in node.input if i[0] != "^" or i[1:] in names]
        del node.input[:]
        node.input.extend(kept)

    def function(*arguments):
        mapped = {
            t.name: a for t, a in zip(inputs, arguments, strict=True)
        }
        used = {i if ":" in i else f"{i}:0" for n in part.node for i in n.input}
        wanted = [t.name for t in outputs if t.name not in mapped]
        found = tf.graph_util.import_graph_def(
            part,
            {k: v for k, v in mapped.items() if k in used},
            wanted,
            name="",
        )
        results = {**mapped, **dict(zip(wanted, found, strict=True))}
        return [results[t.name] for t in outputs]

    traced = tf.function(function, autograph=False, jit_compile=False)
    return traced.get_concrete_function(
        *(tf.TensorSpec(t.shape, t.dtype) for t in inputs)
    )


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
                used = [v for l in layers for v in l.trainable_variables]
            ids = {id(v) for v in used}
            self._masks[chosen] = tf.constant(
                np.repeat(
                    [id(v) in ids for v in variables],
                    [_size(v) for v in variables],
                )
            )
        return self._masks[chosen]

    def graph(self, tensors, arguments, mode):
        """Returns the `Graph` for tensors like these.

        Args:
            tensors: Tensors that `layer.call` takes, in order; the
                coefficients of an Engine-cell are the last one.
            arguments: Dict of its other arguments, hashable values.
            mode: `Mode`.
        """
        specs = tuple((tuple(t.shape), t.dtype) for t in tensors)
        key = (self._key, tuple(arguments.items()), specs, mode)
        return self._cache.get(
            key, lambda: self._trace(specs, arguments, mode)
        )

    def _trace(self, specs, arguments, mode):
        layer = self.layer
        weights = layer.trainable_variables
        statistics = layer.non_trainable_variables

        def function(vector, statistics_vector, *tensors):
            outputs, new_statistics = layer.stateless_call(
                _unflat(vector, weights),
                _unflat(statistics_vector, statistics),
                *tensors,
                **arguments,
                training=mode.training,
            )
            extras = []
            if mode.weights and new_statistics:
                extras = [tf.concat(new_statistics, 0)]
            return tf.nest.flatten(outputs), extras

        sizes = (_total(weights), _total(statistics))
        vectors = [((size,), tf.float32) for size in sizes]
        num_inputs = len(specs) - arguments.get("weighted", False)
        wrt = (
            *((0,) if mode.weights else ()),
            *(range(2, 2 + num_inputs) if mode.inputs else ()),
            *(range(2 + num_inputs, 2 + len(specs)) if mode.coefficients else ()),
        )
        with tf.init_scope():
            return trace(function, [*vectors, *specs], wrt)


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
