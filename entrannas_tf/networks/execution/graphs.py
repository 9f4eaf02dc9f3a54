"""Graphs of layers and of their gradients: traced once, shared, cached.

Tracing a graph and deriving its gradient takes Python far longer than the
processor needs to run it, and a search may change its cells at any iteration.
So the super-net runs as a chain of small graphs, and each is a pure function
of weights, batch-norm statistics and inputs: all layers of one configuration
share it, on every replica, and a new derivation needs a new graph only for an
operation that has not run at its shape before.

The chain is run from Python, so each link must be cheap to call. Two things
see to it: the weights of a layer are one vector, and its statistics another;
and a graph is cut into a forward and a backward function when it is traced,
which spares the general machinery of `tf.GradientTape` at each call.
"""

import collections
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from entrannas_tf.networks.execution import profiling

# For `_callable`'s small graphs, which do not heed `without_grappler`.
_PLAIN = tf.compat.v1.ConfigProto()
_PLAIN.graph_options.rewrite_options.disable_meta_optimizer = True
_PLAIN = _PLAIN.SerializeToString()

# Number of nodes from which on a graph is worth running on several threads.
# Measured on 2 cores of an AMD EPYC (AVX2), CIFAR-10's super-net at batch 64: a
# step takes as long with 0 and with no limit, within 6 %.
_WIDE = 200


@contextlib.contextmanager
def without_grappler():
    """Runs graphs as they were traced, in the whole process, while it is open.

    Measured on 2 cores of an AMD EPYC (AVX2), CIFAR-10's super-net at batch 64:
    with Grappler's rewrites the first step takes 0.96 and 1.12 of the time in
    two runs, a step 0.85 and 1.10, which is no difference beyond the noise. On
    an older processor they doubled the time to build a graph.
    """
    options = tf.config.optimizer
    name = "disable_meta_optimizer"
    before = options.get_experimental_options().get(name, False)
    options.set_experimental_options({name: True})
    try:
        yield
    finally:
        options.set_experimental_options({name: before})


class Backward(NamedTuple):
    """A graph run backwards.

    Attributes:
        residual_indices: Of the graph's residuals, those that it needs.
        function: Callable of those residuals and of the gradients with
            respect to the outputs; returns a list of gradients.
        numbers: Of the inputs, which of them these are with respect to; an
            input that no output depends on is not among them.
    """

    residual_indices: list
    function: Callable
    numbers: list


class Graph:
    """A pure function and its vector-Jacobian products.

    It is traced once with all gradients, and cut: a forward function that
    also returns what any gradient needs of it, the residuals, and a backward
    function for each set of gradients that is asked for.

    Args:
        function: Callable of tensors; returns a list of outputs and a list
            of extras that are not differentiated.
        specs: A (shape, dtype) for each input.
        wrt: Numbers of the inputs that may get a gradient.
        jit_compile: Whether XLA compiles both functions.

    Attributes:
        forward: Callable of the inputs; returns a list: the outputs, the
            extras, the residuals.
        num_outputs: Number of outputs.
        num_extras: Number of extras.
    """

    def __init__(self, function, specs, wrt, jit_compile=False):
        self._jit_compile = jit_compile
        with tf.Graph().as_default() as graph:
            inputs = [_placeholder(*spec) for spec in specs]
            outputs, extras = function(*inputs)
            outputs = [tf.identity(t) for t in outputs]
            self._cotangents = [_placeholder(t.shape, t.dtype) for t in outputs]
            found = []
            if wrt:
                found = tf.gradients(
                    outputs, [inputs[i] for i in wrt], self._cotangents
                )
        pairs = zip(wrt, found, strict=True)
        self._gradients = {i: g for i, g in pairs if g is not None}
        self._behind = _reached_from(self._cotangents)
        self._residuals, _ = self._cut(self._gradients)
        self._definition = graph.as_graph_def()
        self._backwards = {}
        self.num_outputs, self.num_extras = len(outputs), len(extras)
        self.forward = _callable(
            self._definition,
            inputs,
            [*outputs, *extras, *self._residuals],
            jit_compile=jit_compile,
        )

    def backward(self, wrt):
        """Returns the `Backward` of this graph.

        Args:
            wrt: Tuple of the numbers of the inputs to differentiate.
        """
        if wrt not in self._backwards:
            self._backwards[wrt] = self._build_backward(wrt)
        return self._backwards[wrt]

    def _build_backward(self, wrt):
        numbers = [i for i in wrt if i in self._gradients]
        residuals, names = self._cut(numbers)
        indices = {t.name: i for i, t in enumerate(self._residuals)}
        function = _callable(
            self._definition,
            [*residuals, *self._cotangents],
            [self._gradients[i] for i in numbers],
            names,
            self._jit_compile,
        )
        return Backward([indices[t.name] for t in residuals], function, numbers)

    def _cut(self, numbers):
        """Finds where gradients take up what the forward pass made.

        Returns:
            The tensors that these gradients need of the forward pass, and the
            names of their own nodes, with those of what `_is_made_anew`.
        """
        residuals, nodes = {}, set()
        waiting = [self._gradients[i] for i in numbers]
        while waiting:
            tensor = waiting.pop()
            is_forward = tensor.op not in self._behind
            if is_forward and not _is_made_anew(tensor):
                residuals[tensor.name] = tensor
            elif tensor.op not in nodes:
                nodes.add(tensor.op)
                waiting += tensor.op.inputs
        return list(residuals.values()), {op.name for op in nodes}


class GraphCache:
    """Graphs by what they compute; the least recently used go first.

    Args:
        max_graphs: Number of graphs to keep.
        jit_compile: Whether XLA compiles what is built for this cache.

    Attributes:
        jit_compile: As given.
        num_built: Number of graphs traced so far.
        build_seconds: Time spent tracing them. The runtime's share comes at
            a graph's first call and is not in it.
    """

    def __init__(self, max_graphs=512, jit_compile=False):
        self.jit_compile = jit_compile
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
            with profiling.Part(profiling.BUILDING):
                self._graphs[key] = build()
            self.build_seconds += time.monotonic() - start
            self.num_built += 1
            while len(self._graphs) > self._max_graphs:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        return self._graphs[key]


def _placeholder(shape, dtype):
    return tf.compat.v1.placeholder(dtype, shape)


def _is_made_anew(tensor):
    """Whether a gradient makes a tensor again, not to have it kept for it.

    So are constants, and what is a smaller tensor in a wider type.
    """
    if tensor.op.type == "Cast":
        return tensor.op.inputs[0].dtype.size < tensor.dtype.size
    return tensor.op.type == "Const"


def _reached_from(tensors):
    """Returns the set of operations that depend on any of the tensors."""
    reached, waiting = set(), [t.op for t in tensors]
    while waiting:
        op = waiting.pop()
        if op not in reached:
            reached.add(op)
            waiting += [c for t in op.outputs for c in t.consumers()]
    return reached


def _callable(definition, inputs, outputs, names=None, jit_compile=False):
    """Makes a callable of a part of a graph.

    The operation that calls a function costs a fraction of the overhead of a
    ConcreteFunction's own `__call__`, but runs one node after another: right
    for a small graph, which has nothing to run beside anything.

    Args:
        definition: GraphDef.
        inputs: Tensors of the graph that become arguments.
        outputs: Tensors of the graph to return.
        names: Nodes of the part; found from the outputs if not given.
        jit_compile: Whether XLA compiles it. That a function must be compiled
            is heeded by a ConcreteFunction's own `__call__` alone.
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
        mapped = {t.name: a for t, a in zip(inputs, arguments, strict=True)}
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

    traced = tf.function(function, autograph=False, jit_compile=jit_compile)
    concrete = traced.get_concrete_function(
        *(tf.TensorSpec(t.shape, t.dtype) for t in inputs)
    )
    if jit_compile or len(part.node) > _WIDE:
        return concrete
    types = [t.dtype for t in outputs]
    return lambda *arguments: tf.raw_ops.PartitionedCall(
        args=arguments, Tout=types, f=concrete, config_proto=_PLAIN
    )
