"""Graphs of pure functions and of their gradients: traced once, cached.

Tracing a graph and deriving its gradient takes Python far longer than the
processor needs to run it, and a search may change its cells at any step. So
the super-net runs as a chain of small graphs, each a pure function of weights,
statistics and features. All layers of one configuration share a graph, on
every replica, and a new derivation needs a new one only for an operation that
has not run at its shape before.

A graph is cut into a forward and a backward function when it is traced, which
spares the general machinery of `tf.GradientTape` at each call.
"""

import collections
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from entrannas_tf.networks.execution import profiling

# Without Grappler's rewrites: the runtime's own way does not heed
# `without_grappler` for a function that is called by an operation.
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

    It is traced once with all gradients, and cut: into a forward function that
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
            found = ()
            if wrt:
                found = tf.gradients(
                    outputs, [inputs[i] for i in wrt], self._cotangents
                )
            self._gradients = {
                number: tf.convert_to_tensor(gradient)  # It may be of slices.
                for number, gradient in zip(wrt, found, strict=True)
                if gradient is not None
            }
        self._behind = _reached_from(self._cotangents)
        self._residuals, _ = self._cut(self._gradients)
        self._definition = graph.as_graph_def()
        self._backwards = {}
        self.num_outputs, self.num_extras = len(outputs), len(extras)
        results = [*outputs, *extras, *self._residuals]
        self.forward = self._callable(
            inputs, results, _needed(results, lambda t: t.op.inputs)
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
        residuals, ops = self._cut(numbers)
        indices = {t.name: i for i, t in enumerate(self._residuals)}
        function = self._callable(
            [*residuals, *self._cotangents],
            [self._gradients[i] for i in numbers],
            ops,
        )
        return Backward([indices[t.name] for t in residuals], function, numbers)

    def _cut(self, numbers):
        """Finds where gradients take up what the forward function made.

        Returns:
            The tensors that these gradients need of the forward function, and
            the set of the operations between those and the gradients.
        """
        residuals = {}

        def inputs(tensor):
            if tensor.op in self._behind or _is_made_anew(tensor):
                return tensor.op.inputs
            residuals[tensor.name] = tensor
            return None

        ops = _needed([self._gradients[i] for i in numbers], inputs)
        return list(residuals.values()), ops

    def _callable(self, inputs, outputs, ops):
        """Makes a callable of a part of the graph.

        Args:
            inputs: Tensors of the graph that become arguments.
            outputs: Tensors of the graph to return.
            ops: Set of the operations of the part.
        """
        names = {op.name for op in ops if op.type != "Placeholder"}
        part = tf.compat.v1.GraphDef(versions=self._definition.versions)
        part.node.extend(n for n in self._definition.node if n.name in names)
        for node in part.node:
            node.attr.pop("_class", None)  # Colocation, perhaps outside.
            # A control edge from outside the part has done its work.
            kept = [i for i in node.input if i[0] != "^" or i[1:] in names]
            del node.input[:]
            node.input.extend(kept)
        read = {i if ":" in i else f"{i}:0" for n in part.node for i in n.input}

        def function(*arguments):
            given = {t.name: a for t, a in zip(inputs, arguments, strict=True)}
            wanted = [t.name for t in outputs if t.name not in given]
            found = tf.graph_util.import_graph_def(
                part,
                {name: a for name, a in given.items() if name in read},
                wanted,
                name="",
            )
            results = {**given, **dict(zip(wanted, found, strict=True))}
            return [results[t.name] for t in outputs]

        # Inlined, functions of a graph of many take long to be made ready.
        traced = tf.function(
            function,
            autograph=False,
            jit_compile=self._jit_compile,
            experimental_attributes={"_noinline": True},
        ).get_concrete_function(
            *(tf.TensorSpec(t.shape, t.dtype) for t in inputs)
        )
        if self._jit_compile or len(part.node) > _WIDE:
            return traced
        return _called_by_operation(traced, [t.dtype for t in outputs])


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


def _needed(tensors, inputs):
    """Returns the set of operations that tensors are made by.

    Args:
        tensors: Sequence of tensors.
        inputs: Maps a tensor to those that it is made of, or to None if the
            part ends before its operation.
    """
    ops, waiting = set(), list(tensors)
    while waiting:
        tensor = waiting.pop()
        if tensor.op not in ops:
            found = inputs(tensor)
            if found is not None:
                ops.add(tensor.op)
                waiting += found
    return ops


def _called_by_operation(function, types):
    """Returns a callable that runs a ConcreteFunction at little cost.

    The operation that calls a function costs a fraction of a ConcreteFunction's
    own `__call__`. It runs one node after another: right for a small graph,
    which has nothing to run beside anything.

    Args:
        function: ConcreteFunction.
        types: Dtypes of its outputs.
    """

    def call(*arguments):
        return tf.raw_ops.PartitionedCall(
            args=arguments, Tout=types, f=function, config_proto=_PLAIN
        )

    return call
