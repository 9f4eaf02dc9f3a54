"""Programs run as users run them: each in a process of its own.

Most of a launcher's time at toy size is the import of TensorFlow. So processes
are forked from one that has imported it and done no more: a program starts at
once, in a process that nobody has used.

What such a process does not show: what variables do that are read when Python
or TensorFlow start (PYTHONHASHSEED, TF_CPP_MIN_LOG_LEVEL), and what depends on
a hash seed, of which all forks have the same. `run_afresh` starts a new Python.
"""

import atexit
import functools
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from multiprocessing import forkserver

import entrannas_tf

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What the launchers import, so that forked processes find it there.
_IMPORTED = (
    "tensorflow",
    "keras",
    "keras_tuner",
    "matplotlib.backends.backend_agg",
    "sklearn.datasets",
    "entrannas_tf.studies.ablations.workflow",
    "entrannas_tf.tuning.workflow",
)
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@functools.cache
def _server():
    """Starts the process that is forked; returns its `multiprocessing` context.

    It starts in the repository's root, so that it imports this checkout.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    before, level = os.getcwd(), os.environ.get(_LEVEL)
    os.chdir(ROOT)
    os.environ[_LEVEL] = "3"  # It prints nothing of its imports.
    try:
        forkserver.ensure_running()
    finally:
        os.chdir(before)
        del os.environ[_LEVEL]
        if level is not None:
            os.environ[_LEVEL] = level
    return context


class Program:
    """A Python program that runs.

    Args:
        *args: Python's arguments: "-m" and a module, or "-c" and a text, and
            what follows.
        env: Environment variables; None for this process's.
        merged: Whether the standard error goes to the standard output.
    """

    def __init__(self, *args, env=None, merged=False):
        self._args = list(map(str, args))
        self._directory = tempfile.TemporaryDirectory()
        streams = ("stdout",) if merged else ("stdout", "stderr")
        names = [os.path.join(self._directory.name, s) for s in streams]
        self._paths = list(map(pathlib.Path, names))
        for path in self._paths:
            path.touch()
        env = dict(os.environ if env is None else env)
        self._process = _server().Process(
            target=_run, args=(self._args, env, names)
        )
        self._process.start()

    def end(self, timeout):
        """Waits for the end.

        Args:
            timeout: Seconds after which the program is killed.

        Returns:
            A `subprocess.CompletedProcess`, its output as text.

        Raises:
            subprocess.TimeoutExpired: If it does not end in time.
        """
        try:
            self._process.join(timeout)
        except BaseException:  # Ctrl-C, say.
            self.kill()
            raise
        if self._process.exitcode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self._args, timeout, *self._said())
        code = self._process.exitcode
        return subprocess.CompletedProcess(self._args, code, *self._said())

    def kill(self):
        """Ends it at once, if it still runs."""
        self._process.kill()
        self._process.join()

    def _said(self):
        return [path.read_text() for path in self._paths]


def run(*args, timeout=60, env=None):
    """Runs Python in the repository's root.

    Args:
        *args: Its arguments, such as "-m" and a module.
        timeout: Seconds after which it has failed.
        env: Environment variables, None for this process's.

    Returns:
        A `subprocess.CompletedProcess`, its output as text.
    """
    return Program(*args, env=env).end(timeout)


def run_afresh(*args, timeout=60, env=None):
    """Does what `run` does by a new Python, which imports all by itself."""
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def _run(args, env, names):
    """Is the forked process: does what `python ARGS` would."""
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(env)
    for number, descriptor in enumerate((1, 2)):
        name = names[min(number, len(names) - 1)]
        held = os.open(name, os.O_WRONLY | os.O_APPEND)
        os.dup2(held, descriptor)
        os.close(held)
    kind, what, *flags = args
    sys.path[0:0] = [str(ROOT)]
    if not entrannas_tf.__file__.startswith(str(ROOT)):
        raise RuntimeError(f"{entrannas_tf.__file__} is not in {ROOT}.")
    try:
        if kind == "-m":
            sys.argv = [what, *flags]
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            sys.argv = ["-c", *flags]
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()  # Which `multiprocessing` does not.
        sys.stdout.flush()
        sys.stderr.flush()
