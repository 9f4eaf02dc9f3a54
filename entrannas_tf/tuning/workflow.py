"""The tuning's workflow: searches, halving, the winner on the test images."""

import dataclasses
import os

import keras_tuner

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.config import schema
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files, interruptions, provenance, workdirs
from entrannas_tf.tuning import config as tuning_config
from entrannas_tf.tuning import oracle, trials, tuner, workers
from entrannas_tf.tuning import table as tuning_table

_TABLE_FILE = "tuning.md"
_NETWORK = "network"  # The workdir of the winner's last training.
_TRIALS = "trials"


def tune(config_dict, workdir):
    """Searches several times and trains the networks found, or resumes.

    With KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT and KERASTUNER_TUNER_ID
    set, this process is a worker, which runs trials, or the chief, which does
    everything else.

    At the end the winner is trained anew on all training images, including
    those that were held out, and tested; no choice looks at test images.

    Args:
        config_dict: A `ConfigDict` of configs/, or nested dicts, that describe
            a `tuning_config.TuneConfig`.
        workdir: Directory of the tuning, made if it is not there. Workers
            share it with their chief.

    Returns:
        The winner's results, see `retraining_results.read`; None in a worker.

    Raises:
        ValueError: If the configuration, the workdir or the data are invalid.
        OSError: If a file cannot be read or written.
        interruptions.RunFailed: If too many trials failed in a row, or all.
        interruptions.Preempted: If the process got SIGTERM; the same call
            resumes.
    """
    config = schema.read(tuning_config.TuneConfig, config_dict)
    workdir = os.fspath(workdir)
    trials.TrialConfigs(
        dataclasses.asdict(config.search),
        dataclasses.asdict(config.retraining),
    ).check(_make_oracle(config))
    workdirs.check_workdir(workdir, config)
    if workers.is_worker():
        make_tuner(config, workdir).search()
        return None
    search_workflow.load_data(config.search)  # Raises if there are none.
    retraining_workflow.load_data(config.retraining)
    workdirs.make_workdir(workdir, config)
    with workdirs.locked(workdir):
        made = make_tuner(config, workdir)
        try:
            made.search()
        except interruptions.RunFailed:
            _write_table(made, workdir)
            raise
        return _report(config, made, workdir)


def make_tuner(config, workdir):
    """Returns the `tuner.EnTranNASTuner` of a tuning, finished or not.

    Args:
        config: A `tuning_config.TuneConfig`.
        workdir: Directory of the tuning.

    Raises:
        ValueError: If the workdir has a tuning of other settings.
    """
    return tuner.EnTranNASTuner(
        dataclasses.asdict(config.search),
        dataclasses.asdict(config.retraining),
        _make_oracle(config),
        directory=workdir,
        project_name=_TRIALS,
    )


def _make_oracle(config):
    """Returns the `oracle.EnTranNASOracle` of a `tuning_config.TuneConfig`."""
    settings = dataclasses.asdict(config.tuning)
    parameters = tuning_config.parse(settings.pop("hyperparameters"))
    return oracle.EnTranNASOracle(
        config.retraining.training.epochs,
        seed=config.search.seed,
        hyperparameters=_hyperparameters(parameters),
        **settings,
    )


def _hyperparameters(parameters):
    """Returns the `keras_tuner.HyperParameters` of a tuning's parameters."""
    made = keras_tuner.HyperParameters()
    for path, values, is_range, is_log in parameters:
        if is_range:
            kind = made.Float if isinstance(values[0], float) else made.Int
            kind(path, *values, sampling="log" if is_log else "linear")
        elif len(values) == 1:
            made.Fixed(path, values[0])
        elif set(values) == {True, False} and isinstance(values[0], bool):
            made.Boolean(path)  # A choice makes numbers of these.
        else:
            made.Choice(path, list(values))
    return made


def _report(config, made, workdir):
    """Trains and tests the winner, and reports; returns the results."""
    table = _write_table(made, workdir)
    best = made.oracle.get_best_trials(1)
    if not best:
        raise interruptions.RunFailed(
            "No network was trained: all trials failed. "
            f"{os.path.join(workdir, _TABLE_FILE)} says why."
        )
    path = os.path.join(workdir, published.GENOTYPE_FILE)
    files.write_text(path, _genotype_json(made, best[0]))
    print(table, flush=True)
    made.results_summary()
    print(f"\nThe best one, on all training images: {workdir}/{_NETWORK}")
    last = dataclasses.asdict(config.retraining)
    last["data"]["validation_fraction"] = 0.0
    # The test images are looked at once, at the end.
    last["training"]["eval_every_epochs"] = last["training"]["epochs"]
    network = os.path.join(workdir, _NETWORK)
    results = retraining_workflow.retrain(last, path, network)
    table += tuning_table.winner(best[0], results)
    files.write_text(os.path.join(workdir, _TABLE_FILE), table)
    return results


def _write_table(made, workdir):
    """Writes the table of all trials, and returns it."""
    table = tuning_table.report(made.oracle.trials, len(made.oracle.rungs))
    files.write_text(os.path.join(workdir, _TABLE_FILE), table)
    return table


def _genotype_json(made, trial):
    """Returns the genotype of a training with its provenance, JSON."""
    search = made.oracle.trials[trial.hyperparameters.values[trials.OF]]
    metrics = {
        "child_accuracy": search.score,
        "held_out_accuracy": trial.score,
    }
    return genotypes.to_json(
        genotypes.from_json(trials.genotype(trial)),
        provenance=provenance.collect(made.search_config(trial), metrics),
    )
