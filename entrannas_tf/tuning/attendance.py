"""Who is at work: workers let hear from them, and the chief takes note."""

import contextlib
import os
import threading
import time

from absl import logging

# What tells Keras-Tuner of a chief and its workers.
_IP, _PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
_TUNER_ID = "KERASTUNER_TUNER_ID"


class Attendance:
    """When each of several workers was last heard of.

    Args:
        timeout_seconds: Time after which a silent one is taken for dead, more
            than 0.

    Attributes:
        clock: Returns the time in seconds.

    Raises:
        ValueError: If the time is not more than 0.
    """

    def __init__(self, timeout_seconds):
        if timeout_seconds <= 0:
            raise ValueError(
                f"timeout_seconds is {timeout_seconds}; expected more than 0."
            )
        self.timeout_seconds = timeout_seconds
        self.clock = time.monotonic
        self._heard = {}

    def hear(self, name, seconds=0.0):
        """Takes note that a worker is alive, or will be in so many seconds."""
        self._heard[name] = self.clock() + seconds

    def is_silent(self, name):
        """Returns whether a worker has not been heard of for too long."""
        latest = self.clock() - self.timeout_seconds
        return self._heard.get(name, latest) <= latest


def is_chief():
    """Whether this process serves Keras-Tuner's oracle to workers.

    Raises:
        ValueError: If the environment says where the chief is and no more.
    """
    return _has_chief() and "chief" in os.environ[_TUNER_ID]


def is_worker():
    """Whether this process is one of Keras-Tuner's workers.

    Raises:
        ValueError: As `is_chief`.
    """
    return _has_chief() and "chief" not in os.environ[_TUNER_ID]


def chief_address():
    """Returns "HOST:PORT" of the chief, where there is one."""
    return f"{os.environ[_IP]}:{os.environ[_PORT]}"


def _has_chief():
    if _IP not in os.environ:
        return False
    for name, example in ((_PORT, "8000"), (_TUNER_ID, "chief or worker0")):
        if not os.environ.get(name):
            raise ValueError(
                f"{_IP} is set and {name} is not; set it, such as to "
                f"{example}, or unset the other to work alone."
            )
    return True


@contextlib.contextmanager
def beating(beat, seconds):
    """Calls a function now and then, on a thread, while the body runs.

    Args:
        beat: Called without arguments. Its errors are passed over: whoever
            waits for it will notice the silence.
        seconds: Time between two calls.
    """
    ended = threading.Event()

    def run():
        while not ended.wait(seconds):
            try:
                beat()
            except Exception as error:
                logging.debug("No heartbeat: %s", error)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    finally:
        ended.set()  # Not waited for: it may hang on a chief that is gone.
