"""The ablations of section 4.1: Tables 1 to 4 and Figure 5 as workflows.

A run is a search and, where the table needs it, the retraining of the network
it found. Each run has a directory under `runs/` that is named by its settings,
so that a run of several tables is done once. A table that was stopped or
killed resumes at its last run. Where the same command is started several
times, on as many devices, each takes runs that no other has. Table 3 has no
runs: one process times it.
"""

import contextlib
import dataclasses
import os
import re
import statistics
import time
from typing import NamedTuple

from absl import logging

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.networks import cost
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import methods
from entrannas_tf.search import results as search_results
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.studies.ablations import ladder, report
from entrannas_tf.training import interruptions, provenance, runtime, workdirs

RESULTS = ("table1", "table2", "table3", "table4", "figure5")

_RUNS, _SEARCH, _NETWORK = "runs", "search", "network"
_LADDER = "ladder"
_WAIT_SECONDS = 10.0
_COUNTS = "parameters", "multiply_adds", "multiply_adds_published"


class Run(NamedTuple):
    """A run of a table.

    Attributes:
        row: Name of the row in the table.
        directory: Directory of the run, within that of the ablations.
        config: The `search_config.Config` of its search.
        retrain_config: The `retrain_config.RetrainConfig` of its retraining,
            or None where the table needs none.
    """

    row: str
    directory: str
    config: search_config.Config
    retrain_config: object


def ablate(config_dict, result, workdir, command):
    """Makes a table or a figure, or resumes one.

    Args:
        config_dict: A `ConfigDict` of configs/, or nested dicts, that describe
            an `ablation_config.AblationConfig`.
        result: One of `RESULTS`.
        workdir: Directory of the ablations, made if it is not there.
        command: The command that reproduces it, for the record.

    Returns:
        The paths of the Markdown, the CSV and the PNG that were written.

    Raises:
        ValueError: If the configuration, the workdir or the data are invalid.
        OSError: If a file cannot be read or written.
        interruptions.RunFailed: If a row of Table 3 cannot be measured, or all
            runs have failed, by a loss that is not finite or for want of
            memory. A table does without single runs that failed.
        BlockingIOError: If another process is measuring Table 3: two at once
            would spoil each other's times.
        interruptions.Preempted: If the process got SIGTERM; the run has a
            checkpoint of the last step.
    """
    config = ablation_config.read(config_dict)
    workdir = os.fspath(workdir)
    is_ladder = result == "table3"
    if not workdirs.check_workdir(workdir, config) and not is_ladder:
        search_workflow.load_data(config.search)  # Raises if there are none.
        retraining_workflow.load_data(config.retraining)
    workdirs.make_workdir(workdir, config)
    failures = {}
    if is_ladder:
        with workdirs.locked(workdir):
            records = ladder.climb(config, os.path.join(workdir, _LADDER))
    else:
        runs = list_runs(config, result)
        failures = _finish(runs, workdir)
        records = [_record(r, workdir) for r in runs if r not in failures]
    if not records:
        first = next(iter(failures.values()))
        raise interruptions.RunFailed(
            f"All {len(failures)} runs failed: {first}"
        )
    said = [f"{r.row}, seed {r.config.seed}: {e}" for r, e in failures.items()]
    paths = report.write(workdir, result, records, config, command, said)
    with open(paths[0], encoding="utf-8") as file:
        print(file.read(), flush=True)
    return paths


def list_runs(config, result):
    """Returns the `Run`s of a table or figure, a list.

    Args:
        config: An `ablation_config.AblationConfig`.
        result: One of `RESULTS` but "table3".
    """
    retrains = result in ("table2", "figure5")
    ranks = result == "table2"
    num_seeds = config.num_rank_seeds if ranks else config.num_seeds
    first = config.search.seed
    return [
        _make_run(config, row, settings, seed, retrains)
        for row, settings in _rows(config, result).items()
        for seed in range(first, first + num_seeds)
    ]


def _rows(config, result):
    """Returns {row of a table: `search_config.Config`}."""
    if result == "table1":
        return {
            which: _changed(config.search, "network", engine_cells=which)
            for which in ("all", "half", "last", "first")
        }
    if result == "table2":
        return {name: _apply(config.search, name) for name in config.methods}
    sparse = _apply(config.search, "entrannas_dst")
    return {
        f"{penalty:g}": _changed(sparse, "search", threshold_penalty=penalty)
        for penalty in config.penalties
    }


def _apply(config, method):
    values = methods.apply(dataclasses.asdict(config), method)
    return schema.read(search_config.Config, values)


def _changed(config, section, **fields):
    part = dataclasses.replace(getattr(config, section), **fields)
    return dataclasses.replace(config, **{section: part})


def _make_run(config, row, settings, seed, retrains):
    """Returns the `Run` of a row at a seed."""
    name = re.sub(r"\W+", "_", methods.title(settings).lower())
    name = f"{name}_{provenance.config_hash(settings)}"
    return Run(
        row,
        os.path.join(_RUNS, name, f"seed_{seed}"),
        dataclasses.replace(settings, seed=seed),
        dataclasses.replace(config.retraining, seed=seed) if retrains else None,
    )


def _finish(runs, workdir):
    """Does all runs; returns {`Run` that failed: why}."""
    failures = {}
    pending = list(runs)
    while pending:
        busy = []
        for run in pending:
            logging.info(
                "run      %d of %d: %s, seed %d, in %s",
                runs.index(run) + 1,
                len(runs),
                run.row,
                run.config.seed,
                os.path.join(workdir, run.directory),
            )
            try:
                _do(run, workdir)
            except BlockingIOError:
                logging.info("run      is another process's")
                busy.append(run)
            except (FloatingPointError, interruptions.OutOfMemory) as error:
                logging.warning("run      failed: %s", error)
                failures[run] = str(error)
        if len(busy) == len(pending):
            time.sleep(_WAIT_SECONDS)
        pending = busy
    return failures


def _directories(run, workdir):
    """Returns the workdirs of a run's search and of its retraining."""
    path = os.path.join(workdir, run.directory)
    return os.path.join(path, _SEARCH), os.path.join(path, _NETWORK)


def _do(run, workdir):
    """Searches and retrains, where that has not been done.

    Raises BlockingIOError if another process is doing so.
    """
    interruptions.check()
    searched, trained = _directories(run, workdir)
    for directory in (searched, trained):
        with (
            contextlib.suppress(FileNotFoundError),
            workdirs.locked(directory),
        ):
            pass  # Raises if another process has the lock.
    if not search_results.is_finished(searched):
        with runtime.cleared():
            search_workflow.search(dataclasses.asdict(run.config), searched)
        interruptions.check()
    if run.retrain_config and not retraining_results.is_finished(trained):
        values = dataclasses.asdict(run.retrain_config)
        with runtime.cleared():
            retraining_workflow.retrain(values, searched, trained)


def _record(run, workdir):
    """Returns the record of a finished run, a dict of numbers and texts."""
    searched, trained = _directories(run, workdir)
    last = workdirs.last_record(searched)
    genotype = search_results.read_genotype(searched)
    record = {
        "row": run.row,
        "seed": run.config.seed,
        "supernet_accuracy": last["supernet_accuracy"],
        "child_accuracy": last["child_accuracy"],
        "mean_entropy": statistics.fmean(last["mean_entropy"].values()),
        "search_seconds": last["timing"]["elapsed_seconds"],
        "directory": run.directory,
    }
    for kind in search_space.KINDS:
        cell = getattr(genotype, kind)
        edges = {(c.source, node) for node, cs in enumerate(cell) for c in cs}
        record[f"edges_{kind}"] = len(edges)
        record[f"connections_{kind}"] = genotypes.num_connections(cell)
    totals = cost.count(genotype, "imagenet").totals()
    record |= {f"imagenet_{name}": totals[name] for name in _COUNTS}
    if run.retrain_config:
        results = retraining_results.read(trained)
        timing = workdirs.last_record(trained)["timing"]
        record["test_accuracy"] = results["mean"]["test_accuracy"]
        record["retrain_seconds"] = timing["elapsed_seconds"]
        record |= {name: results["network"][name] for name in _COUNTS}
    return record
