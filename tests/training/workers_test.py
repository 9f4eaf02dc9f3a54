"""Two worker processes against two devices of one; killed, and resumed."""

import json
import shutil
import signal

import numpy as np
import pytest

from entrannas_tf.training import files
from tests.support import programs, toy_genotype, workers

pytestmark = pytest.mark.long

SEARCH = (
    "launch.search",
    "--config=tests/support/toy_config.py",
    "--config.search.read_every_steps=2",
)
UNHURT = (0, 0)


def retrain_command(folder):
    genotype = toy_genotype.write(folder)
    return (
        "launch.retrain",
        "--config=tests/support/toy_retrain_config.py",
        f"--genotype={genotype}",
    )


def mirror(workdir, module, *flags):
    done = programs.run(
        "-m",
        module,
        *flags,
        f"--workdir={workdir}",
        "--strategy=mirrored",
        "--config.distribution.num_devices=2",
        timeout=400,
    )
    assert done.returncode == 0, done.stderr


def run(workdir, command, *signals):
    return workers.run(*command, f"--workdir={workdir}", signals=signals)


def assert_same_numbers(workdir, other):
    """All that does not depend on the clock, to 1e-5."""
    both = [
        files.read_json_lines(w / "metrics.jsonl") for w in (workdir, other)
    ]
    assert len(both[0]) == len(both[1]) > 0
    for mine, others in zip(*both, strict=True):
        for record in (mine, others):
            del record["timing"]
        assert mine.keys() == others.keys()
        for name, value in mine.items():
            if isinstance(value, float):
                np.testing.assert_allclose(value, others[name], atol=1e-5)
            else:
                assert value == others[name], name


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("mirrored") / "toy"
    mirror(workdir, *SEARCH)
    return workdir


@pytest.fixture(scope="module")
def preempted(tmp_path_factory):
    """The workdir of a search of two workers, one of which got SIGTERM.

    It came in the first step, at whose end all look whether to stop.
    """
    workdir = tmp_path_factory.mktemp("preempted") / "toy"
    ends = run(workdir, SEARCH, UNHURT, (signal.SIGTERM, 1))
    (chief_code, chief), (code, other) = ends
    assert (chief_code, code) == (75, 75), ends
    assert "2 replicas on 2 workers" in chief
    assert "The same command goes on" in chief
    assert "worker   1, which follows the chief" in other
    assert "device   " not in other
    return workdir


def test_search_killed_and_resumed(mirrored, preempted, tmp_path):
    """After SIGTERM one worker is gone at once; then both go on to the end."""
    workdir = shutil.copytree(preempted, tmp_path / "toy")
    ends = run(workdir, SEARCH, UNHURT, (signal.SIGKILL, 2))
    assert [code for code, _ in ends] == [69, -signal.SIGKILL], ends
    assert "Worker 0 has lost another worker" in ends[0][1]
    assert "Traceback" not in ends[0][1]
    ends = run(workdir, SEARCH, UNHURT, UNHURT)
    assert [code for code, _ in ends] == [0, 0], ends
    assert "epoch 2/2" in ends[0][1]
    assert "epoch 2/2" not in ends[1][1]
    assert_same_numbers(workdir, mirrored)
    genotype = (workdir / "genotype.json").read_text()
    cells = [
        {k: v for k, v in json.loads(text).items() if k != "provenance"}
        for text in (genotype, (mirrored / "genotype.json").read_text())
    ]
    assert cells[0] == cells[1]


def test_retraining_killed_and_resumed(tmp_path):
    command = retrain_command(tmp_path)
    mirror(tmp_path / "mirrored", *command)
    workdir = tmp_path / "workers"
    # The chief dies this time.
    ends = run(workdir, command, (signal.SIGKILL, 4), UNHURT)
    assert [code for code, _ in ends] == [-signal.SIGKILL, 69], ends
    assert "Worker 1 has lost another worker" in ends[1][1]
    ends = run(workdir, command, UNHURT, UNHURT)
    assert [code for code, _ in ends] == [0, 0], ends
    assert_same_numbers(workdir, tmp_path / "mirrored")


def test_on_another_number_of_replicas(preempted, tmp_path):
    """Two workers begin, one device goes on."""
    workdir = shutil.copytree(preempted, tmp_path / "toy")
    done = programs.run("-m", *SEARCH, f"--workdir={workdir}", timeout=400)
    assert done.returncode == 0, done.stderr
    assert "Resumes after 0 epochs and 1 steps" in done.stderr
    assert len(files.read_json_lines(workdir / "metrics.jsonl")) == 2
