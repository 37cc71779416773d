"""Attacks never seen: NSL-KDD, five connections of each new type (docs/results.md).

    python benchmarks/attacks.py

Tasks are the 8 attack types of the test file that the training file has no trace of (and that have 105 rows at least):
5 examples of each, 100 queries of each. The interval is over 10 draws of rows; the types are always the same. Learners
are trained on episodes of 5 of the 6 types of traffic that train. Beside them stand boosted trees on the 40 examples,
and boosted trees on everything: the same 40 examples together with the training file's rows of all known types (at most
1,000 of each), asked only which of the new types a connection is.

On the validation types (5-way, 30 queries of each) the baselines had 95.7 (nearest), 96.3 (linear, whatever the
penalty) and 95.7 (trees), and `tabular` 95.8 before any training. A prototypical network had 87 after 200, 400 and 600
steps, and a logistic head 91.5, falling to 89: six types to train on are too few for an embedding. Trees on everything
had 96.0 with leaves of 1 row and 93.0 with leaves of 20 (4 tasks), and 88.5 before the new rows were repeated; with
leaves of 5 and unrepeated they were once run on the test tasks by mistake, at the level of chance.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

import _records
from _fitted import begun, fit, made
from quickstudy.errors import MissingData
from quickstudy.evaluation.compare import compare
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.result import Result
from quickstudy.learner import Learner
from quickstudy.learners.baseline.nearest import Neighbours
from quickstudy.learners.baseline.trees import Trees
from quickstudy.learners.closed_form.tabular import Tabular
from quickstudy.rng import Rng
from quickstudy.task import Examples
from quickstudy.tasks.datasets.tables.nsl_kdd import nsl_kdd
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool

Table = dict[str, Any]
WORK = "nsl-kdd/unseen-5-shot"
TASKS, ROWS = 10, 1_000
NET: Table = {"name": "mlp", "inputs": 118, "outputs": 64, "hidden": [128]}
BASELINES: dict[str, Table] = {
    "majority": {},
    "nearest": {},
    "linear": {"normalise": False, "penalty": 0.1},
    "trees": {},
}
STEPS = {"prototypical": 200, "tabular": 100}


class TreesOnAll(Trees):
    """Boosted trees on the support set and the known types, asked which of the support set's classes it is.

    The few new rows are repeated until a class of them has as many as the known ones; among thousands of others five
    rows of a class are lost.
    """

    def __init__(self, x: Tensor, y: Tensor, *, rounds: int, leaf: int):
        super().__init__(rounds=rounds, leaf=leaf)
        self.known_x, self.known_y = x, y

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Neighbours:
        assert support.ways is not None
        ways = support.ways + int(self.known_y.max()) + 1
        known = Examples(self.known_x, self.known_y + support.ways, ways=ways)
        often = max(1, ROWS * support.ways // len(support))
        new = Examples(support.x.repeat(often, 1), support.y.repeat(often), ways=ways)
        return super().adapt(new.followed_by(known))

    def predict(self, state: Neighbours, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q answers"]:
        assert state.ways is not None
        return super().predict(state, x)[:, : state.ways - int(self.known_y.max()) - 1]


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    try:
        pool = nsl_kdd()
    except MissingData as missing:
        print(f"skipped: {missing}")
        return
    source = Episodes(pool, ways=5, shots=5, queries=15)
    tests = source.replaced(split="test", ways=8, queries=15 if options.quick else 100)
    results: dict[str, Result] = {}
    for name in (*BASELINES, "trees, on everything", *STEPS):
        if options.only not in name:
            continue
        learner = learner_of(name, pool, quick=options.quick)
        cost: Table = {"budget": "full", "cpu_seconds": 0, "curve": []}
        if name in STEPS:
            cost = fit(
                learner, source, f"nsl-kdd-{name}", steps=STEPS[name], tasks=8, hours=options.hours, quick=options.quick
            )
        results[name] = evaluate(learner, tests, tasks=2 if options.quick else TASKS, batch=2)
        who, _, variant = name.partition(", ")
        more = cost | {"published": None} | ({"variant": variant} if variant else {})
        _records.write("attacks", [_records.record(WORK, who, results[name], **more)], quick=options.quick)
    for name in results.keys() - {"tabular"} if "tabular" in results else ():
        print(compare(results["tabular"], results[name], names=("tabular", name)))


def learner_of(name: str, pool: Pool, *, quick: bool) -> Learner:
    """A learner by its name here."""
    if name == "tabular":
        return begun(Tabular)
    if name == "prototypical":
        return made({"name": name, "encoder": NET})
    if name in BASELINES:
        return made({"name": name} | BASELINES[name])
    rows = known(pool)[:: 50 if quick else 1]
    _, y = torch.unique(pool.y[rows], return_inverse=True)
    return TreesOnAll(pool.x[rows], y, rounds=2 if quick else 50, leaf=1)


def known(pool: Pool) -> Tensor:
    """Numbers of the rows of known types, at most `ROWS` of each."""
    chosen = []
    for number, side in enumerate(pool.split):
        rows = (pool.y == number).nonzero().squeeze(1)
        if side in ("train", "validation"):
            chosen.append(rows[torch.randperm(len(rows), generator=Rng(0).at("known", number).generator())[:ROWS]])
    return torch.cat(chosen)


if __name__ == "__main__":
    main()
