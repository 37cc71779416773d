"""A table of scores: data set x candidate x budget, the experience that selection learns from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import BadExamples, UnknownName
from ...task import Examples, Origin, Task
from .candidates import Candidates as Candidates
from .candidates import name_of
from .layout import laid, mean_at, numbered, places
from .space import Space


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """How good each candidate was on each data set, at each budget; cells may be missing.

    A data set is a task: what was tried on it is the support, what was not is the query, and its meta-features are the
    description.

    Args:
        datasets: one name a data set, all different.
        candidates: what was tried.
        scores: (D, C, B) float64, NaN where nothing is known; higher is better where `maximise`.
        cost: (D, C, B) seconds, NaN where unknown; None if nothing was timed.
        budgets: (B,) rising: epochs, rows, share of the data.
        features: (D, m) meta-features of the data sets, NaN where one has none; None if there are none.
        feature_names: of the m.
        groups: (D,) data sets of one group are variants of each other, and never stand on both sides of a split.
        maximise: False for errors and losses.

    Raises:
        BadExamples: shapes that do not fit, two data sets of one name, or a table without a single score.

    >>> candidates = Candidates(("tree", "line"), torch.empty(2, 0, dtype=torch.float64))
    >>> table = ScoreTable(("iris", "wine"), candidates, torch.tensor([[0.9, 0.8], [0.7, float("nan")]]).unsqueeze(-1))
    >>> table.regret[0].tolist(), table.task(1, [0]).query.y.tolist()
    ([0.0, 1.0], [])
    """

    datasets: tuple[str, ...]
    candidates: Candidates
    scores: Tensor
    cost: Tensor | None = None
    budgets: tuple[float, ...] = (1.0,)
    features: Tensor | None = None
    feature_names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    maximise: bool = True

    def __post_init__(self) -> None:
        shape = (len(self.datasets), len(self.candidates), len(self.budgets))
        for what, values in (("scores", self.scores), ("cost", self.cost)):
            if values is not None and tuple(values.shape) != shape:
                raise BadExamples(
                    f"The {what} are {tuple(values.shape)}, but there are {shape[0]} data sets, {shape[1]} candidates"
                    f" and {shape[2]} budgets."
                )
        if self.features is not None and tuple(self.features.shape) != (shape[0], len(self.feature_names)):
            raise BadExamples(
                f"The meta-features are {tuple(self.features.shape)}; {shape[0]} data sets and"
                f" {len(self.feature_names)} names need {(shape[0], len(self.feature_names))}."
            )
        if len(set(self.datasets)) < shape[0]:
            twice = next(name for name in self.datasets if self.datasets.count(name) > 1)
            raise BadExamples(f"The data set '{twice}' is there twice; name its rows apart, or average them.")
        if len(self.groups) not in (0, shape[0]):
            raise BadExamples(f"{len(self.groups)} groups are named for {shape[0]} data sets; name one each, or none.")
        if not bool(torch.isfinite(self.scores).any()):
            raise BadExamples("The table has no score that is a number; at least one cell must be known.")

    @classmethod
    def of_trials(
        cls,
        datasets: Sequence[str],
        candidates: Sequence[str] | Sequence[Mapping[str, Any]],
        scores: Sequence[float],
        *,
        budgets: Sequence[float] | None = None,
        cost: Sequence[float] | None = None,
        space: Space | None = None,
        maximise: bool = True,
    ) -> ScoreTable:
        """A table from a list of trials; those of one data set, candidate and budget are averaged.

        Args:
            datasets: (n,) names.
            candidates: (n,) names, or configurations.
            scores: (n,), NaN for a trial that failed.
            budgets: (n,) of each trial; None where there is but one.
            cost: (n,) seconds.
            space: of the configurations; None for the smallest.
            maximise: False for errors and losses.

        Raises:
            BadExamples: lists of differing lengths, or without a score.

        >>> tried = [{"C": 1.0}, {"C": 10.0}, {"C": 10.0}]
        >>> ScoreTable.of_trials(["iris", "iris", "wine"], tried, [0.9, 0.8, 0.7]).final.tolist()
        [[0.9, 0.8], [nan, 0.7]]
        """
        columns = [datasets, candidates, scores, *(given for given in (budgets, cost) if given is not None)]
        if not len(scores) or any(len(column) != len(scores) for column in columns):
            raise BadExamples(f"The columns of the trials have {', '.join(str(len(c)) for c in columns)} rows.")
        names = [c if isinstance(c, str) else name_of(c) for c in candidates]
        first = {name: i for i, name in reversed(list(enumerate(names)))}
        order = sorted(first, key=lambda name: first[name])
        configurations = [c for name in order if not isinstance(c := candidates[first[name]], str)]
        made = Candidates.of(configurations, space) if configurations else Candidates.named(order)
        d, c, b = numbers = [numbered(column) for column in (datasets, names, budgets or [1.0] * len(names))]
        levels = sorted(b[1])
        shape = (len(d[1]), len(c[1]), len(levels))
        at = torch.tensor([column[0] for column in numbers])
        at[2] = torch.tensor([levels.index(level) for level in b[1]])[at[2]]
        place = (at[0] * shape[1] + at[1]) * shape[2] + at[2]
        return cls(
            tuple(d[1]),
            made,
            mean_at(place, scores, shape),
            None if cost is None else mean_at(place, cost, shape),
            tuple(levels),
            maximise=maximise,
        )

    def __len__(self) -> int:
        return len(self.datasets)

    @property
    def final(self) -> Tensor:
        """(D, C) scores at the largest budget, higher is better whatever they were: errors are negated."""
        return self.scores[..., -1] if self.maximise else -self.scores[..., -1]

    @property
    def regret(self) -> Tensor:
        """(D, C) how far from the best known candidate of its data set, as a share of the way to the worst: 0..1.

        0 for every candidate where all are equally good.
        """
        low, high = _least(self.final), -_least(-self.final)
        width = torch.where(high > low, high - low, 1.0)
        return (high - self.final) / width

    def task(self, dataset: int, tried: Sequence[int] | Tensor = ()) -> Task:
        """One data set as a task: some candidates tried, all others with a score asked about.

        Inputs are (n, 1 + e), see `Candidates.x`; targets (n, 1), higher is better.

        Raises:
            BadExamples: a candidate among the tried has no score here.
        """
        support = torch.as_tensor(tried, dtype=torch.int64)
        known = torch.isfinite(self.final[dataset])
        if not bool(known[support].all()):
            lacking = self.candidates.names[int(support[~known[support]][0])]
            raise BadExamples(f"'{lacking}' has no score on '{self.datasets[dataset]}', so it cannot have been tried.")
        known[support] = False
        query = known.nonzero().flatten()
        x, y = self.candidates.x, self.final[dataset].unsqueeze(-1).to(self.candidates.encoding.dtype)
        description = None if self.features is None else self.features[dataset]
        origin = Origin(support, query, group=torch.tensor(dataset))
        return Task(Examples(x[support], y[support]), Examples(x[query], y[query]), description, origin)

    def select(self, *, datasets: Sequence[int] | Tensor | None = None, candidates: Tensor | None = None) -> ScoreTable:
        """The table of some data sets, some candidates, or both."""
        rows = torch.arange(len(self)) if datasets is None else torch.as_tensor(datasets, dtype=torch.int64)
        columns = torch.arange(len(self.candidates)) if candidates is None else candidates
        named = rows.tolist()
        return dataclasses.replace(
            self,
            datasets=tuple(self.datasets[i] for i in named),
            candidates=self.candidates if candidates is None else self.candidates.select(candidates),
            scores=self.scores[rows][:, columns],
            cost=None if self.cost is None else self.cost[rows][:, columns],
            features=None if self.features is None else self.features[rows],
            groups=tuple(self.groups[i] for i in named) if self.groups else (),
        )

    def joined(self, other: ScoreTable) -> ScoreTable:
        """All that either table knows; where both know a cell, the other's counts: it is the newer one.

        So a live run is a table that grows: `table.joined(ScoreTable.of_trials([dataset], [candidate], [score]))`.

        Raises:
            BadExamples: one is of scores and the other of errors, or their candidates cannot be compared.
        """
        if self.maximise != other.maximise:
            raise BadExamples("In one of the tables more is better, in the other less; negate the scores of one.")
        candidates = self.candidates.joined(other.candidates)
        datasets = tuple(dict.fromkeys((*self.datasets, *other.datasets)))
        budgets = tuple(sorted({*self.budgets, *other.budgets}))
        cost, features, groups = self.cost, self.features, self.groups
        names = tuple(dict.fromkeys((*self.feature_names, *other.feature_names)))
        axes = (datasets, candidates.names, budgets)
        cells = [places((table.datasets, table.candidates.names, table.budgets), axes) for table in (self, other)]
        described = [places((table.datasets, table.feature_names), (datasets, names)) for table in (self, other)]
        if groups or other.groups:
            of = dict(zip(self.datasets, groups or self.datasets, strict=True))
            of |= dict(zip(other.datasets, other.groups or [of.get(d, d) for d in other.datasets], strict=True))
            groups = tuple(of[dataset] for dataset in datasets)
        if cost is not None or other.cost is not None:
            cost = laid((cost, other.cost), cells, tuple(map(len, axes)))
        if names:
            features = laid((features, other.features), described, (len(datasets), len(names)))
        scores = laid((self.scores, other.scores), cells, tuple(map(len, axes)))
        return ScoreTable(datasets, candidates, scores, cost, budgets, features, names, groups, self.maximise)

    def described(self, features: Mapping[str, Mapping[str, float]]) -> ScoreTable:
        """The same table with meta-features by data set and name, beside those it has; NaN where one is not given.

        Raises:
            UnknownName: features of a data set that is not there.
        """
        rows = [(self.index(dataset), said) for dataset, said in features.items()]
        names = tuple(dict.fromkeys((*self.feature_names, *(name for _, said in rows for name in said))))
        if not names:
            return self
        values = torch.full((len(self), len(names)), torch.nan, dtype=torch.float64)
        if self.features is not None:
            values[:, : len(self.feature_names)] = self.features
        for row, said in rows:
            values[row, [names.index(name) for name in said]] = torch.tensor([*said.values()], dtype=torch.float64)
        return dataclasses.replace(self, features=values, feature_names=names)

    def without(self, dataset: int) -> ScoreTable:
        """What was known before this data set came: all others, less those of its group."""
        same = [i for i in range(len(self)) if i == dataset or (self.groups and self.groups[i] == self.groups[dataset])]
        return self.select(datasets=[i for i in range(len(self)) if i not in same])

    def index(self, dataset: str) -> int:
        """The number of a data set.

        Raises:
            UnknownName: there is none of that name.
        """
        if dataset not in self.datasets:
            raise UnknownName.among("data set", dataset, self.datasets)
        return self.datasets.index(dataset)


def _least(scores: Tensor) -> Tensor:
    """(D, 1) the lowest known score of each data set."""
    return scores.nan_to_num(nan=torch.inf).amin(1, keepdim=True)
