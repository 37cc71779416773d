"""Every classification learner on Omniglot: 5-way and 20-way, 1 and 5 shots (docs/results.md).

    python benchmarks/omniglot_table.py                          every cell, an hour of training at most for each
    python benchmarks/omniglot_table.py --cells 5x1 --minutes 5  the first column, five minutes for each
    python benchmarks/omniglot_table.py --only relation --minutes 180

Tasks as in benchmarks/omniglot.py: the published classes of training and validation (1,200 and their rotations) train,
the other 423 test; 1,000 test episodes with 15 queries a class. Learners that take any number of classes train once, on
20-way 1-shot episodes, and that network is judged in all four cells; those with a fixed head train for each cell. All
figures are of the last weights, and inductive unless the row says otherwise. Training goes on where it was interrupted,
also with a larger cap; a row says how far it came.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch

import _records
from _training import train
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.errors import MissingData
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.recipe import Recipe

Table = dict[str, Any]
Cell = tuple[int, int]  # ways, shots

CELLS: tuple[Cell, ...] = ((5, 1), (5, 5), (20, 1), (20, 5))
CONV: Table = {"name": "conv4"}
NONE = (None, None, None, None)


def strided(ways: int) -> Table:
    """The net of the MAML paper: four strided convolutions, mean over space, one output a class."""
    return {"name": "conv4", "downsample": "stride", "outputs": ways}


@dataclasses.dataclass(frozen=True)
class Row:
    """A learner, how it is trained, and what was published.

    Args:
        learner: (ways, shots) -> its table in a recipe.
        published: figures of 5w1s, 5w5s, 20w1s, 20w5s, None where there is none.
        source: what it is cited from.
        shared: one training run serves all cells.
        episodes: options of the training tasks.
        train: options of the training, beside an Adam rate of 1e-3.
        variants: further values of `statistics` to judge under.
    """

    learner: Callable[[int, int], Table]
    published: tuple[str | None, str | None, str | None, str | None] = (None, None, None, None)
    source: str = ""
    shared: bool = False
    episodes: Table = dataclasses.field(default_factory=dict)
    train: Table = dataclasses.field(default_factory=dict)
    variants: tuple[str, ...] = ()


def embedding(name: str, published: Any = NONE, source: str = "", **options: Any) -> Row:
    """A learner of an embedding, which serves any number of classes."""
    table = {"name": name, "encoder": CONV} | options
    episodes = {"ways": 20, "shots": 1, "queries": 5}
    train = {"steps": 10_000, "schedule": "cosine"}
    return Row(lambda ways, shots: table, published, source, shared=True, episodes=episodes, train=train)


def gradient(
    name: str,
    published: Any = NONE,
    source: str = "",
    *,
    statistics: str | None = "batch",
    tasks: int = 32,
    **options: Any,
) -> Row:
    """A learner that moves the weights of MAML's net, by MAML's protocol: one step of 0.4 (5-way), five of 0.1.

    Trained as published, with batch norm over the queries, and judged so and by the statistics of the support set;
    None leaves the statistics to the learner.
    """

    def table(ways: int, shots: int) -> Table:
        inner = {"steps": 1, "lr": 0.4} if ways == 5 else {"steps": 5, "lr": 0.1}
        made = {"name": name, "net": strided(ways)} | inner | options
        return made | ({} if statistics is None else {"statistics": statistics})

    variants = () if statistics is None else ("support",)
    train_options = {"steps": 60_000, "tasks": tasks}
    return Row(table, published, source, episodes={"queries": 1}, train=train_options, variants=variants)


def sequence(name: str, published: Any = NONE, source: str = "", **options: Any) -> Row:
    """A learner that reads the support set and has an output for each class; lengths are worked out for each cell."""

    def table(ways: int, shots: int) -> Table:
        made = {"name": name, "encoder": CONV, "outputs": ways} | options
        return {k: v(ways, shots) if callable(v) else v for k, v in made.items()}

    return Row(table, published, source, episodes={"queries": 2}, train={"steps": 40_000, "tasks": 16})


ROWS: dict[str, Row] = {
    "siamese": embedding("siamese", ("97.3", "98.4", "88.2", "97.0"), "Koch et al. 2015, as Vinyals et al. ran it"),
    "matching": embedding("matching", ("98.1", "98.9", "93.8", "98.5"), "Vinyals et al. 2016, arXiv:1606.04080"),
    "relation": Row(
        lambda ways, shots: {
            "name": "relation",
            "encoder": {"name": "conv-maps"},
            "relation": {"name": "relation-module"},
        },
        ("99.6 ± 0.2", "99.8 ± 0.1", "97.6 ± 0.2", "99.1 ± 0.1"),
        "Sung et al. 2018, arXiv:1711.06025; batch norm in training mode",
        episodes={"queries": 15},
        train={"steps": 100_000, "schedule": "halving", "halve_every": 25_000},
    ),
    "simpleshot": embedding("simpleshot", classes=6_492),
    "soft-prototypes": embedding("soft-prototypes"),
    "r2d2": embedding("r2d2"),
    "lr-d2": embedding("lr-d2"),
    "deep-kernel": embedding("deep-kernel"),
    "ensemble": Row(
        lambda ways, shots: {"name": "ensemble", "learner": {"name": "prototypical", "encoder": CONV}, "members": 3},
        shared=True,
        episodes={"ways": 20, "shots": 1, "queries": 5},
        train={"steps": 10_000, "schedule": "cosine"},
    ),
    "maml": gradient(
        "maml",
        ("98.7 ± 0.4", "99.9 ± 0.1", "95.8 ± 0.3", "98.9 ± 0.2"),
        "Finn et al. 2017, arXiv:1703.03400; transductive",
    ),
    "fomaml": gradient(
        "fomaml",
        ("98.3 ± 0.5", "99.2 ± 0.2", "89.4 ± 0.5", "97.9 ± 0.1"),
        "Nichol et al. 2018, arXiv:1803.02999; transductive",
    ),
    "anil": gradient(
        "anil", (None, None, "96.2 ± 0.5", "98.0 ± 0.3"), "Raghu et al. 2020, arXiv:1909.09157; transductive"
    ),
    "meta-sgd": gradient(
        "meta-sgd",
        ("99.53 ± 0.26", "99.93 ± 0.09", "95.93 ± 0.38", "98.97 ± 0.19"),
        "Li et al. 2017, arXiv:1707.09835; transductive",
        steps=1,
        lr=0.05,
    ),
    "maml++": gradient(
        "maml++",
        ("99.47", "99.93", "97.65 ± 0.05", "99.33 ± 0.03"),
        "Antoniou et al. 2019, arXiv:1810.09502; an ensemble of checkpoints",
        statistics=None,
        steps=5,
        lr=0.1,
    ),
    "imaml": gradient(
        "imaml",
        ("99.50 ± 0.26", "99.74 ± 0.11", "96.18 ± 0.36", "99.14 ± 0.10"),
        "Rajeswaran et al. 2019, arXiv:1909.04630; Hessian-free",
        steps=10,
        lr=0.1,
        proximal=2.0,
    ),
    "lstm-meta-learner": gradient("lstm-meta-learner", tasks=2, steps=3),  # 20 units of an LSTM for every weight
    "proto-maml": Row(
        lambda ways, shots: {"name": "proto-maml", "encoder": {"name": "conv4", "downsample": "stride"}, "steps": 3},
        episodes={"queries": 3},
        train={"steps": 60_000, "tasks": 16},
    ),
    "generated": Row(
        lambda ways, shots: {
            "name": "generated",
            "net": strided(ways),
            "reader": {"name": "conv4", "downsample": "stride"},
            "outputs": ways,
            "lr": 0.4 if ways == 5 else 0.1,
        },
        episodes={"queries": 3},
        train={"steps": 60_000, "tasks": 16},
    ),
    "reptile": Row(
        lambda ways, shots: (
            {"name": "reptile", "net": {**CONV, "outputs": ways}}
            | ({"lr": 1e-3, "batch": 10, "steps": 5} if ways == 5 else {"lr": 5e-4, "batch": 20, "steps": 10})
        ),
        ("95.39 ± 0.09", "98.90 ± 0.10", "88.14 ± 0.15", "96.65 ± 0.33"),
        "Nichol et al. 2018, arXiv:1803.02999; inductive (97.68, 99.48, 89.43, 97.12 transductive)",
        episodes={"shots": 5, "queries": 5},
        train={"steps": 100_000, "tasks": 5, "lr": 1.0, "optimizer": "sgd", "schedule": "linear"},
        variants=("batch",),
    ),
    "mann": sequence(
        "mann", ("82.8", "94.9", None, None), "Santoro et al. 2016, arXiv:1605.06065; no convolutions", width=64
    ),
    "meta-networks": sequence(
        "meta-networks", ("98.95", None, "97.0", None), "Munkhdalai and Yu 2017, arXiv:1703.00837", width=64
    ),
    "snail": sequence(
        "snail",
        ("99.07 ± 0.16", "99.78 ± 0.09", "97.64 ± 0.30", "99.36 ± 0.18"),
        "Mishra et al. 2018, arXiv:1707.03141",
        encoder={**CONV, "outputs": 64},
        width=64,
        length=lambda ways, shots: ways * shots + 1,
    ),
    "recurrent": sequence("recurrent", cell={"name": "fast-weights-cell", "inputs": 100, "width": 100}, inputs=64),
    "in-context": sequence("in-context", inputs=64),
    "cnp": sequence("cnp", inputs=64),
}


def main() -> None:
    parser = _records.arguments(__doc__.splitlines()[0])
    parser.add_argument("--cells", default="", help="WAYSxSHOTS, such as 5x1; all when left out")
    parser.add_argument(
        "--minutes", type=float, default=60, help="cap on the training of a cell, all sessions together"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    cells = "5x1" if options.quick else options.cells
    wanted = [cell for cell in CELLS if cells in ("", f"{cell[0]}x{cell[1]}")]
    for name, row in ROWS.items():
        if options.only not in name:
            continue
        try:
            for records in judged(name, row, wanted, options.minutes / 60, quick=options.quick):
                _records.write("omniglot_table", records, quick=options.quick)
        except MissingData as missing:
            print(f"skipped {name}: {missing}")


def recipe(row: Row, ways: int, shots: int) -> Recipe:
    """The whole run of one cell."""
    episodes = {"ways": ways, "shots": shots, "queries": 5} | row.episodes
    return Recipe.of(
        {
            "learner": row.learner(ways, shots),
            "source": {"name": "omniglot", "partition": "vinyals-1200"} | episodes,
            "train": {"lr": 1e-3} | row.train,
        }
    )


def judged(name: str, row: Row, cells: list[Cell], hours: float, *, quick: bool) -> Iterator[list[Table]]:
    """The records of each training run: of all cells together, or of one."""
    if row.shared:
        yield records(name, row, recipe(row, 5, 1), cells, "all cells", hours, quick=quick)
        return
    for ways, shots in cells:
        made = recipe(row, ways, shots)
        yield records(name, row, made, [(ways, shots)], f"{ways}-way-{shots}-shot", hours, quick=quick)


def records(
    name: str, row: Row, made: Recipe, cells: list[Cell], run: str, hours: float, *, quick: bool
) -> list[Table]:
    """Train, or go on training, and judge the last weights in these cells, under every policy of statistics."""
    trained = train(made, f"omniglot-table/{name}-{run.replace(' ', '-')}", hours=hours, quick=quick)
    learner, rows = trained.learner, []
    for policy in (None, *row.variants):
        if policy is not None:
            learner.statistics = policy  # type: ignore[assignment]
        for ways, shots in cells:
            tests = trained.source.test.replaced(ways=ways, shots=shots, queries=15)
            result = evaluate(learner, tests, tasks=4 if quick else 1_000)
            figure = row.published[CELLS.index((ways, shots))]
            more = (
                trained.cost
                | _records.use(learner, tests, repeats=1 if quick else 30)
                | {"published": f"{figure} ({row.source})" if figure else None}
            )
            more["command"] = f"python benchmarks/omniglot_table.py --only {name}"
            rows.append(_records.record(f"omniglot/{ways}-way-{shots}-shot", name, result, **more))
    return rows


if __name__ == "__main__":
    main()
