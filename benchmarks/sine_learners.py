"""Learners of regression on the sinusoids of the MAML paper, ten points a curve (docs/results.md).

    python benchmarks/sine_learners.py                     what is not trained yet, at most half an hour each
    python benchmarks/sine_learners.py --only attentive

All are trained on the same 375,000 tasks (15,000 steps of 25; 10 support and 10 query points, no noise, Adam 1e-3) and
judged on the same 600 test tasks of 100 query points, those of benchmarks/sinusoid.py. Nets are those of the MAML
paper, 1-40-40-1 with ReLU, where the learner has such a net. Rates were not searched for; MAML is judged after the one
step it is trained with and after 10.
"""

from __future__ import annotations

from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.plan import Plan
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.recipe import Recipe

Table = dict[str, Any]
WORK = "sine/10-shot"
NET: Table = {"name": "mlp", "inputs": 1, "outputs": 1, "hidden": [40, 40]}
FEATURES: Table = {**NET, "outputs": 40, "hidden": [40]}
LEARNERS: dict[str, Table] = {
    "maml": {"net": NET, "steps": 1, "lr": 0.01},
    "meta-sgd": {"net": NET, "steps": 1, "lr": 0.01},
    "lstm-meta-learner": {"net": NET, "steps": 5, "lr": 0.01},
    "generated": {"net": NET, "reader": {**NET, "outputs": 40}, "outputs": 1, "width": 40, "lr": 0.01},
    "r2d2": {"encoder": FEATURES, "penalty": 1.0},
    "deep-kernel": {"encoder": FEATURES},
    "last-layer": {"encoder": FEATURES, "outputs": 1, "features": 40},
    "attentive": {"inputs": 1, "outputs": 1, "width": 64, "depth": 3},
    "in-context": {"inputs": 1, "outputs": 1, "layers": 4},
    "cnp": {"inputs": 1, "outputs": 1, "width": 64, "depth": 3},
    "snail": {"encoder": {**NET, "outputs": 16, "hidden": [40]}, "width": 16, "outputs": 1, "length": 11},
    "recurrent": {"cell": {"name": "lstm-cell", "inputs": 64, "width": 64}, "inputs": 1, "outputs": 1},
}
TESTED: dict[str, tuple[int, ...]] = {"maml": (1, 10)}  # steps in evaluation, where they differ from training


def main() -> None:
    parser = _records.arguments(__doc__.splitlines()[0])
    parser.set_defaults(hours=0.5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in LEARNERS:
        if options.only in name:
            _records.write("sine_learners", rows(name, options.hours, quick=options.quick), quick=options.quick)


def rows(name: str, hours: float, *, quick: bool) -> list[Table]:
    """Train one learner, or go on training it, and judge it."""
    recipe = Recipe.of(
        {
            "learner": {"name": name} | LEARNERS[name],
            "source": {"name": "sinusoids", "shots": 10, "queries": 10},
            "train": {"steps": 15_000, "tasks": 25, "lr": 1e-3, "checkpoint_every": 1_000},
        }
    )
    plan = Plan("vmap", 25, "small nets: all tasks of a step at once")
    trained = train(recipe, f"sine-learners/{name}", hours=hours, quick=quick, plan=plan, every=500)
    learner, made = trained.learner, []
    tests = trained.source.test.replaced(queries=100)
    for steps in TESTED.get(name, (None,)):
        if steps is not None:
            learner.test_steps = steps
        result = evaluate(learner, tests, tasks=8 if quick else 600, batch=100)
        more = trained.cost | _records.use(learner, tests, repeats=1 if quick else 30) | {"published": None}
        more |= {"variant": f"{steps} steps"} if steps not in (None, 1) else {}
        more["command"] = f"python benchmarks/sine_learners.py --only {name}"
        made.append(_records.record(WORK, name, result, **more))
    return made


if __name__ == "__main__":
    main()
