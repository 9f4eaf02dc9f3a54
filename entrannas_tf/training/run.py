"""A run, search or retraining, as the training loop sees it."""

import dataclasses


@dataclasses.dataclass(kw_only=True)
class Progress:
    """Where a run stands, beside its variables.

    Attributes:
        epoch: Number of epochs done.
        step: Number of steps done of the epoch that runs.
        epoch_seconds: Time that these took.
        elapsed_seconds: Time that the run took, all starts together.
    """

    epoch: int = 0
    step: int = 0
    epoch_seconds: float = 0.0
    elapsed_seconds: float = 0.0

    def end_step(self, seconds):
        """Counts a step that took this long."""
        self.step += 1
        self.epoch_seconds += seconds

    def end_epoch(self):
        """Goes to the start of the next epoch."""
        self.epoch += 1
        self.step = 0
        self.epoch_seconds = 0.0

    def to_dict(self):
        """Returns it as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Returns what `to_dict` described."""
        return cls(**values)


class Run:
    """What a `training_loop.TrainingLoop` follows: a search, or a training.

    Args:
        trainer: What takes the steps: `train_step` takes a batch, `metrics`
            are the `keras.metrics` of an epoch, `distribute_strategy` is what
            it was made under.
        variables: {name: variable}, all that changes while it trains.
        evaluate: Measures the network: called without arguments, returns
            {name: float}.
    """

    # Names of the metrics that must be finite, and what to do if one is not.
    losses = ("loss",)
    remedy = ""

    def __init__(self, trainer, variables, evaluate):
        self.trainer = trainer
        self.variables = variables
        self.evaluate = evaluate

    def make_progress(self, saved):
        """Returns the `Progress` at the start, or that of a checkpoint.

        Args:
            saved: What its `to_dict` gave; None at the start.
        """
        raise NotImplementedError

    def prepare_epoch(self, epoch):
        """Sets what is the same for all steps after so many epochs."""

    def prepare_step(self, num_steps):
        """Sets what changes from step to step, after so many of all steps."""

    def read_metrics(self):
        """Waits for the devices; returns the epoch's means, {name: float}."""
        return {m.name: float(m.result()) for m in self.trainer.metrics}

    def check_replicas(self):
        """Raises RuntimeError if replicas hold what they should not."""

    def end_step(self, progress, seconds):
        """Counts a step.

        Args:
            progress: The `Progress` to count it in.
            seconds: Time that the step took.
        """
        raise NotImplementedError

    def report_step(self, progress, metrics):
        """Returns the report that callbacks get of a step.

        Args:
            progress: The `Progress`, the step counted.
            metrics: What `read_metrics` returned last.
        """
        raise NotImplementedError

    def report_epoch(self, progress, scores):
        """Returns the report of an epoch whose last step is done.

        Args:
            progress: The `Progress`, not yet at the next epoch.
            scores: What `evaluate` gave; {} where it was not due.
        """
        raise NotImplementedError

    def end_epoch(self, progress, report):
        """Goes to the start of the next epoch."""
        del report
        progress.end_epoch()
