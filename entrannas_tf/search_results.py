"""The files that a finished search leaves, and its last words."""

import json
import os

import numpy as np

from entrannas_tf import drawing, files, genotypes, progress_bar, provenance

GENOTYPE_FILE = "genotype.json"
METRICS_FILE = "metrics.jsonl"
FILM_FILE = "search.gif"  # The last file that is written.
CELLS = "cells"
GENOTYPES = "genotypes"
DIRECTORIES = (CELLS, GENOTYPES)

_MAX_FRAMES = 100
_METRICS = (
    "supernet_accuracy",
    "child_accuracy",
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
)


def epoch_file(workdir, epoch):
    """Returns the path of the genotype of an epoch, counted from 1."""
    return os.path.join(workdir, GENOTYPES, f"epoch_{epoch:03d}.json")


def is_finished(workdir):
    """Returns whether all files of a finished search are in a directory."""
    return all(
        os.path.exists(os.path.join(workdir, name))
        for name in (GENOTYPE_FILE, FILM_FILE)
    )


def write(workdir, genotype, config):
    """Writes the genotype, the drawings of its cells and the film.

    Nothing in genotype.json depends on the clock.

    Args:
        workdir: Directory of the search, which holds METRICS_FILE, the files
            of `epoch_file`, and the directory CELLS.
        genotype: The `Genotype` that was found.
        config: The search's `config.Config`.

    Raises:
        OSError: If a file cannot be read or written.
    """
    record = _last_record(workdir)
    metrics = {name: record[name] for name in _METRICS if name in record}
    files.write_text(
        os.path.join(workdir, GENOTYPE_FILE),
        genotypes.to_json(
            genotype, provenance=provenance.collect(config, metrics)
        ),
    )
    for kind in ("normal", "reduction"):
        drawing.save_cell(
            getattr(genotype, kind),
            os.path.join(workdir, CELLS, kind),
            f"{config.name}, {kind} cell",
        )
    drawing.save_film(
        _film_frames(workdir, config.search.epochs),
        os.path.join(workdir, FILM_FILE),
    )


def read_genotype(workdir):
    """Returns the `Genotype` that a finished search found."""
    path = os.path.join(workdir, GENOTYPE_FILE)
    with open(path, encoding="utf-8") as file:
        return genotypes.from_json(file.read())


def summary(workdir):
    """Returns in a few lines what a finished search found, and where it is.

    Args:
        workdir: Directory of the search.
    """
    genotype, record = read_genotype(workdir), _last_record(workdir)
    timing = record["timing"]
    tensorboard = os.path.join(workdir, "tensorboard")
    return "\n".join(
        [
            f"normal cell     {genotypes.describe(genotype.normal)}",
            f"reduction cell  {genotypes.describe(genotype.reduction)}",
            f"accuracy        {record['supernet_accuracy']:.2%} as super-net, "
            f"{record['child_accuracy']:.2%} as child network (images that "
            "trained the architecture)",
            "wall time       "
            f"{progress_bar.duration(timing['elapsed_seconds'])}, "
            f"{record['epoch']} epoch(s), at most "
            f"{timing['peak_memory_mib']:,.0f} MiB of memory",
            f"files           {os.path.join(workdir, GENOTYPE_FILE)}, "
            f"{os.path.join(workdir, CELLS)}, "
            f"{os.path.join(workdir, FILM_FILE)}; curves: tensorboard "
            f"--logdir={tensorboard}",
        ]
    )


def _last_record(workdir):
    return files.read_json_lines(os.path.join(workdir, METRICS_FILE))[-1]


def _film_frames(workdir, epochs):
    """Yields the `FilmFrame`s of at most 100 epochs, the last one included."""
    count = min(epochs, _MAX_FRAMES)
    for epoch in np.linspace(epochs, 1, count).round().astype(int)[::-1]:
        path = epoch_file(workdir, epoch)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        values = json.loads(text)
        yield drawing.FilmFrame(
            genotypes.from_json(text),
            {k: np.asarray(c) for k, c in values["coefficients"].items()},
            tuple(values["primitives"]),
            f"epoch {epoch} of {epochs}, temperature "
            f"{values['temperature']:.3g}, validation accuracy "
            f"{values['validation_accuracy']:.1%}",
        )
