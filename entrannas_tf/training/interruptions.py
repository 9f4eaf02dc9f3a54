"""Exceptions and signals that end a run early.

Clusters send SIGTERM before they reclaim a machine. The run then goes on to the
end of the step, writes a checkpoint and raises `Preempted`.
"""

import contextlib
import signal
import threading

_told = threading.Event()


class Preempted(Exception):
    """The run was told to end, and wrote a checkpoint first."""


class RunFailed(RuntimeError):
    """A run failed; the message says why."""


class OutOfMemory(ValueError):
    """The device has too little memory for the run."""


class WorkerLost(Exception):
    """Another worker of the run, or its chief, is gone."""


def is_due():
    """Whether this process was told to end."""
    return _told.is_set()


def check():
    """Raises `Preempted` if SIGTERM came too late to end the last run."""
    if _told.is_set():
        _told.clear()
        raise Preempted


@contextlib.contextmanager
def watch():
    """Notes SIGTERM, which would otherwise end the process at once."""
    _told.clear()
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals reach the main thread only.
        return
    before = signal.signal(signal.SIGTERM, lambda *_: _told.set())
    try:
        yield
    except Preempted:
        _told.clear()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
