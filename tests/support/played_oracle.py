"""An oracle played by hand: no search runs, scores come from a table."""

from entrannas_tf.architecture import genotypes
from entrannas_tf.tuning import oracle, trials

RUNGS = {"last_epochs": 4, "first_epochs": 1, "factor": 2}


def make(directory, reload=False, verbose=0, **arguments):
    """Returns an `EnTranNASOracle` of a project in a directory.

    Five networks are trained for an epoch, two for 2, one for 4.
    """
    made = oracle.EnTranNASOracle(**{**RUNGS, **arguments})
    made._set_project_dir(str(directory), "project")
    made.verbose = verbose
    if reload:
        made.reload()
    return made


def genotype(number):
    """Returns a genotype as a trial has it, another for another number."""
    return genotypes.to_json(genotypes.draw(number))


def score(values):
    """Returns what a trial of these values comes to.

    Searches are all the better the later, networks the other way round.
    """
    if values[trials.STAGE] == trials.SEARCH:
        return 0.5 + values.get(trials.SEED, 0) / 100
    return 0.9 - values.get(trials.SEED, 0) / 100


def play(made, trial, status="COMPLETED", value=None):
    """Ends a trial as a tuner does."""
    values = trial.hyperparameters.values
    if values[trials.STAGE] == trials.SEARCH:
        seed = values.get(trials.SEED, int(trial.trial_id))
        values[trials.GENOTYPE] = genotype(seed)
    if status == "COMPLETED":
        value = score(values) if value is None else value
        made.update_trial(trial.trial_id, {oracle.OBJECTIVE: value})
    trial.status = status
    made.end_trial(trial)


def play_all(made, tuner_id="tuner0"):
    """Plays until the oracle stops; returns the trials that were played."""
    played = []
    while True:
        trial = made.create_trial(tuner_id)
        if trial.status != "RUNNING":
            return played
        played.append(trial)
        play(made, trial)


def outcome(made):
    """Returns what there is to say of all trials, in order."""
    return [
        (
            key,
            trial.status,
            trial.score,
            {
                k: v
                for k, v in trial.hyperparameters.values.items()
                if k != trials.GENOTYPE
            },
        )
        for key, trial in sorted(made.trials.items())
    ]
