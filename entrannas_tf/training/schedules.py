"""Learning rates and other rates as functions of time."""

import math

_POLY_POWER = 0.9  # Chen et al. (2017), section 4.1.


def cosine(initial, step, num_steps):
    """Returns a rate that falls to 0 along half a cosine, as in DARTS.

    Args:
        initial: Rate of step 0.
        step: Number of steps done, from 0 to num_steps.
        num_steps: Number of steps after which the rate is 0, at least 1.
    """
    return initial * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))


def linear(initial, step, num_steps):
    """Returns a rate that falls to 0 along a line; arguments as `cosine`."""
    return initial * (1.0 - step / num_steps)


def poly(initial, step, num_steps):
    """Returns DeepLab's rate, a power of the line; arguments as `cosine`."""
    return initial * (1.0 - step / num_steps) ** _POLY_POWER


def constant(initial, step, num_steps):
    """Returns the rate that never changes, as the paper's for alpha."""
    del step, num_steps
    return initial


def after(num_waiting, schedule, initial, step, num_steps):
    """Returns 0 for some steps, then the rate of a schedule over the rest.

    Args:
        num_waiting: Number of steps at the start whose rate is 0.
        schedule: `constant` or `cosine`.
        initial: Rate of the first step after these.
        step: Number of steps done, those at the start included.
        num_steps: Number of steps, those at the start included.
    """
    if step < num_waiting:
        return 0.0
    return schedule(initial, step - num_waiting, num_steps - num_waiting)


def warmed_up(num_rising, schedule, initial, step, num_steps):
    """Returns a rate that rises along a line first, then follows a schedule.

    Args:
        num_rising: Number of steps at the start; the last has the full rate.
        schedule: `cosine`, `linear` or `poly`.
        initial: Full rate.
        step: Number of steps done, those at the start included.
        num_steps: Number of steps, those at the start included.
    """
    if step < num_rising:
        return initial * (step + 1) / num_rising
    return schedule(initial, step - num_rising, num_steps - num_rising)


def skip_dropout(initial, num_waiting, epoch, num_epochs):
    """Returns the rate of the dropout behind skip connections (P-DARTS).

    During the warm-up of alpha it falls slowly along a line; then it starts
    again, and falls by e in 5 epochs. The paper says only that it decays; this
    is how the authors' program does it (github.com/chenxin061/pdarts,
    train_search.py).

    Args:
        initial: Rate of epoch 0, but for the line's first step.
        num_waiting: Number of epochs of alpha's warm-up.
        epoch: Number of epochs done, from 0 to below num_epochs.
        num_epochs: Number of epochs.
    """
    if epoch < num_waiting:
        return initial * (num_epochs - epoch - 1) / num_epochs
    return initial * math.exp(-0.2 * (epoch - num_waiting))


# By the name that the configuration has for it.
SCHEDULES = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "poly": poly,
}
