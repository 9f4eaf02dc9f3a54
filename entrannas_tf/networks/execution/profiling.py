"""Where the time of a step goes, by the parts that code names."""

import collections
import contextlib
import time

import tensorflow as tf

# What steps are made of; what is in none of them is the host's own work.
INPUT = "input"  # Waiting for a batch.
BUILDING = "building graphs"
GRAPHS = "graphs"  # Of a replica's cells: on GPUs launched, on CPUs run.
UPDATE = "update"  # All-reduce, optimizers, metrics: one graph.
READING = "reading"  # Waiting for the devices, to read coefficients or losses.
HOST = "host dispatch"

PARTS = (INPUT, BUILDING, GRAPHS, UPDATE, READING, HOST)

_clock = None


class _Clock:
    """Adds up seconds by part; a part within another counts as its own."""

    def __init__(self):
        self.seconds = collections.Counter()
        self.start = self._since = time.perf_counter()
        self._parts = [HOST]

    def enter(self, part):
        self._book()
        self._parts.append(part)

    def leave(self):
        self._book()
        self._parts.pop()

    def _book(self):
        now = time.perf_counter()
        self.seconds[self._parts[-1]] += now - self._since
        self._since = now


class Part:
    """Context manager: what is done within is that part of a step.

    Args:
        name: One of the names above.
    """

    def __init__(self, name):
        self._name = name
        self._trace = None

    def __enter__(self):
        if _clock is not None:
            self._trace = tf.profiler.experimental.Trace(self._name)
            self._trace.__enter__()
            _clock.enter(self._name)

    def __exit__(self, *error):
        if self._trace is not None:
            _clock.leave()
            self._trace.__exit__(*error)


def start():
    """Begins to measure, from zero."""
    global _clock
    _clock = _Clock()


def stop():
    """Ends what `start` began.

    Returns:
        {part: seconds} of all parts, in a fixed order.
    """
    global _clock
    clock, _clock = _clock, None
    clock.enter(HOST)  # Books what has passed.
    return {name: clock.seconds[name] for name in PARTS}


def abandon():
    """Ends what may have begun, without a result."""
    global _clock
    _clock = None
    with contextlib.suppress(tf.errors.UnavailableError):  # There is none.
        tf.profiler.experimental.stop(save=False)


def start_trace(logdir):
    """Begins a trace for TensorBoard's profiler; parts stand in it by name."""
    start()
    tf.profiler.experimental.start(logdir)


def stop_trace():
    """Ends and writes what `start_trace` began."""
    tf.profiler.experimental.stop()
    stop()


def table(seconds, num_steps):
    """Returns lines that say where a step's time goes.

    Args:
        seconds: What `stop` returned.
        num_steps: Number of steps that it is of.
    """
    whole = sum(seconds.values())
    return [
        f"{name:16}{value / num_steps:8.3f} s{value / whole:6.0%}"
        for name, value in {**seconds, "a step": whole}.items()
    ]
