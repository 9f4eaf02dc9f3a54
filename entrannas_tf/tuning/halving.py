"""Successive halving: how many networks are trained for how long."""

from typing import NamedTuple


class Rung(NamedTuple):
    """A round of trainings, all of the same length.

    Attributes:
        epochs: Number of epochs of each training, from scratch.
        size: Number of networks that are trained, at most.
    """

    epochs: int
    size: int


class Training(NamedTuple):
    """A training that has begun.

    Attributes:
        network: The network, a text.
        has_ended: Whether it has ended, successfully or not.
        score: Its score, higher is better; None if it has none.
    """

    network: str
    has_ended: bool
    score: float | None


def plan(num_networks, first_epochs, factor, last_epochs):
    """Returns the rungs that narrow some networks down to the best.

    Each rung has `factor` times as many epochs as the one before, up to
    `last_epochs`, and `factor` times fewer networks. A rung of one network that
    is not the last would decide nothing, and is left out.

    Args:
        num_networks: Number of networks, 1 or more.
        first_epochs: Number of epochs of the first rung, 1 or more.
        factor: 2 or more.
        last_epochs: Number of epochs of the last rung, `first_epochs` or more.

    Returns:
        Tuple of `Rung`, at least one.

    Raises:
        ValueError: If an argument is out of its range.
    """
    for name, value, least in (
        ("num_networks", num_networks, 1),
        ("first_epochs", first_epochs, 1),
        ("factor", factor, 2),
    ):
        if value < least:
            raise ValueError(
                f"{name} is {value}; expected {least} or more, or there is "
                "nothing to halve."
            )
    if last_epochs < first_epochs:
        raise ValueError(
            f"last_epochs is {last_epochs}; expected first_epochs, which is "
            f"{first_epochs}, or more: raise the one or lower the other."
        )
    rungs = []
    epochs, size = first_epochs, num_networks
    while epochs < last_epochs:
        if size > 1:
            rungs.append(Rung(epochs, size))
        epochs, size = epochs * factor, max(1, size // factor)
    return (*rungs, Rung(last_epochs, size))


def next_training(rungs, entrants, complete, trainings):
    """Returns the next training: (number of the rung, network).

    None if all have begun, or must wait for a search or a training to end.

    Args:
        rungs: Sequence of `Rung`.
        entrants: The networks known to enter the first rung, in order.
        complete: Whether there will be no others.
        trainings: For each rung the `Training`s that have begun, in order.
    """
    for number, begun in enumerate(trainings):
        started = {training.network for training in begun}
        for network in entrants:
            if network not in started:
                return number, network
        if not complete or not all(t.has_ended for t in begun):
            return None
        scored = [t for t in begun if t.score is not None]
        scored.sort(key=lambda training: -training.score)  # Stable.
        size = rungs[min(number + 1, len(rungs) - 1)].size
        entrants = [training.network for training in scored[:size]]
    return None
