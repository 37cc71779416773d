"""Pictures from elsewhere, a production line in another light, and spoken digits of new speakers (docs/results.md).

    python benchmarks/pictures_and_sound.py                 all works
    python benchmarks/pictures_and_sound.py --only fsdd

- sign-digits, coil20: hand signs and things on a turntable, 5-way; nothing is trained on either. The prototypical
  network is that of benchmarks/omniglot.py, which has seen handwritten characters alone.
- magnetic-tile: three exposures train, one validates, two test; six classes, of which three tiles each are given. What
  is new is the light: going by their likeness most tiles were photographed under every exposure.
- fsdd: ten spoken digits of a new speaker (three speakers train, one validates, two test); and three new digits in new
  voices. Inputs are log-mel arrays, two bands and two frames made one.

Labels of a line and of the digits mean the same everywhere, so that there a network pooled over all tasks stands
beside: as it was trained, and fine-tuned on the support set by 20 steps of Adam, at the rate (1e-4, not 1e-3) that did
better on the validation exposure. That was settled after plain descent at 0.01 had met the test tasks of the tiles,
where most answers were not finite, and Adam at 1e-3 those of the speakers at 1 shot. All else was set once, not tuned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import _records
from _fitted import fit, made
from _training import train
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.errors import MissingData
from quickstudy.evaluation.compare import compare
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.result import Result
from quickstudy.learner import Learner
from quickstudy.nets.conv4 import Conv4
from quickstudy.recipe import Recipe
from quickstudy.rng import Rng, forked
from quickstudy.tasks.datasets.pictures.magnetic_tile import magnetic_tile
from quickstudy.tasks.datasets.pictures.targets import coil20, sign_digits
from quickstudy.tasks.datasets.sound.fsdd import fsdd, fsdd_speakers
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.source import TaskSource

Table = dict[str, Any]
ELSEWHERE = "omniglot-prototypical"  # a recipe, and the run of it
STEPS, TASKS = 250, 200
NEW = ("prototypical", "nearest", "linear")
SHARED = ("pooled", "pooled, fine-tuned")


@dataclasses.dataclass(frozen=True)
class Work:
    """A work of this benchmark.

    Args:
        name: of it.
        source: makes its tasks, those that a learner is trained on where there are any.
        tests: options of the tasks that judge.
        classes: that mean the same in every task; None where they are dealt anew.
        run: works with one share what is trained; '' where nothing is trained on it.
    """

    name: str
    source: Callable[[], TaskSource]
    tests: Table = dataclasses.field(default_factory=dict)
    classes: int | None = None
    run: str = ""


def _pictures(name: str, pool: Callable[..., Any]) -> list[Work]:
    def source(shots: int) -> Callable[[], TaskSource]:
        return lambda: Episodes(pool(size=28), ways=5, shots=shots, queries=15, split="test")

    return [Work(f"{name}/5-way-{shots}-shot", source(shots)) for shots in (1, 5)]


def _speaker() -> TaskSource:
    return fsdd_speakers(shots=2, queries=4)


def _digits() -> TaskSource:
    return Episodes(fsdd("both"), ways=3, shots=2, queries=10)


WORKS = (
    *_pictures("sign-digits", sign_digits),
    *_pictures("coil20", coil20),
    Work("magnetic-tile/3-shot", lambda: magnetic_tile(size=28, shots=3, queries=1), classes=6, run="magnetic-tile"),
    Work("fsdd/new-speaker-1-shot", _speaker, {"shots": 1, "queries": 10}, classes=10, run="fsdd-speaker"),
    Work("fsdd/new-speaker-5-shot", _speaker, {"shots": 5, "queries": 10}, classes=10, run="fsdd-speaker"),
    Work("fsdd/new-digits-3-way-1-shot", _digits, {"shots": 1}, run="fsdd-digits"),
    Work("fsdd/new-digits-3-way-5-shot", _digits, {"shots": 5}, run="fsdd-digits"),
)


class Halved(nn.Module):
    """A small convolutional net on half the resolution."""

    def __init__(self, outputs: int | None = None):
        super().__init__()
        self.outputs = outputs
        self.net = Conv4(width=32, downsample="pool" if outputs is None else "stride", outputs=outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(nn.functional.avg_pool2d(x, 2) if x.shape[-1] > 28 else x)


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for work in WORKS:
        try:
            source = work.source()
        except MissingData as missing:
            print(f"skipped {work.name}: {missing}")
            continue
        names = [name for name in NEW + (SHARED if work.classes else ()) if options.only in f"{work.name} {name}"]
        results: dict[str, Result] = {}
        for name in names:
            found = learner_of(work, name, source, hours=options.hours, quick=options.quick)
            if found is None:
                continue
            learner, cost = found
            tests = source.replaced(split="test", **work.tests)
            results[name] = evaluate(learner, tests, tasks=4 if options.quick else TASKS, batch=8)
            who, _, variant = name.partition(", ")
            more = cost | {"published": None} | ({"variant": variant} if variant else {})
            _records.write(
                "pictures_and_sound", [_records.record(work.name, who, results[name], **more)], quick=options.quick
            )
        for name in results.keys() - {"prototypical"} if "prototypical" in results else ():
            print(work.name, compare(results["prototypical"], results[name], names=("prototypical", name)))


def learner_of(work: Work, name: str, source: TaskSource, *, hours: float, quick: bool) -> tuple[Learner, Table] | None:
    """A learner as this work trains it, and what that took; None where what it was trained on is not there."""
    cost: Table = {"budget": "full", "cpu_seconds": 0, "curve": []}
    if name in ("nearest", "linear"):
        return made({"name": name}), cost
    if not work.run:
        recipe = Recipe.read(_records.HERE.parent / "recipes" / f"{ELSEWHERE}.toml")
        try:
            trained = train(recipe, ELSEWHERE, hours=hours, quick=quick)
        except MissingData as missing:
            print(f"skipped {work.name} {name}: {missing}")
            return None
        return trained.learner, trained.cost | {"variant": "trained on Omniglot"}
    with forked(Rng(0).at("net")):
        net = Halved(work.classes if name in SHARED else None)
    who, _, tuned = name.partition(", ")
    # Adam, since plain descent at 0.01 drives the net of the tiles to infinity.
    tuning = {"steps": 20, "lr": 1e-4, "rule": "adam"} if tuned else {}
    learner = made({"name": who} | tuning, **({"net": net} if name in SHARED else {"encoder": net}))
    cost = fit(learner, source.train, f"{work.run}-{who}", steps=STEPS, tasks=2, hours=hours, quick=quick)
    return learner, cost


if __name__ == "__main__":
    main()
