"""Runs the super-net through small graphs, forward and backward.

The engine computes the same as the `call` of the cells. It runs an Engine-cell,
which never changes, as one graph, and a Transit-cell as one graph for each
layer that its derivation uses. The gradient goes back along the same graphs.
"""

import collections
import json
from typing import NamedTuple

import keras
import tensorflow as tf

from entrannas_tf.networks.execution import graphs, packed_layer, profiling
from entrannas_tf.networks.layers import precision


class Engine:
    """Runs the layers of a super-net.

    Args:
        cache: `graphs.GraphCache` to take graphs from and put them in.

    Attributes:
        layers: The layers, `packed_layer.PackedLayer` each.
    """

    def __init__(self, cache):
        self.layers = []
        self._cache = cache
        self._keys = {}  # By layer.

    def add(self, template, name):
        """Adds a layer: the stem, then the cells, then the head.

        Args:
            template: An ordinary Keras layer. Added again, it is another layer
                of the same configuration.
            name: Name of the layer.
        """
        self.layers.append(packed_layer.PackedLayer(template, name))

    def graph(self, layer, tensors, training):
        """Returns the `graphs.Graph` of a layer.

        Its inputs are the layer's weights and statistics, a vector each, and
        the tensors; its extra is the moved statistics.

        Args:
            layer: One of a packed layer's `parts`, or its template.
            tensors: Nest of tensors, the arguments that the layer takes.
            training: Whether batch norms use the batch's statistics. Only
                then can the graph be run backwards.
        """
        flat = tf.nest.flatten(tensors)
        specs = tuple((tuple(t.shape), t.dtype) for t in flat)
        if layer not in self._keys:
            self._keys[layer] = _key(layer)
        return self._cache.get(
            (self._keys[layer], specs, training),
            lambda: self._trace(layer, tensors, specs, training),
        )

    def _trace(self, layer, tensors, specs, training):
        weights, statistics = packed_layer.variables(layer)

        def function(vector, statistics_vector, *flat):
            outputs, moved = layer.stateless_call(
                _values(vector, weights),
                _values(statistics_vector, statistics),
                *tf.nest.pack_sequence_as(tensors, flat),
                training=training,
            )
            extras = []
            if training and moved:
                extras = [tf.concat([tf.reshape(m, [-1]) for m in moved], 0)]
            return tf.nest.flatten(outputs), extras

        dtype = precision.accumulation_dtype(layer.compute_dtype)
        vectors = [
            ((packed_layer.total(v),), dtype) for v in (weights, statistics)
        ]
        wrt = (0, *range(2, 2 + len(specs))) if training else ()
        with tf.init_scope():
            return graphs.Graph(
                function, [*vectors, *specs], wrt, self._cache.jit_compile
            )


class ForwardPass:
    """One run of the super-net, and its way back.

    Args:
        engine: The `Engine`.
        weights: Sequence of float32 [n], those of each layer; None for the
            layers' own.
        coefficients: {kind of cell: float32 [E, K]}, or None.
        wrt: Which gradients can be asked for: "weights", "architecture", or
            both.
        training: Whether batch norms use the batch's statistics.

    Attributes:
        logits: float32 [B, num_classes], set when the head has run.
    """

    def __init__(self, engine, weights, coefficients, wrt, training):
        if weights is None:
            weights = [layer.vector for layer in engine.layers]
        self.logits = None
        self._engine = engine
        self._training = training
        self._weights = [tf.convert_to_tensor(w) for w in weights]
        self._coefficients = coefficients or {}
        self._statistics = [
            tf.convert_to_tensor(layer.statistics) for layer in engine.layers
        ]
        self._pieces = {}  # Of the layers that run part by part.
        self._calls = []  # (Backward, inputs, outputs, residuals), in order.
        # Ids of the tensors that the way back leads to; all of them are held
        # by this object, so that no other tensor gets such an id.
        self._known = set()
        if "architecture" in wrt:
            self._known.update(map(id, self._coefficients.values()))
        self._leads_to_weights = "weights" in wrt
        if self._leads_to_weights:
            self._known.update(map(id, self._weights))

    def call(self, number, *tensors):
        """Runs a layer as one graph; returns the list of its outputs."""
        template = self._engine.layers[number].template
        vectors = self._weights[number], self._statistics[number]
        outputs, self._statistics[number] = self._run(
            template, vectors, tensors
        )
        return outputs

    def transit(self, number, inputs, cell):
        """Runs a cell as `cells.TransitCell.call`, each layer as a graph."""
        packed, pieces = self._engine.layers[number], self._split(number)
        template = packed.template

        def call(part, *tensors):
            layer = packed.parts[part]
            if isinstance(layer, keras.layers.Identity):
                return tensors[0]
            pieces.used.add(part)
            vectors = pieces.weights[part], pieces.statistics[part]
            (output,), pieces.statistics[part] = self._run(
                layer, vectors, tensors
            )
            return output

        arriving = collections.defaultdict(list)
        arriving.update((node, [x]) for node, x in enumerate(inputs))
        values = []
        for node in range(template.space.num_nodes):
            derived = template.outgoing(cell, node)
            if template.is_input(node) and not derived:
                continue
            value = call((node, "form"), self._add(arriving[node]))
            if not template.is_input(node):
                values.append(value)
            if derived:
                features = call((node, "squeeze"), value)
            for name, targets in derived.items():
                tensor = call((node, name), features)
                for target in targets:
                    arriving[target].append(tensor)
        last = template.space.num_nodes - 1
        return call((last, "output"), *values)

    def gradients(self, logits_gradient):
        """Goes back, once.

        Args:
            logits_gradient: float32 [B, num_classes].

        Returns:
            Pair: a list of float32 [n], the gradients to the weights of each
            layer, zeros where they were not used; and {kind of cell: float32
            [E, K]}, those to the coefficients. Zeros if not in `wrt`.
        """
        gradients = collections.defaultdict(list)
        gradients[id(self.logits)].append(logits_gradient)
        while self._calls:
            backward, inputs, outputs, residuals = self._calls.pop()
            if not any(id(output) in gradients for output in outputs):
                continue
            cotangents = [
                _sum(gradients.pop(id(output), None), output)
                for output in outputs
            ]
            with profiling.Part(profiling.GRAPHS):
                found = backward.function(*residuals, *cotangents)
            for i, gradient in zip(backward.numbers, found, strict=True):
                gradients[id(inputs[i])].append(gradient)

        def found_for(tensor):
            return _sum(gradients.get(id(tensor)), tensor)

        weights = [
            tf.concat(
                [found_for(p) for p in self._pieces[number].weights.values()], 0
            )
            if number in self._pieces
            else found_for(vector)
            for number, vector in enumerate(self._weights)
        ]
        kinds = self._coefficients.items()
        return weights, {kind: found_for(tensor) for kind, tensor in kinds}

    def used(self):
        """Returns which weights of each layer were used, bool [n] each."""
        return [
            layer.used(frozenset(self._pieces[number].used))
            if number in self._pieces
            else layer.used(frozenset(layer.parts))
            for number, layer in enumerate(self._engine.layers)
        ]

    def statistics(self):
        """Returns the statistics of each layer, moved where it ran."""
        return [
            tf.concat(list(self._pieces[number].statistics.values()), 0)
            if number in self._pieces
            else statistics
            for number, statistics in enumerate(self._statistics)
        ]

    def _split(self, number):
        """Splits the vectors of a layer into those of its parts."""
        layer = self._engine.layers[number]
        num_weights, num_statistics = zip(*layer.sizes, strict=True)

        def split(vector, sizes):
            pieces = tf.split(vector, list(sizes))
            return dict(zip(layer.parts, pieces, strict=True))

        weights = split(self._weights[number], num_weights)
        statistics = split(self._statistics[number], num_statistics)
        if self._leads_to_weights:
            self._known.update(map(id, weights.values()))
        self._pieces[number] = _Pieces(weights, statistics, set())
        return self._pieces[number]

    def _run(self, layer, vectors, tensors):
        """Runs a layer's graph.

        Args:
            layer: A layer that `Engine.graph` takes.
            vectors: Its weights and its statistics.
            tensors: Nest of its arguments.

        Returns:
            The list of its outputs, and its statistics afterwards.
        """
        graph = self._engine.graph(layer, tensors, self._training)
        inputs = (*vectors, *tf.nest.flatten(tensors))
        with profiling.Part(profiling.GRAPHS):
            results = graph.forward(*inputs)
        end = graph.num_outputs + graph.num_extras
        outputs, residuals = results[: graph.num_outputs], results[end:]
        wanted = tuple(i for i, t in enumerate(inputs) if id(t) in self._known)
        if wanted:
            backward = graph.backward(wanted)
            kept = [residuals[i] for i in backward.residual_indices]
            self._calls.append((backward, inputs, outputs, kept))
            self._known.update(map(id, outputs))
        _, statistics = vectors
        for moved in results[graph.num_outputs : end]:  # One, or none.
            statistics = moved
        return outputs, statistics

    def _add(self, tensors):
        """Returns the sum of tensors; the way back leads to each of them."""
        if len(tensors) == 1:
            return tensors[0]
        total = tf.add_n(tensors)
        numbers = [i for i, t in enumerate(tensors) if id(t) in self._known]
        if numbers:
            passed_on = graphs.Backward(
                [], lambda dy: [dy] * len(numbers), numbers
            )
            self._calls.append((passed_on, tensors, [total], []))
            self._known.add(id(total))
        return total


class _Pieces(NamedTuple):
    """The vectors of a layer that runs part by part.

    Attributes:
        weights: Dict by part of float32 [n].
        statistics: Dict by part of float32 [m], moved if the part ran.
        used: Set of the parts that ran.
    """

    weights: dict
    statistics: dict
    used: set


def _sum(parts, like):
    if not parts:
        return tf.zeros_like(like)
    return parts[0] if len(parts) == 1 else tf.add_n(parts)


def _key(layer):
    """Returns what tells layers apart that compute differently."""
    config = {k: v for k, v in layer.get_config().items() if k != "name"}
    text = json.dumps(config, sort_keys=True, default=str)
    return f"{type(layer).__name__} {text}"


def _values(vector, variables):
    """Returns the values of variables, each of its type, from one vector."""
    sizes = [packed_layer.total([variable]) for variable in variables]
    # The whole vector is cast, as casts of small pieces are mostly overhead.
    pieces = {
        dtype: tf.split(tf.cast(vector, dtype), sizes)
        for dtype in dict.fromkeys(v.dtype for v in variables)
    }
    return [
        tf.reshape(pieces[v.dtype][number], v.shape)
        for number, v in enumerate(variables)
    ]
