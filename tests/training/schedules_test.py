import math

import pytest

from entrannas_tf.training import schedules


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.2), (25, 0.2 * 0.8535533905932737), (50, 0.1), (100, 0.0)],
)
def test_cosine(step, rate):
    assert schedules.cosine(0.2, step, 100) == pytest.approx(rate, abs=1e-15)


def test_cosine_never_rises():
    rates = [schedules.cosine(0.1, step, 33) for step in range(34)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.5), (25, 0.375), (100, 0)])
def test_linear(step, rate):
    assert schedules.linear(0.5, step, 100) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.007), (50, 0.007 * 0.5358867312681466), (100, 0.0)],
)
def test_poly(step, rate):
    """Half of the way, the rate is 0.5 ** 0.9 of the first."""
    found = schedules.SCHEDULES["poly"](0.007, step, 100)
    assert found == pytest.approx(rate, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.1), (3, 0.4), (4, 0.5), (5, 0.5), (55, 0.25)]
)
def test_warmed_up(step, rate):
    found = schedules.warmed_up(5, schedules.linear, 0.5, step, 105)
    assert found == pytest.approx(rate)


def test_warmed_up_by_no_step_is_the_schedule():
    for step in range(11):
        assert schedules.warmed_up(
            0, schedules.cosine, 0.1, step, 10
        ) == schedules.cosine(0.1, step, 10)


def test_constant_never_falls():
    assert schedules.SCHEDULES["constant"](0.3, 99, 100) == 0.3


@pytest.mark.parametrize(("step", "rate"), [(0, 0), (39, 0), (40, 2), (70, 1)])
def test_after_a_warmup(step, rate):
    found = schedules.after(40, schedules.cosine, 2.0, step, 100)
    assert found == pytest.approx(rate)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(0, 0.672), (9, 0.42), (10, 0.7), (15, 0.7 / math.e), (24, 0.042567)],
)
def test_skip_dropout(epoch, rate):
    """P-DARTS's 25 epochs, of which 10 leave alpha alone."""
    found = schedules.skip_dropout(0.7, 10, epoch, 25)
    assert found == pytest.approx(rate, rel=1e-4)
