import pytest

from entrannas_tf import search_course
from tests import toy_trainer


def test_rates_and_temperature():
    trainer = toy_trainer.ToyTrainer()
    course = search_course.SearchCourse(
        trainer,
        batch_size=4,
        learning_rate=lambda step: 1.0 / (1 + step),
        architecture_learning_rate=lambda step: 2.0 / (1 + step),
        temperature=lambda epoch: 2.0 - epoch,
        evaluate=dict,
    )
    course.prepare_epoch(1)
    course.prepare_step(3)
    assert float(trainer.architecture.temperature) == 1.0
    assert float(trainer.weight_optimizer.learning_rate) == pytest.approx(0.25)
    assert float(trainer.architecture_optimizer.learning_rate) == (
        pytest.approx(0.5)
    )
