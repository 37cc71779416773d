"""Regressions of real tasks: a MovieLens user from 10 ratings, an FS-Mol assay from 16 molecules (docs/results.md).

    python benchmarks/real_regression.py                      what is not trained yet, at most ten minutes each
    python benchmarks/real_regression.py --only movielens

Users and assays of training, validation and test are others. Every learner is judged on the same 500 tasks of the test
split; targets are scaled by the statistics of training tasks, errors are in raw units (stars squared; squared
logarithms of activity). Beside the meta-learners stand the mean of the support set and ridge regression on it.
"""

from __future__ import annotations

from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.plan import Plan
from quickstudy.errors import MissingData
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.learners.standardised import Standardised
from quickstudy.recipe import Recipe
from quickstudy.registry import build, build_source
from quickstudy.tasks.source import TaskSource

Table = dict[str, Any]
SOURCES: dict[str, tuple[Table, int]] = {
    "movielens": ({"name": "movielens", "shots": 10, "queries": 10}, 22),
    "fs-mol": ({"name": "fs-mol", "shots": 16, "queries": 16}, 2048),
}
BASELINES: dict[str, Table] = {"majority": {}, "linear": {"penalty": 10.0}}


def learners(inputs: int) -> dict[str, Table]:
    """The meta-learners, for inputs of some length; one hidden layer of 64 units wherever there is a net."""
    features = {"name": "mlp", "inputs": inputs, "outputs": 64, "hidden": [64]}
    return {
        "maml": {"net": {**features, "outputs": 1}, "steps": 3, "lr": 0.01},
        "r2d2": {"encoder": features, "penalty": 1.0},
        "last-layer": {"encoder": features, "outputs": 1, "features": 64},
        "deep-kernel": {"encoder": features},
        "attentive": {"inputs": inputs, "outputs": 1, "width": 64, "depth": 3},
        "in-context": {"inputs": inputs, "outputs": 1, "layers": 4},
    }


def main() -> None:
    parser = _records.arguments(__doc__.splitlines()[0])
    parser.set_defaults(hours=1 / 6)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for data, (table, inputs) in SOURCES.items():
        try:
            source = build_source(table)
        except MissingData as missing:
            print(f"skipped {data}: {missing}")
            continue
        for name in BASELINES | learners(inputs):
            if options.only in f"{data}-{name}":
                row = judged(data, name, source, inputs, options.hours, quick=options.quick)
                _records.write("real_regression", [row], quick=options.quick)


def judged(data: str, name: str, source: TaskSource, inputs: int, hours: float, *, quick: bool) -> Table:
    """Train one learner, or go on training it, and judge it on the test tasks."""
    cost: Table = {"budget": "full", "cpu_seconds": 0}
    if name in BASELINES:
        learner = build("learner", {"name": name} | BASELINES[name])
    else:
        inner = {"name": name} | learners(inputs)[name]
        recipe = Recipe.of(
            {
                "learner": {"name": "standardised", "learner": inner},
                "source": SOURCES[data][0],
                "train": {"steps": 6_000, "tasks": 16, "lr": 1e-3, "schedule": "cosine", "checkpoint_every": 500},
            }
        )
        plan = Plan("vmap", 16, "small nets: all tasks of a step at once")
        trained = train(recipe, f"real-{data}-{name}", hours=hours, quick=quick, plan=plan, prepare=_scaled)
        learner, cost = trained.learner, trained.cost
    result = evaluate(learner, source.test, tasks=10 if quick else 500, batch=50)
    more = cost | _records.use(learner, source.test, repeats=1 if quick else 30) | {"published": None}
    return _records.record(f"real/{data}", name, result, **more)


def _scaled(learner: Any, source: TaskSource) -> None:
    assert isinstance(learner, Standardised)
    learner.fit_scale(source)


if __name__ == "__main__":
    main()
