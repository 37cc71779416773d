"""Memory-augmented networks on Omniglot: accuracy on the k-th instance of a class (docs/results.md).

    python benchmarks/mann.py            train what is not trained yet (it resumes), judge, write the records
    python benchmarks/mann.py --hours 1

Streams of 5 classes with 10 instances of each in random order, every one answered before its label is told. Rotations
are classes. Once as in the paper, on images of 20x20 pixels without convolutions, and once behind Conv-4; trained on
the 1,200 classes of training and validation, judged on 1,000 streams of the 423 test classes, by the last weights.
"""

from __future__ import annotations

from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.errors import MissingData
from quickstudy.evaluation.protocols.stream import StreamResult, evaluate_stream
from quickstudy.recipe import Recipe

PAPER = "Santoro et al. 2016, arXiv:1605.06065, table 1"
PUBLISHED = {1: 36.4, 2: 82.8, 3: 91.0, 4: 92.6, 5: 94.9, 10: 98.1}
RECIPES = {"mann-omniglot": "20x20 pixels", "mann-omniglot-conv": "Conv-4"}


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for name in RECIPES:
        if options.only in name:
            try:
                _records.write("mann", train_and_judge(name, options.hours, quick=options.quick), quick=options.quick)
            except MissingData as missing:
                print(f"skipped {name}: {missing}")


def train_and_judge(name: str, hours: float, *, quick: bool) -> list[dict[str, Any]]:
    """Train, or go on training, and judge the last weights on 1,000 streams."""
    recipe = Recipe.read(_records.HERE.parent / "recipes" / f"{name}.toml")
    trained = train(recipe, name, hours=hours, quick=quick)
    result = evaluate_stream(trained.learner, trained.source.test, tasks=4 if quick else 1_000)
    return [record(result, k, name) | trained.cost for k in result.by_instance]


def record(result: StreamResult, k: int, name: str) -> dict[str, Any]:
    """What all records say, of the k-th instances."""
    value, ci95 = result.by_instance[k]
    return {
        "work": "mann/kth-instance",
        "learner": "mann",
        "variant": f"{RECIPES[name]}, instance {k:2d}",  # numbers of one width, so that they sort as numbers
        "metric": "accuracy",
        "value": round(value, 4),
        "ci95": round(ci95, 4),
        "split": result.protocol["split"],
        "tasks": result.tasks - result.left_out,
        "queries": result.protocol["ways"],
        "interval": "95% t over tasks",
        "seeds": 1,
        "transductive": result.protocol["transductive"],
        "statistics": None,
        "ece": None,
        "manifest": result.manifest,
        "recipe": name,
        "published": f"{PUBLISHED[k]} ({PAPER})" if k in PUBLISHED else "none",
        **_records.circumstances(),
    }


if __name__ == "__main__":
    main()
