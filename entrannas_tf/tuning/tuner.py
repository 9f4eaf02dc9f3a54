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
_KEYWORDS = {"directory", "project_name", "overwrite"}
_STATE_FILE = "tuner.json"  # Of whoever holds the oracle.
_IDLE_SECONDS = 1.0  # Between two questions for work, where there was none.
_LOCK_SECONDS = 10.0  # Between two looks whether a workdir is free.
_FAREWELL_SECONDS = 10.0  # For a chief's answer; it misses the worker anyway.
_BEATS = 10  # Signs of life in the time after which a worker is missed.


class EnTranNASTuner(keras_tuner.Tuner):
    """Runs searches, and trains the networks found; `search()` takes no data.

    Args:
        search_config: Configuration of the searches, see
            `search_workflow.search`. A trial's hyperparameters replace its
            fields.
        retrain_config: Configuration of the trainings, see
            `retraining_workflow.retrain`. Its `data.validation_fraction` is
            above 0, so that no choice looks at the test images; a trial
            replaces its number of epochs.
        oracle: An `EnTranNASOracle`; None for one of five searches, whose last
            rung has `training.epochs`, and the first one a ninth of that, or
            one more than the warm-up.
        **kwargs: `directory`, `project_name` and `overwrite`, see
            `keras_tuner.Tuner`.

    Raises:
        ValueError: If a configuration is invalid, a hyperparameter is no field
            of the search or out of its range, the directory has a tuning of
            other settings, or the environment describes half a chief.

    Example:

    >>> import entrannas_tf
    >>> from configs import digits, retrain_digits
    >>> retrain_config = retrain_digits.get_config()
    >>> retrain_config.data.validation_fraction = 0.25
    >>> tuner = entrannas_tf.EnTranNASTuner(
    ...     digits.get_config(), retrain_config, directory="runs"
    ... )  # `tuner.search()` searches five times, and trains the networks.
    """

    def __init__(self, search_config, retrain_config, oracle=None, **kwargs):
        for name in kwargs:
            if name not in _KEYWORDS:
                raise ValueError(
                    f"{name} is no argument of EnTranNASTuner: its two "
                    "configurations say what a trial is."
                )
        if workers.is_worker():  # Raises ValueError, if it does, before all.
            kwargs["overwrite"] = False  # Its chief has begun already.
        configs = trials_lib.TrialConfigs(search_config, retrain_config)
        if oracle is None:
            epochs = configs.of_training.training.epochs
            warmup_epochs = configs.of_training.training.warmup_epochs
            oracle = oracle_lib.EnTranNASOracle(
                epochs,
                first_epochs=max(warmup_epochs + 1, epochs // 9),
                seed=configs.of_search.seed,
            )
        configs.check(oracle)
        self._configs = configs
        self._beat_seconds = oracle.timeout_seconds / _BEATS
        self._is_idle = False
        super().__init__(oracle, **kwargs)

    def search_config(self, trial):
        """Returns the `search_config.Config` of a trial's search.

        Raises:
            ValueError: If its hyperparameters do not go together.
        """
        return self._configs.search(trials_lib.hyperparameters(trial))

    def search(self, verbose="auto"):
        """Runs all trials, or resumes them.

        With KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT and
        KERASTUNER_TUNER_ID set, this process is a worker, or the chief, which
        returns when all trials have ended.

        Args:
            verbose: 0 to silence Keras-Tuner's messages about trials.

        Raises:
            interruptions.RunFailed: If too many trials failed in a row.
            interruptions.Preempted: If the process got SIGTERM.
            interruptions.WorkerLost: If the chief of this worker is gone.
            ValueError: If the chief has other configurations than this worker.
        """
        if workers.is_worker():
            self._work(verbose)
            return
        if not workers.is_chief():
            super().search(verbose=verbose)
        elif self.oracle.has_ended():
            self._dismiss()
        else:
            with workers.beating(
                self.oracle.forget_silent, self._beat_seconds, is_vital=True
            ):
                super().search(verbose=verbose)
        if self.oracle.failure:
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
        server.start()  # Without a worker it would never end.
        server.join(self.oracle.timeout_seconds)

    def on_search_begin(self):
        self.save()  # Else a process killed in its first trial would restart.
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
        """Runs or resumes a search or a training.

        Returns:
            The metrics, a dict; the objective is "val_accuracy".
        """
        del verbose
        stage = trial.hyperparameters.values[trials_lib.STAGE]
        is_search = stage == trials_lib.SEARCH
        run = self._run_search if is_search else self._run_training
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
        except grpc.RpcError as error:  # The trial has not failed.
            raise workers.ChiefLost(error) from error

    def _give_back(self, trial):
        """Hands a trial to another worker, if the oracle can be reached."""

        def tell():
            with contextlib.suppress(grpc.RpcError):
                self.oracle.end_trial(trial)  # As one that still runs.

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        teller.join(_FAREWELL_SECONDS)

    def _run_alone(self, run, trial):
        """Runs a trial, once no other process is in its workdir.

        A process that was taken for dead may be. It then ends the trial, and
        nothing is left to do here.
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
        if trial.message:  # Messages do not reach a chief; values do.
            error = trials_lib.error(trial)
            trial.hyperparameters.values[trials_lib.ERROR] = error
        super().on_trial_end(trial)

    def load_model(self, trial):
        """Returns the compiled `export.Classifier` of a finished training.

        It takes images from 0 to 255, and returns probabilities.
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
        # Keras-Tuner resumes if this file exists. By default its name differs
        # between a chief and a single process.
        if workers.is_worker():
            return super()._get_tuner_fname()
        return self._state_path()

    def _state_path(self):
        return os.path.join(self.project_dir, _STATE_FILE)

    def save(self):
        if not workers.is_worker():
            self.oracle.save()
        files.write_text(self._get_tuner_fname(), json.dumps(self.get_state()))
