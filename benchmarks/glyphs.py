"""The main job as a new user runs it: `quickstudy study` on the embedded glyphs, 5-way 1-shot (docs/results.md).

    python benchmarks/glyphs.py

The chosen learner and the best baseline (chosen on validation scripts) on the same 200 tasks of scripts kept aside, the
paired difference, and the seconds of every phase. A run on another machine trains more or less in the same time.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import _records
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.registry import build_source
from quickstudy.study import Study
from quickstudy.tasks.episodes import Episodes

WORK = "glyphs/5-way-1-shot"


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    _records.write("glyphs", rows(quick=options.quick), quick=options.quick)


def rows(*, quick: bool) -> list[dict[str, Any]]:
    """A record for the chosen learner, one for the best baseline, one for their difference."""
    began, cpu = time.perf_counter(), time.process_time()
    drawers = {"drawers": 12} if quick else {}
    source: Episodes = build_source({"name": "glyphs", "ways": 5, "shots": 1, "queries": 10, **drawers})
    with tempfile.TemporaryDirectory() as folder:
        study = Study(
            source,
            out=Path(folder),
            seconds=20 if quick else 150,
            tests=20 if quick else 200,
            validation=10 if quick else 60,
            spent=time.perf_counter() - began,
        )
        for _ in study.run():
            pass
    found = study.findings
    assert found is not None
    seconds = {name: round(value, 1) for name, value in found.seconds.items()}
    cost = {"cpu_seconds": round(time.process_time() - cpu), "wall_seconds": round(study.spent), "phases": seconds}
    more = {"budget": "quick" if quick else "full", "published": None, **cost}
    made = []
    for row in (found.chosen, found.baseline):
        result = found.tests[row.entry.name]
        extra = {"training_steps": row.steps, "by_shots": result.by_shots}
        made.append(_records.record(WORK, row.entry.name, result, **more, **extra))
    gap = found.comparison
    names = f"{found.chosen.entry.name} - {found.baseline.entry.name}"
    difference = made[0] | {"learner": names, "metric": "difference", "value": round(gap.difference, 4)}
    difference |= {"ci95": round(gap.ci95, 4), "interval": "95% paired t over tasks", "p": gap.p}
    return [*made, difference]


if __name__ == "__main__":
    main()
