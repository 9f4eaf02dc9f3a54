"""Several searches of one configuration: the best is kept (section 4.2).

Each has its own workdir under `searches/`. When all have ended, the files of
the best one are copied to the workdir of the whole, which then looks like that
of a single search, and a table of all is added.
"""

import os

from entrannas_tf.architecture import search_space
from entrannas_tf.search import results as search_results
from entrannas_tf.training import files, formatting, workdirs

TABLE_FILE = "searches.md"

_SEARCHES = "searches"


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
    files.write_text(
        os.path.join(workdir, TABLE_FILE), _table(found, found.index(best))
    )
    search_results.copy(best, workdir)


def read_table(workdir):
    """Returns the table of the searches, Markdown."""
    path = os.path.join(workdir, TABLE_FILE)
    with open(path, encoding="utf-8") as file:
        return file.read()


def _accuracy(workdir):
    return workdirs.last_record(workdir)["child_accuracy"]


def _table(found, best):
    """Returns a row a search; the best one's number is bold."""
    header = (
        "search",
        "seed",
        "super-net",
        "child network",
        "wall time",
        "normal cell",
        "reduction cell",
    )
    rows = []
    for index, workdir in enumerate(found):
        number = os.path.basename(workdir)
        genotype = search_results.read_genotype(workdir)
        record = workdirs.last_record(workdir)
        cells = (
            genotype.describe(kind).replace("|", "/")
            for kind in search_space.KINDS
        )
        columns = (
            f"**{number}**" if index == best else number,
            str(workdirs.read_config(workdir).seed),
            f"{record['supernet_accuracy']:.2%}",
            f"{record['child_accuracy']:.2%}",
            formatting.duration(record["timing"]["elapsed_seconds"]),
            *cells,
        )
        rows.append(columns)
    return "\n".join(formatting.table(header, rows)) + "\n"
