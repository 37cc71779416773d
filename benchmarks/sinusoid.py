"""Sinusoids of the MAML paper: mean squared error after 1 and 10 steps, three seeds (docs/results.md).

    python benchmarks/sinusoid.py

Amplitude U[0.1, 5], phase U[0, pi], x U[-5, 5]; MLP 1-40-40-1; inner rate 0.01, one inner step in training, 25 tasks a
step with 10 (or 5) support and as many query points, Adam 1e-3. Test: 600 tasks of 100 query points, the same for all
seeds. The mean over seeds is given with the interval over the 600 tasks of each task's mean over seeds; the median of
tasks stands beside it, since a few tasks with steep curves decide a mean.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

import torch

import _records
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.evaluation.result import Result
from quickstudy.loops.meta_train import meta_train
from quickstudy.recipe import Recipe
from quickstudy.rng import Rng

PUBLISHED = (
    "curves only in Finn et al. 2017, figure 3; 0.114 ± 0.010 (10-shot), 0.390 ± 0.156 (5-shot) in Xu et al. 2020"
)
WORKS = {"sine-maml": (15_000, (1, 10)), "sine-maml-5shot": (20_000, (1, 10))}
SEEDS = (0, 1, 2)


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    for name in WORKS:
        if options.only in name:
            _records.write("sinusoid", rows(name, quick=options.quick), quick=options.quick)


def rows(name: str, *, quick: bool) -> list[dict[str, Any]]:
    """One record for each number of test steps."""
    steps, tested = WORKS[name]
    began, results, curve = time.process_time(), [], []
    for seed in SEEDS[: 1 if quick else None]:
        found, points = run(name, seed, 20 if quick else steps, tested, quick=quick)
        results.append(found)
        curve = curve or points
    shots = results[0][tested[0]].protocol["shots"]
    made = []
    for number in tested:
        result = _mean([found[number] for found in results])
        unit = "step" if number == 1 else "steps"
        more = {
            "budget": "quick" if quick else "full",
            "published": PUBLISHED,
            "cpu_seconds": round(time.process_time() - began),
            "curve": curve,
            "recipe": name,
        }
        row = _records.record(f"sine/{shots}-shot/{number}-{unit}", "maml", result, **more)
        made.append(row | {"seeds": len(results), "by_seed": [round(f[number].value, 4) for f in results]})
    return made


def run(
    name: str, seed: int, steps: int, tested: tuple[int, ...], *, quick: bool
) -> tuple[dict[int, Result], list[dict[str, Any]]]:
    """Train one seed; results by number of test steps, and the curve of the first seed's validation."""
    recipe = dataclasses.replace(Recipe.read(_records.HERE.parent / "recipes" / f"{name}.toml"), seed=seed)
    learner, source = recipe.make_learner(), recipe.make_source()
    tests = source.test.replaced(queries=100, seed=0)
    points = []
    records = meta_train(
        learner, source, steps=steps, tasks=recipe.train.tasks, optimizer=recipe.train.optimizers(), rng=Rng(seed)
    )
    for row in records:
        if row.step % 2_500 == 0 and seed == SEEDS[0]:
            by_steps = evaluate(
                learner, source.validation.replaced(queries=100), tasks=200, steps=(0, 1, 5, 10)
            ).by_steps
            points.append({"step": row.step, "seconds": round(row.seconds, 1), "validation_by_steps": by_steps})
    found = {}
    for number in tested:
        learner.test_steps = number
        found[number] = evaluate(learner, tests, tasks=8 if quick else 600, batch=200)
    return found, points


def _mean(results: list[Result]) -> Result:
    """Each task's mean over seeds."""
    values = [
        statistics.fmean(v for v in column if v is not None)
        for column in zip(*(r.values for r in results), strict=True)
    ]
    value, ci95 = mean_interval(values)
    diverged = statistics.fmean(r.diverged for r in results)
    return dataclasses.replace(
        results[0], value=value, ci95=ci95, median=statistics.median(values), values=tuple(values), diverged=diverged
    )


if __name__ == "__main__":
    main()
