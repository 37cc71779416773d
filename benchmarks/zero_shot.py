"""From zero to twenty shots on glyphs, printed shapes as descriptions of the classes (docs/results.md).

    python benchmarks/zero_shot.py

Tasks of 5 characters of scripts that nothing was trained on; a character is described by its undistorted printed shape,
its examples are distorted drawings. One learner (`described`, trained on 15-way tasks of 0 to 5 shots) is judged with
0, 1, 2, 5, 10 and 20 examples a class; beside it ESZSL, the closed form that knows descriptions only (on pixels, its
penalties chosen on validation scripts), and prototypical networks, which know examples only, trained as long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.learner import Learner
from quickstudy.learners.zero_shot.eszsl import ESZSL
from quickstudy.recipe import Recipe
from quickstudy.tasks.source import TaskSource

WORK = "glyphs/zero-to-twenty"
SHOTS = (0, 1, 2, 5, 10, 20)
PENALTIES = (0.001, 0.01, 0.1, 1.0)


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    described = Recipe.read(_records.HERE.parent / "recipes" / "glyphs-described.toml")
    proto = {"name": "prototypical", "encoder": {"name": "conv4"}}
    examples = dataclasses.replace(described, learner=proto, source={**described.source, "shots": [1, 5]})
    for name, recipe, shots in (("described", described, SHOTS), ("prototypical", examples, SHOTS[1:])):
        if options.only in name:
            trained = train(recipe, f"zero-shot-{name}", hours=options.hours, quick=options.quick)
            tests = trained.source.test.replaced(ways=5, queries=15)
            _write(name, trained.learner, tests, shots, trained.cost, quick=options.quick)
    if options.only in "eszsl":
        source = described.make_source().replaced(ways=5, shots=1, queries=15)
        _write(
            "eszsl", _solved(source, quick=options.quick), source.test, (0,), {"budget": "full"}, quick=options.quick
        )


def _solved(source: TaskSource, *, quick: bool) -> ESZSL:
    """ESZSL on pixels, with the penalties that do best on validation scripts."""
    made = []
    penalties = PENALTIES[:1] if quick else PENALTIES
    for gamma in penalties:
        for lambda_ in penalties:
            learner = ESZSL(torch.nn.Flatten(), width=784, attributes=784, gamma=gamma, lambda_=lambda_)
            learner.meta_fit(source, tasks=20 if quick else 500)
            score = evaluate(learner, source.validation.replaced(shots=0), tasks=10 if quick else 200).value
            made.append((score, learner))
    return max(made, key=lambda pair: pair[0])[1]


def _write(
    name: str, learner: Learner, tests: TaskSource, shots: Sequence[int], more: dict[str, Any], *, quick: bool
) -> None:
    """One record for each number of shots."""
    rows = []
    for k in shots:
        result = evaluate(learner, tests.replaced(shots=k), tasks=10 if quick else 1_000)
        curve = more.get("curve") if k == shots[0] else None
        row = {"published": None, "variant": f"{k} shot{'' if k == 1 else 's'}", **more, "curve": curve or []}
        rows.append(_records.record(WORK, name, result, **row))
    _records.write("zero_shot", rows, quick=quick)


if __name__ == "__main__":
    main()
