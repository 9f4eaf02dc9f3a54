"""Table 5: backbones, trained on ImageNet, then for segmentation."""

import dataclasses
import itertools
import os
import re
from typing import NamedTuple

import numpy as np

from entrannas_tf.architecture import published
from entrannas_tf.retraining import results as retraining_results
from entrannas_tf.retraining import segmentation as segmentation_task
from entrannas_tf.retraining import tasks
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.studies.ablations import search_run
from entrannas_tf.training import interruptions, provenance, runtime, workdirs

COMMONEST = "the commonest class"
RESNET50 = "resnet50"
UNTRAINED = ", random weights"

_SEARCHED = "lambda "


class SegmentRun(NamedTuple):
    """A run of Table 5.

    Attributes:
        row: Name of the row in the table.
        search: The `search_run.SearchRun` that finds the genotype, or None.
        genotype: What `published.load_genotype` takes, or None.
        pretraining: The `retrain_config.RetrainConfig` of the backbone; None
            for none.
        weights: Path of the backbone's weights; None for none, or for those of
            `pretraining`.
        config: The `segment_config.SegmentConfig`.
    """

    row: str
    search: object
    genotype: str | None
    pretraining: object
    weights: str | None
    config: object

    @property
    def seed(self):
        """The seed of all."""
        return self.config.seed

    @property
    def directory(self):
        """Directory of the segmentation, within that of the ablations."""
        return self._directory(self.row, "segmentation", self.config)

    @property
    def _pretrained(self):
        return self._directory(self.row, "backbone", self.pretraining)

    def _directory(self, row, stage, config):
        name = re.sub(r"\W+", "_", f"{stage}_{row}".lower())
        digest = provenance.config_hash(dataclasses.replace(config, seed=0))
        return os.path.join(
            search_run.RUNS, f"{name}_{digest}", f"seed_{self.seed}"
        )

    def do(self, workdir):
        """Searches and trains, where that has not been done.

        Args:
            workdir: Directory of the ablations.

        Raises:
            BlockingIOError: If another process is doing so.
        """
        interruptions.check()
        genotype, weights = self.genotype, self.weights
        segmented = os.path.join(workdir, self.directory)
        search_run.check_free(segmented)
        if retraining_results.is_finished(segmented):
            return
        if self.search:
            self.search.do(workdir)
            genotype = self.search.searched(workdir)
            interruptions.check()
        if self.pretraining:
            weights = os.path.join(workdir, self._pretrained)
            search_run.check_free(weights)
            if not retraining_results.is_finished(weights):
                values = dataclasses.asdict(self.pretraining)
                with runtime.cleared():
                    retraining_workflow.retrain(values, genotype, weights)
                interruptions.check()
        values = dataclasses.asdict(self.config)
        with runtime.cleared():
            retraining_workflow.segment(values, segmented, genotype, weights)

    def record(self, workdir):
        """Returns the record of the finished run: a dict of numbers, texts."""
        segmented = os.path.join(workdir, self.directory)
        results = retraining_results.read(segmented)
        timing = workdirs.last_record(segmented)["timing"]
        record = {
            "row": self.row,
            "seed": self.seed,
            **results["mean"],
            **{n: results["network"][n] for n in search_run.COUNTS},
            "segment_seconds": timing["elapsed_seconds"],
            "directory": self.directory,
        }
        if self.pretraining:
            pretrained = os.path.join(workdir, self._pretrained)
            timing = workdirs.last_record(pretrained)["timing"]
            mean = retraining_results.read(pretrained)["mean"]
            record["backbone_accuracy"] = mean["test_accuracy"]
            record["pretrain_seconds"] = timing["elapsed_seconds"]
        return record


def list_runs(config, searches, seeds):
    """Returns the `SegmentRun`s of Table 5, a list.

    Args:
        config: An `ablation_config.AblationConfig`.
        searches: The `search_run.SearchRun`s of EnTranNAS-DST. The cells of a
            lambda are those of its first seed, at all seeds.
        seeds: Sequence of seeds.

    Raises:
        ValueError: If two backbones have the same name.
    """
    rows = [
        (published.name_of(where), None, None if where == RESNET50 else where)
        for where in config.backbones
    ]
    first = {search.row: search for search in reversed(searches)}
    for penalty in config.penalties:
        search = first[f"{penalty:g}"]
        rows.append((_SEARCHED + search.row, search, None))
    made = []
    for name, search, genotype in rows:
        choices = config.pretrained
        if name == RESNET50:
            choices = (bool(config.resnet50_weights),)
        made += [
            _make_run(config, name, search, genotype, pretrained, seed)
            for pretrained in choices
            for seed in seeds
        ]
    for run, other in itertools.combinations(made, 2):
        if run.directory == other.directory:
            raise ValueError(
                f"Two backbones are called {run.row} and {other.row}; expected "
                "names, or last parts of paths, that differ by a letter or a "
                "digit."
            )
    return made


def _make_run(config, name, search, genotype, pretrained, seed):
    """Returns the `SegmentRun` of a row at a seed."""
    is_resnet = name == RESNET50
    segmentation = dataclasses.replace(config.segmentation, seed=seed)
    network = dataclasses.replace(
        segmentation.network, backbone=RESNET50 if is_resnet else "cells"
    )
    pretraining = weights = None
    if pretrained and is_resnet:
        weights = config.resnet50_weights
    elif pretrained:
        pretraining = dataclasses.replace(config.pretraining, seed=seed)
    return SegmentRun(
        name if pretrained else name + UNTRAINED,
        search,
        genotype,
        pretraining,
        weights,
        dataclasses.replace(segmentation, network=network),
    )


def trivial_record(config):
    """Returns the record of a network that sees one class everywhere.

    It is the class that has the most pixels to train on.

    Args:
        config: A `segment_config.SegmentConfig`.
    """
    data = tasks.of(config).load_data(config)
    train, test = data.source.pixel_counts, data.test_source.pixel_counts
    confusion = np.zeros((len(test), len(test)), np.int64)
    confusion[:, np.argmax(train)] = test
    scores = segmentation_task.TASK.test(
        {"loss": np.nan, "confusion": confusion}, None, data.source.label_names
    )
    return {
        "row": COMMONEST,
        "test_miou": scores["test_miou"],
        "test_pixel_accuracy": scores["test_pixel_accuracy"],
    }
