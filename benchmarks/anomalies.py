"""Anomaly detection without labels: detectors combined by what past data sets taught (docs/results.md).

    python benchmarks/anomalies.py

Small data sets of ADBench, each left out in turn: the stack is meta-trained on all others and sees no label of the one
it answers for. References on the same data sets: every detector alone (the best of them in hindsight is the bar), the
plain mean of all scores and of all ranks, and the best detector for each data set (an oracle). AUROC in percent, mean
over data sets, intervals over data sets.

How far the stack trusts itself is chosen inside the other data sets; its detectors, descriptors and options were
decided while figures of these data sets were known.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import _records
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.learners.stacking.anomalies import AnomalyStack, auroc
from quickstudy.learners.stacking.detectors import DETECTORS, detect
from quickstudy.rng import Rng
from quickstudy.task import Examples
from quickstudy.tasks.datasets.download import read_arrays
from quickstudy.tasks.datasets.named import data_folder

SEEDS = 5  # of the isolation forest
Table = tuple[Tensor, Tensor]  # scores of the detectors, and which rows are anomalous


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    home = data_folder()
    folder = None if home is None else home / "automl" / "adbench_small"
    if folder is None or not folder.is_dir():
        print("skipped: put small data sets of ADBench (npz with X and y) into automl/adbench_small of QUICKSTUDY_DATA")
        return
    paths = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_size)
    seeds = range(1 if options.quick else SEEDS)
    tables = [[scored(path, seed) for path in (paths[:4] if options.quick else paths)] for seed in seeds]
    found = [answers(of_seed) for of_seed in tables]
    rows = []
    for name in found[0]:
        each = torch.stack([of_seed[name] for of_seed in found]).mean(0)  # (data sets,)
        rows.append(record(name, *mean_interval((100 * each).tolist()), tasks=len(each), seeds=len(found)))
    _records.write("anomalies", [row for row in rows if options.only in row["learner"]], quick=options.quick)


def scored(path: Path, seed: int) -> Table:
    """What every detector says of every row, and the labels."""
    data = read_arrays(path, "X", "y")
    scores = detect(torch.from_numpy(data["X"].astype("float64")), rng=Rng(seed))
    return scores, torch.from_numpy(data["y"].astype("int64"))


def answers(tables: list[Table]) -> dict[str, Tensor]:
    """(data sets,) AUROC of the stack and of every reference."""
    alone = torch.stack([torch.stack([auroc(s, y) for s in scores.T]) for scores, y in tables])
    found = {name: alone[:, k] for k, name in enumerate(DETECTORS)}
    found["oracle"] = alone.amax(1)
    found["mean-rank"] = torch.stack([auroc(ranked(scores).mean(1), y) for scores, y in tables])
    found["mean-score"] = torch.stack([auroc(plain(scores), y) for scores, y in tables])
    found["stack"] = torch.stack([left_out(tables, i) for i in range(len(tables))])
    return found


def left_out(tables: list[Table], dataset: int) -> Tensor:
    """The AUROC of a stack that learned from all other data sets."""
    scores, y = tables[dataset]
    stack = AnomalyStack(len(DETECTORS))
    stack.meta_fit([table for i, table in enumerate(tables) if i != dataset])
    state = stack.adapt(Examples(scores, torch.zeros_like(y), ways=2))
    return auroc(stack.predict(state, scores)[:, 1], y)


def plain(scores: Tensor) -> Tensor:
    """The mean of all detectors, as a stack gives it that has learned nothing."""
    stack = AnomalyStack(scores.shape[1])
    return stack.predict(stack.adapt(Examples(scores, torch.zeros(len(scores)).long(), ways=2)), scores)[:, 1]


def ranked(scores: Tensor) -> Tensor:
    return scores.argsort(0).argsort(0).double()


def record(name: str, value: float, ci95: float, *, tasks: int, seeds: int) -> dict[str, object]:
    """One record; the value is in percent."""
    return {
        "work": "adbench",
        "learner": name,
        "metric": "auroc",
        "value": round(value, 2),
        "ci95": round(ci95, 2),
        "tasks": tasks,
        "split": "one data set left out",
        "interval": "95% t over data sets",
        "seeds": seeds,
        "transductive": False,
        "budget": "no labels",
        **_records.circumstances(),
    }


if __name__ == "__main__":
    main()
