"""Associative retrieval with 20 hidden units: fast weights, an LSTM and the delta rule (docs/results.md).

    python benchmarks/retrieval.py                          train what is not trained yet (it resumes), judge, write
    python benchmarks/retrieval.py --only lstm-8 --hours 1

Strings of letters with a digit each, then one letter, as in section 4.1 of Ba et al. 2016 (arXiv:1610.06258). All cells
read the same strings in the same steps through the same embedding (100) and readout (100 rectified units): 128 strings
a step, Adam at 5e-3 with a cosine to zero. The paper asks one letter of a string and trains on 100,000 strings; here
every letter of a training string is asked, and strings do not repeat. Test: 20,000 strings asked one letter each.
The examples of the paper have 4 pairs, and so must its table: naming the commonest digit of a string errs in 61.65 % of
questions, and its three failing nets in 60 to 62 %. With 8 pairs, which are not in the paper, that would be 70.01 %.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.plan import Plan
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.recipe import Recipe

BA = "Ba et al. 2016, arXiv:1610.06258, table 1, R=20"
PUBLISHED = {"fast-weights": f"error 1.81 % ({BA})", "lstm": f"error 60.81 % ({BA})"}
CELLS = ("fast-weights", "lstm", "delta")


@dataclasses.dataclass(frozen=True)
class Run:
    """A cell that learns strings of some length."""

    cell: str
    pairs: int

    @property
    def name(self) -> str:
        return f"retrieval-{self.cell}-{self.pairs}"

    @property
    def recipe(self) -> Recipe:
        """That of the cell, asking every letter of strings of this length."""
        made = Recipe.read(_records.HERE.parent / "recipes" / f"retrieval-{self.cell}.toml")
        return dataclasses.replace(made, source={**made.source, "pairs": self.pairs, "queries": self.pairs})


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    for run in (Run(cell, pairs) for pairs in (4, 8) for cell in CELLS):
        if options.only in run.name:
            _records.write("retrieval", [train_and_judge(run, options.hours, quick=options.quick)], quick=options.quick)


def train_and_judge(run: Run, hours: float, *, quick: bool) -> dict[str, Any]:
    """Train, or go on training, and judge the last weights on 20,000 strings."""
    recipe = run.recipe
    plan = Plan("vmap", recipe.train.tasks, "a string is small: all of a step fit at once")
    trained = train(recipe, run.name, hours=hours, quick=quick, plan=plan, every=500)
    tests = recipe.test.of(trained.source, "test")
    result = evaluate(trained.learner, tests, tasks=200 if quick else recipe.test.tasks, batch=500)
    published = PUBLISHED.get(run.cell) if run.pairs == 4 else None
    more = trained.cost | {"error": round(100 - result.value, 2), "published": published}
    more |= {"variant": f"{run.pairs} pairs", "command": f"python benchmarks/retrieval.py --only {run.name}"}
    return _records.record("retrieval/r20", run.cell, result, **more)


if __name__ == "__main__":
    main()
