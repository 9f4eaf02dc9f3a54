"""Graphs that are traced once and composed.

Tracing an operation, deriving its gradient and handing both to the runtime
takes far longer than running it. `call` does that once for all layers of one
configuration and one shape of input: the graph is a pure function of weights,
batch-norm statistics and inputs, and a larger graph (a cell) refers to it by
name instead of containing a copy of its nodes. A cell of a new derivation is
then a graph of a few dozen nodes.
"""

import collections
import json

import keras
import tensorflow as tf

# Pure functions by key, the least recently used first. A super-net needs
# about a hundred: 12 primitives in 7 shapes, and the blocks around them.
_MAX_GRAPHS = 1024
_graphs = collections.OrderedDict()


def call(layer, x, training=False, frozen=False):
    """Calls a layer through the graph that all layers like it share.

    Inside another graph the layer becomes a single node. Its variables may be
    replaced by tensors, as in `layer.stateless_call`.

    Args:
        layer: Keras layer whose configuration, without its name, says all
            about its computation; `layer.built` must hold.
        x: The layer's only input, a tensor of known rank and channels.
        training: Passed on to the layer if it has batch norms.
        frozen: Whether to treat the weights as constants: the gradient then
            costs less and flows to `x` alone.

    Returns:
        The layer's output.
    """
    weights = [tf.convert_to_tensor(v) for v in layer.trainable_variables]
    statistics = [tf.convert_to_tensor(v) for v in layer.non_trainable_variables]
    if not weights and not statistics:
        return layer(x, training=training)
    graph = _find(layer, x, training, frozen)
    output, new_statistics = graph(weights, statistics, x)
    if training:
        for variable, value in zip(
            layer.non_trainable_variables, new_statistics, strict=True
        ):
            variable.assign(value)
    return output


def _find(layer, x, training, frozen):
    config = {k: v for k, v in layer.get_config().items() if k != "name"}
    key = (
        type(layer),
        json.dumps(config, sort_keys=True, default=str),
        tuple(x.shape),
        x.dtype,
        training,
        frozen,
    )
    if key not in _graphs:
        with tf.init_scope():
            _graphs[key] = _trace(layer, x, training, frozen)
        if len(_graphs) > _MAX_GRAPHS:
            _graphs.popitem(last=False)
    _graphs.move_to_end(key)
    return _graphs[key]


def _trace(layer, x, training, frozen):
    def function(weights, statistics, x):
        if frozen:
            weights = tf.nest.map_structure(tf.stop_gradient, weights)
        return layer.stateless_call(weights, statistics, x, training=training)

    def spec(variable):
        return tf.TensorSpec(variable.shape, variable.dtype)

    traced = tf.function(
        function,
        autograph=False,
        jit_compile=False,
        experimental_attributes={"_noinline": True},
    )
    return traced.get_concrete_function(
        [spec(v) for v in layer.trainable_variables],
        [spec(v) for v in layer.non_trainable_variables],
        tf.TensorSpec(x.shape, x.dtype),
    )
