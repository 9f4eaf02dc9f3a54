import pytest

from entrannas_tf.tuning import halving


@pytest.mark.parametrize(
    ("arguments", "rungs"),
    [
        ((5, 2, 2, 8), [(2, 5), (4, 2), (8, 1)]),
        ((5, 2, 2, 7), [(2, 5), (4, 2), (7, 1)]),
        ((9, 1, 3, 9), [(1, 9), (3, 3), (9, 1)]),
        # Two networks a rung before the last; a rung of one is left out.
        ((4, 1, 2, 8), [(1, 4), (2, 2), (8, 1)]),
        ((1, 1, 2, 600), [(600, 1)]),
        ((3, 5, 2, 5), [(5, 3)]),
    ],
)
def test_plan(arguments, rungs):
    assert halving.plan(*arguments) == tuple(rungs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 2, 4), "num_networks is 0; expected 1 or more"),
        ((5, 0, 2, 4), "first_epochs is 0; expected 1 or more"),
        ((5, 1, 1, 4), "factor is 1; expected 2 or more"),
        (
            (5, 5, 2, 4),
            "last_epochs is 4; expected first_epochs, which is 5, or more",
        ),
    ],
)
def test_bad_plans_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        halving.plan(*arguments)


RUNGS = (halving.Rung(1, 3), halving.Rung(2, 1))


def done(network, score):
    return halving.Training(network, True, score)


@pytest.mark.parametrize(
    ("entrants", "complete", "trainings", "expected"),
    [
        ("", False, ([], []), None),
        ("b", False, ([], []), (0, "b")),
        ("b", False, ([done("b", 0.5)], []), None),
        ("ba", False, ([done("b", 0.5)], []), (0, "a")),
        # The second rung waits for what runs, and not for what failed.
        (
            "ab",
            True,
            ([done("a", 0.5), halving.Training("b", False, None)], []),
            None,
        ),
        ("ab", True, ([done("a", 0.5), done("b", None)], []), (1, "a")),
        ("ab", True, ([done("a", 0.5), done("b", 0.6)], []), (1, "b")),
        ("ab", True, ([done("a", 0.5), done("b", 0.5)], []), (1, "a")),
        ("ab", True, ([done("a", 0.5), done("b", 0.6)], [done("b", 1)]), None),
        ("ab", True, ([done("a", None), done("b", None)], []), None),
    ],
)
def test_next_training(entrants, complete, trainings, expected):
    found = halving.next_training(RUNGS, list(entrants), complete, trainings)
    assert found == expected
