import pytest

from entrannas_tf.architecture import genotypes
from entrannas_tf.networks.layers import dropout
from entrannas_tf.search import run as search_run
from tests.support import toy_trainer


def test_rates_and_temperature():
    trainer = toy_trainer.ToyTrainer()
    run = search_run.SearchRun(
        trainer,
        batch_size=4,
        learning_rate=lambda step: 1.0 / (1 + step),
        architecture_learning_rate=lambda step: 2.0 / (1 + step),
        temperature=lambda epoch: 2.0 - epoch,
        evaluate=dict,
    )
    run.prepare_epoch(1)
    run.prepare_step(3)
    assert float(trainer.architecture.temperature) == 1.0
    assert float(trainer.weight_optimizer.learning_rate) == pytest.approx(0.25)
    assert float(trainer.architecture_optimizer.learning_rate) == (
        pytest.approx(0.5)
    )


def test_a_random_search_settles_before_each_step_and_learns_no_alpha():
    trainer = toy_trainer.ToyTrainer()
    run = search_run.SearchRun(
        trainer,
        batch_size=4,
        learning_rate=lambda step: 1.0,
        architecture_learning_rate=lambda step: 2.0,
        temperature=lambda epoch: 1.0,
        evaluate=dict,
        draw=genotypes.draw,
    )
    for step in (0, 5):
        run.prepare_step(step)
        assert trainer.derive() == genotypes.draw(step)
        assert trainer.holds_architecture


def test_rate_of_the_dropout_is_that_of_the_epoch():
    trainer = toy_trainer.ToyTrainer()
    trainer.skip_dropout = dropout.SkipDropout(seed=0, num_units=1)
    run = search_run.SearchRun(
        trainer,
        batch_size=4,
        learning_rate=None,
        architecture_learning_rate=None,
        temperature=lambda epoch: 1.0,
        evaluate=dict,
        skip_dropout_rate=lambda epoch: 0.5 / (1 + epoch),
    )
    run.prepare_epoch(1)
    assert float(trainer.skip_dropout.rate) == 0.25
