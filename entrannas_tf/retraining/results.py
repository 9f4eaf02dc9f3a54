"""The files that a finished retraining leaves, and its last words."""

import json
import os
import statistics

from entrannas_tf.architecture import published
from entrannas_tf.training import files, formatting, provenance, workdirs

RESULTS_FILE = "results.json"  # The last file that is written.

_RUNS = "runs"


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


def write(workdir, progress, totals, config, source, scores):
    """Writes the results of one run.

    Args:
        workdir: Directory of the run, which holds its metrics.jsonl.
        progress: `retraining_run.Progress` at the end.
        totals: `cost.Account.totals` of the network.
        config: The run's configuration.
        source: Source of the training images.
        scores: Names of the scores, `task.Task.scores`.

    Raises:
        OSError: If a file cannot be read or written.
    """
    record = workdirs.last_record(workdir)
    run = {
        "seed": config.seed,
        **{k: v for k, v in record.items() if k.startswith("test_")},
        "best_epoch": progress.best_epoch,
        f"best_{scores[0]}": progress.best_score,
    }
    _write(workdir, [run], totals, config, describe(source), scores)


def describe(source):
    """Returns what a network's images are, a dict that JSON can hold.

    Args:
        source: Source of the images, such as an `ImageSource`.
    """
    return {
        "image_shape": list(source.image_shape),
        "label_names": list(source.label_names),
        "mean": [float(value) for value in source.mean],
        "std": [float(value) for value in source.std],
    }


def write_several(workdir, config, scores):
    """Writes the results of several runs, all ended.

    Args:
        workdir: Directory of the whole, in which `directory` has them all.
        config: The configuration of the whole.
        scores: Names of the scores, `task.Task.scores`.

    Raises:
        OSError: If a file cannot be read or written.
    """
    results = [
        read(directory(workdir, number))
        for number in range(1, config.num_runs + 1)
    ]
    runs = [run for result in results for run in result["runs"]]
    first = results[0]
    _write(workdir, runs, first["network"], config, first["images"], scores)


def _write(workdir, runs, totals, config, images, names):
    scores = {name: [run[name] for run in runs] for name in names}
    content = {
        # Whether what is called "test" was measured on training images.
        "held_out": getattr(config.data, "validation_fraction", 0) > 0,
        "mean": {k: statistics.fmean(v) for k, v in scores.items()},
        # Of the sample; of a single run there is none.
        "standard_deviation": {
            name: statistics.stdev(values) if len(values) > 1 else None
            for name, values in scores.items()
        },
        "runs": runs,
        "network": totals,
        "images": images,
        "provenance": provenance.collect(config, {}),
    }
    files.write_text(
        os.path.join(workdir, RESULTS_FILE),
        json.dumps(content, indent=2) + "\n",
    )


def summary(workdir):
    """Returns the results of a finished retraining in a few lines."""
    results = read(workdir)
    network, (best, *_) = results["network"], results["mean"]
    path = os.path.join(workdir, published.GENOTYPE_FILE)
    lines = []
    if os.path.exists(path):
        genotype = published.read(path)
        lines += [
            f"normal cell     {genotype.describe('normal')}",
            f"reduction cell  {genotype.describe('reduction')}",
        ]
    title = formatting.SCORES[best]
    lines += [
        f"network         {network['parameters']:,} parameters"
        + _multiply_adds(network),
        f"{f'test {title}':<16}{_scores(results)}",
    ]
    if results.get("held_out"):
        lines.append(f"{'':16}on held-out training images, not on test images")
    if len(results["runs"]) > 1:
        lines += [
            f"  seed {run['seed']:<6}   {formatting.scores(run)}"
            for run in results["runs"]
        ]
        lines.append(f"files           {os.path.join(workdir, RESULTS_FILE)}")
    else:
        (run,) = results["runs"]
        timing = workdirs.last_record(workdir)["timing"]
        tensorboard = os.path.join(workdir, "tensorboard")
        lines += [
            f"best on test    {run[f'best_{best}']:.2%}, after epoch "
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


def _scores(results):
    """Returns the scores of the last epoch, with their deviations."""
    deviations = results["standard_deviation"]
    num_runs = len(results["runs"])
    of_runs = f", mean of {num_runs} runs" if num_runs > 1 else ""
    shown = formatting.scores(results["mean"], deviations)
    return f"{shown} (last epoch{of_runs})"
