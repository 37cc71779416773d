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
from .layout import axes_of, laid, mean_at
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
        expected = {"scores": shape, "cost": shape, "features": (shape[0], len(self.feature_names))}
        for name, wanted in expected.items():
            values = getattr(self, name)
            if values is not None and tuple(values.shape) != wanted:
                raise BadExamples(
                    f"The {name} are {tuple(values.shape)}, but there are {shape[0]} data sets, {shape[1]} candidates,"
                    f" {shape[2]} budgets and {len(self.feature_names)} names of features: they must be {wanted}."
                )
        if len(set(self.datasets)) < shape[0]:
            twice = next(name for name in self.datasets if self.datasets.count(name) > 1)
            raise BadExamples(f"The data set '{twice}' is there twice; name its rows apart, or average them.")
        if len(self.groups) not in (0, shape[0]):
            raise BadExamples(f"{len(self.groups)} groups are named for {shape[0]} data sets; name one each, or none.")
        if bool(torch.isinf(self.scores).any()) or not bool(torch.isfinite(self.scores).any()):
            raise BadExamples("The table needs one score at least, and none may be infinite: what failed is NaN.")

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
            datasets, candidates, scores, budgets, cost: (n,) one a trial; a candidate is a name or a configuration, the
                score of a trial that failed is NaN.
            space: of the configurations; None for the smallest.
            maximise: False for errors and losses.

        Raises:
            BadExamples: columns of differing lengths, or without a score.

        >>> tried = [{"C": 1.0}, {"C": 10.0}, {"C": 10.0}]
        >>> ScoreTable.of_trials(["iris", "iris", "wine"], tried, [0.9, 0.8, 0.7]).final.tolist()
        [[0.9, 0.8], [nan, 0.7]]
        """
        columns = [datasets, candidates, scores, *(given for given in (budgets, cost) if given is not None)]
        if not len(scores) or any(len(column) != len(scores) for column in columns):
            raise BadExamples(f"The columns of the trials have {', '.join(str(len(c)) for c in columns)} rows.")
        names = [c if isinstance(c, str) else name_of(c) for c in candidates]
        (rows, order, levels), place = axes_of(datasets, names, [1.0] * len(names) if budgets is None else budgets)
        by_name = dict(zip(reversed(names), reversed(candidates), strict=True))  # the first of each name
        configurations = [c for name in order if not isinstance(c := by_name[name], str)]
        made = Candidates.of(configurations, space) if configurations else Candidates.named(order)
        shape = (len(rows), len(order), len(levels))
        seconds = None if cost is None else mean_at(place, cost, shape)
        return cls(tuple(rows), made, mean_at(place, scores, shape), seconds, tuple(levels), maximise=maximise)

    def __len__(self) -> int:
        return len(self.datasets)

    @property
    def final(self) -> Tensor:
        """(D, C) scores at the largest budget, higher is better whatever they were: errors are negated."""
        return self.scores[..., -1] if self.maximise else -self.scores[..., -1]

    @property
    def regret(self) -> Tensor:
        """(D, C) how far from its data set's best, as a share of the way to the worst; 0 where all are equal."""
        low = self.final.nan_to_num(nan=torch.inf).amin(1, keepdim=True)
        high = self.final.nan_to_num(nan=-torch.inf).amax(1, keepdim=True)
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
        both, candidates = (self, other), self.candidates.joined(other.candidates)
        datasets = tuple(dict.fromkeys((*self.datasets, *other.datasets)))
        features = tuple(dict.fromkeys((*self.feature_names, *other.feature_names)))
        axes = (datasets, candidates.names, sorted({*self.budgets, *other.budgets}))
        group = {d: g for table in both for d, g in zip(table.datasets, table.groups, strict=False)}
        own = [(table.datasets, table.candidates.names, table.budgets) for table in both]
        timed = [(names, table.cost) for names, table in zip(own, both, strict=True) if table.cost is not None]
        known = [((t.datasets, t.feature_names), t.features) for t in both if t.features is not None]
        return ScoreTable(
            datasets,
            candidates,
            laid([(own[0], self.scores), (own[1], other.scores)], axes),
            laid(timed, axes) if timed else None,
            tuple(axes[2]),
            laid(known, (datasets, features)) if known else None,
            features,
            tuple(group.get(dataset, dataset) for dataset in datasets) if group else (),
            self.maximise,
        )

    def described(self, features: Mapping[str, Mapping[str, float]]) -> ScoreTable:
        """The same table with meta-features by data set and name, beside those it has; NaN where one is not given.

        Raises:
            UnknownName: features of a data set that is not there.
        """
        names = tuple(dict.fromkeys((*self.feature_names, *(name for said in features.values() for name in said))))
        parts = [] if self.features is None else [((self.datasets, self.feature_names), self.features)]
        for dataset, said in features.items():
            row = (self.datasets[self.index(dataset)],)
            parts.append(((row, tuple(said)), torch.tensor([[*said.values()]], dtype=torch.float64)))
        return dataclasses.replace(self, features=laid(parts, (self.datasets, names)), feature_names=names)

    def without(self, dataset: int) -> ScoreTable:
        """What was known before this data set came: all others, less those of its group."""
        same = [i for i in range(len(self)) if i == dataset or (self.groups and self.groups[i] == self.groups[dataset])]
        return self.select(datasets=[i for i in range(len(self)) if i not in same])

    def index(self, dataset: str) -> int:
        """The number of a data set; UnknownName where there is none of that name."""
        if dataset not in self.datasets:
            raise UnknownName.among("data set", dataset, self.datasets)
        return self.datasets.index(dataset)
