"""Judging on groups that come in turn, several draws each: a value a group, and intervals over groups, not draws.

Draws of one assay or table have its difficulty in common, so an interval over all of them would be too narrow.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import _records
from quickstudy.evaluation.evaluate import evaluating
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.learner import Learner
from quickstudy.outputs import central
from quickstudy.rng import Rng
from quickstudy.task import Examples, Task, take, trim
from quickstudy.tasks.source import TaskSource

Score = Callable[[Tensor, Examples], float]


@dataclasses.dataclass(frozen=True)
class Judged:
    """What a learner reached.

    Args:
        values: group -> one value a draw.
        queries: of a task on average.
        seconds: of the processor, drawing the tasks included.
        manifest: of the tasks.
        protocol: of the source.
        transductive: whether answers depended on other queries.
    """

    values: dict[int, list[float]]
    queries: float
    seconds: float
    manifest: str
    protocol: dict[str, Any]
    transductive: bool

    @property
    def means(self) -> dict[int, float]:
        """The mean over the draws of each group."""
        return {group: sum(each) / len(each) for group, each in self.values.items()}

    @property
    def value(self) -> float:
        """The mean over groups."""
        return sum(self.means.values()) / len(self.means)

    @property
    def draws(self) -> int:
        """Of every group."""
        return min(map(len, self.values.values()))

    def merged(self, other: Judged) -> Judged:
        """Together with other groups (another fold)."""
        a, b = len(self.values), len(other.values)
        queries = (self.queries * a + other.queries * b) / (a + b)
        parts = {"values": self.values | other.values, "queries": queries, "seconds": self.seconds + other.seconds}
        return dataclasses.replace(self, **parts, manifest=f"{self.manifest} {other.manifest}")


def accuracy(output: Tensor, query: Examples) -> float:
    """In percent."""
    return 100 * float((central(output).argmax(-1) == query.y).double().mean())


def judge(
    learner: Learner,
    source: TaskSource,
    draws: int,
    score: Score = accuracy,
    *,
    prepare: Callable[[Task], Task] | None = None,
    most: int | None = None,
    groups: int | None = None,
) -> Judged:
    """Adapt to so many draws of every group, and score the answers; the source deals groups in turn.

    Args:
        prepare: what is done with a task first.
        most: queries that are asked of a task; they come in random order, so these are drawn at random.
        groups: only the first so many of them, for a smoke run.
    """
    began, values, queries = time.process_time(), {}, 0
    tasks = draws * (groups or int(source.protocol["groups"]))
    with evaluating(learner):
        for episode in range(tasks):
            task = trim(take(source.sample(episode, 1), 0))
            task = dataclasses.replace(task, query=task.query.select(torch.arange(len(task.query))[:most]))
            task = task if prepare is None else prepare(task)
            state = learner.adapt(task.support, task.description, rng=Rng(episode))
            assert task.origin is not None and task.origin.group is not None
            values.setdefault(int(task.origin.group), []).append(
                score(learner.predict(state, task.query.x), task.query)
            )
            queries += len(task.query)
    manifest = source.manifest(tasks, batch=1)
    about = {**source.protocol, "split": source.split}
    return Judged(values, queries / tasks, time.process_time() - began, manifest, about, learner.transductive)


def scaled(task: Task) -> Task:
    """The same task with every column centred and scaled by its support rows, as an expert would for a single table."""
    x = task.support.x
    spread = x.std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1)

    def of(side: Examples) -> Examples:
        return dataclasses.replace(side, x=(side.x - x.mean(0)) / spread)

    return dataclasses.replace(task, support=of(task.support), query=of(task.query))


def print_pairs(name: str, learner: str) -> None:
    """How much a learner is above each other in results/NAME.json on the same tasks, group by group."""
    path = _records.RESULTS / f"{name}.json"
    rows = [row for row in (json.loads(path.read_text()) if path.exists() else []) if row.get("by_group")]
    for own in (row for row in rows if row["learner"] == learner):
        same = [row for row in rows if (row["work"], row["manifest"]) == (own["work"], own["manifest"])]
        for other in same:
            if other is not own:
                names = [", ".join(filter(None, (row["learner"], row.get("variant")))) for row in (own, other)]
                print(f"{own['work']}: {' against '.join(names)} {paired(own['by_group'], other['by_group'])}")


def paired(a: list[float], b: list[float]) -> str:
    """How much the first is above the second, in words.

    >>> paired([3.0, 5.0, 7.0], [2.0, 3.0, 6.0])
    '+1.33 ± 1.4 on 3 groups, higher on 3: not told apart'
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    mean, half = mean_interval(differences)
    said = "better" if mean > half else "worse" if mean < -half else "not told apart"
    return f"{mean:+.3g} ± {half:.2g} on {len(a)} groups, higher on {sum(d > 0 for d in differences)}: {said}"


def record(work: str, learner: str, judged: Judged, metric: str = "accuracy", **more: Any) -> dict[str, Any]:
    """One record; `more` adds budget, published, variant, cost and curve."""
    value, half = mean_interval(list(judged.means.values()))
    return {
        "work": work,
        "learner": learner,
        "metric": metric,
        "value": round(value, 4),
        "ci95": round(half, 4),
        "split": judged.protocol["split"],
        "tasks": judged.draws * len(judged.values),
        "queries": round(judged.queries),
        "interval": f"95% t over {len(judged.values)} groups, {judged.draws} draws each",
        "seeds": 1,
        "transductive": judged.transductive,
        "manifest": judged.manifest,
        "by_group": [round(judged.means[group], 4) for group in sorted(judged.means)],
        "published": None,
        **more,
        **_records.circumstances(),
    }
