"""A chief and workers of Keras-Tuner on this machine, some of which may die."""

import contextlib
import os

from tests.support import programs, workers


def environment(tuner_id, port=1):
    """Returns what tells Keras-Tuner that a process is one of several."""
    return {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
        "KERASTUNER_TUNER_ID": tuner_id,
    }


def be_one_of_several(monkeypatch, tuner_id, port=1):
    """Makes this process a chief or a worker, until the test's end."""
    for name, value in environment(tuner_id, port).items():
        monkeypatch.setenv(name, value)


@contextlib.contextmanager
def group():
    """Kills at the end what still runs of a chief and its workers.

    Yields:
        A function that starts one of them. It takes the `KERASTUNER_TUNER_ID`
        and Python's arguments, and returns a `programs.Program`.
    """
    (port,) = workers.free_ports(1)
    found = []

    def start(tuner_id, *command):
        env = {**os.environ, **environment(tuner_id, port)}
        found.append(programs.Program(*command, env=env, merged=True))
        return found[-1]

    try:
        yield start
    finally:
        for program in found:
            program.kill()


def ended(program, timeout):
    """Returns the exit code of a program and what it said.

    Raises:
        subprocess.TimeoutExpired: If it does not end in time.
    """
    done = program.end(timeout)
    return done.returncode, done.stdout
