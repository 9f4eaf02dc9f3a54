"""Runs a launcher up to its call of the library, whose arguments are checked.

    python -m tests.support.dry_run DIRECTORY launch.search --config=...

Flags are parsed, and configurations loaded, changed and checked, as always. In
place of the library's long work nothing is done. Launchers that take a moment
run to their end, in DIRECTORY.
"""

import os
import runpy
import sys
from unittest import mock

from entrannas_tf.architecture import published
from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.config import segment as segment_config
from entrannas_tf.retraining import classify, export
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import pictures
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.studies import benchmark
from entrannas_tf.studies.ablations import config as ablation_config
from entrannas_tf.studies.ablations import workflow as ablation_workflow
from entrannas_tf.tuning import config as tuning_config
from entrannas_tf.tuning import workflow as tuning_workflow

_load_genotype = published.load_genotype
_write_pictures = pictures.write


def _check_search(config, *_):
    schema.read(search_config.Config, config)


def _check_retraining(config, genotype, *_):
    schema.read(retrain_config.RetrainConfig, config)
    _load(genotype)


def _check_segmentation(config, workdir, genotype, *_):
    schema.read(segment_config.SegmentConfig, config)
    if genotype:
        _load(genotype)


def _check_ablation(config, *_):
    ablation_config.read(config)


def _check_tuning(config, *_):
    schema.read(tuning_config.TuneConfig, config)


def _check_classification(model, images, config):
    if config is not None:
        _check_retraining(config, "DARTS_V2")
    return [model, *images]


def _load(where):
    """Takes a published genotype for those of runs that are not there."""
    return _load_genotype("DARTS_V2" if where.startswith("runs/") else where)


def _draw(genotype, workdir, output):
    """Draws cells; the film of a search that is not there is left out."""
    return _write_pictures(genotype, None, output) if genotype else [workdir]


def main():
    directory, launcher, *flags = sys.argv[1:]
    os.chdir(directory)
    sys.argv = [launcher, *flags]
    for module, name, function in (
        (published, "load_genotype", _load),
        (pictures, "write", _draw),
        (search_workflow, "search", _check_search),
        (retraining_workflow, "retrain", _check_retraining),
        (retraining_workflow, "segment", _check_segmentation),
        (export, "export", lambda *_: 0.0),
        (classify, "classify", _check_classification),
        (tuning_workflow, "tune", _check_tuning),
        (ablation_workflow, "ablate", _check_ablation),
        (benchmark, "measure", lambda *_: []),
        (benchmark, "measure_retraining", lambda *_: {}),
    ):
        mock.patch.object(module, name, function).start()
    runpy.run_module(launcher, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
