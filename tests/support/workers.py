"""Several worker processes on this machine, some of which may die."""

import json
import os
import socket

from tests.support import programs

# Runs a launcher, and gets a signal after so many steps (0: never).
STRUCK = """
import os, runpy, signal, sys
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.search import step as search_step

module, number, count, *flags = sys.argv[1:]
left = [int(count)]

def struck(step):
    def train_step(self, data):
        step(self, data)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), int(number))
    return train_step

for kind in (retraining_step.RetrainTrainer, search_step.SearchTrainer):
    kind.train_step = struck(kind.train_step)
sys.argv[1:] = flags
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def free_ports(count):
    """Returns the numbers of so many ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run(module, *flags, signals=((0, 0), (0, 0)), timeout=400):
    """Runs a launcher on as many workers as there are signals.

    Args:
        module: Name of the launcher.
        *flags: Of all workers.
        signals: For each worker the number of a signal, and the number of
            steps after which it gets it; (0, 0) for none.
        timeout: Seconds after which all are killed.

    Returns:
        List of (exit code, what it said), one a worker.
    """
    addresses = [f"localhost:{port}" for port in free_ports(len(signals))]
    workers = []
    for index, (number, count) in enumerate(signals):
        cluster = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        workers.append(
            programs.Program(
                "-c",
                STRUCK,
                module,
                number,
                count,
                *flags,
                "--strategy=multi_worker",
                env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
                merged=True,
            )
        )
    try:
        ends = [worker.end(timeout) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [(end.returncode, end.stdout) for end in ends]
