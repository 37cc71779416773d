"""Which past tasks a new one resembles, and which support examples a query does."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from ...evaluation.result import rounded
from ...functional.distances import squared_euclidean
from ...learner import Learner
from ...task import Examples
from ...tasks.source import TaskSource
from .diagnosis import Diagnosis
from .task_map import Similar, TaskMap, embedded, encoder_of

SAID = 3  # past tasks, or classes of the new one, that a sentence names


def similar_tasks(
    learner: Learner | None, source: TaskSource, support: Examples | None = None, *, k: int = 5, **options: Any
) -> Diagnosis:
    """A map of the past tasks, and those that a new one is most like.

    How far likeness can be trusted is measured: for each past task as many of its other examples as a support set has
    are looked up on the map, and should be found to be of that task (95% interval of Agresti and Coull).

    Args:
        learner: whose encoder embeds; None takes raw inputs.
        source: of classes or groups; training and validation tasks are past tasks.
        support: of the new task.
        k: past tasks that are listed.
        options: of `TaskMap`.

    Raises:
        UserError: as `TaskMap` does.

    >>> from quickstudy.tasks.episodes import Episodes
    >>> from quickstudy.tasks.pool import Pool
    >>> pool = Pool.of(torch.tensor([[0.0], [1.0], [9.0]]).repeat(4, 1), list("abc") * 4)
    >>> similar_tasks(None, Episodes(pool, ways=2, shots=1, queries=1)).sentence.partition(".")[0]
    "Among 3 past classes 'a' and 'b' are most alike"
    """
    places = TaskMap(learner, source, **options)
    mean, axes, shares = places.axes()
    far = places.distances()
    pairs = far[torch.ones_like(far).triu(1).bool()]
    nearest, which = far.fill_diagonal_(torch.inf).min(1)
    spots = ((places.vectors - mean) @ axes.T).tolist()
    points = [
        {"name": name, "side": side, "x": x, "y": y, "nearest": places.names[j], "distance": distance}
        for name, side, (x, y), j, distance in zip(
            places.names, places.sides, spots, which.tolist(), nearest.tolist(), strict=True
        )
    ]
    right = places.recognised()
    share, half = proportion(right)
    encoder = encoder_of(learner)
    figures: dict[str, Any] = {"unit": places.unit, "points": points, "explained": shares}
    figures |= {"embedding": "raw inputs" if encoder is None else type(encoder).__name__}
    figures |= {"median_distance": float(pairs.median()), "recognised": {"value": share, "ci95": half}}
    plural = "classes" if places.unit == "class" else "tasks"
    alike = points[int(nearest.argmin())]
    says = f"Among {len(points):,} past {plural} '{alike['name']}' and '{alike['nearest']}' are most alike"
    if support is not None:
        found = places.nearest(support, k)
        figures["new"] = [
            {"label": c, "similar": [dataclasses.asdict(s) for s in near]}
            | dict(zip("xy", ((vector - mean) @ axes.T).tolist(), strict=True))
            for c, (near, vector) in enumerate(zip(found, places.vectors_of(support), strict=True))
            if near
        ]
        says = _resembles(places.unit, found, float(pairs.median()))
    number, width = rounded(share, half)
    trust = f"recognised in {number}% ± {width} of cases (95%; {100 / len(points):.2g}% by chance)"
    trust = trust if right else "recognised: unknown, for want of more examples"
    return Diagnosis(
        "similar tasks", f"{says}. From as few examples as a support set has, a {places.unit} is {trust}.", figures
    )


def proportion(right: list[float]) -> tuple[float, float]:
    """Percent of ones, and half the width of its 95% interval; unlike that of Student it is not 0 where all are right.

    Source: Agresti and Coull 1998 (doi:10.1080/00031305.1998.10480550).

    >>> share, half = proportion([1.0] * 9)
    >>> f"{share:.0f} ± {half:.0f}"
    '100 ± 20'
    """
    n = len(right)
    p = (sum(right) + 2) / (n + 4)
    return (100 * sum(right) / n if n else math.nan), 196 * math.sqrt(p * (1 - p) / (n + 4))


def _resembles(unit: str, found: tuple[tuple[Similar, ...], ...], typical: float) -> str:
    """What a new task is like; the first of its classes, on a map of classes."""
    told = []
    for c, near in [(c, near) for c, near in enumerate(found) if near][:SAID]:
        names = ", ".join(f"'{s.name}' (distance {s.distance:.3g})" for s in near[:SAID])
        told.append(f"{f'class {c}' if unit == 'class' else 'the new task'} is most like {names}")
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}; in the middle two past ones are {typical:.3g} apart"


def nearest_support(learner: Learner, support: Examples, query_x: Tensor, k: int = 3) -> tuple[Tensor, Tensor]:
    """The k support examples nearest to each query as the learner sees them: (q, k) rows, nearest first, and distances.

    The distance is the learner's own where it has one, else Euclidean, between embeddings or, without an encoder, raw
    inputs. There are fewer than k where the support set is smaller; padding is never near.

    >>> from quickstudy.learners.baseline.majority import Majority
    >>> support = Examples(torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([0, 1, 1]), ways=2)
    >>> nearest_support(Majority(), support, torch.tensor([[8.0]]), k=2)
    (tensor([[2, 1]]), tensor([[1., 6.]]))
    """
    a, b = embedded(learner, query_x), embedded(learner, support.x)
    own: Any = getattr(learner, "distance", None)
    far = own(a, b) if callable(own) else squared_euclidean(a, b).clamp(min=0).sqrt()
    if support.mask is not None:
        far = torch.where(support.mask, far, torch.inf)
    count = len(support) if support.mask is None else int(support.mask.sum())
    distances, rows = far.sort(dim=1, stable=True)
    return rows[:, : min(k, count)], distances[:, : min(k, count)]
