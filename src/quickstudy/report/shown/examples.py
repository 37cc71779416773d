"""Which test tasks a page shows, and how a learner answers them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import torch

from ...evaluation.evaluate import evaluating
from ...learner import Learner
from ...outputs import Output, central
from ...rng import Rng
from ...task import Task, on_device, take, trim
from ...tasks.class_groups import ClassGroups
from ...tasks.episodes import Episodes
from ...tasks.own.rows import Rows
from .figure import class_figure, value_figure
from .inputs import Inputs

AMONG = 20  # test tasks that are met
NEXT = 10_000  # number of the episode that is written as the next task, which no result is of


@dataclasses.dataclass(frozen=True)
class Pictured:
    """A test task that a page shows.

    Args:
        title: which it is.
        task: without padding.
        answer: to its queries.
        names: of its classes; none for a regression.
    """

    title: str
    task: Task
    answer: Output
    names: tuple[str, ...] = ()


def pictured(learner: Learner, source: Any, rows: Rows | None = None) -> list[Pictured]:
    """Three test tasks: the first, and of the first twenty the one with the most mistakes, which says more.

    Args:
        learner: who answers.
        source: Episodes, ClassGroups or Groups.
        rows: a user's data, whose numbers the tasks name.
    """
    tasks = _met(source)
    answers = [_answered(learner, task) for task in tasks]
    titles = dict(zip(range(len(tasks)), ("The first test task", "The second", "The third"), strict=False))
    if len(tasks) > 3:
        wrong = [_wrong(task, answer) for task, answer in zip(tasks, answers, strict=True)]
        hardest = max(range(len(tasks)), key=wrong.__getitem__)
        words = f"the hardest of the first {len(tasks)}"
        if hardest > 1:
            titles = {0: titles[0], 1: titles[1], hardest: words.capitalize()}
        elif wrong[hardest]:
            titles[hardest] += f", {words}"
    return [
        Pictured(
            title + _group(tasks[i], rows),
            tasks[i],
            answers[i],
            () if tasks[i].ways is None else tuple(class_names(source, tasks[i])),
        )
        for i, title in titles.items()
    ]


def task_figures(shown: Sequence[Pictured], inputs: Inputs) -> list[str]:
    """HTML of each of these tasks."""
    made = []
    for one in shown:
        if one.task.ways is None:
            figure = value_figure(one.task, one.answer, inputs)
            title = f"{one.title}: mean squared error {_wrong(one.task, one.answer):.3g}"
        else:
            chosen = central(one.answer).argmax(-1)
            figure = class_figure(one.task, chosen, one.names, inputs)
            title = f"{one.title}: {int((chosen == one.task.query.y).sum())} of {len(chosen)} right"
        made.append(f"<h3>{escape(title)}</h3>{figure}")
    return made


def next_task(source: Any) -> Task:
    """One more test task, without padding."""
    return trim(take(source.test.sample(NEXT, 1), 0))


def class_names(source: Any, task: Task) -> list[str]:
    """What the classes of a task are called."""
    origin = task.origin
    assert origin is not None and task.ways is not None
    if isinstance(source, Episodes):
        assert origin.classes is not None
        return [source.pool.classes[c] for c in origin.classes.tolist()]
    assert isinstance(source, ClassGroups)
    if source.labels == "shared":
        return list(source.classes)
    # Labels are dealt anew in every task; each has an example, whose row says which class it is of.
    first = [origin.support[task.support.y == label][0] for label in range(task.ways)]
    return [source.classes[int(source.y[row])] for row in first]


def _met(source: Any) -> list[Task]:
    """The first test tasks; of tasks that exist, each once."""
    test, count = source.test, AMONG
    if not isinstance(source, Episodes):
        test = test.replaced(in_turn=True)
        count = min(count, int(test.protocol["groups"]))
    return [trim(take(test.sample(number, 1), 0)) for number in range(count)]


def _answered(learner: Learner, task: Task) -> Output:
    with evaluating(learner), torch.no_grad():
        here = on_device(task, learner.device)
        state = learner.adapt(here.support, here.description, rng=Rng(0) if learner.stochastic else None)
        output = learner.predict(state, here.query.x)
        return output if task.ways is None else central(output)[:, : task.ways].cpu()


def _wrong(task: Task, answer: Output) -> float:
    """Wrong answers, or the mean squared error; infinite where an answer is not finite."""
    if task.ways is not None:
        return float((central(answer).argmax(-1) != task.query.y).sum())
    error = float((central(answer).cpu() - task.query.y).square().mean())
    return error if math.isfinite(error) else math.inf


def _group(task: Task, rows: Rows | None) -> str:
    if rows is None or rows.tasks is None or task.origin is None or task.origin.group is None:
        return ""
    return f" ('{rows.task_numbers[0][int(task.origin.group)]}')"
