"""Tables 1 to 4 and Figure 5, as measured, beside the paper's numbers."""

import csv
import io
import itertools
import os

from entrannas_tf.studies.ablations import plots, report
from entrannas_tf.training import files, formatting, progress_bar, provenance

_NOTES = {
    "table1": "Accuracies on the images that trained the architecture, at the "
    "end of the search; the child network runs the derived connections alone. "
    "The entropy is that of the coefficients, 0 where every edge has one "
    "operation left, 1 where all are equal. All else is EnTranNAS in each "
    "row. Mean and deviation over the seeds.",
    "table2": "Kendall's tau of two accuracies of the same runs, one a seed: "
    "that of the super-net, or of the child network, at the end of the search, "
    "and that of the network retrained from scratch, on the test images. In "
    "parentheses the probability of a tau as far from 0 where the two have "
    "nothing to do with each other.",
    "table3": "The rows build up from top to bottom. Memory is the most that "
    "tensors held on the GPU, without one the most that the process held, "
    "TensorFlow's own included. The largest batch is that "
    "of doubled ones that stays within the limit; the cost is an epoch of the "
    "weights' images at that batch, from the median of a few steps.",
    "table4": "Edges are pairs of nodes that are joined, of 14 in a cell; "
    "connections are operations on them. Parameters and multiply-adds "
    "(published convention) are those of the ImageNet network, 14 cells of 48 "
    "channels, counted. The paper's cells were searched on ImageNet. Mean and "
    "deviation over the seeds.",
    "figure5": "Test accuracy of the networks that EnTranNAS-DST found at "
    "several lambda, retrained from scratch, against their parameters and "
    "multiply-adds (published convention). The paper's, of ImageNet, are those "
    "of its Table 4; of its accuracies only that at lambda 0.2 is given in "
    "numbers (Table 7). Mean and deviation over the seeds.",
}
# What takes time -> the member of a record.
_SECONDS = {
    "searches": "search_seconds",
    "retrainings": "retrain_seconds",
    "measurements": "wall_seconds",
}
_TITLES = {
    "table1": "Table 1: Engine-cells",
    "table2": "Table 2: Kendall's tau",
    "table3": "Table 3: memory, largest batch, time",
    "table4": "Table 4: lambda",
    "figure5": "Figure 5: accuracy against size",
}


def write(workdir, result, records, config, command, failures=()):
    """Writes a table as Markdown and as a plot, and its runs as CSV.

    Args:
        workdir: Directory that they are written to.
        result: "table1" to "table4" or "figure5".
        records: Dicts of numbers and texts, one a run; each has its `row`.
        config: An `ablation_config.AblationConfig`.
        command: The command that makes it again.
        failures: Texts, which runs are missing and why.

    Returns:
        The paths of the Markdown, the CSV and the PNG.

    Raises:
        OSError: If a file cannot be written.
    """
    rows = {
        name: list(group)
        for name, group in itertools.groupby(records, lambda r: r["row"])
    }
    table = report.TABLES[result](rows, config)
    paths = [
        os.path.join(workdir, result + suffix)
        for suffix in (".md", ".csv", ".png")
    ]
    text = _document(result, table, records, config, command, failures)
    files.write_text(paths[0], text)
    files.write_text(paths[1], _csv(records))
    title = f"{_TITLES[result]} ({config.name})"
    files.write_bytes(paths[2], plots.draw(result, rows, title))
    return paths


def _document(result, table, records, config, command, failures):
    """Returns the Markdown: the table, what it means, and where it is from."""
    heading, *rows = table
    seeds = sorted({r["seed"] for r in records if "seed" in r})
    took = ", ".join(
        f"{what} {progress_bar.duration(sum(seconds))}"
        for what, key in _SECONDS.items()
        if (seconds := [r[key] for r in records if key in r])
    )
    facts = [
        f"- command: `{command}`",
        f"- size: {config.name}, configuration "
        f"{provenance.config_hash(config)}",
    ]
    if seeds:
        facts.append(f"- seeds: {', '.join(map(str, seeds))}")
    else:
        limit = records[0]["memory_limit_mib"]
        facts.append(f"- seed: 0, images made up; {records[0]['device']}")
        facts.append(f"- limit of memory: {limit:,.0f} MiB")
    facts.append(f"- wall time of the runs, added up: {took}")
    versions = provenance.collect(config.search, {})["versions"]
    facts.append(
        "- versions: " + ", ".join(f"{k} {v}" for k, v in versions.items())
    )
    facts += [f"- missing: {failure}" for failure in failures]
    parts = [
        f"# {_TITLES[result]}",
        "\n".join(formatting.table(heading, rows)),
        _NOTES[result] + ' The columns from "paper:" on are the paper\'s own.',
        "\n".join(facts),
        f"![{_TITLES[result]}]({result}.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _csv(records):
    """Returns a line a record, its nested dicts left out."""
    names = list(
        dict.fromkeys(
            name
            for record in records
            for name, value in record.items()
            if not isinstance(value, dict)
        )
    )
    text = io.StringIO()
    writer = csv.DictWriter(
        text, names, extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
