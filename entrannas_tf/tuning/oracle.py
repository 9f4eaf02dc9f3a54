"""The oracle: which search or which training comes next."""

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from entrannas_tf.tuning import halving, trials, workers

OBJECTIVE = "val_accuracy"

# Arguments of Keras-Tuner's oracle that are fixed: why.
_FIXED = {
    "max_trials": "num_searches, first_epochs and factor say how many there "
    "are",
    "objective": f"it is {OBJECTIVE}",
}


class EnTranNASOracle(workers.HeartbeatOracle):
    """Searches several times, then trains the networks found, by halving.

    Searches differ by their hyperparameters, drawn at random, or by the seed
    where there are none: section 4.2 has five. Their networks are trained
    for a few epochs; the best of them for more, from scratch; and so on, see
    `halving.plan`. A rung begins when the one before has ended, the first one
    at once where all networks enter it.

    The score of a search is the accuracy of its child network on the images
    that trained the architecture; that of a training is measured on held-out
    images. The two are never compared.

    Args:
        last_epochs: Number of epochs of the last rung.
        num_searches: Number of searches; fewer if there are fewer different
            hyperparameters.
        num_candidates: Number of networks that enter the first rung, those of
            the most accurate child networks; 0 for all, 1 for section 4.2's
            choice.
        first_epochs: Number of epochs of the first rung.
        factor: Factor by which epochs grow, and networks become fewer, from
            rung to rung.
        timeout_seconds: Time after which a silent worker is taken for dead,
            and its trial goes to another.
        seed: Seed of the first search, the others count on from it; or of the
            hyperparameters' values. None for a random one.
        **kwargs: Arguments of `keras_tuner.Oracle`: `hyperparameters`, whose
            names are dotted paths of a `search_config.Config`,
            `max_retries_per_trial`, `max_consecutive_failed_trials` and others.

    Attributes:
        rungs: Tuple of `halving.Rung`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import entrannas_tf
    >>> oracle = entrannas_tf.EnTranNASOracle(last_epochs=9, num_searches=5)
    >>> [(rung.size, rung.epochs) for rung in oracle.rungs]  # Of networks.
    [(5, 1), (1, 9)]
    """

    def __init__(
        self,
        last_epochs,
        num_searches=5,
        num_candidates=0,
        first_epochs=1,
        factor=3,
        timeout_seconds=60,
        seed=0,
        **kwargs,
    ):
        for name, why in _FIXED.items():
            if name in kwargs:
                raise ValueError(
                    f"{name} is {kwargs[name]}; expected none: {why}."
                )
        objective = keras_tuner.Objective(OBJECTIVE, "max")
        super().__init__(
            timeout_seconds, objective=objective, seed=seed, **kwargs
        )
        if seed is not None:  # Keras-Tuner takes 0 for none.
            self.seed = self._seed_state = seed
        if num_searches < 1 or not 0 <= num_candidates <= num_searches:
            raise ValueError(
                f"num_searches is {num_searches} and num_candidates "
                f"{num_candidates}; expected 1 or more searches, and from 0 "
                "(all) to as many candidates."
            )
        if self.max_consecutive_failed_trials < 1:
            raise ValueError(
                "max_consecutive_failed_trials is "
                f"{self.max_consecutive_failed_trials}; expected 1 or more."
            )
        self._given_seed = seed
        self.num_searches = num_searches
        self.num_candidates = num_candidates or num_searches
        self.rungs = halving.plan(
            self.num_candidates, first_epochs, factor, last_epochs
        )
        self._exhausted = False  # Whether all hyperparameters were tried.

    def populate_space(self, trial_id):
        """Returns the status and the values of the next trial."""
        del trial_id
        values = self._next_search() or self._next_retraining()
        if values:
            return {"status": trial_lib.TrialStatus.RUNNING, "values": values}
        # A running trial may open the next rung, or have to be run again.
        status = trial_lib.TrialStatus
        return {"status": status.IDLE if self._is_busy() else status.STOPPED}

    def _is_busy(self):
        return bool(self.ongoing_trials or self._retry_queue)

    def _next_search(self):
        """Returns the values of the next search, None if all have begun."""
        if self._is_searched():
            return None
        number = len(trials.of_stage(self.trials, trials.SEARCH))
        values = {trials.SEED: self.seed + number}
        if self.hyperparameters.space:
            values = self._random_values()
        self._exhausted = values is None
        if self._exhausted:
            return None
        return {**values, trials.STAGE: trials.SEARCH}

    def _is_searched(self):
        """Returns whether all searches have begun."""
        begun = trials.of_stage(self.trials, trials.SEARCH)
        return self._exhausted or len(begun) == self.num_searches

    def has_ended(self):
        """Returns whether no trial runs, and none is to come."""
        is_done = self._is_searched() and not self._is_busy()
        return is_done and not self._next_retraining()

    def _next_retraining(self):
        """Returns the values of the next training, None if there is none."""
        searches = trials.of_stage(self.trials, trials.SEARCH)
        complete = self._is_searched() and {
            trial.trial_id for trial in searches
        } <= {*self.end_order}
        found = trials.best(searches)
        if self.num_candidates < self.num_searches:
            found = found[: self.num_candidates] if complete else []
        entrants = {trials.genotype(trial): trial for trial in found}
        begun = [
            trials.of_stage(self.trials, trials.RETRAIN, rung)
            for rung in range(len(self.rungs))
        ]
        place = halving.next_training(
            self.rungs,
            list(entrants),
            complete,
            [list(map(self._training, rung)) for rung in begun],
        )
        if place is None:
            return None
        number, genotype = place
        # A better search may have found the same genotype meanwhile.
        search = entrants[genotype]
        for trial in begun[0]:
            if trials.genotype(trial) == genotype:
                search = self.trials[trial.hyperparameters.values[trials.OF]]
        return {
            **search.hyperparameters.values,
            trials.STAGE: trials.RETRAIN,
            trials.RUNG: number,
            trials.EPOCHS: self.rungs[number].epochs,
            trials.OF: search.trial_id,
        }

    def _training(self, trial):
        """Returns the `halving.Training` of a trial."""
        has_ended = trial.trial_id in self.end_order
        score = trial.score if trials.is_completed(trial) else None
        return halving.Training(trials.genotype(trial), has_ended, score)

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """Returns the next trial of a tuner, or its running one."""
        self._attend(tuner_id)
        if self.failure:
            self.tuner_ids.discard(tuner_id)
            return trial_lib.Trial(
                keras_tuner.HyperParameters(),
                status=trial_lib.TrialStatus.STOPPED,
            )
        return super().create_trial(tuner_id)

    def _check_consecutive_failures(self):
        """Does nothing: an error would lock the oracle. See `failure`."""

    @property
    def failure(self):
        """The reason why the search ends early, a text, or None."""
        limit, in_a_row = self.max_consecutive_failed_trials, 0
        for trial_id in self.end_order:
            trial = self.trials[trial_id]
            in_a_row = in_a_row + 1 if trials.has_failed(trial) else 0
            if in_a_row == limit:
                return (
                    "Number of consecutive failures exceeded the limit of "
                    f"{limit}. That of trial {trial_id}: {trials.error(trial)} "
                    "Mend it; the same command then runs failed trials again."
                )
        return None

    def get_best_trials(self, num_trials=1):
        """Returns the last trainings of the best networks.

        Those of a later rung come first, then the more accurate ones. Searches
        are left out.
        """
        found = trials.best_trained(self.trials, len(self.rungs))
        return found[:num_trials]

    def remaining_trials(self):
        """Returns how many trials have not begun, at most."""
        total = self.num_searches + sum(rung.size for rung in self.rungs)
        return total - len(self.trials)

    def _compute_values_hash(self, values):
        names = {parameter.name for parameter in self.hyperparameters.space}
        chosen = {k: v for k, v in values.items() if k in names}
        return super()._compute_values_hash(chosen)

    def _settings(self):
        return {
            "num_searches": self.num_searches,
            "num_candidates": self.num_candidates,
            "rungs": [list(rung) for rung in self.rungs],
            "seed": self._given_seed,
            "hyperparameters": self.hyperparameters.get_config()["space"],
        }

    def get_state(self):
        return {
            **super().get_state(),
            "settings": self._settings(),
            "exhausted": self._exhausted,
        }

    def set_state(self, state):
        for name, here in self._settings().items():
            there = state["settings"][name]
            if there != here:
                raise ValueError(
                    f"{self._project_dir} holds a tuning of other settings: "
                    f"{name} is {there} there and {here} here. Go back to "
                    "those, choose another project_name, or pass "
                    "overwrite=True."
                )
        super().set_state(state)
        self._exhausted = state["exhausted"]

    def reload(self):
        super().reload()
        if self.failure:  # Failed trials are run again.
            for trial_id, trial in sorted(self.trials.items()):
                if trial.status == trial_lib.TrialStatus.FAILED:
                    self.end_order.remove(trial_id)
                    self._run_times[trial_id] = self._losses[trial_id] = 0
                    self._retry_queue.append(trial_id)
