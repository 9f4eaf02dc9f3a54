import math

import pytest

from entrannas_tf.studies.ablations import report


@pytest.mark.parametrize(
    ("first", "second", "tau"),
    [
        # Of 6 pairs 5 agree and 1 does not.
        ([1, 2, 3, 4], [1, 2, 4, 3], 4 / 6),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 1, 1, 1], [4, 3, 2, 1], math.nan),
    ],
)
def test_tau_by_hand(first, second, tau):
    found, p = report.rank_correlation(first, second)
    assert found == pytest.approx(tau, nan_ok=True)
    assert 0 <= p <= 1 or math.isnan(tau)
