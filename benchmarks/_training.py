"""What the benchmarks that train share: go on from the last checkpoint, within a cap, and say how far it came."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import _records
from quickstudy.engine.plan import Plan
from quickstudy.learner import Learner
from quickstudy.loops.checkpoint import Checkpoint
from quickstudy.loops.meta_train import meta_train
from quickstudy.loops.record import Record
from quickstudy.recipe import Recipe
from quickstudy.rng import Rng
from quickstudy.tasks.source import TaskSource

QUICK = 2  # steps of a smoke run


@dataclasses.dataclass(frozen=True)
class Trained:
    """A learner as training left it (its last weights), and how it was trained."""

    learner: Learner
    source: TaskSource
    budget: str
    points: list[dict[str, Any]]

    @property
    def cost(self) -> dict[str, Any]:
        """Fields of a record."""
        return cost(self.budget, self.points)


def train(
    recipe: Recipe,
    name: str,
    *,
    hours: float,
    quick: bool,
    plan: Plan | None = None,
    every: int = 100,
    prepare: Callable[[Learner, TaskSource], None] | None = None,
) -> Trained:
    """Train, or go on training, until the recipe's last step or the cap on the hours of all runs together.

    Args:
        recipe: of the run.
        name: of its folder among the runs.
        hours: the cap.
        quick: two steps, of which nothing is kept.
        plan: how a batch of tasks is run; the engine chooses when None.
        every: steps between two points of the curve.
        prepare: what is done with a new learner first, such as taking a scale from the source.
    """
    learner, source = recipe.make_learner(), recipe.make_source()
    learner.plan = plan
    if prepare is not None:
        prepare(learner, source)
    folder = _records.RUNS / name
    steps = QUICK if quick else recipe.train.steps
    records = meta_train(
        learner,
        source,
        steps=steps,
        tasks=recipe.train.tasks,
        optimizer=recipe.train.optimizers(),
        schedule=recipe.train.schedules(),
        rng=Rng(recipe.seed),
        checkpoint=None if quick else Checkpoint(folder, recipe.train.checkpoint_every),
        resume=not quick,
        seconds=hours * 3600,
    )
    budget, points = followed(records, name, steps, quick=quick, every=every)
    return Trained(learner, source, budget, points)


def followed(
    records: Iterator[Record], name: str, steps: int, *, quick: bool, every: int = 100
) -> tuple[str, list[dict[str, Any]]]:
    """Run it to the end, or to its cap: how far it came, in words, and its curve (kept in the run's folder)."""
    curve = _records.RUNS / name / "curve.jsonl"
    for _ in records if quick else _records.logged(records, curve, every=every):
        pass
    if quick:
        return "quick", []
    points = _records.curve(curve)
    done = points[-1]["step"] if points else steps
    return "full" if done >= steps else f"capped at {done:,} of {steps:,} steps", points


def cost(budget: str, points: list[dict[str, Any]]) -> dict[str, Any]:
    """Fields of a record: how long a training was, what it took, and its curve."""
    cpu = round(points[-1]["cpu"]) if points else 0
    return {"budget": budget, "cpu_seconds": cpu, "curve": _records.thinned(points)}
