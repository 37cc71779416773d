"""Which tasks a study judges by, and at which numbers of examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from ..evaluation.evaluate import evaluate
from ..evaluation.result import Curve, Result
from ..learner import Learner
from ..tasks.episodes import Episodes
from ..tasks.groups import Groups
from .entries import Tasks

SHOTS = (1, 2, 5, 10, 20)  # examples of each class (or of a task, in a regression) of a curve, beside the study's own
MOST_LEFT_OUT = 0.5  # share of the classes, or tasks, that a longer curve may cost


def judged(learner: Learner, source: Tasks, split: str, tasks: int) -> Result:
    """The learner on one side of the split: over so many episodes, or over each task that exists, once.

    Tasks that exist are met once each, so that the interval over them is that of the next task: drawing a task twice
    would count it as two.
    """
    asked = once(source.of(split))
    return evaluate(learner, asked, tasks=_count(asked, tasks))


def curve(learner: Learner, source: Tasks, split: str, tasks: int) -> Curve:
    """How good it is with other numbers of examples, all of them on the same classes or tasks; empty for want of them.

    Args:
        tasks: episodes for each number; where tasks exist, all of them are met.
    """
    shots, roomy = longest(once(source.of(split)))
    return evaluate(learner, roomy, tasks=_count(roomy, tasks), shots=shots).by_shots if shots else {}


def longest(source: Tasks) -> tuple[tuple[int, ...], Tasks]:
    """The longest curve that at least half of the classes, or tasks, have examples for, and the source of these.

    >>> from ..tasks.pool import Pool
    >>> pool = Pool.of(torch.zeros(23, 1), list("aaaaaaaabbbbbbbbccccccc"))
    >>> shots, source = longest(Episodes(pool, ways=2, shots=1, queries=3))
    >>> shots, source.pool.split
    ((1, 2, 5), ('train', 'train', ''))
    """
    room = _room(source)
    here = room > 0
    own = source.shots if isinstance(source.shots, int) else source.shots[1]
    known = tuple(sorted({*SHOTS, own}))
    # Whatever is asked about is asked about at every number of examples alike.
    for most in reversed(known):
        fit = room >= most
        enough = fit.sum() >= max(_ways(source), (1 - MOST_LEFT_OUT) * here.sum())
        if enough and most > 1:
            return tuple(k for k in known if k <= most), _only(source, fit)
    return (), source


def once(source: Tasks) -> Tasks:
    """The source in whose episodes each task that exists comes once before any comes again."""
    return source if isinstance(source, Episodes) else source.replaced(in_turn=True)


def _count(source: Tasks, tasks: int) -> int:
    return tasks if isinstance(source, Episodes) else min(tasks, int(source.protocol["groups"]))


def _ways(source: Tasks) -> int:
    """Classes, or tasks, that have to be left."""
    if not isinstance(source, Episodes):
        return 2
    return source.ways if isinstance(source.ways, int) else source.ways[1]


def _room(source: Tasks) -> np.ndarray:
    """(classes or groups,) support examples that each of this split has beside its queries; 0 for the other splits."""
    if isinstance(source, Episodes):
        sizes, sides = torch.bincount(source.pool.y, minlength=len(source.pool.classes)).numpy(), source.pool.split
    elif isinstance(source, Groups):
        sizes, sides = torch.bincount(source.group, minlength=len(source.sides)).numpy(), source.sides
    else:
        # Of each group the rarest of its classes decides.
        c = len(source.classes)
        pairs, counts = np.unique(source.group.numpy() * c + source.y.numpy(), return_counts=True)
        sizes = np.full(len(source.sides), len(source.y))
        np.minimum.at(sizes, pairs // c, counts)
        sizes[np.bincount(pairs // c, minlength=len(sizes)) < 2] = 0
        sides = source.sides
    queries = source.queries or 1
    return np.where(np.array(sides) == source.split, np.maximum(sizes - queries, 0), 0)


def _only(source: Tasks, fit: np.ndarray) -> Tasks:
    """The source without the classes, or groups, that do not fit."""
    if isinstance(source, Episodes):
        return source.replaced(pool=dataclasses.replace(source.pool, split=_left(source.pool.split, fit)))
    return source.replaced(sides=_left(source.sides, fit))


def _left(sides: Sequence[str], fit: np.ndarray) -> tuple[str, ...]:
    return tuple(side if fine else "" for side, fine in zip(sides, fit, strict=True))
