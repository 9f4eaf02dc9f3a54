"""The files that a finished search leaves, and its last words."""

import json
import os
import re

import numpy as np

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.drawing import cells as cell_drawing
from entrannas_tf.drawing import film
from entrannas_tf.training import files, formatting, provenance, workdirs

FILM_FILE = "search.gif"  # The last file that is written.
CELLS = "cells"
GENOTYPES = "genotypes"
DIRECTORIES = (CELLS, GENOTYPES)

# The film comes last, for its presence says that all is there.
_COPIED = (
    GENOTYPES,
    CELLS,
    published.GENOTYPE_FILE,
    FILM_FILE,
)
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
        for name in (published.GENOTYPE_FILE, FILM_FILE)
    )


def write(workdir, genotype, config):
    """Writes the genotype, the drawings of its cells and the film.

    Nothing in genotype.json depends on the clock.

    Args:
        workdir: Directory of the search, which holds its config.json,
            metrics.jsonl, the files of `epoch_file`, and the directory CELLS.
        genotype: The `Genotype` that was found.
        config: The search's `search_config.Config`.

    Raises:
        OSError: If a file cannot be read or written.
    """
    record = workdirs.last_record(workdir)
    metrics = {name: record[name] for name in _METRICS if name in record}
    files.write_text(
        os.path.join(workdir, published.GENOTYPE_FILE),
        genotypes.to_json(
            genotype, provenance=provenance.collect(config, metrics)
        ),
    )
    cell_drawing.draw(genotype, os.path.join(workdir, CELLS), config.name)
    write_film(workdir, os.path.join(workdir, FILM_FILE))


def copy(source, target, seconds=0.0):
    """Copies the files of a finished search to another directory.

    Args:
        source: The workdir of the search.
        target: A directory that exists.
        seconds: Time to add to that of the search, for what came before it.

    Raises:
        OSError: If a file cannot be read or written.
    """
    _copy_metrics(source, target, seconds)
    for name in _COPIED:
        _copy(os.path.join(source, name), os.path.join(target, name))


def write_film(workdir, path):
    """Writes the film of a search, of the epochs that it has done.

    Args:
        workdir: Directory of the search, which holds its config.json and the
            files of `epoch_file`; the search need not have ended.
        path: Path of the GIF, whose directory is made if it is not there.

    Raises:
        ValueError: If no epoch is there, or a file is not what a search
            writes.
        OSError: If a file cannot be read or written.
    """
    frames = list(_film_frames(workdir))
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    film.save(frames, path)


def read_genotype(workdir):
    """Returns the `Genotype` that a finished search found."""
    return published.read(os.path.join(workdir, published.GENOTYPE_FILE))


def summary(workdir):
    """Returns the results of a finished search in a few lines."""
    genotype, record = read_genotype(workdir), workdirs.last_record(workdir)
    timing = record["timing"]
    tensorboard = os.path.join(workdir, "tensorboard")
    return "\n".join(
        [
            f"normal cell     {genotype.describe('normal')}",
            f"reduction cell  {genotype.describe('reduction')}",
            f"accuracy        {record['supernet_accuracy']:.2%} as super-net, "
            f"{record['child_accuracy']:.2%} as child network (images that "
            "trained the architecture)",
            "wall time       "
            f"{formatting.duration(timing['elapsed_seconds'])}, "
            f"{record['epoch']} epoch(s), at most "
            f"{timing['peak_memory_mib']:,.0f} MiB of memory",
            "files           "
            f"{os.path.join(workdir, published.GENOTYPE_FILE)}, "
            f"{os.path.join(workdir, CELLS)}, "
            f"{os.path.join(workdir, FILM_FILE)}; curves: tensorboard "
            f"--logdir={tensorboard}",
        ]
    )


def _copy_metrics(source, target, seconds):
    """Copies the epochs' records, and adds seconds to their elapsed times."""
    path = os.path.join(source, workdirs.METRICS_FILE)
    records = files.read_json_lines(path)
    for record in records:
        record["timing"]["elapsed_seconds"] += seconds
    files.write_text(
        os.path.join(target, workdirs.METRICS_FILE),
        "".join(json.dumps(record) + "\n" for record in records),
    )


def _copy(source, target):
    """Copies a file, or the files of a directory; each whole or not at all."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
        for name in sorted(os.listdir(source)):
            _copy(os.path.join(source, name), os.path.join(target, name))
        return
    with open(source, "rb") as file:
        files.write_bytes(target, file.read())


def _film_frames(workdir):
    """Yields the `film.Frame`s of at most 100 epochs, the last one included."""
    done = _epochs_done(workdir)
    if not done:
        raise ValueError(
            f"{workdir} has no epoch to film; expected the workdir of a "
            f"search, with {os.path.join(GENOTYPES, 'epoch_001.json')} and "
            "those that follow."
        )
    # Operations of the user's own are defined there, not in the configuration.
    published.read(epoch_file(workdir, done[-1]))
    total = workdirs.read_config(workdir).search.epochs
    count = min(len(done), _MAX_FRAMES)
    for index in np.linspace(len(done), 1, count).round().astype(int)[::-1]:
        epoch = done[index - 1]
        path = epoch_file(workdir, epoch)
        try:
            yield _read_frame(path, f"epoch {epoch} of {total}")
        except KeyError as error:
            raise ValueError(
                f"{path} lacks {error}; expected a file that a search wrote."
            ) from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _epochs_done(workdir):
    """Returns the numbers of the epochs whose `epoch_file` exists."""
    folder = os.path.join(workdir, GENOTYPES)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = (re.fullmatch(r"epoch_(\d+)\.json", name) for name in names)
    return sorted(int(match[1]) for match in found if match)


def _read_frame(path, epoch):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    genotype = genotypes.from_json(text)
    values = json.loads(text)
    return film.Frame(
        genotype,
        {k: np.asarray(c) for k, c in values["coefficients"].items()},
        tuple(values["primitives"]),
        f"{epoch}, temperature {values['temperature']:.3g}, validation "
        f"accuracy {values['validation_accuracy']:.1%}",
    )
