"""One run of the super-net through its graphs, forward and backward.

`ForwardPass` runs the units of the super-net one after another and knows what
each of them used; `Tape` remembers the chain of graphs, to run it backwards.
"""

import collections
import dataclasses

import tensorflow as tf

from entrannas_tf.networks import cells
from entrannas_tf.networks.execution import graphs, profiling


class Tape:
    """Remembers a chain of graphs in order to run it backwards."""

    def __init__(self):
        self._calls = []
        self._known = set()

    def knows(self, tensor):
        """Whether a tensor is an output of a graph of the chain."""
        return id(tensor) in self._known

    def call(self, graph, inputs, wrt):
        """Runs a graph forward.

        Args:
            graph: `Graph`.
            inputs: Its inputs.
            wrt: Numbers of the inputs that `gradient` shall get to.

        Returns:
            The list of its outputs, and the list of its extras.
        """
        with profiling.Part(profiling.GRAPHS):
            results = graph.forward(*inputs)
        end = graph.num_outputs + graph.num_extras
        outputs, residuals = results[: graph.num_outputs], results[end:]
        if wrt:
            backward = graph.backward(wrt)
            kept = [residuals[i] for i in backward.residual_indices]
            self._calls.append((backward, inputs, outputs, kept))
            self._known.update(id(t) for t in outputs)
        return outputs, results[graph.num_outputs : end]

    def add(self, tensors):
        """Adds tensors of one shape up; returns the sum."""
        if len(tensors) == 1:
            return tensors[0]
        total = tf.add_n(tensors)
        numbers = [i for i, t in enumerate(tensors) if self.knows(t)]
        if numbers:
            passed_on = graphs.Backward(
                [], lambda dy: [dy] * len(numbers), numbers
            )
            self._calls.append((passed_on, tensors, [total], []))
            self._known.add(id(total))
        return total

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
            backward, inputs, outputs, residuals = self._calls.pop()
            if not any(id(output) in gradients for output in outputs):
                continue
            cotangents = [
                _sum(gradients.pop(id(output), None), output)
                for output in outputs
            ]
            with profiling.Part(profiling.GRAPHS):
                found = backward.function(*residuals, *cotangents)
            for number, gradient in zip(backward.numbers, found, strict=True):
                gradients[id(inputs[number])].append(gradient)
        return [_sum(gradients.get(id(s)), s) for s in sources]


def _sum(parts, like):
    if not parts:
        return tf.zeros_like(like)
    return parts[0] if len(parts) == 1 else tf.add_n(parts)


# Their number among a graph's inputs: weights, statistics, features, they.
_COEFFICIENTS = 3


class ForwardPass:
    """One run of the super-net, and what it takes to run it backwards.

    Args:
        wrt: As in `supernet.Supernet.forward`.
        training: As in `supernet.Supernet.forward`.
        vectors: {id of a unit: float32 [n], the weights that it runs with};
            a unit that is not in it runs with its own.
        drawn: {id of a unit: what `dropout.SkipDropout` drew for it}; {} to
            drop nothing.

    Attributes:
        logits: float32 [B, num_classes].
    """

    def __init__(self, wrt, training, vectors, drawn):
        self.logits = None
        self._wrt = wrt
        self._training = training
        self._vectors = vectors
        self._drawn = drawn
        self._tape = Tape()
        self._uses = {}  # by id of the unit

    def add(self, tensors):
        """Adds up tensors that calls returned."""
        return self._tape.add(tensors)

    def call(self, unit, tensors, part=None):
        """Calls a unit through its graph; returns the list of its outputs."""
        if part == cells.WEIGHTED:
            tensors = (*tensors, *self._drawn.get(id(unit), ()))
        graph = unit.graph(tensors, part, self._training)
        use = self._use(unit)
        inputs = (use.vector, use.statistics, *tensors)
        outputs, extras = self._tape.call(
            graph, inputs, self._wanted(inputs, part)
        )
        use.parts.append(part)
        for new_statistics in extras:
            use.statistics = new_statistics
        return outputs

    def _use(self, unit):
        if id(unit) not in self._uses:
            self._uses[id(unit)] = _Use(
                tf.convert_to_tensor(self._vectors.get(id(unit), unit.vector)),
                tf.convert_to_tensor(unit.statistics),
            )
        return self._uses[id(unit)]

    def _wanted(self, inputs, part):
        """Returns the numbers of the inputs that need a gradient."""
        wanted = [i for i, t in enumerate(inputs) if self._tape.knows(t)]
        if "weights" in self._wrt:
            wanted = [0, *wanted]
        if "architecture" in self._wrt and part == cells.WEIGHTED:
            wanted = [*wanted, _COEFFICIENTS]
        return tuple(wanted)

    def gradients(self, logits_gradient, sources):
        """Runs backwards.

        Args:
            logits_gradient: float32 [B, num_classes].
            sources: Sequence of coefficients, see `supernet.Supernet.split`,
                and of what `vectors` returns.

        Returns:
            Their gradients, a list of float32 tensors of their shapes.
        """
        return self._tape.gradient(self.logits, logits_gradient, sources)

    def weight_gradients(self, logits_gradient, units):
        """Returns each unit's gradient and mask.

        Args:
            logits_gradient: float32 [B, num_classes].
            units: Sequence of `packed_layer.PackedLayer`.

        Returns:
            Two lists, one entry a unit: float32 [n], and bool [n], which
            weights were used. Both are all zeros for a unit that did not run.
        """
        masks = [unit.mask(tuple(self._use(unit).parts)) for unit in units]
        return self.gradients(logits_gradient, self.vectors(units)), masks

    def vectors(self, units):
        """Returns the weights that each unit ran with, a list of tensors."""
        return [self._use(unit).vector for unit in units]

    def statistics(self, units):
        """Returns each unit's moving statistics, moved where it ran."""
        return [self._use(unit).statistics for unit in units]


@dataclasses.dataclass
class _Use:
    """What one run makes of a unit."""

    vector: tf.Tensor
    statistics: tf.Tensor
    parts: list = dataclasses.field(default_factory=list)
