"""How the time and the memory of a meta-training step grow (docs/results.md).

    python benchmarks/cost.py
    python benchmarks/cost.py --only ways

MAML with Conv-4 (28x28 images, 5-way 1-shot, 5 queries a class, one inner step, 8 tasks a step, width 32), one size at
a time doubled and doubled again. Time is processor time of a step on one thread, the median of some; memory is what the
results of one task hold at most, counted from the traced step. A figure is the exponent p of size^p, fitted to the
logarithms: 0 is free, 1 proportional; its interval is that of the fitted slope. The points stand beside it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from typing import Any

import torch
from scipy import stats

import _records
from quickstudy.engine.backward import Backward
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.engine.plan import Plan
from quickstudy.learners.gradient.maml import MAML
from quickstudy.nets.conv4 import Conv4
from quickstudy.rng import Rng, forked
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool

CLASSES, EACH = 40, 60


@dataclasses.dataclass(frozen=True)
class Size:
    """How large a step is."""

    ways: int = 5
    shots: int = 1
    queries: int = 5
    steps: int = 1
    tasks: int = 8
    width: int = 32


SIZES = {
    "ways": (5, 10, 20, 40),
    "shots": (1, 2, 4, 8, 16),
    "queries": (5, 10, 20, 40),
    "steps": (1, 2, 4, 8),
    "tasks": (4, 8, 16, 32),
    "width": (16, 32, 64, 128),
}


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(CLASSES * EACH, 1, 28, 28, generator=generator)
    pool = Pool.of(x, [i // EACH for i in range(CLASSES * EACH)])
    for name, sizes in SIZES.items():
        if options.only in name:
            chosen = sizes[:2] if options.quick else sizes
            points = [measured(pool, Size(**{name: size}), repeats=1 if options.quick else 7) for size in chosen]
            _records.write("cost", fitted(name, chosen, points), quick=options.quick)


def measured(pool: Pool, size: Size, *, repeats: int) -> dict[str, float]:
    """Milliseconds of a step, megabytes of a task, parameters."""
    with forked(Rng(0)):
        net = Conv4(width=size.width, downsample="stride", outputs=size.ways)
        learner = MAML(net, steps=size.steps, lr=0.1, statistics="batch").train()
    learner.plan = Plan("flat", 1, "one task after another, so that only the size differs")
    tasks = Episodes(pool, ways=size.ways, shots=size.shots, queries=size.queries).sample(0, size.tasks)
    backward, spent = Backward(learner, learner.plan), []
    backward(tasks, Rng(0))
    for _ in range(repeats):
        began = time.process_time()
        backward(tasks, Rng(0))
        spent.append(1e3 * (time.process_time() - began))
    parameters = sum(p.numel() for p in learner.parameters())
    return {"ms": statistics.median(spent), "mb": backward.held / 1e6, "parameters": float(parameters)}


def fitted(name: str, sizes: tuple[int, ...], points: list[dict[str, float]]) -> list[dict[str, Any]]:
    """The exponents of time and of memory, by least squares in the logarithms."""
    made = []
    for what, key in (("time-exponent", "ms"), ("memory-exponent", "mb")):
        logs = [math.log(size) for size in sizes], [math.log(point[key]) for point in points]
        line = stats.linregress(*logs)
        free = len(sizes) - 2
        half = float(stats.t.ppf(0.975, free) * line.stderr) if free else None
        half = 0.0 if half is not None and math.isnan(half) else half  # the same at every size
        made.append(
            {
                "work": f"cost/{name}",
                "learner": "maml",
                "metric": what,
                "value": round(float(line.slope), 3),
                "ci95": None if half is None else round(half, 3),
                "interval": "95% t of the slope",
                "split": "train",
                "tasks": Size().tasks,
                "queries": Size().queries * Size().ways,
                "seeds": 1,
                "transductive": True,
                "statistics": "batch",
                "budget": "full",
                "published": None,
                "points": [
                    {name: size} | {k: round(v, 3) for k, v in p.items()} for size, p in zip(sizes, points, strict=True)
                ],
                **_records.circumstances(),
            }
        )
    return made


if __name__ == "__main__":
    main()
