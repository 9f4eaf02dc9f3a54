"""Tables 1 to 4 and Figure 5, as measured, beside the paper's numbers.

A table maps {row: records of its runs} and an `ablation_config.AblationConfig`
to tuples of texts: the heading, then a tuple a row. A plot draws the records.
"""

import csv
import io
import itertools
import os
import statistics

from matplotlib import figure as figures
from matplotlib.backends import backend_agg
from scipy import stats

from entrannas_tf.training import files, formatting, provenance

# Section 4.1. Accuracies in percent, memory in GB, cost in GPU-days on a GTX
# 1080 Ti, parameters and multiply-adds ("Flops") in millions.
_PAPER_TABLE1 = {
    "all": (88.29, 63.97),
    "half": (87.45, 65.51),
    "last": (84.02, 83.35),
    "first": (86.68, 86.24),
}
_PAPER_TABLE2 = {
    "darts": -0.47,
    "p_darts": 0.20,
    "pc_darts": -0.07,
    "entrannas": 0.33,
    "entrannas_dst": 0.60,
}
_PAPER_TABLE3 = {
    "darts": (9.0, 1, 0.73),
    "engine_transit": (4.5, 2, 0.22),
    "feature_sharing": (2.6, 4, 0.09),
    "bottleneck": (1.5, 8, 0.06),
}
_PAPER_TABLE4 = {
    "0.2": ("9 / 8", 5.07, 580),
    "0.1": ("11 / 6", 5.88, 673),
    "0.05": ("13 / 14", 6.99, 779),
}
_PAPER_FIGURE5 = {"0.2": "76.20"}  # Table 7.


def rank_correlation(first, second):
    """Returns Kendall's tau of pairs of numbers, and its p-value.

    Args:
        first: Numbers, 2 or more.
        second: As many numbers.

    Returns:
        Two floats; both NaN where all of `first` or of `second` are equal.
    """
    found = stats.kendalltau(first, second)
    return float(found.statistic), float(found.pvalue)


def _table1(rows, config):
    del config
    yield (
        "Engine-cells",
        "super-net",
        "child network",
        "drop",
        "entropy",
        "paper: super-net",
        "child network",
        "drop",
    )
    for name, runs in rows.items():
        supernet, child = _PAPER_TABLE1[name]
        drops = [r["supernet_accuracy"] - r["child_accuracy"] for r in runs]
        yield (
            {"all": "all (DARTS)", "half": "one half"}.get(name, name),
            _percent([r["supernet_accuracy"] for r in runs]),
            _percent([r["child_accuracy"] for r in runs]),
            _percent(drops),
            _mean([r["mean_entropy"] for r in runs], 3),
            f"{supernet:.2f}",
            f"{child:.2f}",
            f"{supernet - child:.2f}",
        )


def _table2(rows, config):
    del config
    yield (
        "method",
        "tau, super-net",
        "tau, child network",
        "super-net",
        "child network",
        "retrained",
        "paper: tau",
    )
    for name, runs in rows.items():
        scores = {
            key: [r[f"{key}_accuracy"] for r in runs]
            for key in ("supernet", "child", "test")
        }
        paper = _PAPER_TABLE2.get(name)
        yield (
            name,
            _tau(scores["supernet"], scores["test"]),
            _tau(scores["child"], scores["test"]),
            *(_percent(values) for values in scores.values()),
            "-" if paper is None else f"{paper:.2f}",
        )


def _table3(rows, config):
    yield (
        "row",
        f"MiB at batch {config.batch_size}",
        "largest batch",
        "s an image",
        "cost of an epoch",
        "ratio",
        "paper: GB",
        "batch",
        "GPU-days",
        "ratio",
    )
    first = None
    for name, runs in rows.items():
        (largest,) = [r for r in runs if r["fits"]][-1:] or runs[:1]
        factor = f"x{largest['batch_size'] // config.batch_size}"
        if runs[-1]["fits"]:
            factor += " or more"
        seconds = largest["step_seconds"] / largest["batch_size"]
        first = first or seconds
        memory, batches, cost = _PAPER_TABLE3[name]
        images = config.search.data.weight_fraction * _num_images(config)
        yield (
            name,
            f"{runs[0]['peak_memory_mib']:,.0f}",
            factor if largest["fits"] else "none",
            f"{seconds:.4f}",
            formatting.duration(seconds * images),
            f"{first / seconds:.1f}",
            f"{memory:.1f}",
            f"x{batches}",
            f"{cost:.2f}",
            f"{_PAPER_TABLE3['darts'][2] / cost:.1f}",
        )


def _table4(rows, config):
    del config
    yield (
        "lambda",
        "edges N / R",
        "connections N / R",
        "parameters, M",
        "multiply-adds, M",
        "super-net",
        "child network",
        "paper: edges N / R",
        "parameters, M",
        "multiply-adds, M",
    )
    for name, runs in rows.items():
        edges, parameters, multiply_adds = _PAPER_TABLE4.get(name, "---")
        yield (
            name,
            *(
                " / ".join(
                    _mean([r[f"{what}_{kind}"] for r in runs], 1)
                    for kind in ("normal", "reduction")
                )
                for what in ("edges", "connections")
            ),
            _mean([r["imagenet_parameters"] / 1e6 for r in runs], 2),
            _mean(
                [r["imagenet_multiply_adds_published"] / 1e6 for r in runs], 0
            ),
            _percent([r["supernet_accuracy"] for r in runs]),
            _percent([r["child_accuracy"] for r in runs]),
            edges,
            str(parameters),
            str(multiply_adds),
        )


def _figure5(rows, config):
    del config
    yield (
        "lambda",
        "parameters, M",
        "multiply-adds, M",
        "test accuracy",
        "paper: parameters, M",
        "multiply-adds, M",
        "accuracy",
    )
    for name, runs in rows.items():
        _, parameters, multiply_adds = _PAPER_TABLE4.get(name, "---")
        yield (
            name,
            _mean([r["parameters"] / 1e6 for r in runs], 3),
            _mean([r["multiply_adds_published"] / 1e6 for r in runs], 2),
            _percent([r["test_accuracy"] for r in runs]),
            str(parameters),
            str(multiply_adds),
            _PAPER_FIGURE5.get(name, "-"),
        )


def _mean(values, digits):
    """Returns the mean, with the deviation of several."""
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text


def _percent(values):
    return _mean([100 * value for value in values], 2)


def _tau(first, second):
    tau, p = rank_correlation(first, second)
    return f"{tau:.2f} ({p:.2f})" if tau == tau else "undefined"


def _num_images(config):
    """Returns the number of training images; all of CIFAR-10 for 0."""
    return config.search.data.num_examples or 50_000


# By the name of the result.
TABLES = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "figure5": _figure5,
}


_DPI = 120
_LABELS = {
    "supernet_accuracy": "super-net, %",
    "child_accuracy": "child network, %",
    "test_accuracy": "retrained, test images, %",
    "parameters": "parameters, M",
    "multiply_adds_published": "multiply-adds, M",
    "peak_memory_mib": "memory, MiB",
}


def draw(result, rows, title):
    """Returns the plot of a table or figure, bytes of a PNG.

    Args:
        result: "table1" to "table4" or "figure5".
        rows: {row: list of records}, see `write`.
        title: What stands above it.
    """
    figure = figures.Figure((8.4, 4.0), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    canvas = backend_agg.FigureCanvasAgg(figure)
    _PLOTS[result](figure, rows)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    held = io.BytesIO()
    canvas.print_png(held)
    return held.getvalue()


def _engine_cells(figure, rows):
    axes = figure.subplots()
    for shift, key in ((-0.2, "supernet_accuracy"), (0.2, "child_accuracy")):
        places = [place + shift for place in range(len(rows))]
        means = [
            statistics.fmean(100 * r[key] for r in runs)
            for runs in rows.values()
        ]
        bars = axes.bar(places, means, 0.38, label=_LABELS[key].split(",")[0])
        axes.bar_label(bars, fmt="%.1f", fontsize=9, label_type="center")
        for place, runs in zip(places, rows.values(), strict=True):
            values = [100 * r[key] for r in runs]
            axes.plot([place] * len(values), values, "k.", markersize=4)
    axes.set_xticks(range(len(rows)), rows)
    axes.set_xlabel("Engine-cells")
    axes.set_ylabel("accuracy, %; a dot a seed")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _ranks(figure, rows):
    panels = figure.subplots(1, len(rows), squeeze=False)[0]
    for axes, (name, runs) in zip(panels, rows.items(), strict=True):
        _scatter(axes, runs, "supernet_accuracy", "test_accuracy")
        axes.set_title(name, fontsize=10)


def _ladder(figure, rows):
    memory, speed = figure.subplots(1, 2)
    for name, runs in rows.items():
        runs = [r for r in runs if "failed" not in r]
        batches = [r["batch_size"] for r in runs]
        memory.plot(
            batches, [r["peak_memory_mib"] for r in runs], "o-", label=name
        )
        seconds = [1000 * r["step_seconds"] / r["batch_size"] for r in runs]
        speed.plot(batches, seconds, "o-", label=name)
    limit = next(iter(rows.values()))[0]["memory_limit_mib"]
    memory.axhline(limit, color="k", linestyle=":", label="limit")
    for axes, label in ((memory, "memory, MiB"), (speed, "ms an image")):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("batch")
        axes.set_ylabel(label)
    memory.set_ylim(bottom=0)
    memory.legend(fontsize=8)
    speed.set_yscale("log", base=2)
    speed.yaxis.set_major_formatter("{x:g}")


def _penalties(figure, rows):
    edges, size = figure.subplots(1, 2)
    for kind in ("normal", "reduction"):
        means = [
            statistics.fmean(r[f"edges_{kind}"] for r in runs)
            for runs in rows.values()
        ]
        (line,) = edges.plot(list(rows), means, "o-", label=f"{kind} cell")
        for name, runs in rows.items():
            for run in runs:
                edges.plot(
                    name, run[f"edges_{kind}"], ".", color=line.get_color()
                )
    edges.set_ylim(0, 14.5)  # A cell has 14 edges.
    edges.set_ylabel("edges; a dot a seed")
    edges.legend()
    for name, runs in rows.items():
        for run in runs:
            size.plot(name, run["imagenet_parameters"] / 1e6, "k.")
    size.set_ylabel("parameters of the ImageNet network, M")
    for axes in (edges, size):
        axes.set_xlabel("lambda")


def _sizes(figure, rows):
    panels = figure.subplots(1, 2, sharey=True)
    keys = "parameters", "multiply_adds_published"
    for axes, key in zip(panels, keys, strict=True):
        for name, runs in rows.items():
            _scatter(axes, runs, key, "test_accuracy", f"lambda {name}")
    panels[0].legend(fontsize=8)
    panels[1].set_ylabel("")


def _scatter(axes, runs, x, y, label=None):
    def values(key):
        scale = 100 if key.endswith("accuracy") else 1e-6
        return [scale * r[key] for r in runs]

    axes.plot(values(x), values(y), "o", label=label)
    axes.set_xlabel(_LABELS[x])
    axes.set_ylabel(_LABELS[y])
    axes.locator_params(axis="x", nbins=6)  # Long numbers would overlap.


_PLOTS = {
    "table1": _engine_cells,
    "table2": _ranks,
    "table3": _ladder,
    "table4": _penalties,
    "figure5": _sizes,
}


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
    table = TABLES[result](rows, config)
    paths = [
        os.path.join(workdir, result + suffix)
        for suffix in (".md", ".csv", ".png")
    ]
    text = _document(result, table, records, config, command, failures)
    files.write_text(paths[0], text)
    files.write_text(paths[1], _csv(records))
    title = f"{_TITLES[result]} ({config.name})"
    files.write_bytes(paths[2], draw(result, rows, title))
    return paths


def _document(result, table, records, config, command, failures):
    """Returns the Markdown: the table, what it means, and where it is from."""
    heading, *rows = table
    seeds = sorted({r["seed"] for r in records if "seed" in r})
    took = ", ".join(
        f"{what} {formatting.duration(sum(seconds))}"
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
