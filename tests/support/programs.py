"""Programs run as users run them: in a process of their own."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*args, timeout=60, env=None):
    """Runs Python in the repository's root.

    Args:
        *args: Its arguments, such as "-m" and a module.
        timeout: Seconds after which it has failed.
        env: Environment variables, None for this process's.

    Returns:
        A `subprocess.CompletedProcess`, its output as text.
    """
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
