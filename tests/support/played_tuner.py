"""A tuner whose searches and trainings take no time: a table says the end.

As a program it searches in a directory, as chief or worker where the
environment says so, and may die in its first trial, or wait in it for another
process to have one too:

python -m tests.support.played_tuner DIRECTORY [dies|waits]
"""

import glob
import json
import os
import signal
import sys
import time

import keras

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files
from entrannas_tf.tuning import oracle, tuner
from tests.support import toy_config, toy_retrain_config

_NUM_SEEDS = 10


def search(config_dict, workdir):
    """Stands in for `search_workflow.search`; later seeds are better."""
    os.makedirs(workdir, exist_ok=True)
    seed = config_dict["seed"]
    record = {"child_accuracy": 0.5 + seed / 100, "supernet_accuracy": 0.9}
    files.write_text(os.path.join(workdir, "metrics.jsonl"), json.dumps(record))
    return genotypes.draw(seed)


def retrain(config_dict, genotype, workdir):
    """Stands in for `retraining_workflow.retrain`; earlier seeds are better."""
    os.makedirs(workdir, exist_ok=True)
    found = published.load_genotype(genotype)
    (seed,) = (n for n in range(_NUM_SEEDS) if genotypes.draw(n) == found)
    accuracy = 0.8 - seed / 100 + config_dict["training"]["epochs"] / 1000
    return {"mean": {"test_accuracy": accuracy, "test_loss": 1.0}}


def stand_in(monkeypatch):
    """Puts these in the place of those; returns their workdirs, which grow."""
    runs = []

    def noted(run):
        def wrapped(*args):
            runs.append(args[-1])
            return run(*args)

        return wrapped

    monkeypatch.setattr(keras.backend, "clear_session", lambda: None)
    monkeypatch.setattr(search_workflow, "search", noted(search))
    monkeypatch.setattr(retraining_workflow, "retrain", noted(retrain))
    return runs


def make(directory, search_changes=(), **kwargs):
    """Returns an `EnTranNASTuner` of toy configurations.

    Args:
        directory: Where its project is.
        search_changes: Pairs of a path and its value, of the search.
        **kwargs: Of the oracle, and `overwrite`.
    """
    search_config = toy_config.get_config()
    for path, value in search_changes:
        search_config.update_from_flattened_dict({path: value})
    retrain_config = toy_retrain_config.get_config()
    retrain_config.data.validation_fraction = 0.4
    overwrite = kwargs.pop("overwrite", False)
    arguments = {"last_epochs": 4, "factor": 2, **kwargs}
    return tuner.EnTranNASTuner(
        search_config,
        retrain_config,
        oracle.EnTranNASOracle(**arguments),
        directory=str(directory),
        project_name="project",
        overwrite=overwrite,
    )


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def _waiting(run, directory, count):
    """Returns a run that begins once so many processes have come to one."""
    path = os.path.join(directory, f"waits_{os.environ['KERASTUNER_TUNER_ID']}")

    def wait_and_run(*args):
        files.write_text(path, "")
        while len(glob.glob(os.path.join(directory, "waits_*"))) < count:
            time.sleep(0.1)
        return run(*args)

    return wait_and_run


if __name__ == "__main__":
    directory, *manner = sys.argv[1:]
    search_workflow.search, retraining_workflow.retrain = search, retrain
    if manner == ["dies"]:
        search_workflow.search = retraining_workflow.retrain = _die
    if manner == ["waits"]:
        search_workflow.search = _waiting(search, directory, 2)
        retraining_workflow.retrain = _waiting(retrain, directory, 2)
    made = make(directory, timeout_seconds=3)
    made.search()
    if os.environ["KERASTUNER_TUNER_ID"] == "chief":
        made.results_summary()
