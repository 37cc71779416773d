"""Trials of a search on a score table: ask, look the score up, tell."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

import torch
from torch import Tensor

from ...learner import Learner
from ...outputs import Gaussian
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.table import ScoreTable
from ..metrics import covered


@dataclasses.dataclass(frozen=True)
class Search:
    """One search on one data set.

    Args:
        first: the candidate that is recommended before any trial.
        tried: (n,) candidates in the order in which they were tried.
        regret: (1 + n,) of the first recommendation, and of the best after each trial; 0..1.
        covered: share of the untried whose score was inside the 90 % interval, by the number of trials before it.
        seconds: of processor time that a choice and being told its score took, the median of the last five.
    """

    first: int
    tried: Tensor
    regret: Tensor
    covered: dict[int, float]
    seconds: float


@torch.no_grad()
def search(
    learner: Learner, table: ScoreTable, dataset: int, *, trials: int, rng: Rng, judged: tuple[int, ...] = ()
) -> Search:
    """Let a learner choose what to try on one data set of a table, whose other rows it may have learned from.

    Args:
        learner: one that chooses by `acquire`.
        table: where scores are looked up.
        dataset: its number.
        trials: how many; fewer where fewer candidates have a score.
        rng: for learners that draw.
        judged: numbers of trials after which intervals are checked.
    """
    known = torch.isfinite(table.final[dataset]).nonzero().flatten()
    x, y, regret = table.candidates.x[known], table.final[dataset, known].unsqueeze(1), table.regret[dataset, known]
    description = None if table.features is None else table.features[dataset]
    open_ = torch.arange(len(known))
    state = learner.adapt(Examples(x[:0], y[:0]), description, rng=rng)
    first = int(learner.acquire(state, x, kind="regression").argmax())
    tried: list[int] = []
    shares: dict[int, float] = {}
    took: list[float] = []
    for turn in range(min(trials, len(known))):
        if turn in judged:
            answer = learner.predict(state, x[open_])
            if isinstance(answer, Gaussian):
                shares[turn] = float(covered(answer, Examples(x[open_], y[open_])))
        began = time.process_time()
        pick = int(open_[learner.acquire(state, x[open_], kind="regression").argmax()])
        tried.append(pick)
        open_ = open_[open_ != pick]
        state = told(learner, state, Examples(x[tried], y[tried]), description, rng)
        took.append(time.process_time() - began)
    best = regret[tried].cummin(0).values
    return Search(
        int(known[first]),
        known[tried],
        torch.cat([regret[first : first + 1], best]),
        shares,
        statistics.median(took[-5:] or [0.0]),
    )


def told(learner: Learner, state: Any, examples: Examples, description: Tensor | None, rng: Rng) -> Any:
    """The state after the last of some trials, by `update` where the learner has one."""
    if type(learner).update is Learner.update:
        return learner.adapt(examples, description, rng=rng)
    return learner.update(state, examples.select(torch.tensor([len(examples) - 1])))
