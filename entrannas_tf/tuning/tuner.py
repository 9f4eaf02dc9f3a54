"""The tuner: runs what the oracle proposes, each trial in its own workdir."""

import contextlib
import dataclasses
import json
import os
import threading
import time

import grpc
import keras_tuner
from absl import logging

from entrannas_tf.architecture import genotypes, published
from entrannas_tf.retraining import export
from entrannas_tf.retraining import workflow as retraining_workflow
from entrannas_tf.search import workflow as search_workflow
from entrannas_tf.training import files, interruptions, runtime, workdirs
from entrannas_tf.tuning import oracle as oracle_lib
from entrannas_tf.tuning import table as tuning_table
from entrannas_tf.tuning import trials as trials_lib
from entrannas_tf.tuning import workers

_RUN = "run"  # The workdir of a trial, in the trial's directory.
# Arguments of Keras-Tuner's that would not act.
_UNUSED = (
    "hypermodel",
    "max_model_size",
    "optimizer",
    "loss",
    "metrics",
    "distribution_strategy",
    "executions_per_trial",
    "tuner_id",
)
_STATE_FILE = "tuner.json"  # Of whoever holds the oracle.
_IDLE_SECONDS = 1.0  # Between two questions for work, where there was none.
_LOCK_SECONDS = 10.0  # Between two looks whether a workdir is free.
_FAREWELL_SECONDS = 10.0  # For a chief's answer; it misses the worker anyway.
_BEATS = 10  # Signs of life in the time after which a worker is missed.


class EnTranNASTuner(keras_tuner.Tuner):
    """Runs searches, and trains what they find; `search()` takes no data.

    Args:
        search_config: Of the searches, as `search_workflow.search` takes it. A
            trial's hyperparameters stand in for its fields.
        retrain_config: Of the trainings, as `retraining_workflow.retrain`
            takes it. Its `data.validation_fraction` is above 0, so that no
            choice looks at the test images; a trial says the number of epochs.
        oracle: An `EnTranNASOracle`; None for one of five searches, whose last
            rung has `training.epochs`, and the first one a ninth of that, or
            one more than the warm-up.
        **kwargs: Of `keras_tuner.Tuner`: `directory`, `project_name` and
            `overwrite`.

    Raises:
        ValueError: If a configuration is not as it should be, a hyperparameter
            is no field of the search or out of its range, a tuning of other
            settings has been there, or the environment has half a chief.

    Example:

    >>> import entrannas_tf
    >>> from configs import digits, retrain_digits
    >>> retrain_config = retrain_digits.get_config()
    >>> retrain_config.data.validation_fraction = 0.25
    >>> tuner = entrannas_tf.EnTranNASTuner(
    ...     digits.get_config(), retrain_config, directory="runs"
    ... )  # `tuner.search()` searches five times, and trains what it finds.
    """

    def __init__(self, search_config, retrain_config, oracle=None, **kwargs):
        for name in _UNUSED:
            if name in kwargs:
                raise ValueError(
                    f"{name} is no argument of EnTranNASTuner: its two "
                    "configurations say what a trial is."
                )
        if workers.is_worker():  # Raises ValueError, if it does, before all.
            kwargs["overwrite"] = False  # Its chief has begun already.
        configs = trials_lib.TrialConfigs(search_config, retrain_config)
        if oracle is None:
            training = configs.of_training.training
            oracle = oracle_lib.of_five_searches(
                training.epochs, training.warmup_epochs, configs.of_search.seed
            )
        configs.check(oracle)
        self._configs = configs
        self._beat_seconds = oracle.heartbeats.timeout_seconds / _BEATS
        self._is_idle = False
        super().__init__(oracle, **kwargs)

    def search_config(self, trial):
        """Returns the `search_config.Config` of a trial's search.

        Raises:
            ValueError: If its hyperparameters do not go together.
        """
        return self._configs.search(trials_lib.hyperparameters(trial))

    def search(self, verbose="auto"):
        """Runs all trials; resumes where a tuning has been.

        With KERASTUNER_ORACLE_IP and its like set, this process is the chief,
        and returns when all trials have ended, or a worker.

        Args:
            verbose: 0 for no words of Keras-Tuner about trials.

        Raises:
            interruptions.RunFailed: If too many trials failed, one after
                another.
            interruptions.Preempted: If the process got SIGTERM.
            interruptions.WorkerLost: If the chief of this worker is gone.
            ValueError: If it has other configurations than this worker.
        """
        if workers.is_worker():
            self._work(verbose)
        elif workers.is_chief() and self.oracle.has_ended():
            self._dismiss()
        else:
            super().search(verbose=verbose)
        if self._has_oracle() and self.oracle.failure:
            raise interruptions.RunFailed(self.oracle.failure)

    def _work(self, verbose):
        """Runs trials of a chief, once that is there."""
        logging.info("Waits for the chief at %s.", workers.chief_address())
        try:
            self.oracle.get_space()  # Returns when there is an answer.
            if os.path.exists(self._state_path()):
                with open(self._state_path(), encoding="utf-8") as file:
                    self.set_state(json.load(file))
            super().search(verbose=verbose)
        except grpc.RpcError as error:
            raise workers.ChiefLost(error) from error

    def _dismiss(self):
        """Tells workers that wait for a chief, if there are any, to end."""
        server = threading.Thread(target=super().search, daemon=True)
        server.start()  # It would wait for a worker for ever.
        server.join(self.oracle.heartbeats.timeout_seconds)

    def _has_oracle(self):
        """Whether the oracle is here, and not that of a chief elsewhere."""
        return isinstance(self.oracle, keras_tuner.Oracle)

    def on_search_begin(self):
        self.save()  # Else a process killed in its first trial begins anew.
        super().on_search_begin()

    def pre_create_trial(self):
        interruptions.check()
        # Keras-Tuner asks again at once where the oracle has no trial yet.
        if self._is_idle:
            time.sleep(_IDLE_SECONDS)
        self._is_idle = True
        super().pre_create_trial()

    def on_trial_begin(self, trial):
        self._is_idle = False
        super().on_trial_begin(trial)

    def run_trial(self, trial, verbose="auto"):
        """Runs a search or a training, or what is left of it.

        Returns:
            The metrics, a dict; the objective is "val_accuracy".
        """
        del verbose
        run = {
            trials_lib.SEARCH: self._run_search,
            trials_lib.RETRAIN: self._run_training,
        }[trial.hyperparameters.values[trials_lib.STAGE]]
        with workers.beating(
            lambda: self.oracle.get_trial(trial.trial_id), self._beat_seconds
        ):
            try:
                return self._run_alone(run, trial)
            except interruptions.Preempted as error:
                self._give_back(trial)
                raise workers.Preempted(*error.args) from error

    def _run_and_update_trial(self, trial, *args, **kwargs):
        try:
            super()._run_and_update_trial(trial, *args, **kwargs)
        except grpc.RpcError as error:  # No fault of the trial's.
            raise workers.ChiefLost(error) from error

    def _give_back(self, trial):
        """Has another worker go on with a trial, if the oracle is there."""

        def tell():
            with contextlib.suppress(grpc.RpcError):
                self.oracle.end_trial(trial)  # As one that still runs.

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        teller.join(_FAREWELL_SECONDS)

    def _run_alone(self, run, trial):
        """Runs a trial, once no other process is in its workdir.

        Another one is there if it was taken for dead and is alive. It ends the
        trial then, and here nothing is left to do.
        """
        while True:
            try:
                with runtime.cleared():
                    return run(trial, self.trial_workdir(trial))
            except BlockingIOError as error:
                logging.warning("%s: %s.", error.filename, error.strerror)
                time.sleep(_LOCK_SECONDS)

    def trial_workdir(self, trial):
        """Returns the workdir of a trial's search or training."""
        return os.path.join(self.get_trial_dir(trial.trial_id), _RUN)

    def _run_search(self, trial, workdir):
        config = dataclasses.asdict(self.search_config(trial))
        found = genotypes.to_json(search_workflow.search(config, workdir))
        values = trial.hyperparameters.values
        values[trials_lib.GENOTYPE] = json.dumps(json.loads(found))
        record = workdirs.last_record(workdir)
        return {
            oracle_lib.OBJECTIVE: record["child_accuracy"],
            "supernet_accuracy": record["supernet_accuracy"],
        }

    def _run_training(self, trial, workdir):
        values = trial.hyperparameters.values
        directory = self.get_trial_dir(trial.trial_id)
        path = os.path.join(directory, published.GENOTYPE_FILE)
        files.write_text(path, trials_lib.genotype(trial))
        config = self._configs.training(values[trials_lib.EPOCHS])
        scores = retraining_workflow.retrain(config, path, workdir)["mean"]
        return {
            oracle_lib.OBJECTIVE: scores["test_accuracy"],
            "val_loss": scores["test_loss"],
        }

    def on_trial_end(self, trial):
        if trial.message:  # It does not reach a chief; values do.
            error = trials_lib.error(trial)
            trial.hyperparameters.values[trials_lib.ERROR] = error
        super().on_trial_end(trial)

    def load_model(self, trial):
        """Returns the compiled `export.Classifier` of a training's end.

        It takes images as they are, from 0 to 255, and gives probabilities.
        """
        model = export.load(self.trial_workdir(trial))
        model.compile(
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        return model

    def get_best_genotypes(self, num_genotypes=1):
        """Returns the genotypes of the best trained networks, best first."""
        trials = self.oracle.get_best_trials(num_genotypes)
        return [
            genotypes.from_json(trials_lib.genotype(trial)) for trial in trials
        ]

    def results_summary(self, num_trials=10):
        """Prints the best trained networks, and the cells of the best."""
        print("Results summary")
        print(f"Results in {self.project_dir}")
        trials = self.oracle.get_best_trials(num_trials)
        print(tuning_table.best(trials) if trials else "No network is trained.")

    def get_state(self):
        return {
            **super().get_state(),
            "search_config": dataclasses.asdict(self._configs.of_search),
            "retrain_config": dataclasses.asdict(self._configs.of_training),
        }

    def set_state(self, state):
        for name, config in (
            ("search_config", self._configs.of_search),
            ("retrain_config", self._configs.of_training),
        ):
            found = workdirs.differences(state[name], config)
            if found:
                raise ValueError(
                    f"{self.project_dir} holds a tuning of another {name}: "
                    f"{'; '.join(found)}. Go back to that, choose another "
                    "project_name, or pass overwrite=True."
                )
        super().set_state(state)

    def _get_tuner_fname(self):
        # Keras-Tuner looks for this file to know whether to go on, and would
        # not find a chief's where there is none, nor the other way round.
        if workers.is_worker():
            return super()._get_tuner_fname()
        return self._state_path()

    def _state_path(self):
        return os.path.join(self.project_dir, _STATE_FILE)

    def save(self):
        if self._has_oracle():
            self.oracle.save()
        files.write_text(self._get_tuner_fname(), json.dumps(self.get_state()))
