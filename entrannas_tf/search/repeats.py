"""Several searches of one configuration: the best is kept (section 4.2).

Each has its own workdir under `searches/`. When all have ended, the files of
the best one are copied to the common workdir, which then looks like that of a
single search, beside a table of all.
"""

import os

from entrannas_tf.architecture import search_space
from entrannas_tf.search import results as search_results
from entrannas_tf.training import files, formatting, workdirs

TABLE_FILE = "searches.md"

_SEARCHES = "searches"
_HEADER = (
    "search",
    "seed",
    "super-net",
    "child network",
    "wall time",
    "normal cell",
    "reduction cell",
)


def directory(workdir, number):
    """Returns the workdir of a search, counted from 1."""
    return os.path.join(workdir, _SEARCHES, f"{number:02d}")


def keep(workdir, config):
    """Copies the files of the best search, and writes the table of all.

    The best is the one whose child network was most accurate at the end, on
    the images that trained the architecture; the first of equals.

    Args:
        workdir: Directory of the whole, in which `directory` has them all.
        config: `search_config.Config` of the whole; all searches have ended.

    Raises:
        OSError: If a file cannot be read or written.
    """
    numbers = range(1, config.num_searches + 1)
    found = [directory(workdir, number) for number in numbers]
    best = max(found, key=_accuracy)
    table = formatting.table(_HEADER, [_row(path, best) for path in found])
    files.write_text(os.path.join(workdir, TABLE_FILE), table + "\n")
    search_results.copy(best, workdir)


def read_table(workdir):
    """Returns the table of the searches, Markdown."""
    path = os.path.join(workdir, TABLE_FILE)
    with open(path, encoding="utf-8") as file:
        return file.read()


def _accuracy(workdir):
    return workdirs.last_record(workdir)["child_accuracy"]


def _row(workdir, best):
    """Returns a search's row; the number of the best one is bold."""
    number = os.path.basename(workdir)
    record = workdirs.last_record(workdir)
    genotype = search_results.read_genotype(workdir)
    return (
        f"**{number}**" if workdir == best else number,
        workdirs.read_config(workdir).seed,
        f"{record['supernet_accuracy']:.2%}",
        f"{record['child_accuracy']:.2%}",
        formatting.duration(record["timing"]["elapsed_seconds"]),
        *map(genotype.describe, search_space.KINDS),
    )
