"""Architecture search on NAS-Bench-201 with most cells hidden (docs/results.md).

    python benchmarks/architectures.py

Each of the three data sets in turn is the new one. A predictor is meta-trained on a random 20 % of the 15,625 cells, as
the other two data sets score them; then it may try ten of the hidden 80 % on the new data set, of which it has seen no
score. The figure is the best validation accuracy among those tried, in percent. Random search tries hidden cells;
regularised evolution may try any cell. Intervals are over seeds, since there are only three data sets.
"""

from __future__ import annotations

import dataclasses
from itertools import islice

import torch
from torch import Tensor

import _records
from quickstudy.errors import MissingData
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.learners.selection.architectures.cells import encoded_cells
from quickstudy.learners.selection.architectures.evolution import evolve
from quickstudy.learners.selection.architectures.predictor import ArchitecturePredictor
from quickstudy.rng import Rng
from quickstudy.task import Examples
from quickstudy.tasks.scores.named import score_table
from quickstudy.tasks.scores.table import ScoreTable

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
ABSENT = "none"
SEEN, TRIALS, SEEDS = 0.2, 10, 5


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    try:
        table = score_table("nasbench201")
    except MissingData as missing:
        print(f"skipped: {missing}")
        return
    operations, kinds = numbered(table)
    encoding = encoded_cells(operations, EDGES, kinds=len(kinds), absent=kinds.index(ABSENT))
    candidates = dataclasses.replace(table.candidates, encoding=encoding, space=None)
    table = dataclasses.replace(table, candidates=candidates)
    seeds = 1 if options.quick else SEEDS
    found: dict[tuple[str, str], list[float]] = {}
    for dataset, name in enumerate(table.datasets[:1] if options.quick else table.datasets):
        for seed in range(seeds):
            for method, value in searched(table, operations, dataset, Rng(seed).at(name)).items():
                found.setdefault((name, method), []).append(value)
    rows = [record(*key, *mean_interval(values), seeds=seeds) for key, values in found.items()]
    _records.write("architectures", [row for row in rows if options.only in str(row["learner"])], quick=options.quick)


def numbered(table: ScoreTable) -> tuple[Tensor, list[str]]:
    """(cells, 6) kinds of operations, and the kinds."""
    rows = [list(configuration.values()) for configuration in table.candidates.configurations]
    kinds = sorted({kind for row in rows for kind in row})
    return torch.tensor([[kinds.index(kind) for kind in row] for row in rows]), kinds


def searched(table: ScoreTable, operations: Tensor, dataset: int, rng: Rng) -> dict[str, float]:
    """The best score that each method found in ten trials."""
    order = torch.randperm(len(operations), generator=rng.at("cells").generator())
    seen, hidden = order.split([round(SEEN * len(order)), len(order) - round(SEEN * len(order))])
    learner = ArchitecturePredictor()
    learner.meta_fit(table.without(dataset).select(candidates=seen))
    scores = table.final[dataset]
    return {
        "predictor": float(scores[predicted(learner, table, scores, hidden)].max()),
        "random": float(scores[hidden[:TRIALS]].max()),
        "evolution": evolved(operations, scores, rng.at("evolution")),
    }


def predicted(learner: ArchitecturePredictor, table: ScoreTable, scores: Tensor, hidden: Tensor) -> Tensor:
    """(trials,) hidden cells in the order in which the predictor wants them tried."""
    x = table.candidates.x[hidden]
    state = learner.adapt(Examples(x[:0], x[:0, :1]))
    tried: list[int] = []
    for _ in range(TRIALS):
        worth = learner.acquire(state, x)
        worth[tried] = -torch.inf
        tried.append(int(worth.argmax()))
        state = learner.update(state, Examples(x[tried[-1:]], scores[hidden[tried[-1:]]].unsqueeze(1)))
    return hidden[tried]


def evolved(operations: Tensor, scores: Tensor, rng: Rng) -> float:
    """The best cell of a regularised evolution whose mutations change one operation."""
    kinds = int(operations.max()) + 1
    place = {tuple(row): i for i, row in enumerate(operations.tolist())}

    def draw(generator: torch.Generator) -> tuple[int, ...]:
        return tuple(torch.randint(kinds, (operations.shape[1],), generator=generator).tolist())

    def mutate(cell: tuple[int, ...], generator: torch.Generator) -> tuple[int, ...]:
        edge, shift = torch.randint(1 << 30, (2,), generator=generator).tolist()
        changed = list(cell)
        changed[edge % len(cell)] = (changed[edge % len(cell)] + 1 + shift % (kinds - 1)) % kinds
        return tuple(changed)

    steps = evolve(lambda cell: float(scores[place[cell]]), draw, mutate, rng=rng, population=5, tournament=3)
    return max(score for _, score in islice(steps, TRIALS))


def record(dataset: str, method: str, value: float, ci95: float, *, seeds: int) -> dict[str, object]:
    """One record; the value is validation accuracy in percent."""
    return {
        "work": f"nasbench201-hidden/{dataset}",
        "learner": method,
        "metric": "accuracy",
        "value": round(value, 3),
        "ci95": round(ci95, 3),
        "tasks": 1,
        "split": "one data set and 80 % of the cells left out",
        "interval": "95% t over seeds",
        "seeds": seeds,
        "transductive": False,
        "budget": f"best of {TRIALS}",
        **_records.circumstances(),
    }


if __name__ == "__main__":
    main()
