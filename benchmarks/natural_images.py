"""miniImageNet and CIFAR-FS by published protocols: five learners, four convolutions (docs/results.md).

    python benchmarks/natural_images.py                              train what is not trained yet (it resumes), judge
    python benchmarks/natural_images.py --only cifar-fs-r2d2 --hours 3

All use a four-block net at 84 x 84 (miniImageNet) or 32 x 32 pixels (CIFAR-FS, by the same protocols). Prototypical:
30-way 1-shot or 20-way 5-shot training episodes. Relation: inductive; the published code normalises the queries of a
test task together, and chooses weights by the test classes. MAML: 4 tasks a step, 32 filters, five inner steps of 0.01,
ten in the test; batch norm over the queries (transductive), K of each class as published and 15, and the same weights
with the statistics of the support set (inductive). Reptile: one network for 1 and 5 shots. R2-D2: one network, trained
on 1 to 9 shots, with 64 filters, where the published figures are of 96 to 512. Figures are of the last weights, over
1,000 test episodes. miniImageNet has to be brought, CIFAR-FS is fetched by `quickstudy data fetch cifar-100`; what is
not there is skipped.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.errors import MissingData
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.recipe import Recipe
from quickstudy.tasks.datasets.mini_imagenet import prepare

SNELL = "Snell et al. 2017, arXiv:1703.05175"
SUNG = "Sung et al. 2018, arXiv:1711.06025"
FINN = "Finn et al. 2017, arXiv:1703.03400"
NICHOL = "Nichol et al. 2018, arXiv:1803.02999"
BERTINETTO = "Bertinetto et al. 2019, arXiv:1805.08136"


@dataclasses.dataclass(frozen=True)
class Work:
    """One figure.

    Args:
        shots: of the test tasks, which are 5-way.
        published: what the paper has.
        queries: of each class.
        settings: attributes of the learner that the test sets.
        variant: a word for tasks that differ from those of other figures of the learner.
    """

    shots: int
    published: str
    queries: int = 15
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    variant: str = ""


def episodic(source: str, *figures: tuple[int, str]) -> tuple[Work, ...]:
    """A learner that is judged in one way."""
    return tuple(Work(shots, f"{figure} ({source})") for shots, figure in figures)


def maml(shots: int, figure: str, source: str) -> tuple[Work, ...]:
    """As published, with more queries, and inductive."""
    together, apart = {"statistics": "batch"}, {"statistics": "support"}
    return (
        Work(shots, f"{figure} ({source})", shots, together, f"{5 * shots} queries"),
        Work(shots, "none: 75 queries together", 15, together),
        Work(shots, "none: inductive", 15, apart),
    )


def reptile(shots: int, batch: int, alone: str, together: str) -> tuple[Work, ...]:
    """Inductive and transductive."""
    inductive, transductive = ({"statistics": s, "test_batch": batch} for s in ("support", "batch"))
    return (
        Work(shots, f"{alone} ({NICHOL})", settings=inductive),
        Work(shots, f"{together} ({NICHOL})", settings=transductive),
    )


RUNS: dict[str, tuple[Work, ...]] = {
    "mini-imagenet-prototypical": episodic(SNELL, (1, "49.42 ± 0.78")),
    "mini-imagenet-prototypical-5shot": episodic(SNELL, (5, "68.20 ± 0.66")),
    "mini-imagenet-relation": episodic(SUNG, (1, "50.44 ± 0.82")),
    "mini-imagenet-relation-5shot": episodic(SUNG, (5, "65.32 ± 0.70")),
    "mini-imagenet-maml": maml(1, "48.70 ± 1.84", FINN),
    "mini-imagenet-maml-5shot": maml(5, "63.11 ± 0.92", FINN),
    "mini-imagenet-reptile": (
        *reptile(1, 5, "47.07 ± 0.26", "49.97 ± 0.32"),
        *reptile(5, 15, "62.74 ± 0.37", "65.99 ± 0.58"),
    ),
    "mini-imagenet-r2d2": episodic(BERTINETTO, (1, "51.2 ± 0.6"), (5, "68.8 ± 0.1")),
    "cifar-fs-prototypical": episodic(f"run by {BERTINETTO}", (1, "55.5 ± 0.7")),
    "cifar-fs-prototypical-5shot": episodic(f"run by {BERTINETTO}", (5, "72.0 ± 0.6")),
    "cifar-fs-relation": episodic(f"run by {BERTINETTO}", (1, "55.0 ± 1.0")),
    "cifar-fs-relation-5shot": episodic(f"run by {BERTINETTO}", (5, "69.3 ± 0.8")),
    "cifar-fs-maml": maml(1, "58.9 ± 1.9", f"run by {BERTINETTO}"),
    "cifar-fs-maml-5shot": maml(5, "71.5 ± 1.0", f"run by {BERTINETTO}"),
    "cifar-fs-r2d2": episodic(BERTINETTO, (1, "65.3 ± 0.2"), (5, "79.4 ± 0.1")),
}


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for name, works in RUNS.items():
        if options.only not in name:
            continue
        try:
            records = judged(name, works, options.hours, quick=options.quick)
        except MissingData as missing:
            print(f"skipped {name}: {missing}")
            continue
        _records.write("natural_images", records, quick=options.quick)


def judged(name: str, works: tuple[Work, ...], hours: float, *, quick: bool) -> list[dict[str, Any]]:
    """Train, or go on training, and judge the last weights."""
    recipe = Recipe.read(_records.HERE.parent / "recipes" / f"{name}.toml")
    data, learner_name = recipe.source["name"], recipe.learner["name"]
    if data == "mini-imagenet":
        prepare(recipe.source.get("folder"), progress=tell)
    trained = train(recipe, name, hours=hours, quick=quick)
    records = []
    for work in works:
        for attribute, value in work.settings.items():
            setattr(trained.learner, attribute, value)
        tests = trained.source.replaced(split="test", ways=5, shots=work.shots, queries=work.queries)
        result = evaluate(trained.learner, tests, tasks=4 if quick else 1_000)
        more = {"published": work.published, "recipe": name} | trained.cost
        more |= {"variant": work.variant} if work.variant else {}
        records.append(_records.record(f"{data}/5-way-{work.shots}-shot", learner_name, result, **more))
    return records


def tell(what: str, done: int, of: int) -> None:
    """One line on the error stream, written over until it is finished."""
    print(f"\r{what}: {done:,} of {of:,}", end="\n" if done == of else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
