import dataclasses

import pytest

from entrannas_tf.config import schema


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ladder:
    """A section with several values in a field."""

    rates: tuple[float, ...]
    names: tuple[str, ...] = ("first",)


@pytest.mark.parametrize("rates", [(1, 0.5), [1, 0.5]])
def test_lists_become_tuples_and_integers_numbers(rates):
    made = schema.make(Ladder, {"rates": rates})
    assert made == Ladder(rates=(1.0, 0.5), names=("first",))
    assert [type(rate) for rate in made.rates] == [float, float]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"rates": (1.0, "2")},
            r"rates is \(1.0, '2'\), of type tuple; expected several, each a "
            "number",
        ),
        (
            {"rates": 1.0},
            "rates is 1.0, of type float; expected several, each a number",
        ),
        (
            {"rates": (), "names": "both"},
            "names is 'both', of type str; expected several, each a text",
        ),
        ({}, "The field rates is missing; expected several, each a number"),
    ],
)
def test_what_several_values_must_be(values, message):
    with pytest.raises(ValueError, match=message):
        schema.make(Ladder, values)


def test_replaced_leaves_the_original():
    values = {"search": {"epochs": 3, "batch_size": 8}, "seed": 0}
    made = schema.replaced(values, {"search.epochs": 4, "seed": 1})
    assert made == {"search": {"epochs": 4, "batch_size": 8}, "seed": 1}
    assert values == {"search": {"epochs": 3, "batch_size": 8}, "seed": 0}
