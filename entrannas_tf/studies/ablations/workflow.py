"""The ablations of section 4.1: Tables 1 to 4 and Figure 5 as workflows.

A run is a search, and where the table needs it the retraining of what was
found. Each has a directory under `runs/` that is named by its settings, so
that a run that stands in several tables is done once. A table that was stopped
or killed goes on with the run at which it was; and where the same command is
started several times, on as many devices, each takes runs that no other has.
Table 3 has no runs, but is timed, by one process.
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
    """One run of a table.

    Attributes:
        row: The row's name in the table.
        directory: The run's directory, within that of the ablations.
        config: The `search_config.Config` of its search.
        retrain_config: The `retrain_config.RetrainConfig` of its retraining,
            or None where the table needs none.
    """

    row: str
    directory: str
    config: search_config.Config
    retrain_config: object


def choose(table, figure):
    """Returns which of `RESULTS` is meant.

    Args:
        table: "1" to "4", or None.
        figure: "5", or None.

    Raises:
        ValueError: If both or none are given.
    """
    if bool(table) == bool(figure):
        came = "both" if table else "neither"
        raise ValueError(
            f"Got {came} of --table and --figure; expected --table=1, 2, 3 or "
            "4, or --figure=5."
        )
    return f"table{table}" if table else f"figure{figure}"


def ablate(config_dict, result, workdir, command):
    """Makes a table or a figure; resumes where that has been begun.

    Args:
        config_dict: A `ConfigDict` of configs/, or a dict likewise.
        result: One of `RESULTS`.
        workdir: Directory of the ablations, made if it is not there.
        command: The command that makes it again, for the record.

    Returns:
        The paths of the Markdown, the CSV and the PNG that were written.

    Raises:
        ValueError: If the configuration, the workdir or the data are not as
            they should be.
        OSError: If a file cannot be read or written.
        interruptions.RunFailed: If a row of Table 3 cannot be measured, or all
            runs have failed: their losses are not numbers, or the memory does
            not suffice. Where some have, the table does without.
        BlockingIOError: If another process is at Table 3: two at once would
            spoil each other's times.
        interruptions.Preempted: If the process got SIGTERM; the run has a
            checkpoint of the last step.
    """
    config = ablation_config.read(config_dict)
    workdir = os.fspath(workdir)
    is_ladder = result == "table3"
    if not workdirs.check_workdir(workdir, config) and not is_ladder:
        search_workflow.load_data(config.search)  # To know that they are there.
        retraining_workflow.load_data(config.retraining)
    workdirs.make_workdir(workdir, config)
    failures = {}
    if is_ladder:
        with workdirs.locked(workdir):
            directory = os.path.join(workdir, _LADDER)
            records = ladder.climb(config, directory)
    else:
        runs = list_runs(config, result)
        failures = _finish(runs, workdir)
        records = [_record(r, workdir) for r in runs if r not in failures]
    if not records:
        first = next(iter(failures.values()))
        raise interruptions.RunFailed(
            f"All {len(failures)} runs failed: {first}"
        )
    paths = report.write(
        workdir,
        result,
        records,
        config,
        command,
        [f"{r.row}, seed {r.config.seed}: {e}" for r, e in failures.items()],
    )
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
    """Returns the rows of a table: {name: `search_config.Config`}."""
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
    """Returns the `Run` of a row, with another seed than `settings` has."""
    name = re.sub(r"\W+", "_", methods.title(settings).lower())
    name = f"{name}_{provenance.config_hash(settings)}"
    return Run(
        row,
        os.path.join(_RUNS, name, f"seed_{seed}"),
        dataclasses.replace(settings, seed=seed),
        dataclasses.replace(config.retraining, seed=seed) if retrains else None,
    )


def _finish(runs, workdir):
    """Sees every run to its end; returns {`Run` that failed: why}."""
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


def _do(run, workdir):
    """Searches and retrains, where that has not been done.

    Raises:
        BlockingIOError: If another process is at it.
        interruptions.Preempted: If this one was told to end.
    """
    interruptions.check()
    path = os.path.join(workdir, run.directory)
    searched = os.path.join(path, _SEARCH)
    trained = os.path.join(path, _NETWORK)
    for directory in (searched, trained):
        with (
            contextlib.suppress(FileNotFoundError),
            workdirs.locked(directory),
        ):
            pass  # It raises where another process is at it.
    if not search_results.is_finished(searched):
        with runtime.cleared():
            search_workflow.search(dataclasses.asdict(run.config), searched)
        interruptions.check()
    if run.retrain_config and not retraining_results.is_finished(trained):
        values = dataclasses.asdict(run.retrain_config)
        with runtime.cleared():
            retraining_workflow.retrain(values, searched, trained)


def _record(run, workdir):
    """Returns what came of a finished run, a dict of numbers and texts."""
    path = os.path.join(workdir, run.directory)
    searched = os.path.join(path, _SEARCH)
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
        record[f"edges_{kind}"] = len(_edges(cell))
        record[f"connections_{kind}"] = genotypes.num_connections(cell)
    totals = cost.count(genotype, cost.NETWORKS["imagenet"])
    totals = totals.totals()
    record |= {f"imagenet_{name}": totals[name] for name in _COUNTS}
    if run.retrain_config:
        trained = os.path.join(path, _NETWORK)
        results = retraining_results.read(trained)
        record |= {
            "test_accuracy": results["mean"]["test_accuracy"],
            "retrain_seconds": workdirs.last_record(trained)["timing"][
                "elapsed_seconds"
            ],
            **{name: results["network"][name] for name in _COUNTS},
        }
    return record


def _edges(cell):
    """Returns the pairs of nodes that a cell's connections join, a set."""
    return {
        (connection.source, node)
        for node, connections in enumerate(cell)
        for connection in connections
    }
