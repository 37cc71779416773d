"""Searches that know the past: regret after few trials on three tables of scores (docs/results.md).

    python benchmarks/warm_starts.py                        all tables and learners (hours)
    python benchmarks/warm_starts.py --only oboe/portfolio

Each data set is left out, the others are what is learned from, and the search tries candidates of the table one by one;
regret is the distance of the best so far from the best candidate of the data set, as a share of the way to the worst.
`regret@0` is that of the recommendation before any trial. All 50 data sets of svm_tst; 100 of the 418 of oboe, drawn by
a seed, the other 318 being those on which the learners were developed; all 8 of hpobench_mlp, with 2,000 of its 30,000
candidates. Learners that draw random numbers search five times. Intervals are by bootstrap over data sets.

Variants of what is learned from: `unseen` hides four fifths of the candidates from it; `shuffled` permutes the scores
of every past data set, `negated` turns them upside down, so that a search which trusts it is misled.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import _records
from quickstudy.errors import MissingData
from quickstudy.evaluation.search.left_out import SearchResult, leave_out
from quickstudy.learner import Learner
from quickstudy.learners.search.cold_gp import ColdGP
from quickstudy.learners.search.unordered import Unordered
from quickstudy.learners.selection.candidate_gaussian import CandidateGaussian
from quickstudy.learners.selection.portfolio import Portfolio
from quickstudy.learners.selection.safe_transfer import SafeTransfer
from quickstudy.rng import Rng, forked
from quickstudy.tasks.scores.named import score_table
from quickstudy.tasks.scores.table import ScoreTable

SHOWN = (0, 1, 5, 10, 25, 50)
SEEDS = 5
HELD_OUT = 100  # data sets of oboe
POOL = 2_000  # candidates of hpobench_mlp
HIDDEN = 0.8
WORKS = {"svm-tst": "svm_tst", "oboe": "oboe", "hpobench-mlp": "hpobench_mlp"}
LEARNERS: dict[str, Callable[[], Learner]] = {
    "random-search": Unordered,
    "grid-search": lambda: Unordered(order="grid"),
    "quasi-random": lambda: Unordered(order="quasi-random"),
    "cold-gp": ColdGP,
    "portfolio": Portfolio,
    "candidate-gaussian": lambda: CandidateGaussian(likeness=0.0),
    "candidate-mixture": CandidateGaussian,
    "safe-transfer": SafeTransfer,
}
SPOILED = ("cold-gp", "candidate-mixture", "safe-transfer")  # those that the variants are shown for


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    for work in ("svm-tst",) if options.quick else WORKS:
        for variant in ("", *VARIANTS):
            for name in LEARNERS if not variant else SPOILED:
                if options.only in f"{work}/{name}/{variant}":
                    try:
                        judged(work, name, variant, options)
                    except MissingData as missing:
                        print(f"skipped: {missing}")
                        return


def judged(work: str, name: str, variant: str, options: argparse.Namespace) -> SearchResult:
    """One learner on one table, its records written."""
    table, datasets = tables(WORKS[work])
    make, began = LEARNERS[name], time.process_time()
    result = leave_out(
        lambda: made(make),
        table,
        datasets=datasets[:2] if options.quick else datasets,
        trials=3 if options.quick else max(SHOWN),
        seeds=SEEDS if make().stochastic and not options.quick else 1,
        past=VARIANTS.get(variant),
    )
    shared = {
        "work": f"warm-starts/{work}",
        "learner": name,
        "split": "each data set left out in turn",
        "tasks": len(result.datasets),
        "interval": "95% bootstrap over data sets",
        "seeds": len(result.by_seed),
        "transductive": False,
        "budget": "full",
        "cpu_seconds": round(time.process_time() - began),
        "command": f"python benchmarks/warm_starts.py --only {work}/{name}/{variant}",
        **_records.circumstances(),
    }
    records = [record(f"regret@{n}", result.at(n), variant, shared) for n in SHOWN]
    if len(result.covered):
        covered = list(result.covered.values())
        records.append(record("coverage90", (sum(covered) / len(covered), None), variant, shared))
    records.append(record("fit seconds", (result.fit_seconds, None), variant, shared))
    records.append(record("ask seconds", (result.ask_seconds, None), variant, shared))
    _records.write("warm_starts", records, quick=options.quick)
    return result


def record(metric: str, measured: tuple[float, float | None], variant: str, shared: dict[str, Any]) -> dict[str, Any]:
    """One figure."""
    value, half = measured
    return {
        "metric": metric,
        "value": round(value, 5),
        "ci95": None if half is None else round(half, 5),
        "variant": variant or None,
        **shared,
    }


def made(make: Callable[[], Learner]) -> Learner:
    """A learner whose first weights, where it has any, do not depend on what ran before."""
    with forked(Rng(0)):
        return make()


def tables(name: str) -> tuple[ScoreTable, list[int]]:
    """A table, and the data sets to leave out."""
    table = score_table(name)
    if name == "hpobench_mlp":
        order = torch.randperm(len(table.candidates), generator=Rng(0, ("pool",)).generator())
        table = table.select(candidates=order[:POOL].sort().values)
    order = np.random.default_rng(1234).permutation(len(table)).tolist()
    return table, order[: HELD_OUT if name == "oboe" else None]


def unseen(past: ScoreTable, rng: Rng) -> ScoreTable:
    """What was tried in the past are other candidates, for the most part."""
    hidden = torch.rand(len(past.candidates), generator=rng.generator()) < HIDDEN
    return dataclasses.replace(past, scores=past.scores.masked_fill(hidden.unsqueeze(1), torch.nan))


def shuffled(past: ScoreTable, rng: Rng) -> ScoreTable:
    """Every past data set says something else of the candidates, and none the truth."""
    order = torch.rand(past.scores.shape[:2], generator=rng.generator()).argsort(1)
    return dataclasses.replace(past, scores=past.scores.gather(1, order.unsqueeze(2).expand_as(past.scores)))


def negated(past: ScoreTable, rng: Rng) -> ScoreTable:
    """The best candidate of every past data set was its worst."""
    del rng
    low, high = past.scores.amin(1, keepdim=True), past.scores.amax(1, keepdim=True)
    return dataclasses.replace(past, scores=low + high - past.scores)


VARIANTS = {"unseen": unseen, "shuffled": shuffled, "negated": negated}


if __name__ == "__main__":
    main()
