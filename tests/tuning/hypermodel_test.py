import keras_tuner
import numpy as np
import pytest

from entrannas_tf.architecture import search_space
from entrannas_tf.data import datasets
from entrannas_tf.tuning import hypermodel

Parameters = keras_tuner.HyperParameters


def make(**arguments):
    return hypermodel.TargetNetworkHyperModel(
        10, image_shape=(16, 16, 1), num_cells=3, init_channels=2, **arguments
    )


def drawn(model, seed):
    """Returns hyperparameters at random values, as an oracle draws them."""
    hp = Parameters()
    model.genotype(hp)
    for number, parameter in enumerate(hp.space):
        value = parameter.random_sample(1000 * seed + number)
        hp.values[parameter.name] = value
    return hp


def test_choices():
    hp = Parameters()
    make().genotype(hp)
    # Of each of two cells: 3 choices of sources, 8 of primitives.
    assert len(hp.space) == 2 * (3 + 8)
    choices = {parameter.name: parameter.values for parameter in hp.space}
    assert choices["normal/node_3/sources"] == ["0,1", "0,2", "1,2"]
    assert len(choices["reduction/node_5/sources"]) == 10
    assert "normal/node_2/sources" not in choices
    assert choices["normal/node_2/primitive_1"] == list(
        search_space.STANDARD.operations
    )


@pytest.mark.parametrize("space", ["standard", "extended"])
def test_every_choice_is_a_genotype_of_its_own(space):
    model = make(space=space)
    found = {}
    for seed in range(50):
        hp = drawn(model, seed)
        genotype = model.genotype(hp)
        for cell in (genotype.normal, genotype.reduction):
            for connections in cell:
                first, second = (c.source for c in connections)
                assert first < second
        found[tuple(sorted(hp.values.items()))] = genotype
    assert len(set(found.values())) == len(found) == 50


def test_choices_of_a_space_of_ones_own():
    space = search_space.make(
        "mine", ("none", "skip_connect", "conv_3x3"), 1, 3, ("normal",)
    )
    hp = Parameters()
    genotype = make(space=space).genotype(hp)
    assert genotype.space == space
    assert genotype.normal == genotype.reduction
    assert [len(node) for node in genotype.normal] == [1, 2, 2]
    assert {parameter.name: parameter.values for parameter in hp.space} == {
        "normal/node_1/primitive_0": ["skip_connect", "conv_3x3"],
        "normal/node_2/primitive_0": ["skip_connect", "conv_3x3"],
        "normal/node_2/primitive_1": ["skip_connect", "conv_3x3"],
        "normal/node_3/sources": ["0,1", "0,2", "1,2"],
        "normal/node_3/primitive_0": ["skip_connect", "conv_3x3"],
        "normal/node_3/primitive_1": ["skip_connect", "conv_3x3"],
    }


def test_names_mean_what_they_say():
    hp = Parameters()
    hp.Fixed("normal/node_4/sources", "1,3")
    hp.Fixed("normal/node_4/primitive_0", "skip_connect")
    hp.Fixed("normal/node_4/primitive_1", "sep_conv_5x5")
    genotype = make().genotype(hp)
    assert genotype.normal[2] == (("skip_connect", 1), ("sep_conv_5x5", 3))


def test_an_unknown_space():
    with pytest.raises(ValueError, match=r"Unknown search space 'large'; exp"):
        make(space="large")


def test_build():
    model = make()
    hp = drawn(model, 0)
    network = model.build(hp)
    names = {layer.name for layer in network.layers}
    for connection in model.genotype(hp).named_connections("normal"):
        assert f"cell_0.{connection.name}" in names
    assert network(np.zeros([2, 16, 16, 1], np.float32)).shape == (2, 10)
    assert network.jit_compile is False


@pytest.mark.parametrize(
    "kind",
    [
        keras_tuner.RandomSearch,
        pytest.param(keras_tuner.Hyperband, marks=pytest.mark.long),
    ],
)
def test_tuners_of_keras_tuner_run_on_it(tmp_path, kind):
    source, _, indices = datasets.load("digits", num_examples=96)
    images, labels = source.fetch(indices)
    images = images.numpy() / 255
    labels = labels.numpy()
    arguments = {"max_trials": 1}
    if kind is keras_tuner.Hyperband:
        arguments = {"max_epochs": 2, "factor": 2}
    names = ("max_pool_3x3", "skip_connect")  # Traced fast.
    model = make(space=search_space.make("fast", names))
    tuner = kind(
        model,
        objective="val_accuracy",
        directory=str(tmp_path),
        project_name="digits",
        seed=1,
        **arguments,
    )
    tuner.search(
        images[:64],
        labels[:64],
        validation_data=(images[64:], labels[64:]),
        batch_size=32,
        **({} if "max_epochs" in arguments else {"epochs": 1}),
        verbose=0,
    )
    (best,) = tuner.oracle.get_best_trials(1)
    assert best.status == "COMPLETED"
    (network,) = tuner.get_best_models(1)
    _, accuracy = network.evaluate(images[64:], labels[64:], verbose=0)
    assert accuracy == pytest.approx(best.score)


def test_a_gaussian_process_is_fitted_to_its_choices(tmp_path):
    model = make()
    hp = Parameters()
    model.genotype(hp)
    oracle = keras_tuner.oracles.BayesianOptimizationOracle(
        keras_tuner.Objective("val_accuracy", "max"),
        max_trials=4,
        num_initial_points=2,
        hyperparameters=hp,
        seed=1,
    )
    oracle._set_project_dir(str(tmp_path), "digits")
    oracle.verbose = 0
    found = []
    for score in (0.1, 0.9, 0.5, 0.7):
        trial = oracle.create_trial("tuner0")
        found.append(model.genotype(trial.hyperparameters))
        oracle.update_trial(trial.trial_id, {"val_accuracy": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(oracle.gpr.X_train_) == 3  # Of the fourth, by the others.
    assert len(set(found)) == 4
