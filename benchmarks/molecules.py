"""Is a molecule active in a new assay? FS-Mol, 16 and 64 measured molecules (docs/results.md).

    python benchmarks/molecules.py                     all learners
    python benchmarks/molecules.py --only prototypical

The 157 published test assays, five draws of each (the default of the paper's own code): stratified support sets, all
other molecules as queries. Delta-AUPRC is the average precision less the share of active molecules among the queries.
It is averaged over the draws of an assay, and the interval is over assays.

The only input here is a fingerprint of 2,048 bits. The published prototypical network reads molecular graphs, counted
fingerprints and physico-chemical descriptors, and measures Mahalanobis distances; its figures are means over the 157
assays of the file that its authors publish beside their code (microsoft/FS-Mol, baselines/), trained at 64. One network
here, trained with supports of 16 and 16 queries, serves both sizes of support. `pooled` is one network for all assays,
which never looks at the support set: what can be said of molecules that are active in many assays.

On the 39 validation assays, at 16 molecules, logistic regression had 0.131, whose penalty was left at its default, and
the nearest neighbour 0.123. After 500 steps a prototypical network and a logistic head both had 0.175, a transformer
that reads the support set (in-context) 0.118; so the first, the simplest, was trained on.

The row with the pooled answer beside the prototypical one was thought of after both had been judged on the test assays.
Its weights are from the validation assays (0.205 became 0.220 there at 16 molecules, 0.249 became 0.250 at 64).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import _records
from _by_group import judge, print_pairs, record
from _fitted import fit, made
from quickstudy.errors import MissingData
from quickstudy.learner import Learner
from quickstudy.learners.baseline.pooled import Pooled
from quickstudy.learners.metric.prototypical import Prototypes, Prototypical
from quickstudy.rng import Rng
from quickstudy.task import Examples
from quickstudy.tasks.datasets.fs_mol import fs_mol_active

Table = dict[str, Any]
SUPPORTS = {16: 8, 64: 32}  # molecules -> shots, which are a class on average
PUBLISHED = {("prototypical", 16): "0.212 (GNN + ECFP + descriptors)", ("prototypical", 64): "0.278 (the same)"}
DRAWS = 5
STEPS = {"prototypical": 4_000, "pooled": 1_500}
ENCODER: Table = {"name": "mlp", "inputs": 2048, "outputs": 256, "hidden": [512]}
BASELINES: dict[str, Table] = {
    "nearest": {},
    "linear": {"normalise": False},
}
TRAINED: dict[str, Table] = {
    "prototypical": {"encoder": ENCODER},
    "pooled": {"net": {**ENCODER, "outputs": 2}},
}
BOTH = "prototypical, pooled beside it"
WEIGHTS = {16: 0.5, 64: 0.25}  # of the pooled answer: the best of 0, 0.25, 0.5, 1 and 2 on the validation assays


class Beside(Learner):
    """What a prototypical network says of a molecule in this assay, and with a weight what a pooled one says in any."""

    State = Prototypes

    def __init__(self, assay: Prototypical, any_assay: Pooled, *, weight: float):
        super().__init__()
        self.assay, self.any_assay, self.weight = assay, any_assay, weight

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        return self.assay.adapt(support, description, rng=rng)

    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return self.assay.predict(state, x).log_softmax(-1) + self.weight * self.any_assay.net(x).log_softmax(-1)


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    try:
        source = fs_mol_active(shots=8, queries=8)
    except MissingData as missing:
        print(f"skipped: {missing}")
        return
    for name in (*BASELINES, *TRAINED, BOTH):
        if options.only not in name:
            continue
        parts = list(TRAINED) if name == BOTH else [name]
        learners = [made({"name": part} | (BASELINES | TRAINED)[part]) for part in parts]
        limits = {"hours": options.hours, "quick": options.quick}
        costs = [
            fit(learner, source, f"fs-mol-{part}", steps=STEPS[part], **limits)
            for part, learner in zip(parts, learners, strict=True)
            if part in TRAINED
        ]
        cost = costs[0] if costs else {"budget": "full", "cpu_seconds": 0, "curve": []}
        cost = cost | {"cpu_seconds": sum(each["cpu_seconds"] for each in costs)}
        for support, shots in SUPPORTS.items():
            learner = learners[0] if name != BOTH else Beside(*learners, weight=WEIGHTS[support])
            tests = source.replaced(split="test", shots=shots, queries=None, in_turn=True)
            draws, groups = (1, 3) if options.quick else (DRAWS, None)
            found = judge(learner, tests, draws, delta_auprc, groups=groups)
            who, _, variant = name.partition(", ")
            more = cost | {"published": PUBLISHED.get((who, support))} | ({"variant": variant} if variant else {})
            row = record(f"fsmol/{support}", who, found, "delta_auprc", **more)
            _records.write("molecules", [row], quick=options.quick)
    if not options.quick:
        print_pairs("molecules", "prototypical")


def delta_auprc(output: Tensor, query: Examples) -> float:
    """Average precision of the active molecules less their share."""
    active = query.y == 1
    return average_precision(output[:, 1] - output[:, 0], active) - float(active.double().mean())


def average_precision(scores: Tensor, right: Tensor) -> float:
    """The precision at every threshold, weighted by the recall that it adds; equal scores are one threshold.

    >>> average_precision(torch.tensor([0.9, 0.8, 0.8, 0.1]), torch.tensor([True, True, False, False]))
    0.8333333333333333
    """
    order = scores.argsort(descending=True)
    scores, hits = scores[order], right[order].double().cumsum(0)
    last = torch.ones(len(scores), dtype=torch.bool)
    last[:-1] = scores[1:] != scores[:-1]
    chosen = torch.arange(1, len(scores) + 1)[last]
    added = torch.diff(hits[last], prepend=hits.new_zeros(1)) / hits[-1]
    return float((added * hits[last] / chosen).sum())


if __name__ == "__main__":
    main()
