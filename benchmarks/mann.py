"""Memory-augmented networks on Omniglot: accuracy on the k-th instance of a class (docs/results.md).

    python benchmarks/mann.py            train what is not trained yet (it resumes), judge, write the records
    python benchmarks/mann.py --hours 1

Streams of 5 classes with 10 instances of each in random order, every one answered before its label is told. Rotations
are classes. Trained on the 1,200 classes of training and validation, judged on 1,000 streams of the 423 test classes,
by the last weights. Once as in the paper, on images of 20x20 pixels without convolutions (its turned and shifted copies
of the training images are left out), and once on features: those of the prototypical network of benchmarks/omniglot.py,
which learned from the same classes, and stays as it is. Trained together with a Conv-4 from nothing, the memory was not
found within 2,400 steps (46 % of the training queries).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.errors import MissingData
from quickstudy.evaluation.evaluate import evaluating
from quickstudy.evaluation.protocols.stream import StreamResult, evaluate_stream
from quickstudy.recipe import Recipe
from quickstudy.tasks.source import TaskSource

RECIPES = _records.HERE.parent / "recipes"
PAPER = "Santoro et al. 2016, arXiv:1605.06065, table 1"
PUBLISHED = {1: 36.4, 2: 82.8, 3: 91.0, 4: 92.6, 5: 94.9, 10: 98.1}
VARIANTS = {"mann-omniglot": "20x20 pixels", "mann-omniglot-features": "features"}
BATCH = 1_000  # images that are embedded at a time


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for name in VARIANTS:
        if options.only in name:
            try:
                _records.write("mann", train_and_judge(name, options.hours, quick=options.quick), quick=options.quick)
            except MissingData as missing:
                print(f"skipped {name}: {missing}")


def train_and_judge(name: str, hours: float, *, quick: bool) -> list[dict[str, Any]]:
    """Train, or go on training, and judge the last weights on 1,000 streams."""
    recipe = Recipe.read(RECIPES / "mann-omniglot.toml")
    if name == "mann-omniglot-features":
        trained = train(
            on_features(recipe), name, hours=hours, quick=quick, prepare=lambda _, s: embed(s, hours, quick)
        )
    else:
        trained = train(recipe, name, hours=hours, quick=quick)
    result = evaluate_stream(trained.learner, trained.source.test, tasks=4 if quick else 1_000)
    return [record(result, k, name) | trained.cost for k in result.by_instance]


def on_features(recipe: Recipe) -> Recipe:
    """The same run on vectors of 64 features instead of pixels, at a lower rate."""
    learner = recipe.learner | {"width": 64}
    source = {key: value for key, value in recipe.source.items() if key != "size"}
    return dataclasses.replace(
        recipe, learner=learner, source=source, train=dataclasses.replace(recipe.train, steps=15_000, lr=1e-3)
    )


def embed(source: TaskSource, hours: float, quick: bool) -> None:
    """Put features in place of the images of a source; the network that makes them is trained first, if it is not."""
    made = train(Recipe.read(RECIPES / "omniglot-prototypical.toml"), "omniglot-prototypical", hours=hours, quick=quick)
    encoder, pool = made.learner.encoder, source.pool
    with evaluating(made.learner), torch.inference_mode():
        parts = [encoder(pool.x[i : i + BATCH].float() / 255) for i in range(0, len(pool.x), BATCH)]
    source.pool = dataclasses.replace(pool, x=torch.cat(parts).clone())


def record(result: StreamResult, k: int, name: str) -> dict[str, Any]:
    """What all records say, of the k-th instances."""
    value, ci95 = result.by_instance[k]
    return {
        "work": "mann/kth-instance",
        "learner": "mann",
        "variant": f"{VARIANTS[name]}, instance {k:2d}",  # numbers of one width, so that they sort as numbers
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
