"""How soon a search finds good candidates on data sets that it has not met."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...learner import Learner
from ...rng import Rng
from ...tasks.scores.table import ScoreTable
from .trials import search

JUDGED = (0, 5, 10, 25)  # numbers of trials after which intervals are checked
RESAMPLES = 2_000


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """Searches on D data sets, each left out of what was learned from.

    Args:
        datasets: their names.
        regret: (D, 1 + trials) of the first recommendation and of the best after each trial, a share of the way from
            the best known candidate of a data set to its worst, averaged over seeds.
        by_seed: (seeds, 1 + trials) mean over data sets.
        covered: share of untried candidates whose score is inside its 90 % interval, by the trials before.
        fit_seconds: of processor time that learning from the others took, the median over data sets.
        ask_seconds: from one trial to the choice of the next, at the end of a search, the median over searches.
    """

    datasets: tuple[str, ...]
    regret: Tensor
    by_seed: Tensor
    covered: dict[int, float]
    fit_seconds: float
    ask_seconds: float

    def at(self, trials: int) -> tuple[float, float]:
        """Mean regret after some trials, and half the width of its 95 % interval, by bootstrap over data sets."""
        return bootstrap(self.regret[:, min(trials, self.regret.shape[1] - 1)])

    def above(self, other: SearchResult, trials: int) -> tuple[float, float]:
        """How much more regret than another has on the same data sets, and half the width of the interval.

        Raises:
            UserError: the two are not over the same data sets.
        """
        if self.datasets != other.datasets:
            raise UserError("The two results are over different data sets; leave out the same ones.")
        return bootstrap(self.regret[:, trials] - other.regret[:, trials])


def bootstrap(values: Float[Tensor, " d"]) -> tuple[float, float]:
    """The mean and half the width of its 95 % percentile interval; NaN for a single value.

    >>> mean, half = bootstrap(torch.arange(100.0))
    >>> mean, 5.0 < half < 6.5
    (49.5, True)
    """
    if len(values) < 2:
        return float(values.mean()), float("nan")
    rows = torch.randint(len(values), (RESAMPLES, len(values)), generator=Rng(0, ("bootstrap",)).generator())
    means = values.double()[rows].mean(1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(values.double().mean()), float(high - low) / 2


def leave_out(
    make: Callable[[], Learner],
    table: ScoreTable,
    *,
    datasets: Iterable[int] | None = None,
    trials: int = 50,
    seeds: int = 1,
    rng: Rng | None = None,
    past: Callable[[ScoreTable, Rng], ScoreTable] | None = None,
) -> SearchResult:
    """Leave each data set out, with all of its group, learn from the others, and search on it.

    Args:
        make: a learner that has learned nothing; where it has `meta_fit`, that is handed the others.
        table: data sets and candidates.
        datasets: numbers of those to leave out; None for all.
        trials: of each search.
        seeds: searches on each data set; learners that draw nothing need one.
        rng: where the numbers come from that they draw.
        past: what is learned from in place of the others: candidates hidden, scores spoiled.
    """
    rng = rng or Rng(0)
    chosen = list(range(len(table))) if datasets is None else list(datasets)
    rows: list[Tensor] = []
    shares: list[dict[int, float]] = []
    fits, asks = [], []
    for dataset in chosen:
        others, key = table.without(dataset), rng.at(table.datasets[dataset])
        learner, began = make(), time.process_time()
        learn = getattr(learner, "meta_fit", None)
        if learn is not None:
            learn(others if past is None else past(others, key.at("past")))
        fits.append(time.process_time() - began)
        learner.eval()
        found = [
            search(learner, table, dataset, trials=trials, rng=key.at("seed", seed), judged=JUDGED)
            for seed in range(seeds)
        ]
        rows.append(torch.stack([_lengthened(one.regret, trials) for one in found]))
        shares += [one.covered for one in found]
        asks += [one.seconds for one in found]
    regret = torch.stack(rows)  # (D, seeds, 1 + trials)
    covered = {n: statistics.fmean(share[n] for share in shares if n in share) for n in _counts(shares)}
    names = tuple(table.datasets[d] for d in chosen)
    medians = statistics.median(fits), statistics.median(asks)
    return SearchResult(names, regret.mean(1), regret.mean(0), covered, *medians)


def _counts(shares: Sequence[dict[int, float]]) -> list[int]:
    return sorted({n for share in shares for n in share})


def _lengthened(regret: Tensor, trials: int) -> Tensor:
    """Nothing is left to try: the regret stays."""
    return torch.cat([regret, regret[-1:].expand(trials + 1 - len(regret))])
