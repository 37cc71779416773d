"""Learning-rate schedules: a step number in, a factor on the optimizer's rate out. Stateless: a resume is exact."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant() -> Schedule:
    """Always 1."""
    return lambda step: 1.0


def halving(every: int) -> Schedule:
    """Half after every so many steps (prototypical networks: 2,000 episodes).

    >>> [halving(2)(step) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return lambda step: float(0.5 ** (step // every))


def linear(steps: int) -> Schedule:
    """From 1 down to 0 (Reptile's outer step size)."""
    return lambda step: max(0.0, 1.0 - step / steps)


def stable_decay(steps: int, decay: int) -> Schedule:
    """1, and over the last `decay` steps down to 0: the end settles what a constant rate leaves in motion.

    >>> [stable_decay(4, 2)(step) for step in range(5)]
    [1.0, 1.0, 1.0, 0.5, 0.0]
    """
    return lambda step: min(1.0, max(0.0, (steps - step) / decay))


def cosine(steps: int, *, floor: float = 0.0) -> Schedule:
    """Half a cosine from 1 to `floor`."""
    return lambda step: floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
