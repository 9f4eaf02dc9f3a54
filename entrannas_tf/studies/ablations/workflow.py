"""Tables 1 to 5 and Figure 5 as workflows.

A table is made of runs, of `search_run` or, Table 5's, of `segmentation`. Each
has a directory under `runs/` that is named by its settings, so that a run of
several tables is done once. A table that was stopped or killed resumes at its
last run. Where the same command is started several times, on as many devices,
each takes runs that no other has. Table 3 has no runs: one process times it.
"""

import dataclasses
import os
import re
import time

from absl import logging

from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import methods
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.studies.ablations import (
    ladder,
    report,
    search_run,
    segmentation,
)
from entrannas_tf.training import interruptions, provenance, workdirs

RESULTS = ("table1", "table2", "table3", "table4", "table5", "figure5")

_LADDER = "ladder"
_WAIT_SECONDS = 10.0


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
    runs = [] if is_ladder else list_runs(config, result)
    if not runs and not is_ladder:
        raise ValueError(
            f"There is no run for {result}: penalties is empty; expected "
            "numbers such as (0.2, 0.1, 0.05)."
        )
    is_there = workdirs.check_workdir(workdir, config)
    if result == "table5" or not (is_there or is_ladder):
        _check_data(config, result, runs)
    workdirs.make_workdir(workdir, config)
    failures = {}
    if is_ladder:
        with workdirs.locked(workdir):
            records = ladder.climb(config, os.path.join(workdir, _LADDER))
    else:
        failures = _finish(runs, workdir)
        records = [r.record(workdir) for r in runs if r not in failures]
        if result == "table5" and records:
            records.append(segmentation.trivial_record(config.segmentation))
    if not records:
        first = next(iter(failures.values()))
        raise interruptions.RunFailed(
            f"All {len(failures)} runs failed: {first}"
        )
    said = [f"{r.row}, seed {r.seed}: {e}" for r, e in failures.items()]
    paths = report.write(workdir, result, records, config, command, said)
    with open(paths[0], encoding="utf-8") as file:
        print(file.read(), flush=True)
    return paths


def _check_data(config, result, runs):
    """Raises ValueError if the data of a table are not there."""
    if result == "table5":
        retraining_workflow.load_data(config.segmentation)
        if any(run.pretraining for run in runs):
            retraining_workflow.load_data(config.pretraining)
    else:
        retraining_workflow.load_data(config.retraining)
    if result != "table5" or config.penalties:
        search_workflow.load_data(config.search)


def list_runs(config, result):
    """Returns the runs of a table or figure, a list.

    Args:
        config: An `ablation_config.AblationConfig`.
        result: One of `RESULTS` but "table3".

    Raises:
        ValueError: If two backbones of Table 5 have the same name.
    """
    retrains = result in ("table2", "figure5")
    ranks = result == "table2"
    num_seeds = config.num_rank_seeds if ranks else config.num_seeds
    first = config.search.seed
    seeds = range(first, first + num_seeds)
    found = [
        _make_run(config, row, settings, seed, retrains)
        for row, settings in _rows(config, result).items()
        for seed in seeds
    ]
    if result == "table5":
        return segmentation.list_runs(config, found, seeds)
    return found


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
    """Returns the `SearchRun` of a row at a seed."""
    name = re.sub(r"\W+", "_", methods.title(settings).lower())
    name = f"{name}_{provenance.config_hash(settings)}"
    return search_run.SearchRun(
        row,
        os.path.join(search_run.RUNS, name, f"seed_{seed}"),
        dataclasses.replace(settings, seed=seed),
        dataclasses.replace(config.retraining, seed=seed) if retrains else None,
    )


def _finish(runs, workdir):
    """Does all runs; returns {run that failed: why}."""
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
                run.seed,
                os.path.join(workdir, run.directory),
            )
            try:
                run.do(workdir)
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
