import keras_tuner
import pytest
from keras_tuner.engine import trial as trial_lib

from entrannas_tf.tuning import oracle, trials, tuner
from tests.support import played_tuner, toy_config, toy_retrain_config

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


def test_hyperparameters_are_not_our_values():
    trial = make(stage="search", seed=3, genotype="{}", error="x", of="0000")
    assert trials.hyperparameters(trial) == {"seed": 3}


@pytest.mark.parametrize(
    ("make_parameter", "message"),
    [
        (
            lambda hp: hp.Float("search.threshold_penality", 0, 1),
            r"Unknown field search.threshold_penality; did you mean search.thr",
        ),
        (
            lambda hp: hp.Float("search.initial_temperature", -1.0, 1.0),
            r"search.initial_temperature is -1.0; expected more than 0",
        ),
        (
            lambda hp: hp.Choice("network.space", ["standard", "huge"]),
            r"network.space is 'huge'; expected one of standard, extended",
        ),
        (
            lambda hp: hp.Float("search.epochs", 1.0, 2.0),
            r"search.epochs is 1.0, of type float; expected an integer",
        ),
        (
            lambda hp: hp.Int("num_searches", 1, 2),
            r"num_searches is no hyperparameter: a trial is one search",
        ),
    ],
)
def test_bad_hyperparameters(tmp_path, make_parameter, message):
    parameters = keras_tuner.HyperParameters()
    make_parameter(parameters)
    with pytest.raises(ValueError, match=message):
        played_tuner.make(tmp_path, hyperparameters=parameters)


def test_values_are_checked_beside_those_that_are_fixed(tmp_path):
    parameters = keras_tuner.HyperParameters()
    parameters.Choice("network.partial_channels", [2, 4])
    with pytest.raises(ValueError, match=r"network\.bottleneck"):
        played_tuner.make(tmp_path / "alone", hyperparameters=parameters)
    parameters.Fixed("network.bottleneck", 1)
    played_tuner.make(tmp_path / "beside", hyperparameters=parameters)


def test_networks_are_not_chosen_by_the_test_images(tmp_path):
    with pytest.raises(ValueError, match=r"data.validation_fraction of the re"):
        tuner.EnTranNASTuner(
            toy_config.get_config(), toy_retrain_config.get_config()
        )


def test_a_rung_must_outlast_its_warmup(tmp_path):
    config = toy_retrain_config.get_config()
    config.data.validation_fraction = 0.4
    config.training.warmup_epochs = 1
    with pytest.raises(ValueError, match=r"training.warmup_epochs is 1; expec"):
        tuner.EnTranNASTuner(
            toy_config.get_config(),
            config,
            oracle.EnTranNASOracle(2, first_epochs=1),
            directory=tmp_path,
        )


@pytest.mark.parametrize(
    ("name", "value"), [("executions_per_trial", 2), ("hypermodel", print)]
)
def test_arguments_that_would_not_act_are_refused(tmp_path, name, value):
    with pytest.raises(ValueError, match=rf"{name} is no argument of EnTra"):
        tuner.EnTranNASTuner(
            toy_config.get_config(),
            toy_retrain_config.get_config(),
            directory=tmp_path,
            **{name: value},
        )


def test_several_workers_of_a_strategy_are_refused():
    config = toy_config.get_config()
    config.distribution.strategy = "multi_worker"
    with pytest.raises(ValueError, match=r"expected one_device or mirrored"):
        tuner.EnTranNASTuner(config, toy_retrain_config.get_config())
