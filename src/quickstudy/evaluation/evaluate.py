"""Judge a learner on tasks, with an interval, a protocol and a hash of the tasks it met."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..engine.mapping import map_tasks
from ..engine.plan import choose
from ..errors import UserError
from ..learner import Learner
from ..rng import Rng
from ..state import fingerprint
from ..task import Task, batch_size, check_task, take, trim
from ..tasks.source import TaskSource, content_hash
from .intervals import mean_ci
from .metrics import calibration_error, judge
from .result import Result


def evaluate(
    learner: Learner,
    source: TaskSource,
    *,
    tasks: int = 1_000,
    first: int = 0,
    batch: int = 32,
    shots: Sequence[int] = (),
    steps: Sequence[int] = (),
    rng: Rng | None = None,
) -> Result:
    """Adapt to each task's support set and judge the answers to its queries.

    The learner is put in evaluation mode and left as it was; no graph is kept. A task whose answers are not finite is
    left out, counted and said.

    Args:
        learner: anything that adapts.
        source: tasks of one split, such as `source.test`.
        tasks: how many, beginning with episode `first`.
        first: number of the first episode.
        batch: tasks that are drawn at a time.
        shots: also judge with these numbers of support examples a class, for a curve.
        steps: also judge after these numbers of adaptation steps (0: before adaptation), for iterative learners.
        rng: key for learners that draw random numbers.

    Raises:
        UserError: no tasks, or tasks of a kind that the learner cannot serve.
        BadExamples: the first tasks are not tasks (shapes, labels, NaN).
    """
    if tasks < 1:
        raise UserError(f"Asked to judge on {tasks} tasks; ask for at least one.")
    began = time.perf_counter()
    with evaluating(learner):
        found, manifest, size = _collect(learner, source, tasks, first, batch, rng or Rng(0))
        usable = found.pop("usable")
        if not bool(usable.any()):
            raise UserError(f"{type(learner).__name__} gave no finite answer on any of {tasks} tasks; it has diverged.")
        kept = {name: values[usable] for name, values in found.items()}
        by_shots = {k: _point(learner, source.replaced(shots=k), tasks, first, batch) for k in shots}
        by_steps = dict(_by_steps(learner, source, tasks, first, batch, steps))
    classes = "bins" in kept
    values = kept["metric"].double() * (100 if classes else 1)
    value, ci95 = mean_ci(values.tolist())
    failed = int((~usable).sum()) + (0 if classes else int((kept["metric"] > kept["mean_mse"]).sum()))
    return Result(
        metric="accuracy" if classes else "mse",
        value=value,
        ci95=ci95,
        values=tuple(values.tolist()),
        protocol=_protocol(learner, source, first, size),
        manifest=manifest,
        learner=type(learner).__name__,
        weights=fingerprint(learner),
        left_out=int((~usable).sum()),
        diverged=100 * failed / tasks,
        ece=calibration_error(kept["bins"].sum(0)) if classes else None,
        nll=float(kept["nll"].double().mean()) if classes else None,
        by_shots=by_shots,
        by_steps=by_steps,
        seconds=time.perf_counter() - began,
    )


@contextlib.contextmanager
def evaluating(learner: Learner) -> Iterator[None]:
    """Evaluation mode without a graph, and every module's own mode back afterwards."""
    modes = {module: module.training for module in learner.modules()}
    learner.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _collect(
    learner: Learner, source: TaskSource, tasks: int, first: int, batch: int, rng: Rng
) -> tuple[dict[str, Tensor], str, dict[str, int]]:
    """Numbers of every task, stacked; the hash of the tasks; the largest numbers of examples of a task."""

    def one(task: Task, key: Rng | None) -> dict[str, Tensor]:
        state = learner.adapt(task.support, task.description, rng=key)
        return judge(learner.predict(state, task.query.x), task.support, task.query)

    digest, parts, size = hashlib.sha256(), [], {}
    for start in range(first, first + tasks, batch):
        drawn = source.sample(start, min(batch, first + tasks - start))
        if not parts:
            _check(learner, drawn)
            size = {"support": drawn.support.y.shape[1], "query": drawn.query.y.shape[1]}
        digest.update(content_hash(drawn))
        parts.append(map_tasks(one, drawn, choose(learner, drawn), rng=rng.at(start)))
    return {name: torch.cat([p[name] for p in parts]) for name in parts[0]}, digest.hexdigest(), size


def _check(learner: Learner, drawn: Task) -> None:
    if drawn.kind not in learner.kinds:
        raise UserError(
            f"{type(learner).__name__} serves {' and '.join(learner.kinds)}, but these tasks are {drawn.kind}; `quickstudy"
            " list learners` shows what serves what."
        )
    for i in range(batch_size(drawn)):
        check_task(trim(take(drawn, i)))


def _protocol(learner: Learner, source: TaskSource, first: int, size: dict[str, int]) -> dict[str, Any]:
    return {
        **source.protocol,
        "split": source.split,
        "seed": source.seed,
        "first": first,
        "queries_per_task": size["query"],
        "interval": "t over tasks",
        "transductive": learner.transductive,
        "statistics": getattr(learner, "policy", "running"),
    }


def _point(learner: Learner, source: TaskSource, tasks: int, first: int, batch: int) -> tuple[float, float]:
    found, _, _ = _collect(learner, source, tasks, first, batch, Rng(0))
    scale = 100 if "bins" in found else 1
    return mean_ci((found["metric"][found["usable"]].double() * scale).tolist())


def _by_steps(
    learner: Learner, source: TaskSource, tasks: int, first: int, batch: int, steps: Sequence[int]
) -> Iterator[tuple[int, tuple[float, float]]]:
    if steps and not learner.iterative:
        raise UserError(f"{type(learner).__name__} does not adapt by steps, so there is no curve by steps.")
    before = getattr(learner, "test_steps", None)
    try:
        for number in steps:
            learner.test_steps = number
            yield number, _point(learner, source, tasks, first, batch)
    finally:
        if steps:
            learner.test_steps = before
