"""Judge a learner on streams: it answers each example of a task before it is told the label, and then goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from functools import partial
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ...engine.mapping import map_tasks
from ...engine.plan import choose
from ...errors import UserError
from ...learner import Learner
from ...outputs import central
from ...rng import Rng
from ...state import fingerprint
from ...task import Task, check_task
from ...tasks.source import TaskSource, content_hash
from ..evaluate import evaluating
from ..intervals import mean_interval
from ..measure import check_fit, singles
from ..metrics import answered
from ..result import Curve, plain, rounded

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class StreamResult:
    """What `evaluate_stream` found; accuracies in percent.

    Attributes:
        tasks: asked for.
        by_instance: k -> accuracy on the k-th instance of a class and half the width of its 95% interval, Student's t
            over tasks. The 1st is asked for before its class was ever shown.
        left_out: tasks with an answer that was not finite; in no mean here.
        protocol: the source's, and split, seed, first, tasks, interval, transductive, updates (whether the learner
            went on from its state, or adapted again) and, where the learner says so, batch_statistics.
        manifest: SHA-256 of the tasks, as `source.manifest` gives it.
        learner: name of its class.
        fingerprint: hash of its weights.
        seconds: drawing, adapting and answering.
    """

    tasks: int
    by_instance: Curve
    left_out: int
    protocol: dict[str, Any]
    manifest: str
    learner: str
    fingerprint: str
    seconds: float

    def __str__(self) -> str:
        parts = (f"{k}: {' ± '.join(rounded(*pair))}" for k, pair in self.by_instance.items())
        told = self.tasks - self.left_out
        notes = f"{told:,} task{'' if told == 1 else 's'}"
        if self.left_out:
            notes += f"; {self.left_out:,} of {self.tasks:,} tasks left out, their answers were not finite"
        return f"accuracy in % by instance of a class: {', '.join(parts)} (95% over {notes})"

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it; numbers that are not finite become None."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return plain({"quickstudy": "stream result", "format": FORMAT} | fields)


def evaluate_stream(
    learner: Learner,
    source: TaskSource,
    *,
    tasks: int = 1000,
    most: int = 10,
    first: int = 0,
    batch: int = 32,
    rng: Rng | None = None,
) -> StreamResult:
    """Accuracy on the 1st, 2nd, ... instance of a class, when each is answered before its label is told.

    Unlike `evaluate` it asks for the support examples, in their order, and leaves the queries alone. A learner that has
    `update` goes on with each example; any other adapts again to all that came before. The very first example of a task
    is credited with 1 / ways without asking, which is what any answer is worth before anything of the task is known. A
    learner that finds its classes in the support cannot name one that it has not seen, so it has few 1st instances
    right; one with a fixed head may guess by elimination.

    Args:
        learner: one that serves classification; put in evaluation mode and left as it was.
        source: of the split to judge by: `source.test`. Its shots are the instances of a class.
        tasks: episodes first, first + 1, ...
        most: instances that are told apart; what comes later does not count.
        batch: tasks drawn and mapped at a time; changes the speed, not the result.
        rng: key for learners that are `stochastic`.

    Raises:
        UserError: no tasks, tasks of a kind that the learner does not serve, or inputs that it cannot take.

    Source: the protocol of Santoro et al. 2016, arXiv:1605.06065, table 1.
    """
    if tasks < 1 or batch < 1 or most < 1:
        raise UserError(f"Asked for {tasks} tasks, {batch} at a time, and {most} instances; all must be at least one.")
    began = time.perf_counter()
    with evaluating(learner):
        updates, right, asked, manifest = _measure(learner, source, tasks, most, first, batch, rng or Rng(0))
    fine = torch.isfinite(right).all(1)
    share = 100 * right / asked  # NaN where a task has no such instance
    columns = {k + 1: column[fine & (asked[:, k] > 0)].tolist() for k, column in enumerate(share.T)}
    about = {"split": source.split, "seed": source.seed, "first": first, "tasks": tasks, "interval": "t over tasks"}
    about |= {"transductive": learner.transductive, "updates": updates}
    if (policy := getattr(learner, "policy", None)) is not None:
        about["batch_statistics"] = policy
    return StreamResult(
        tasks=tasks,
        by_instance={k: mean_interval(values) for k, values in columns.items() if values},
        left_out=tasks - int(fine.sum()),
        protocol=plain(dict(source.protocol) | about),
        manifest=manifest,
        learner=type(learner).__name__,
        fingerprint=fingerprint(learner),
        seconds=time.perf_counter() - began,
    )


def _measure(
    learner: Learner, source: TaskSource, tasks: int, most: int, first: int, batch: int, rng: Rng
) -> tuple[bool, Float[Tensor, "tasks most"], Float[Tensor, "tasks most"], str]:
    """Whether the learner goes on from its state, the right answers and all answers by instance, and the manifest."""
    step = 1 if learner.stochastic else batch  # keyed by the episode, so that no result depends on the size of a batch
    digest, parts, judge = hashlib.sha256(), [], None
    for start in range(first, first + tasks, step):
        drawn = source.sample(start, min(step, first + tasks - start))
        key = rng.at(start) if learner.stochastic else None
        if judge is None:
            for task in singles(drawn):
                check_task(task)
            updates, plan = _goes_on(learner, singles(drawn)[0], key), choose(learner, drawn)
            judge = MethodType(partial(_judge, most=most, updates=updates), learner)
        parts.append(map_tasks(judge, drawn, plan, rng=key))
        digest.update(content_hash(drawn))
    right, asked = (torch.cat(column) for column in zip(*parts, strict=True))
    return updates, right, asked, digest.hexdigest()


def _goes_on(learner: Learner, task: Task, rng: Rng | None) -> bool:
    """Whether a learner, found fit for a task, has `update`; one that wraps another knows only when it is asked."""
    if task.ways is None:
        raise UserError("Streams are judged by the instances of a class, but these are regressions; use evaluate.")
    check_fit(learner, task, rng)
    try:
        learner.update(learner.adapt(task.support, task.description, rng=rng), task.query)
    except NotImplementedError:
        return False
    return True


def _judge(learner: Learner, task: Task, rng: Rng | None, *, most: int, updates: bool) -> tuple[Tensor, Tensor]:
    """Right answers and all answers of one stream, (most,) each by instance; NaN if an answer is not finite."""
    support, ways = task.support, task.ways or 1
    knows = learner.zero_shot and task.description is not None
    state, right = None, []
    for i in range(len(support)):
        one = support.select(torch.arange(i, i + 1))
        if i == 0 and not knows:
            right.append(torch.full_like(one.y, 1 / ways, dtype=torch.float64))
            continue
        if updates and state is not None:
            state = learner.update(state, support.select(torch.arange(i - 1, i)))
        else:
            state = learner.adapt(support.select(torch.arange(i)), task.description, rng=rng)
        output = central(learner.predict(state, one.x))
        right.append(torch.where(answered(output, one), (output.argmax(-1) == one.y).double(), torch.nan))
    member = F.one_hot(support.y, ways)
    number = (member.cumsum(0) * member).sum(-1) - 1  # 0 for the first instance of its class, and so on
    place = F.one_hot(number.clamp(max=most), most + 1)[:, :most].double()
    return torch.cat(right) @ place, place.sum(0)
