"""Tables 1 to 5 and Figure 5, as measured, beside the paper's numbers.

A table has a row for each group of runs, whose records are dicts of numbers
and texts. A plot draws the same records.
"""

import csv
import io
import itertools
import os
import statistics
from collections.abc import Callable
from typing import NamedTuple

from matplotlib import figure as figures
from scipy import stats

from entrannas_tf.training import files, formatting, provenance

_DPI = 120
_LABELS = {
    "supernet_accuracy": "super-net, %",
    "child_accuracy": "child network, %",
    "test_accuracy": "retrained, test images, %",
    "parameters": "parameters, M",
    "multiply_adds_published": "multiply-adds, M",
}
# Name of a duration -> the member of a record.
_SECONDS = {
    "searches": "search_seconds",
    "retrainings": "retrain_seconds",
    "backbones": "pretrain_seconds",
    "segmentations": "segment_seconds",
    "measurements": "wall_seconds",
}


class _Table(NamedTuple):
    """A table of the paper.

    Attributes:
        title: Its title.
        heading: Names of the columns, of the row and as measured, such as
            "lambda | edges"; "{0}" in it stands for the configuration.
        cells: Function of a row's runs, of those of the first row, and of the
            `ablation_config.AblationConfig`; returns the texts as measured.
        paper_heading: Names of the columns from the paper.
        paper: {row: the paper's texts}. Accuracies are in percent, memory in
            GB, cost in GPU-days on a GTX 1080 Ti, parameters and multiply-adds
            ("Flops") in millions.
        plot: Function of a figure, which it fills, and of {row: runs}.
        note: Explanation of the columns.
    """

    title: str
    heading: str
    cells: Callable
    paper_heading: str
    paper: dict
    plot: Callable
    note: str


def rank_correlation(first, second):
    """Returns Kendall's tau of two lists of numbers, and its p-value.

    Both are NaN where all numbers of a list are equal.
    """
    found = stats.kendalltau(first, second)
    return float(found.statistic), float(found.pvalue)


def write(workdir, result, records, config, command, failures=()):
    """Writes a table as Markdown and as a plot, and its runs as CSV.

    Args:
        workdir: Directory that they are written to.
        result: "table1" to "table5" or "figure5".
        records: Dicts of numbers and texts, one per run; each has its `row`.
        config: An `ablation_config.AblationConfig`.
        command: The command that reproduces it.
        failures: Texts: which runs are missing and why.

    Returns:
        The paths of the Markdown, the CSV and the PNG.

    Raises:
        OSError: If a file cannot be written.
    """
    rows = {
        name: list(group)
        for name, group in itertools.groupby(records, lambda r: r["row"])
    }
    text = _document(result, rows, records, config, command, failures)
    title = f"{_TABLES[result].title} ({config.name})"
    contents = {
        "md": text.encode(),
        "csv": _csv(records).encode(),
        "png": draw(result, rows, title),
    }
    paths = [os.path.join(workdir, f"{result}.{kind}") for kind in contents]
    for path, data in zip(paths, contents.values(), strict=True):
        files.write_bytes(path, data)
    return paths


def draw(result, rows, title):
    """Returns the plot of a table or figure, the bytes of a PNG file.

    Args:
        result: "table1" to "table5" or "figure5".
        rows: {row: list of records}, see `write`.
        title: Text above the plot.
    """
    figure = figures.Figure((8.4, 4.0), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    _TABLES[result].plot(figure, rows)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    held = io.BytesIO()
    figure.savefig(held, format="png")
    return held.getvalue()


def _document(result, rows, records, config, command, failures):
    """Returns the Markdown: the table, its meaning and its provenance."""
    table = _TABLES[result]
    first = next(iter(rows.values()))
    paper_heading = table.paper_heading.split(" | ")
    heading = table.heading.format(config).split(" | ") + paper_heading
    dashes = ["-"] * len(paper_heading)
    lines = [
        (
            {"all": "all (DARTS)", "half": "one half"}.get(name, name),
            *table.cells(runs, first, config),
            *table.paper.get(name, dashes),
        )
        for name, runs in rows.items()
    ]
    took = ", ".join(
        f"{name} {formatting.duration(sum(seconds))}"
        for name, key in _SECONDS.items()
        if (seconds := [r[key] for r in records if key in r])
    )
    versions = provenance.collect(config.search, {})["versions"]
    facts = [
        f"command: `{command}`",
        f"size: {config.name}, configuration {provenance.config_hash(config)}",
    ]
    if seeds := sorted({r["seed"] for r in records if "seed" in r}):
        facts.append(f"seeds: {', '.join(map(str, seeds))}")
    else:
        facts.append(f"seed: 0, images made up; {records[0]['device']}")
        limit = records[0]["memory_limit_mib"]
        facts.append(f"limit of memory: {limit:,.0f} MiB")
    facts += [
        f"wall time of the runs, added up: {took}",
        "versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()),
        *(f"missing: {failure}" for failure in failures),
    ]
    parts = [
        f"# {table.title}",
        formatting.table(heading, lines),
        f'{table.note} The columns from "paper:" on are the paper\'s own.',
        "\n".join(f"- {fact}" for fact in facts),
        f"![{table.title}]({result}.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _csv(records):
    """Returns a line for each record, without its nested dicts."""
    names = {
        name: None  # In the order of their first appearance.
        for record in records
        for name, value in record.items()
        if not isinstance(value, dict)
    }
    text = io.StringIO()
    writer = csv.DictWriter(
        text, names, extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _values(runs, key):
    """Returns a number per run: accuracies in %, sizes in millions."""
    if key.endswith(("accuracy", "miou")):
        return [100 * run[key] for run in runs]
    if key.endswith(("parameters", "multiply_adds_published")):
        return [run[key] / 1e6 for run in runs]
    return [run[key] for run in runs]


def _mean(values, digits):
    """Returns the mean, with the deviation of several."""
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text


def _means(runs, keys, digits=2):
    return (_mean(_values(runs, key), digits) for key in keys)


def _table1(runs, *_):
    drops = [r["supernet_accuracy"] - r["child_accuracy"] for r in runs]
    return (
        *_means(runs, ("supernet_accuracy", "child_accuracy")),
        _mean([100 * drop for drop in drops], 2),
        *_means(runs, ("mean_entropy",), 3),
    )


def _plot_table1(figure, rows):
    axes = figure.subplots()
    for shift, key in ((-0.2, "supernet_accuracy"), (0.2, "child_accuracy")):
        places = [place + shift for place in range(len(rows))]
        values = [_values(runs, key) for runs in rows.values()]
        means = list(map(statistics.fmean, values))
        bars = axes.bar(places, means, 0.38, label=_LABELS[key].split(",")[0])
        axes.bar_label(bars, fmt="%.1f", fontsize=9, label_type="center")
        for place, heights in zip(places, values, strict=True):
            axes.plot([place] * len(heights), heights, "k.", markersize=4)
    axes.set_xticks(range(len(rows)), rows)
    axes.set_xlabel("Engine-cells")
    axes.set_ylabel("accuracy, %; a dot a seed")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _table2(runs, *_):
    keys = "supernet_accuracy", "child_accuracy", "test_accuracy"
    *searched, retrained = ([r[key] for r in runs] for key in keys)
    for accuracies in searched:
        tau, p = rank_correlation(accuracies, retrained)
        yield f"{tau:.2f} ({p:.2f})" if tau == tau else "undefined"
    yield from _means(runs, keys)


def _plot_table2(figure, rows):
    panels = figure.subplots(1, len(rows), squeeze=False)[0]
    for axes, (name, runs) in zip(panels, rows.items(), strict=True):
        _scatter(axes, runs, "supernet_accuracy", "test_accuracy")
        axes.set_title(name, fontsize=10)


def _largest(runs):
    """Returns the measurement of the largest batch that fits, or the first."""
    return ([r for r in runs if r["fits"]] or runs[:1])[-1]


def _table3(runs, first, config):
    largest = _largest(runs)
    factor = f"x{largest['batch_size'] // config.batch_size}"
    if runs[-1]["fits"]:
        factor += " or more"
    data = config.search.data
    num_images = data.weight_fraction * (data.num_examples or 50_000)
    first_seconds, seconds = (
        r["step_seconds"] / r["batch_size"] for r in (_largest(first), largest)
    )
    return (
        f"{runs[0]['peak_memory_mib']:,.0f}",
        factor if largest["fits"] else "none",
        f"{seconds:.4f}",
        formatting.duration(seconds * num_images),
        f"{first_seconds / seconds:.1f}",
    )


def _plot_table3(figure, rows):
    memory, speed = figure.subplots(1, 2)
    for name, runs in rows.items():
        runs = [r for r in runs if "failed" not in r]
        batches = [r["batch_size"] for r in runs]
        memory.plot(batches, _values(runs, "peak_memory_mib"), "o-", label=name)
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


def _table4(runs, *_):
    for counted in ("edges", "connections"):
        keys = f"{counted}_normal", f"{counted}_reduction"
        yield " / ".join(_means(runs, keys, 1))
    yield from _means(runs, ("imagenet_parameters",))
    yield from _means(runs, ("imagenet_multiply_adds_published",), 0)
    yield from _means(runs, ("supernet_accuracy", "child_accuracy"))


def _plot_table4(figure, rows):
    edges, size = figure.subplots(1, 2)
    for kind in ("normal", "reduction"):
        values = {n: _values(rows[n], f"edges_{kind}") for n in rows}
        means = list(map(statistics.fmean, values.values()))
        (line,) = edges.plot(list(rows), means, "o-", label=f"{kind} cell")
        for name, counts in values.items():
            for count in counts:
                edges.plot(name, count, ".", color=line.get_color())
    edges.set_ylim(0, 14.5)  # A cell has 14 edges.
    edges.set_ylabel("edges; a dot a seed")
    edges.legend()
    for name, runs in rows.items():
        for millions in _values(runs, "imagenet_parameters"):
            size.plot(name, millions, "k.")
    size.set_ylabel("parameters of the ImageNet network, M")
    for axes in (edges, size):
        axes.set_xlabel("lambda")


def _figure5(runs, *_):
    yield from _means(runs, ("parameters",), 3)
    yield from _means(runs, ("multiply_adds_published", "test_accuracy"))


def _plot_figure5(figure, rows):
    panels = figure.subplots(1, 2, sharey=True)
    keys = "parameters", "multiply_adds_published"
    for axes, key in zip(panels, keys, strict=True):
        for name, runs in rows.items():
            _scatter(axes, runs, key, "test_accuracy", f"lambda {name}")
    panels[0].legend(fontsize=8)
    panels[1].set_ylabel("")


def _table5(runs, *_):
    yield from _means(runs, ("test_miou", "test_pixel_accuracy"))
    for key, digits in (
        ("parameters", 2),
        ("multiply_adds_published", 0),
        ("backbone_accuracy", 2),
    ):
        has = all(key in run for run in runs)
        yield next(_means(runs, (key,), digits)) if has else "-"
    times = [r["segment_seconds"] for r in runs if "segment_seconds" in r]
    yield formatting.duration(statistics.fmean(times)) if times else "-"


def _plot_table5(figure, rows):
    axes = figure.subplots()
    places = range(len(rows))
    values = [_values(runs, "test_miou") for runs in rows.values()]
    means = list(map(statistics.fmean, values))
    bars = axes.barh(places, means, 0.6)
    axes.bar_label(bars, fmt="%.1f", fontsize=9, label_type="center")
    for place, widths in zip(places, values, strict=True):
        axes.plot(widths, [place] * len(widths), "k.", markersize=4)
    axes.set_yticks(places, rows)
    axes.invert_yaxis()
    axes.set_xlabel("mIoU, %; a dot a seed")


def _scatter(axes, runs, x, y, label=None):
    axes.plot(_values(runs, x), _values(runs, y), "o", label=label)
    axes.set_xlabel(_LABELS[x])
    axes.set_ylabel(_LABELS[y])
    axes.locator_params(axis="x", nbins=6)  # Long numbers would overlap.


_TABLES = {
    "table1": _Table(
        "Table 1: Engine-cells",
        "Engine-cells | super-net | child network | drop | entropy",
        _table1,
        "paper: super-net | child network | drop",
        {
            "all": ("88.29", "63.97", "24.32"),
            "half": ("87.45", "65.51", "21.94"),
            "last": ("84.02", "83.35", "0.67"),
            "first": ("86.68", "86.24", "0.44"),
        },
        _plot_table1,
        "Accuracies on the images that trained the architecture, at the end of "
        "the search; the child network runs the derived connections alone. The "
        "entropy is that of the coefficients: 0 where every edge has one "
        "operation left, 1 where all are equal. All rows are EnTranNAS but for "
        "their Engine-cells. Mean and deviation over the seeds.",
    ),
    "table2": _Table(
        "Table 2: Kendall's tau",
        "method | tau, super-net | tau, child network | super-net | child "
        "network | retrained",
        _table2,
        "paper: tau",
        {
            "darts": ("-0.47",),
            "p_darts": ("0.20",),
            "pc_darts": ("-0.07",),
            "entrannas": ("0.33",),
            "entrannas_dst": ("0.60",),
        },
        _plot_table2,
        "Kendall's tau of two accuracies over the seeds: that of the "
        "super-net, or of the child network, at the end of the search, and "
        "that of the network retrained from scratch, on the test images. In "
        "parentheses the probability of a tau this far from 0 if the two were "
        "unrelated.",
    ),
    "table3": _Table(
        "Table 3: memory, largest batch, time",
        "row | MiB at batch {0.batch_size} | largest batch | s an image | cost "
        "of an epoch | ratio",
        _table3,
        "paper: GB | batch | GPU-days | ratio",
        {
            "darts": ("9.0", "x1", "0.73", "1.0"),
            "engine_transit": ("4.5", "x2", "0.22", "3.3"),
            "feature_sharing": ("2.6", "x4", "0.09", "8.1"),
            "bottleneck": ("1.5", "x8", "0.06", "12.2"),
        },
        _plot_table3,
        "The rows build up from top to bottom. Memory is the peak of the "
        "tensors on the GPU; without a GPU that of the process, TensorFlow "
        "itself included. The largest batch is the largest doubled batch that "
        "stays within the limit; the cost is that of an epoch over the "
        "weights' images at that batch, from the median of a few steps.",
    ),
    "table4": _Table(
        "Table 4: lambda",
        "lambda | edges N / R | connections N / R | parameters, M | "
        "multiply-adds, M | super-net | child network",
        _table4,
        "paper: edges N / R | parameters, M | multiply-adds, M",
        {
            "0.2": ("9 / 8", "5.07", "580"),
            "0.1": ("11 / 6", "5.88", "673"),
            "0.05": ("13 / 14", "6.99", "779"),
        },
        _plot_table4,
        "Edges are pairs of nodes that are joined, of 14 in a cell; "
        "connections are operations on them. Parameters and multiply-adds "
        "(published convention) are those of the ImageNet network, 14 cells of "
        "48 channels, counted. The paper's cells were searched on ImageNet. "
        "Mean and deviation over the seeds.",
    ),
    "table5": _Table(
        "Table 5: segmentation",
        "backbone | mIoU | pixel accuracy | parameters, M | multiply-adds, M "
        "| backbone's accuracy | time",
        _table5,
        "paper: mIoU",
        {
            "resnet50": ("76.5",),
            "NASNet": ("75.4",),
            "DARTS_V2": ("75.1",),
            "lambda 0.2": ("76.3",),
            "lambda 0.1": ("76.8",),
            "lambda 0.05": ("77.1",),
        },
        _plot_table5,
        "Backbones under DeepLabV3's head, tested on whole photographs at one "
        "scale; mIoU and accuracies in percent. Parameters and multiply-adds "
        "(published convention) are those of the whole network at the size of "
        "the crops. The backbone's accuracy is that of its classification "
        "before; its time is not in that of the segmentation. Rows of lambda "
        "are cells that EnTranNAS-DST found. The paper's are of Pascal VOC "
        "2012, at 513x513 pixels and output stride 16. Mean and deviation over "
        "the seeds.",
    ),
    "figure5": _Table(
        "Figure 5: accuracy against size",
        "lambda | parameters, M | multiply-adds, M | test accuracy",
        _figure5,
        "paper: parameters, M | multiply-adds, M | accuracy",
        {
            "0.2": ("5.07", "580", "76.20"),  # Accuracy: Table 7.
            "0.1": ("5.88", "673", "-"),
            "0.05": ("6.99", "779", "-"),
        },
        _plot_figure5,
        "Test accuracy of the networks that EnTranNAS-DST found at several "
        "values of lambda, retrained from scratch, against their parameters "
        "and multiply-adds (published convention). The paper's, of ImageNet, "
        "are those of its Table 4; it gives only the accuracy at lambda 0.2 in "
        "numbers (Table 7). Mean and deviation over the seeds.",
    ),
}
