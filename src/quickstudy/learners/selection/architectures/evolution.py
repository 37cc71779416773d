"""Regularised evolution (Real et al. 2019, arXiv:1802.01548): the baseline that a predictor has to beat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from ....errors import UserError
from ....rng import Rng

A = TypeVar("A")


def evolve(
    score: Callable[[A], float],
    draw: Callable[[torch.Generator], A],
    mutate: Callable[[A, torch.Generator], A],
    *,
    rng: Rng,
    population: int = 10,
    tournament: int = 5,
) -> Iterator[tuple[A, float]]:
    """Architectures and their scores, one after the other, without end.

    The first are drawn at random; from then on the best of a random few is mutated, and the oldest dies, however good
    it was. Unlike a learner it knows nothing of past data sets.

    Args:
        score: trains an architecture and says how good it is, higher is better.
        draw: a random architecture.
        mutate: an architecture that differs a little.
        rng: of draws, tournaments and mutations.
        population: architectures alive.
        tournament: of them that compete to be mutated.

    Raises:
        UserError: a tournament larger than the population, or without anyone.
    """
    if not 1 <= tournament <= population:
        raise UserError(f"A tournament of {tournament} among {population} cannot be held; choose 1..{population}.")
    generator = rng.generator()
    alive: deque[tuple[A, float]] = deque(maxlen=population)
    while True:
        if len(alive) < population:
            made = draw(generator)
        else:
            chosen = torch.randperm(population, generator=generator)[:tournament].tolist()
            made = mutate(max((alive[i] for i in chosen), key=lambda pair: pair[1])[0], generator)
        alive.append((made, score(made)))
        yield alive[-1]
