import csv
import io
import math

import numpy as np
import pytest
from matplotlib import figure as figures
from matplotlib import image

from configs import ablate_toy
from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.studies.ablations import report


@pytest.mark.parametrize(
    ("first", "second", "tau"),
    [
        # Of 6 pairs 5 agree and 1 does not.
        ([1, 2, 3, 4], [1, 2, 4, 3], 4 / 6),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 1, 1, 1], [4, 3, 2, 1], math.nan),
    ],
)
def test_tau_by_hand(first, second, tau):
    found, p = report.rank_correlation(first, second)
    assert found == pytest.approx(tau, nan_ok=True)
    assert 0 <= p <= 1 or math.isnan(tau)


def draw(*sizes):
    """Returns the pixels of Figure 5 with a row for each size."""
    rows = {
        f"{number}": [
            {
                "parameters": size,
                "multiply_adds_published": size,
                "test_accuracy": 0.5,
            }
        ]
        for number, size in enumerate(sizes)
    }
    return image.imread(io.BytesIO(report.draw("figure5", rows, "A title")))


def test_every_row_is_drawn():
    """Each has a colour of its own, in both panels and the legend."""
    one, two = (_num_colours(draw(*s)) for s in ([1e6], [1e6, 2e6]))
    assert two == one + 1


def _num_colours(pixels):
    """Counts the colours, beside grey, of 50 pixels or more."""
    flat = np.round(255 * pixels[..., :3].reshape(-1, 3))
    coloured = flat[np.ptp(flat, axis=1) > 60]
    _, counts = np.unique(coloured, axis=0, return_counts=True)
    return (counts >= 50).sum()


CONFIG = ablation_config.read(ablate_toy.get_config())


def make_run(row, seed, **changes):
    """Returns the record of a run that was searched and retrained."""
    return {
        "row": row,
        "seed": seed,
        "supernet_accuracy": 0.5 + 0.1 * seed,
        "child_accuracy": 0.4,
        "mean_entropy": 0.25,
        "test_accuracy": 0.6 - 0.1 * seed,
        "edges_normal": 8 + seed,
        "edges_reduction": 8,
        "connections_normal": 9,
        "connections_reduction": 8,
        "imagenet_parameters": 5_000_000,
        "imagenet_multiply_adds_published": 600_000_000,
        "parameters": 200_000,
        "multiply_adds_published": 9_000_000,
        "search_seconds": 60.0,
        "retrain_seconds": 30.0,
        **changes,
    }


def make_step(row, batch_size, memory, seconds, fits):
    return {
        "row": row,
        "batch_size": batch_size,
        "peak_memory_mib": memory,
        "step_seconds": seconds,
        "device": "CPU, 2 cores",
        "wall_seconds": 30.0,
        "memory_limit_mib": 1000.0,
        "fits": fits,
        "parts": {"graphs": 1.0},
    }


def make_segmentation(row, seed, **changes):
    """Returns the record of a backbone trained for segmentation."""
    return {
        "row": row,
        "seed": seed,
        "test_miou": 0.5 + 0.1 * seed,
        "test_pixel_accuracy": 0.9,
        "test_loss": 0.25,
        "parameters": 12_340_000,
        "multiply_adds": 6_000_000_000,
        "multiply_adds_published": 6_543_000_000,
        "segment_seconds": 60.0 + 60.0 * seed,
        "directory": f"runs/{row}/seed_{seed}",
        **changes,
    }


PRETRAINED = {"backbone_accuracy": 0.75, "pretrain_seconds": 30.0}
PAPER_TABLE_5 = {
    "NASNet": "75.4",
    "DARTS_V2": "75.1",
    "lambda 0.2": "76.3",
    "lambda 0.1": "76.8",
    "lambda 0.05": "77.1",
}
LADDER = [
    make_step("darts", 4, 900.0, 4.0, True),
    make_step("darts", 8, 1700.0, 8.0, False),
    make_step("bottleneck", 4, 400.0, 1.0, True),
    make_step("bottleneck", 8, 700.0, 1.6, True),
    make_step("bottleneck", 16, 1300.0, 3.0, False),
]
RECORDS = {
    "table1": [make_run(w, s) for w in ("all", "first") for s in range(3)],
    "table2": [make_run(w, s) for w in ("darts", "random") for s in range(3)],
    "table3": LADDER,
    "table4": [make_run(w, s) for w in ("0.2", "0.7") for s in range(2)],
    "table5": [
        *(make_segmentation("resnet50", seed) for seed in range(2)),
        *(
            make_segmentation(row, seed, **PRETRAINED)
            for row in (*PAPER_TABLE_5, "mine")
            for seed in range(2)
        ),
        make_segmentation("DARTS_V2, random weights", 0),
        {
            "row": "the commonest class",
            "test_miou": 0.035,
            "test_pixel_accuracy": 0.73,
        },
    ],
    "figure5": [make_run(w, s) for w in ("0.2", "0.1") for s in range(2)],
}


def write(workdir, result, records=None):
    """Returns the lines of the Markdown table, and all files' paths."""
    paths = report.write(
        workdir, result, records or RECORDS[result], CONFIG, "the command"
    )
    with open(paths[0], encoding="utf-8") as file:
        text = file.read()
    return [line for line in text.splitlines() if line[0:1] == "|"], paths, text


@pytest.mark.parametrize("result", RECORDS)
def test_all_three_files(tmp_path, result):
    lines, paths, text = write(tmp_path, result)
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert "- command: `the command`" in text
    assert f"({result}.png)" in text
    with open(paths[1], encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(RECORDS[result])
    assert image.imread(paths[2]).std() > 0.05  # Not a white page.


def test_engine_cells_beside_the_paper(tmp_path):
    lines, _, text = write(tmp_path, "table1")
    assert lines[2] == (
        "| all (DARTS) | 60.00 ± 10.00 | 40.00 ± 0.00 | 20.00 ± 10.00 | "
        "0.250 ± 0.000 | 88.29 | 63.97 | 24.32 |"
    )
    assert lines[3].endswith("| 86.68 | 86.24 | 0.44 |")
    assert "- seeds: 0, 1, 2" in text


def test_tau_of_a_reversed_order(tmp_path):
    lines, _, text = write(tmp_path, "table2")
    assert lines[2].startswith("| darts | -1.00 (0.33) | undefined | 60.00 ")
    assert lines[2].endswith("| 50.00 ± 10.00 | -0.47 |")
    assert lines[3].endswith("| - |")  # The paper has no random search.
    assert "searches 6:00, retrainings 3:00" in text


def test_the_largest_batch_that_fits(tmp_path):
    lines, _, text = write(tmp_path, "table3")
    # 96 images at 1 and at 0.2 s.
    assert lines[2] == (
        "| darts | 900 | x1 | 1.0000 | 1:36 | 1.0 | 9.0 | x1 | 0.73 | 1.0 |"
    )
    assert lines[3] == (
        "| bottleneck | 400 | x2 | 0.2000 | 0:19 | 5.0 | 1.5 | x8 | 0.06 "
        "| 12.2 |"
    )
    assert "- limit of memory: 1,000 MiB" in text
    assert "- seed: 0, images made up; CPU, 2 cores" in text
    assert "added up: measurements 2:30" in text


def test_a_limit_that_nothing_keeps(tmp_path):
    lines, _, _ = write(tmp_path, "table3", [LADDER[1]])
    assert lines[2].startswith("| darts | 1,700 | none |")


def test_edges_over_lambda(tmp_path):
    lines, _, _ = write(tmp_path, "table4")
    assert lines[2].startswith("| 0.2 | 8.5 ± 0.7 / 8.0 ± 0.0 | 9.0 ± 0.0 / ")
    assert lines[2].endswith("| 9 / 8 | 5.07 | 580 |")
    assert lines[3].endswith("| - | - | - |")


def test_backbones_beside_the_paper(tmp_path):
    lines, _, text = write(tmp_path, "table5")
    assert lines[0] == (
        "| backbone | mIoU | pixel accuracy | parameters, M | multiply-adds, M "
        "| backbone's accuracy | time | paper: mIoU |"
    )
    # Weights that were given have no accuracy that we know.
    assert lines[2] == (
        "| resnet50 | 55.00 ± 7.07 | 90.00 ± 0.00 | 12.34 ± 0.00 | 6543 ± 0 | "
        "- | 1:30 | 76.5 |"
    )
    for line, (row, number) in zip(
        lines[3:], PAPER_TABLE_5.items(), strict=False
    ):
        assert line == (
            f"| {row} | 55.00 ± 7.07 | 90.00 ± 0.00 | 12.34 ± 0.00 | 6543 ± 0 "
            f"| 75.00 ± 0.00 | 1:30 | {number} |"
        )
    assert lines[8:] == [
        "| mine | 55.00 ± 7.07 | 90.00 ± 0.00 | 12.34 ± 0.00 | 6543 ± 0 | "
        "75.00 ± 0.00 | 1:30 | - |",
        "| DARTS_V2, random weights | 50.00 | 90.00 | 12.34 | 6543 | - | 1:00 "
        "| - |",
        "| the commonest class | 3.50 | 73.00 | - | - | - | - | - |",
    ]
    assert "- seeds: 0, 1\n" in text
    assert "added up: backbones 6:00, segmentations 22:00" in text


def test_a_plot_of_backbones(tmp_path):
    """Every row has a bar as long as its mIoU, and a dot for each seed."""
    figure = figures.Figure()
    rows = {"a": [{"test_miou": 0.25}, {"test_miou": 0.75}]}
    rows["b"] = [{"test_miou": 0.125}]
    report._plot_table5(figure, rows)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [50.0, 12.5]
    assert [list(dots.get_xdata()) for dots in axes.lines] == [
        [25.0, 75.0],
        [12.5],
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
