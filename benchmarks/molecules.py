"""Is a molecule active in a new assay? FS-Mol, 16 and 64 measured molecules (docs/results.md).

    python benchmarks/molecules.py                     all learners
    python benchmarks/molecules.py --only prototypical

The 157 published test assays, five draws of each (the default of the paper's own code): stratified support sets, all
other molecules as queries. Delta-AUPRC is the average precision less the share of active molecules among the queries.
It is averaged over the draws of an assay, and the interval is over assays.

The only input here is a fingerprint of 2,048 bits. The published prototypical network reads molecular graphs, counted
fingerprints and physico-chemical descriptors, and measures Mahalanobis distances; its figures are means over the 157
assays of the file that its authors publish beside their code (microsoft/FS-Mol, baselines/), trained at 64. So is the
one here, which serves both sizes of support. `pooled` is one network for all assays, which never looks at the
support set: what can be said of molecules that are active in many assays. `deep-kernel` is a Gaussian process whose
kernel counts common bits; all that is trained of it is how far to trust an example. `beside` is these three together,
weighed by the validation assays, at either size of support for itself.

On the 39 validation assays, at 16 molecules, logistic regression had 0.131, whose penalty was left at its default, and
the nearest neighbour 0.123. After 500 steps a prototypical network and a logistic head both had 0.175, a transformer
that reads the support set (in-context) 0.118; so the first, the simplest, was trained on. A smaller one, trained at 16,
and the pooled network beside it were judged on the test assays before these: 0.192 and 0.206 at 16, 0.234 and 0.234 at
64 (validation: 0.208, 0.220, 0.250 and 0.251). All that came after was chosen on the validation assays, where the
network of today has 0.275 at 64, and the process beside it makes that 0.297.
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
from quickstudy.learners.stacking.beside import Beside
from quickstudy.task import Examples
from quickstudy.tasks.datasets.fs_mol import fs_mol_active
from quickstudy.tasks.source import TaskSource

Table = dict[str, Any]
SUPPORTS = {16: 8, 64: 32}  # molecules -> shots, which are a class on average
PUBLISHED = {16: "0.212 (prototypical: GNN + ECFP + descriptors)", 64: "0.278 (the same)"}
DRAWS = 5
ENCODER: Table = {"name": "mlp", "inputs": 2048, "outputs": 512, "hidden": [1024]}
SMALLER: Table = {"name": "mlp", "inputs": 2048, "outputs": 2, "hidden": [512]}
LEARNERS: dict[str, Table] = {
    "nearest": {},
    "linear": {"normalise": False},
    "pooled": {"net": SMALLER},
    "deep-kernel": {"encoder": {"name": "flatten"}, "kernel": "tanimoto", "noise": 0.7},
    "prototypical": {"encoder": ENCODER},
}
# How each is trained: shots and queries of its tasks, and what `fit` is told.
TRAINING: dict[str, tuple[int, int, Table]] = {
    "pooled": (8, 8, {"steps": 1_500}),
    "deep-kernel": (16, 16, {"steps": 150, "tasks": 8, "lr": 0.05, "decay": 0.0}),
    "prototypical": (32, 16, {"steps": 3_000, "tasks": 8}),
}
WEIGHING: Table = {"steps": 100, "tasks": 8, "lr": 0.05, "decay": 0.0}


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    try:
        source = fs_mol_active(shots=8, queries=8)
    except MissingData as missing:
        print(f"skipped: {missing}")
        return
    limits = {"hours": options.hours, "quick": options.quick}
    for name in LEARNERS:
        if options.only in name:
            learner, spent = trained(name, source, limits)
            for support in SUPPORTS:
                judged(name, learner, source, support, spent, quick=options.quick)
    if options.only in "beside":
        for support, shots in SUPPORTS.items():
            learner, spent = together(source.replaced(split="validation", shots=shots, queries=16), support, limits)
            judged("beside", learner, source, support, spent, quick=options.quick)
    if not options.quick:
        print_pairs("molecules", "prototypical")


def trained(name: str, source: TaskSource, limits: Table) -> tuple[Learner, Table]:
    """A learner, and what it cost."""
    learner = made({"name": name} | LEARNERS[name])
    if name not in TRAINING:
        return learner, {"budget": "full", "cpu_seconds": 0, "curve": []}
    shots, queries, how = TRAINING[name]
    tasks = source.replaced(split="train", shots=shots, queries=queries)
    # The run of the smaller network of earlier figures has the plain name.
    run = f"fs-mol-{name}" + ("-64" if name == "prototypical" else "")
    return learner, fit(learner, tasks, run, **how, **limits)


def together(validation: TaskSource, support: int, limits: Table) -> tuple[Learner, Table]:
    """The network, the process and the pooled network beside each other, weighed on validation assays."""
    parts = [trained(name, validation, limits) for name in ("prototypical", "deep-kernel", "pooled")]
    learner, spent = parts[0]
    for i, (other, cost) in enumerate(parts[1:]):
        learner = Beside(learner, other)
        own = fit(learner, validation, f"fs-mol-beside-{support}-{i}", **WEIGHING, **limits)
        spent = spent | {"cpu_seconds": spent["cpu_seconds"] + cost["cpu_seconds"] + own["cpu_seconds"]}
    return learner, spent


def judged(name: str, learner: Learner, source: TaskSource, support: int, cost: Table, *, quick: bool) -> None:
    """The test assays in turn, and the record."""
    tests = source.replaced(split="test", shots=SUPPORTS[support], queries=None, in_turn=True)
    found = judge(learner, tests, 1 if quick else DRAWS, delta_auprc, groups=3 if quick else None)
    published = PUBLISHED[support] if name in ("prototypical", "beside") else None
    row = record(f"fsmol/{support}", name, found, "delta_auprc", **cost, published=published)
    _records.write("molecules", [row], quick=quick)


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
