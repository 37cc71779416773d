"""Sinusoids with uncertainty: deep kernels and a Bayesian last layer, three seeds (docs/results.md).

    python benchmarks/dkt.py                    some five CPU minutes
    python benchmarks/dkt.py --only spectral

The 5-shot protocol of deep kernel transfer (sines/train_DKT.py of github.com/BayesWatch/deep-kernel-transfer):
amplitude U[0.1, 5], phase U[0, pi], noise 0.1 on every target, those that are judged included, so no squared error can
be below 0.01 on average. Training: 5 support and 5 query points, x U[-5, 5]. Test: 5 support and 195 query points, all
of them x U[-5, 5] (in range) or U[-5, 10] (out of range). There sin(x + phase), here sin(x - phase): one is the other
with y negated and the phase mirrored. There one task a step for 50,000 steps (500 test tasks); here 1,000 test tasks
and fewer training tasks, as the records say. The features are the 40 numbers of the second layer, before its ReLU.

'sine/10-shot' is the protocol of benchmarks/sinusoid.py: no noise, 10 support and 10 query points in training, 600 test
tasks of 100 queries; MAML was trained on 375,000 tasks for it.

The test tasks are the same for all seeds. A value is the mean over seeds, with the interval over tasks of each task's
mean over seeds; coverage90 is the percentage of targets inside their 90 % intervals. 'failed' counts covariances of all
points of a test task, noise included, without a Cholesky factor. Steps and rates were chosen on validation tasks of
seed 0.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

import _records
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.evaluation.result import Result
from quickstudy.functional.solvers import gp
from quickstudy.learner import Learner
from quickstudy.learners.bayesian.deep_kernel import DeepKernel
from quickstudy.learners.bayesian.last_layer import BayesianLastLayer
from quickstudy.loops.meta_train import meta_train
from quickstudy.loops.schedules import cosine
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng, forked
from quickstudy.tasks.functions import Sinusoids

Work = tuple[str, str]  # name and variant
TABLE = "Patacchiola et al. 2020, arXiv:1910.05199, table 1"
INSIDE, OUTSIDE, PLAIN = ("dkt-sine", ""), ("dkt-sine", "out of range"), ("sine/10-shot", "fewer tasks")
SEEDS = (0, 1, 2)
LR = 3e-3


@dataclasses.dataclass(frozen=True)
class Row:
    """A learner, how long it is trained, and what was published of it in each work and variant."""

    learner: str
    variant: str
    make: Callable[[MLP], Learner]
    steps: int
    tasks: int
    published: dict[Work, str]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Tasks to train on, and for each work and variant what differs in those that are judged by."""

    source: Sinusoids
    tests: dict[Work, dict[str, Any]]
    tasks: int


ROWS = {
    "rbf": Row(
        "deep-kernel",
        "",
        lambda encoder: DeepKernel(encoder),
        2_000,
        5,
        {INSIDE: f"1.38 ± 0.03 ({TABLE})", OUTSIDE: f"2.61 ± 0.16 ({TABLE})"},
    ),
    "spectral": Row(
        "deep-kernel",
        "spectral kernel",
        lambda encoder: DeepKernel(encoder, kernel="spectral", scale=2.0),
        2_000,
        5,
        {INSIDE: f"0.08 ± 0.06 ({TABLE})", OUTSIDE: f"0.10 ± 0.06 ({TABLE})"},
    ),
    "last-layer": Row(
        "last-layer",
        "",
        lambda encoder: BayesianLastLayer(encoder, outputs=1),
        2_000,
        25,
        {INSIDE: f"ALPaCA 0.14 ± 0.09 ({TABLE})", OUTSIDE: f"ALPaCA 5.92 ± 0.11 ({TABLE})"},
    ),
}
PROTOCOLS = (
    Protocol(
        Sinusoids(shots=5, queries=5, noise=0.1),
        {INSIDE: {"queries": 195}, OUTSIDE: {"queries": 195, "x": (-5.0, 10.0)}},
        1_000,
    ),
    Protocol(Sinusoids(shots=10, queries=10), {PLAIN: {"queries": 100}}, 600),
)


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    for name, row in ROWS.items():
        if options.only in name:
            for protocol in PROTOCOLS:
                _records.write("dkt", judged(row, protocol, quick=options.quick), quick=options.quick)


def judged(row: Row, protocol: Protocol, *, quick: bool) -> list[dict[str, Any]]:
    """Train every seed, and judge it by each of the tests."""
    steps, count = (20, 8) if quick else (row.steps, protocol.tasks)
    learners, seconds = [], []
    for seed in SEEDS[: 1 if quick else None]:
        began = time.process_time()
        learners.append(trained(row, protocol.source.replaced(seed=seed), steps, seed))
        seconds.append(time.process_time() - began)
    made = []
    for work, other in protocol.tests.items():
        test = protocol.source.test.replaced(**other)
        results = [evaluate(learner, test, tasks=count, batch=100) for learner in learners]
        more = {
            "budget": "quick" if quick else "full",
            "published": row.published.get(work),
            "cpu_seconds": round(sum(seconds)),
            "training_tasks": steps * row.tasks,
            "curve": [],
            "left_out": sum(r.left_out for r in results),
            "failed": sum(failures(learner, test, count) for learner in learners),
        }
        mean = over_seeds(results)
        seeds = {"seeds": len(learners), "by_seed": [round(r.value, 6) for r in results]}
        # Some of these errors are too small for the digits that records have.
        digits = {"value": round(mean.value, 6), "ci95": round(mean.ci95, 6)}
        variant = ", ".join(part for part in (row.variant, work[1]) if part)
        more |= {"variant": variant} if variant else {}
        made.append(_records.record(work[0], row.learner, mean, **more) | seeds | digits)
    return made


def trained(row: Row, source: Sinusoids, steps: int, seed: int) -> Learner:
    """A learner of one seed."""
    with forked(Rng(seed).at("init")):
        learner = row.make(MLP(1, 40, hidden=(40,)))
    adam, schedule = partial(torch.optim.Adam, lr=LR), cosine(steps)
    for _ in meta_train(
        learner, source, steps=steps, tasks=row.tasks, optimizer=adam, schedule=schedule, rng=Rng(seed)
    ):
        pass
    return learner


def over_seeds(results: list[Result]) -> Result:
    """Each task's mean over seeds."""
    values = [
        statistics.fmean(v for v in column if v is not None)
        for column in zip(*(r.values for r in results), strict=True)
    ]
    value, ci95 = mean_interval(values)
    return dataclasses.replace(
        results[0],
        value=value,
        ci95=ci95,
        median=statistics.median(values),
        values=tuple(values),
        diverged=statistics.fmean(r.diverged for r in results),
        nll=statistics.fmean(r.nll for r in results if r.nll is not None),
        coverage=statistics.fmean(r.coverage for r in results if r.coverage is not None),
    )


@torch.no_grad()
def failures(learner: Learner, test: Sinusoids, count: int) -> int:
    """How many covariances of all points of a task have no Cholesky factor; a last layer has none to factor."""
    if not isinstance(learner, DeepKernel):
        return 0
    failed = 0
    for first in range(0, count, 50):
        tasks = test.sample(first, min(50, count - first))
        x = torch.cat([tasks.support.x, tasks.query.x], 1)
        z = learner.encoder(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        covariance = gp.noisy(learner.covariance(z, z), learner.variance_of_noise)
        failed += int((torch.linalg.cholesky_ex(covariance).info > 0).sum())
    return failed


if __name__ == "__main__":
    main()
