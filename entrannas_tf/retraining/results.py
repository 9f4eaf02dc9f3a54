"""The files that a finished retraining leaves, and its last words."""

import json
import os
import statistics

from entrannas_tf.architecture import published
from entrannas_tf.training import files, formatting, provenance, workdirs

RESULTS_FILE = "results.json"  # The last file that is written.

_RUNS = "runs"
_SCORES = ("test_accuracy", "test_top5_accuracy", "test_loss")


def directory(workdir, number):
    """Returns the workdir of one run of several, counted from 1."""
    return os.path.join(workdir, _RUNS, f"{number:02d}")


def is_finished(workdir):
    """Returns whether all files of a finished retraining are there."""
    return os.path.exists(os.path.join(workdir, RESULTS_FILE))


def read(workdir):
    """Returns the results of a finished retraining, a dict.

    Raises:
        ValueError: If the file is not JSON.
        OSError: If there is none.
    """
    path = os.path.join(workdir, RESULTS_FILE)
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is not JSON ({error}).") from None


def write(workdir, progress, totals, config):
    """Writes the results of one run.

    Args:
        workdir: Directory of the run, which holds its metrics.jsonl.
        progress: `retraining_run.Progress` at the end.
        totals: `cost.Account.totals` of the network.
        config: The run's `retrain_config.RetrainConfig`.

    Raises:
        OSError: If a file cannot be read or written.
    """
    record = workdirs.last_record(workdir)
    run = {
        "seed": config.seed,
        **{name: record[name] for name in _SCORES},
        "best_epoch": progress.best_epoch,
        "best_test_accuracy": progress.best_accuracy,
    }
    _write(workdir, [run], totals, config)


def write_several(workdir, config):
    """Writes the results of several runs, all ended.

    Args:
        workdir: Directory of the whole, in which `directory` has them all.
        config: The `retrain_config.RetrainConfig` of the whole.

    Raises:
        OSError: If a file cannot be read or written.
    """
    results = [
        read(directory(workdir, number))
        for number in range(1, config.num_runs + 1)
    ]
    runs = [run for result in results for run in result["runs"]]
    _write(workdir, runs, results[0]["network"], config)


def _write(workdir, runs, totals, config):
    scores = {name: [run[name] for run in runs] for name in _SCORES}
    content = {
        # Whether what is called "test" was measured on training images.
        "held_out": config.data.validation_fraction > 0,
        "mean": {k: statistics.fmean(v) for k, v in scores.items()},
        # Of the sample; of a single run there is none.
        "standard_deviation": {
            name: statistics.stdev(values) if len(values) > 1 else None
            for name, values in scores.items()
        },
        "runs": runs,
        "network": totals,
        "provenance": provenance.collect(config, {}),
    }
    files.write_text(
        os.path.join(workdir, RESULTS_FILE),
        json.dumps(content, indent=2) + "\n",
    )


def summary(workdir):
    """Returns the results of a finished retraining in a few lines."""
    results = read(workdir)
    genotype = published.read(os.path.join(workdir, published.GENOTYPE_FILE))
    network = results["network"]
    lines = [
        f"normal cell     {genotype.describe('normal')}",
        f"reduction cell  {genotype.describe('reduction')}",
        f"network         {network['parameters']:,} parameters"
        + _multiply_adds(network),
        f"test accuracy   {_accuracy(results)}",
    ]
    if results.get("held_out"):
        lines.append(f"{'':16}on held-out training images, not on test images")
    if len(results["runs"]) > 1:
        lines += [
            f"  seed {run['seed']:<6}   {run['test_accuracy']:.2%}, top-5 "
            f"{run['test_top5_accuracy']:.2%}"
            for run in results["runs"]
        ]
        lines.append(f"files           {os.path.join(workdir, RESULTS_FILE)}")
    else:
        (run,) = results["runs"]
        timing = workdirs.last_record(workdir)["timing"]
        tensorboard = os.path.join(workdir, "tensorboard")
        lines += [
            f"best on test    {run['best_test_accuracy']:.2%}, after epoch "
            f"{run['best_epoch']}",
            "wall time       "
            f"{formatting.duration(timing['elapsed_seconds'])}, "
            f"{timing['images_per_second']:.1f} images a second, at most "
            f"{timing['peak_memory_mib']:,.0f} MiB of memory",
            f"files           {os.path.join(workdir, RESULTS_FILE)}; curves: "
            f"tensorboard --logdir={tensorboard}",
        ]
    return "\n".join(lines)


def _multiply_adds(network):
    if network["multiply_adds"] is None:
        return ""
    return (
        f", {network['multiply_adds']:,} multiply-adds "
        f"({network['multiply_adds_published']:,} as published)"
    )


def _accuracy(results):
    """Returns the accuracies of the last epoch, with their deviations."""
    shown = []
    for name in _SCORES[:2]:
        text = f"{results['mean'][name]:.2%}"
        deviation = results["standard_deviation"][name]
        if deviation is not None:
            text += f" +- {100 * deviation:.2f}"
        shown.append(text)
    num_runs = len(results["runs"])
    of_runs = f", mean of {num_runs} runs" if num_runs > 1 else ""
    return f"{shown[0]}, top-5 {shown[1]} (last epoch{of_runs})"
