"""Searches in stages, at toy size, killed between stages and not."""

import dataclasses
import json
import os
import signal

import numpy as np
import pytest

from entrannas_tf.architecture import derivation, genotypes, search_space
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.search import results as search_results
from entrannas_tf.search import stages
from entrannas_tf.training import files, workdirs
from tests.support import programs, toy_config

# Searches; with a number of steps, dies after so many.
PROGRAM = """
import os, signal, sys
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.search import step as search_step
from tests.search import stages_test

workdir, moment = sys.argv[1:]
step, seen = search_step.SearchTrainer.train_step, []

def train_step(self, data):
    step(self, data)
    seen.append(1)
    if len(seen) == int(moment):
        os.kill(os.getpid(), signal.SIGKILL)

search_step.SearchTrainer.train_step = train_step
search_workflow.search(stages_test.get_config(), workdir)
"""


def get_config():
    """Returns that of two stages, of 3 steps each, the second with dropout."""
    values = toy_config.get_config()
    values.search.epochs = 1
    values.search.checkpoint_every_steps = 2
    values.network.max_skips = 1
    values.progressive.num_cells = (3, 4)
    values.progressive.num_primitives = (4, 3)
    values.progressive.skip_dropout_rates = (0.0, 0.4)
    return values


CONFIG = schema.read(search_config.Config, get_config())


def run(workdir, moment=0):
    return programs.run("-c", PROGRAM, workdir, moment, timeout=900)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a search that nobody interrupted."""
    workdir = tmp_path_factory.mktemp("stages") / "toy"
    done = run(workdir)
    assert done.returncode == 0, done.stderr
    return workdir


def test_configurations_of_the_stages():
    first, second = stages.stages(CONFIG)
    assert [first.network.num_cells, second.network.num_cells] == [3, 4]
    assert first.search.skip_dropout_rate == 0.0
    assert second.search.skip_dropout_rate == 0.4
    assert stages.has_stages(CONFIG)
    assert not stages.has_stages(first)
    assert second.progressive.stage == 2
    again = schema.read(search_config.Config, dataclasses.asdict(second))
    assert again == second
    plain = schema.read(search_config.Config, toy_config.get_config())
    assert not stages.has_stages(plain)


@pytest.mark.long
def test_the_last_stage_is_the_result(finished):
    workdir = finished
    assert sorted(os.listdir(workdir)) == [
        "cells",
        "config.json",
        "genotype.json",
        "genotypes",
        "metrics.jsonl",
        "search.gif",
        "stages",
    ]
    last = stages.directory(workdir, 2)
    with open(os.path.join(last, "genotype.json"), encoding="utf-8") as file:
        assert (workdir / "genotype.json").read_text() == file.read()
    seconds = [
        workdirs.last_record(path)["timing"].pop("elapsed_seconds")
        for path in (stages.directory(workdir, 1), last, workdir)
    ]
    assert seconds[2] == pytest.approx(seconds[0] + seconds[1])
    records = files.read_json_lines(workdir / "metrics.jsonl")
    (record,) = files.read_json_lines(os.path.join(last, "metrics.jsonl"))
    record["timing"]["elapsed_seconds"] = seconds[2]
    assert records == [record]
    assert search_results.is_finished(workdir)
    assert workdirs.read_config(workdir) == CONFIG


def coefficients(workdir, number):
    path = search_results.epoch_file(stages.directory(workdir, number), 1)
    with open(path, encoding="utf-8") as file:
        values = json.load(file)["coefficients"]
    return {kind: np.array(matrix) for kind, matrix in values.items()}


@pytest.mark.long
def test_a_stage_chooses_from_the_strongest_of_the_one_before(finished):
    workdir = finished
    first, second = (coefficients(workdir, number) for number in (1, 2))
    for kind in search_space.KINDS:
        assert (first[kind] > 0).all()
        kept = derivation.strongest(first[kind], 3)
        np.testing.assert_array_equal(second[kind] > 0, kept)
    found = search_results.read_genotype(workdir)
    assert genotypes.num_skip_connections(found.normal) <= 1


def without_clock(workdir):
    records = files.read_json_lines(workdir / "metrics.jsonl")
    for record in records:
        del record["timing"]
    return records, (workdir / "genotype.json").read_text()


@pytest.mark.long
def test_kill_and_resume(finished, tmp_path):
    """At the end of the first stage, and amid the second, with dropout."""
    workdir = tmp_path / "toy"
    for moment in (3, 4):  # Of what was left, which was then one step less.
        done = run(workdir, moment)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert not search_results.is_finished(workdir)
    checkpoints = os.listdir(workdir / "stages" / "02" / "checkpoints")
    assert checkpoints == ["step_00000002.checkpoint"]
    done = run(workdir)
    assert done.returncode == 0, done.stderr
    assert without_clock(workdir) == without_clock(finished)
