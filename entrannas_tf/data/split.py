"""The two halves of the bi-level search: one for weights, one for alpha."""

import numpy as np


def halves(labels, fraction, seed, label_names=None):
    """Splits a data set in two, each class in the same proportion.

    Args:
        labels: Integers [N], the class of each example.
        fraction: Share of the examples that trains the weights, in (0, 1).
        seed: Non-negative integer; the same seed gives the same halves.
        label_names: Names of the classes for messages; None for numbers.

    Returns:
        (weight indices, validation indices): int64, shuffled, disjoint, and
        together every index from 0 to N - 1.

    Raises:
        ValueError: If the fraction is outside (0, 1), or a class would have
            no example in one of the halves.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(
            f"The share of the weights' half is {fraction}; expected a number "
            "between 0 and 1, both excluded, such as 0.5."
        )
    labels = np.asarray(labels)
    rng = np.random.default_rng(seed)
    weight, validation = [], []
    for index in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == index))
        cut = round(fraction * len(members))
        if not 0 < cut < len(members):
            name = index if label_names is None else label_names[index]
            raise ValueError(
                f"Class {name} has {len(members)} example(s), of which "
                f"{cut} would train the weights and {len(members) - cut} the "
                f"architecture at a share of {fraction}; expected at least "
                "one in each. Add examples of this class, leave the class "
                "out, or choose a share nearer to 0.5."
            )
        weight.append(members[:cut])
        validation.append(members[cut:])
    weight = rng.permutation(np.concatenate(weight)).astype(np.int64)
    validation = rng.permutation(np.concatenate(validation)).astype(np.int64)
    return weight, validation
