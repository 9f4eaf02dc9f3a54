"""A chain of graphs that was run forward, to be run backwards."""

import collections

import tensorflow as tf

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
            kept = [residuals[i] for i in backward.places]
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
