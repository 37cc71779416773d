"""Regression of Gaussian-process draws: log-likelihood a target beside that of the true process (docs/results.md).

    python benchmarks/gp.py                  train what is not trained yet (it resumes), judge, write the records
    python benchmarks/gp.py --only attentive --hours 1

Tasks as in TNP-pytorch (regression/data/gp.py of Nguyen and Grover 2022): x U[-2, 2], lengthscale U[0.1, 0.6], scale
U[0.1, 1], noise 0.02, 3 to 46 support points and 3 to 49 less those queries, 16 tasks a step, 100,000 steps of Adam at
5e-4 that falls as a cosine. All are trained on RBF draws alone and judged on 3,000 fixed tasks of each kernel, so
Matern and periodic (period U[0.1, 0.5]) are kernels never met, there as here. Unlike there every task of a batch has
sizes of its own, the likelihood of the queries alone is trained, and no deviation is below 0.01 (there 0.1 for CNP and
CANP, and no bound for TNP-D). A value is the mean over a task's queries, then over tasks, with its interval over tasks.

'true-gp' is the exact posterior with each episode's own kernel, every query by itself, on the same tasks: the ceiling
of learners that answer queries one by one. The paper's TNP-A (1.63) is above it, since it answers them jointly.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

import torch
from torch import Tensor

import _records
from _training import train
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.evaluation.evaluate import evaluate, evaluating
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.functional.solvers.gp import matern52, periodic, posterior, rbf
from quickstudy.learner import Learner
from quickstudy.outputs import Gaussian
from quickstudy.pytree import pytree
from quickstudy.recipe import Recipe
from quickstudy.rng import Rng
from quickstudy.task import Examples, Task
from quickstudy.tasks.gp_draws import GPDraws

TABLE = "Nguyen and Grover 2022, arXiv:2207.04179, table 1"
PUBLISHED = {
    "cnp": {"rbf": 0.26, "matern52": 0.04, "periodic": -1.40},
    "attentive": {"rbf": 0.79, "matern52": 0.62, "periodic": -7.61},
    "in-context": {"rbf": 1.39, "matern52": 0.95, "periodic": -3.53},
}
KERNELS = ("rbf", "matern52", "periodic")
CEILING = "true-gp"


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    if options.only in CEILING:
        _records.write("gp", ceiling(quick=options.quick), quick=options.quick)
    for name in PUBLISHED:
        if options.only in name:
            _records.write("gp", train_and_judge(name, options.hours, quick=options.quick), quick=options.quick)


def train_and_judge(name: str, hours: float, *, quick: bool) -> list[dict[str, Any]]:
    """Train, or go on training, and judge the last weights on the tasks of each kernel."""
    recipe = Recipe.read(_records.HERE.parent / "recipes" / f"gp-{name}.toml")
    trained = train(recipe, f"gp-{name}", hours=hours, quick=quick)
    assert isinstance(trained.source, GPDraws)
    more = {"recipe": f"gp-{name}", **trained.cost}
    if trained.points:
        more["training_tasks"] = trained.points[-1]["step"] * recipe.train.tasks
    made = []
    for kernel in KERNELS:
        published = f"{PUBLISHED[name][kernel]} ({TABLE})"
        source = tests(trained.source, kernel)
        made.append(judged(name, trained.learner, source, quick=quick, published=published, **more))
    return made


def ceiling(*, quick: bool) -> list[dict[str, Any]]:
    """What no learner that answers queries one by one can pass."""
    source, made = Recipe.read(_records.HERE.parent / "recipes" / "gp-cnp.toml").make_source(), []
    assert isinstance(source, GPDraws)
    for kernel in KERNELS:
        began, plain = time.process_time(), tests(source, kernel)
        told = Told(kernel, **{name: getattr(plain, name) for name in OPTIONS})
        row = judged(CEILING, TrueProcess(kernel), told, quick=quick, published=None, budget="no training")
        # The tasks are the same; only what is told beside them would give them another hash.
        same = {"manifest": plain.manifest(row["tasks"])}
        made.append(row | same | {"cpu_seconds": round(time.process_time() - began, 1)})
    return made


def tests(source: GPDraws, kernel: str) -> GPDraws:
    """The test tasks of one kernel, by a fixed seed."""
    return source.test.replaced(kernel=kernel, period=(0.1, 0.5), seed=0)


@torch.no_grad()
def judged(name: str, learner: Learner, source: GPDraws, *, quick: bool, **more: Any) -> dict[str, Any]:
    """A record of the log-likelihood a target, with coverage and squared error beside it."""
    count, batch = (8, 4) if quick else (3_000, 100)
    result = evaluate(learner, source, tasks=count)
    with evaluating(learner):
        losses = [learner.loss(source.sample(first, batch)).objective for first in range(0, count, batch)]
    found = (-torch.cat(losses)).tolist()
    value, ci95 = mean_interval(found)
    row = _records.record(f"gp/{source.kernel}", name, result, **more) | {"metric": "log-likelihood"}
    row |= {"value": round(value, 4), "ci95": round(ci95, 4), "median": round(statistics.median(found), 4)}
    return row | {"mse": round(result.value, 5)}


OPTIONS = ("shots", "queries", "points", "lengthscale", "scale", "period", "x", "noise", "seed", "split")


class Told(GPDraws):
    """The same tasks, with each episode's own numbers as their description."""

    def sample(self, first: int, count: int) -> Task:
        truth = self.truth(first, count)
        numbers = torch.stack([truth[name] for name in ("lengthscale", "scale", "period", "noise")], -1)
        return dataclasses.replace(super().sample(first, count), description=numbers)


@pytree
class Known:
    """Everything that there is to know: (n, d) x, (n, 1) y, (4,) lengthscale, scale, period and noise."""

    x: Tensor
    y: Tensor
    numbers: Tensor


class TrueProcess(Learner):
    """The exact posterior of one kernel, whose numbers are in the description of a task."""

    State = Known
    kinds = ("regression",)
    meta_gradient = "none"

    def __init__(self, kernel: str):
        super().__init__()
        self.kernel = kernel

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Known:
        assert description is not None
        return Known(support.x, support.y, description)

    def predict(self, state: Known, x: Tensor) -> Gaussian:
        noise = state.numbers[3].square()
        k_ss, k_sq = self._covariance(state, state.x, state.x), self._covariance(state, state.x, x)
        before = state.numbers[1].square().expand(len(x))
        mean, variance = posterior(k_ss, k_sq, before, state.y, noise)
        return Gaussian(mean, (variance + noise).unsqueeze(-1))

    def _covariance(self, state: Known, x: Tensor, z: Tensor) -> Tensor:
        lengthscale, scale, period, _ = state.numbers
        if self.kernel == "periodic":
            shape = periodic(x, z, lengthscale, period)
        else:
            shape = {"rbf": rbf, "matern52": matern52}[self.kernel](x, z, lengthscale)
        return scale.square() * shape


if __name__ == "__main__":
    main()
