"""A run of Tables 1, 2 and 4 and Figure 5: a search, perhaps a retraining."""

import contextlib
import dataclasses
import os
import statistics
from typing import NamedTuple

from entrannas_tf.architecture import genotypes, search_space
from entrannas_tf.config import search as search_config
from entrannas_tf.networks import cost
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import results as search_results
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import interruptions, runtime, workdirs

RUNS = "runs"  # In the workdir of the ablations.
_SEARCH, _NETWORK = "search", "network"
COUNTS = "parameters", "multiply_adds", "multiply_adds_published"


class SearchRun(NamedTuple):
    """A run of a table.

    Attributes:
        row: Name of the row in the table.
        directory: Directory of the run, within that of the ablations.
        config: The `search_config.Config` of its search.
        retrain_config: The `retrain_config.RetrainConfig` of its retraining,
            or None where the table needs none.
    """

    row: str
    directory: str
    config: search_config.Config
    retrain_config: object

    @property
    def seed(self):
        """The seed of the search, and of the retraining."""
        return self.config.seed

    def searched(self, workdir):
        """Returns the workdir of the search, in that of the ablations."""
        return os.path.join(workdir, self.directory, _SEARCH)

    def _trained(self, workdir):
        return os.path.join(workdir, self.directory, _NETWORK)

    def do(self, workdir):
        """Searches and retrains, where that has not been done.

        Args:
            workdir: Directory of the ablations.

        Raises:
            BlockingIOError: If another process is doing so.
        """
        interruptions.check()
        searched, trained = self.searched(workdir), self._trained(workdir)
        check_free(searched, trained)
        if not search_results.is_finished(searched):
            with runtime.cleared():
                search_workflow.search(
                    dataclasses.asdict(self.config), searched
                )
            interruptions.check()
        if self.retrain_config and not retraining_results.is_finished(trained):
            values = dataclasses.asdict(self.retrain_config)
            with runtime.cleared():
                retraining_workflow.retrain(values, searched, trained)

    def record(self, workdir):
        """Returns the record of the finished run: a dict of numbers, texts."""
        searched, trained = self.searched(workdir), self._trained(workdir)
        last = workdirs.last_record(searched)
        genotype = search_results.read_genotype(searched)
        record = {
            "row": self.row,
            "seed": self.seed,
            "supernet_accuracy": last["supernet_accuracy"],
            "child_accuracy": last["child_accuracy"],
            "mean_entropy": statistics.fmean(last["mean_entropy"].values()),
            "search_seconds": last["timing"]["elapsed_seconds"],
            "directory": self.directory,
        }
        for kind in search_space.KINDS:
            cell = getattr(genotype, kind)
            edges = {(c.source, n) for n, cs in enumerate(cell) for c in cs}
            record[f"edges_{kind}"] = len(edges)
            record[f"connections_{kind}"] = genotypes.num_connections(cell)
        totals = cost.count(genotype, "imagenet").totals()
        record |= {f"imagenet_{name}": totals[name] for name in COUNTS}
        if self.retrain_config:
            results = retraining_results.read(trained)
            timing = workdirs.last_record(trained)["timing"]
            record["test_accuracy"] = results["mean"]["test_accuracy"]
            record["retrain_seconds"] = timing["elapsed_seconds"]
            record |= {name: results["network"][name] for name in COUNTS}
        return record


def check_free(*directories):
    """Raises BlockingIOError if another process runs in one of these."""
    for directory in directories:
        with (
            contextlib.suppress(FileNotFoundError),
            workdirs.locked(directory),
        ):
            pass
