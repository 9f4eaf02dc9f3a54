"""What ends a tuner: Keras-Tuner takes all else for a failure of the trial."""

import grpc
import keras_tuner

from entrannas_tf.training import interruptions
from entrannas_tf.tuning import attendance


class Preempted(keras_tuner.errors.FatalError, interruptions.Preempted):
    """The process got SIGTERM; the trial goes on elsewhere, or later."""


class ChiefLost(keras_tuner.errors.FatalError, interruptions.WorkerLost):
    """The chief is gone; what the trial came to is in its workdir.

    Args:
        error: The `grpc.RpcError` of a call to the chief.
    """

    def __init__(self, error):
        silent = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
        words, remedy = "failed", "See what it says; then start"
        if error.code() in silent:
            words, remedy = "does not answer", "Start"
        super().__init__(
            f"The chief at {attendance.chief_address()} {words} "
            f"({error.code().name}: {error.details()}). {remedy} it, and this "
            "worker again, with the same commands."
        )
