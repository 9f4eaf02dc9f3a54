"""The plots of the ablations, from the records of their runs."""

import io
import statistics

from matplotlib import figure as figures
from matplotlib.backends import backend_agg

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
        rows: {row: list of records}, see `ablation_results.write`.
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
