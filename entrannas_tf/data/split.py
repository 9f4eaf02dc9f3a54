"""The two halves of the bi-level search: one for weights, one for alpha."""

import numpy as np

# 0.7 + 0.3 may be more than 1 by so much.
_ROUNDING = 1e-9


def halves(labels, fraction, seed, label_names=None, other_fraction=0.0):
    """Splits a data set in two, each class in the same proportion.

    Args:
        labels: Integers [N], the class of each example.
        fraction: Share of the examples that trains the weights, in (0, 1).
        seed: Non-negative integer; the same seed gives the same halves.
        label_names: Names of the classes for messages; None for numbers.
        other_fraction: Share of the examples that trains the architecture; 0
            for all the rest.

    Returns:
        (weight indices, validation indices): int64, shuffled, disjoint, and
        without another fraction together every index from 0 to N - 1.

    Raises:
        ValueError: If the fraction is outside (0, 1), both together are more
            than 1, or a class would have no example in one of the halves.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(
            f"The share of the weights' half is {fraction}; expected a number "
            "between 0 and 1, both excluded, such as 0.5."
        )
    if not 0.0 <= other_fraction <= 1.0 - fraction + _ROUNDING:
        raise ValueError(
            f"The share of the architecture's half is {other_fraction}, and "
            f"that of the weights' half {fraction}; expected 0 or more, and "
            "at most 1 together."
        )
    labels = np.asarray(labels)
    rng = np.random.default_rng(seed)
    weight, validation = [], []
    for index in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == index))
        cut = round(fraction * len(members))
        end = len(members)
        if other_fraction:
            end = min(end, cut + round(other_fraction * len(members)))
        if not 0 < cut < end:
            name = index if label_names is None else label_names[index]
            raise ValueError(
                f"Class {name} has {len(members)} example(s), of which "
                f"{cut} would train the weights and {end - cut} the "
                f"architecture at a share of {fraction}; expected at least "
                "one in each. Add examples of this class, leave the class "
                "out, or choose a share nearer to 0.5."
            )
        weight.append(members[:cut])
        validation.append(members[cut:end])
    weight = rng.permutation(np.concatenate(weight)).astype(np.int64)
    validation = rng.permutation(np.concatenate(validation)).astype(np.int64)
    return weight, validation
