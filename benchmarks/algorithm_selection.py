"""Algorithm selection on ASlib: official folds, PAR10 with the cost of features (docs/results.md).

    python benchmarks/algorithm_selection.py

For every instance a selector that learned from the other folds says which algorithm to run; what that costs lies
between the algorithm that was best on the other folds (0 % of the gap closed) and a perfect choice without any cost
(100 %). Intervals are a bootstrap over instances; those of the mean are Student's t over scenarios.

`guarded` picks its parts and its pre-solving schedule by cross-validation inside the other folds. Which parts there are
to pick from, and the options of each, were decided while figures of the same scenarios were known.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

import _records
from quickstudy.errors import MissingData
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.evaluation.search.par10 import Selecting, Selection, judge_selection
from quickstudy.learners.selection.algorithms.factors import CollaborativeFiltering
from quickstudy.learners.selection.algorithms.forest import PerAlgorithm
from quickstudy.learners.selection.algorithms.guarded import Guarded
from quickstudy.learners.selection.algorithms.nearest import NearestInstances
from quickstudy.learners.selection.algorithms.pairwise import Pairwise
from quickstudy.rng import Rng
from quickstudy.tasks.scores.reading.aslib import scenario, scenarios

SELECTORS: dict[str, Callable[[], Selecting]] = {
    "guarded": Guarded,
    "per-algorithm": PerAlgorithm,
    "collaborative-filtering": CollaborativeFiltering,
    "nearest-instances": NearestInstances,
    "pairwise": Pairwise,
}


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    try:
        names = scenarios()
    except MissingData as missing:
        print(f"skipped: {missing}")
        return
    names = tuple(sorted(names, key=lambda name: len(scenario(name).instances)))
    for selector, make in SELECTORS.items():
        found = []
        for name in names[:1] if options.quick else names:
            if options.only in f"{selector} {name}":
                found.append(judged(selector, make, name, quick=options.quick))
        if len(found) == len(names):
            row = record("aslib", selector, *mean_interval(found), tasks=len(found))
            _records.write("algorithm_selection", [row | {"interval": "95% t over scenarios"}], quick=options.quick)


def judged(selector: str, make: Callable[[], Selecting], name: str, *, quick: bool) -> float:
    """One selector on one scenario, its record written; percent of the gap closed."""
    began = time.process_time()
    found = judge_selection(make, scenario(name), folds=1 if quick else None)
    low, high = found.interval(Rng(0))
    percent = 100 * found.gap_closed
    row = record(f"aslib/{name}", selector, percent, 50 * (high - low), tasks=len(found.paid))
    spent = {"cpu_seconds": round(time.process_time() - began), "median_schedule": length(found)}
    _records.write("algorithm_selection", [row | spent], quick=quick)
    return percent


def record(work: str, selector: str, value: float, ci95: float, *, tasks: int) -> dict[str, object]:
    """One record; the value is in percent."""
    return {
        "work": work,
        "learner": selector,
        "metric": "gap_closed",
        "value": round(value, 2),
        "ci95": round(ci95, 2),
        "tasks": tasks,
        "split": "official folds",
        "interval": "95% bootstrap over instances",
        "seeds": 1,
        "transductive": False,
        "budget": "full",
        **_records.circumstances(),
    }


def length(found: Selection) -> float:
    """Steps of the schedule, the median over folds."""
    return statistics.median(len(procedure.schedule) for procedure in found.procedures)


if __name__ == "__main__":
    main()
