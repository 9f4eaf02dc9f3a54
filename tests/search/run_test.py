import pytest

from entrannas_tf.architecture import genotypes
from entrannas_tf.networks.layers import dropout
from entrannas_tf.search import run as search_run
from tests.support import toy_trainer


def make_run(trainer, draw=None, **changes):
    settings = toy_trainer.make_settings(**changes)
    return search_run.SearchRun(
        trainer, settings, toy_trainer.NUM_STEPS, dict, draw
    )


def test_rates_and_temperature():
    trainer = toy_trainer.ToyTrainer()
    run = make_run(trainer, architecture_warmup_epochs=1)
    run.prepare_epoch(1)
    assert float(trainer.architecture.temperature) == 1.0
    run.prepare_step(2)
    assert float(trainer.weight_optimizer.learning_rate) == pytest.approx(0.75)
    assert float(trainer.architecture_optimizer.learning_rate) == 0.0
    run.prepare_step(3)
    assert float(trainer.weight_optimizer.learning_rate) == pytest.approx(0.5)
    assert float(trainer.architecture_optimizer.learning_rate) == 2.0
    run = make_run(trainer, architecture_schedule="cosine")
    run.prepare_step(3)
    assert float(trainer.architecture_optimizer.learning_rate) == (
        pytest.approx(1.0)
    )


def test_temperature_of_the_paper():
    trainer = toy_trainer.ToyTrainer()
    run = make_run(trainer, initial_temperature=5.0, temperature_decay=0.923)
    for epoch, tau in ((0, 5.0), (2, 4.259645), (49, 0.0985)):
        run.prepare_epoch(epoch)
        found = float(trainer.architecture.temperature)
        assert found == pytest.approx(tau, 1e-2)


def test_a_random_search_settles_before_each_step_and_learns_no_alpha():
    trainer = toy_trainer.ToyTrainer()
    run = make_run(trainer, genotypes.draw)
    for step in (0, 5):
        run.prepare_step(step)
        assert trainer.derive() == genotypes.draw(step)
        assert trainer.holds_architecture


def test_rate_of_the_dropout_is_that_of_the_epoch():
    trainer = toy_trainer.ToyTrainer()
    trainer.skip_dropout = dropout.SkipDropout(seed=0)
    run = make_run(
        trainer, skip_dropout_rate=0.5, architecture_warmup_epochs=1, epochs=4
    )
    run.prepare_epoch(0)
    assert float(trainer.skip_dropout.rate) == 0.375
