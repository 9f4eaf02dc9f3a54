"""Tables 1 to 4 and Figure 5 as rows of texts, beside the paper's numbers.

Each maps {row: records of its runs} and an `ablation_config.AblationConfig` to
tuples of texts: the heading, then a tuple a row.
"""

import statistics

from scipy import stats

from entrannas_tf.training import progress_bar

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
            progress_bar.duration(seconds * images),
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
