"""The answer of a search: the best pipelines, weighed by their held-out answers and refitted to all rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import TrainingStopped
from ..pipelines.worker import TrialFailed
from ..stacking.crossfit import Metric
from ..stacking.weights import cross_fitted_weights
from .search import Search
from .store import Tried

LIGHT = 0.02  # a share below which a pipeline is not worth its refitting
OF_A_FAMILY, WEIGHED = 2, 20  # pipelines that are weighed: so many of each family first, so many in all


@dataclasses.dataclass(frozen=True)
class Combination:
    """What answers.

    Args:
        members: (share, fitted pipeline), the shares summing to 1.
        score: of the combination on rows that neither pipelines nor weights had seen.
        board: a row for each trial, best first.
    """

    members: list[tuple[float, Any]]
    score: float
    board: list[dict[str, Any]]


def combine(search: Search, metric: Metric) -> Combination:
    """Weigh what is complete and refit what has weight, the heaviest first, while there is time.

    Raises:
        TrainingStopped: nothing is complete, or nothing can be refitted.
    """
    tried, work = search.tried(), search.work
    weighed = _shortlist([t for t in tried if t.answers is not None])
    if not weighed:
        raise _nothing(tried, search)
    answers = np.stack([t.answers for t in weighed if t.answers is not None])
    weights, combined = cross_fitted_weights(answers, work.y, work.splits, metric)
    judged = np.isfinite(combined).all(1)
    members: dict[int, tuple[float, Any]] = {}
    late: dict[int, str] = {}
    for i in np.argsort(-weights, kind="stable"):
        if weights[i] < LIGHT and members:
            break
        try:  # there must be an answer, so the first may take its time
            model = search.refitted(weighed[i].configuration, seconds=search.left if members else float("inf"))
            members[weighed[i].number] = (float(weights[i]) or 1.0, model)
        except TrialFailed as error:
            late[weighed[i].number] = f"could not be refitted: {error}"
    if not members:
        raise TrainingStopped(f"No pipeline could be refitted to all rows: {'; '.join(late.values())}.")
    whole = sum(weight for weight, _ in members.values())
    members = {number: (weight / whole, model) for number, (weight, model) in members.items()}
    board = [_row(t, members[t.number][0] if t.number in members else 0.0, late.get(t.number, "")) for t in tried]
    return Combination(list(members.values()), metric(work.y[judged], combined[judged]), board)


def _shortlist(complete: Sequence[Tried]) -> list[Tried]:
    """The best of each family, since what differs helps most, then the best of all; best first, as they are given."""
    families: dict[Any, list[int]] = {}
    for t in complete:
        families.setdefault(t.configuration.get("family"), []).append(t.number)
    chosen = {number for numbers in families.values() for number in numbers[:OF_A_FAMILY]}
    for t in complete:
        if len(chosen) < WEIGHED:
            chosen.add(t.number)
    return [t for t in complete if t.number in chosen]


def _nothing(tried: Sequence[Tried], search: Search) -> TrainingStopped:
    what = f"{len(search.work.splits)} folds of {len(search.work.y):,} rows"
    within = "" if search.limit is None else f" within {search.limit:g} s"
    why = f" The first of {len(tried)} trials: {tried[0].why}." if tried else ""
    return TrainingStopped(
        f"No pipeline could be fitted to {what}{within}.{why} Raise time_limit, or give fewer rows or folds."
    )


def _row(t: Tried, share: float, late: str) -> dict[str, Any]:
    return {
        "trial": t.number,
        "family": t.configuration.get("family", ""),
        "score": t.score,
        "spread": float(np.std(t.folds, ddof=1)) if len(t.folds) > 1 else float("nan"),
        "seconds": t.seconds,
        "share": share,
        "note": t.why or late,
        "settings": {name: value for name, value in t.configuration.items() if name != "family"},
    }
