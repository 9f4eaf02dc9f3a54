import keras_tuner
import pytest
from keras_tuner.engine import trial as trial_lib

from entrannas_tf.tuning import trials

PLAIN = """Traceback (most recent call last):
  File "a.py", line 1, in run
    raise OSError("x")
OSError: x

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in run
    raise ValueError("There are no images.")
ValueError: There are no images.
Look elsewhere.
"""
GRAPH = """Traceback (most recent call last):
  File "a.py", line 1, in run
tensorflow.python.framework.errors_impl.ResourceExhaustedError: Graph execution error:

Detected at node cell/add defined at (most recent call last):
<stack traces unavailable>
OOM when allocating tensor with shape[96,16]
\t [[{{node cell/add}}]]
Hint: If you want to see a list of allocated tensors, say so.
\t [[{{node X}}]] [Op:__inference_step_1]
"""  # noqa: E501


def make(message=None, **values):
    hp = keras_tuner.HyperParameters()
    hp.values = values
    return trial_lib.Trial(hp, message=message)


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (make(PLAIN), "ValueError: There are no images."),
        (
            make(GRAPH),
            "ResourceExhaustedError: OOM when allocating tensor with shape["
            "96,16]",
        ),
        (make(PLAIN + "\n", error="It was so."), "It was so."),
        (make("Traceback (most recent call last):\nKeyError"), "KeyError"),
        (make(error="3 workers died with it."), "3 workers died with it."),
        (make(), "its score is not a number."),
    ],
)
def test_error(trial, expected):
    assert trials.error(trial) == expected


@pytest.mark.parametrize(
    ("statuses", "place"),
    [("FF", None), ("FFCF", None), ("CFFF", 3), ("FFFCFFF", 2), ("", None)],
)
def test_failed_in_a_row(statuses, place):
    names = {"F": "FAILED", "C": "COMPLETED"}
    ended = [make() for _ in statuses]
    for trial, status in zip(ended, statuses, strict=True):
        trial.status = names[status]
    expected = None if place is None else ended[place]
    assert trials.failed_in_a_row(ended, 3) is expected


def test_hyperparameters_are_not_our_values():
    trial = make(stage="search", seed=3, genotype="{}", error="x", of="0000")
    assert trials.hyperparameters(trial) == {"seed": 3}
