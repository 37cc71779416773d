"""What must hold for every learner, checked: a learner of your own can be passed to `check_learner`."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from .errors import BadExamples, ContractBroken, UserError
from .evaluation.evaluate import evaluating
from .evaluation.measure import check_fit, singles
from .evaluation.probes import answers
from .evaluation.probes.finding import Finding
from .evaluation.probes.gradients import looped_and_vectorised, meta_gradient
from .evaluation.probes.states import on_one_device, same_state, saved, updated
from .learner import Learner
from .pytree import tree_map
from .rng import Rng, forked
from .state import fingerprint
from .task import Examples, Task, check_examples, check_task
from .tasks.source import TaskSource

KEY = Rng(0, ("contract",))
EXACT = 1e-6  # relative error of a meta-gradient against finite differences, in float64
EQUAL = 1e-10  # relative difference of two ways to the same number, in float64
ALIKE = 1e-8  # the same, where an inner loop may enlarge rounding
ANSWERS = (
    answers.one_by_one,
    answers.permuted_queries,
    answers.renamed_classes,
    answers.reordered_support,
    answers.padded,
    updated,
)


def check_learner(
    learner: Learner,
    tasks: TaskSource | Sequence[Task] | None = None,
    *,
    kind: str | None = None,
    feature: tuple[int, ...] = (8,),
    outputs: int = 3,
) -> list[Finding]:
    """Check every promise of the contract on copies of a learner, in float64 where numbers are compared.

    Args:
        learner: left as it is.
        tasks: small tasks that it can serve, all of one shape; made up when None.
        kind: of the tasks to make up; the first that the learner serves when None.
        feature: shape of an input of the tasks to make up.
        outputs: their classes, or the length of their targets.

    Returns:
        One finding a promise; `passed` is None where one does not apply, and the sentence says why.

    Raises:
        ContractBroken: the first promise that does not hold, with its numbers.
        UserError: the learner cannot serve these tasks.

    >>> from quickstudy.learners.metric.prototypical import Prototypical
    >>> found = check_learner(Prototypical(torch.nn.Linear(8, 4)))
    >>> [f.name for f in found if f.passed is None]
    ['looped equals vectorised']
    """
    if tasks is None:
        kind = kind or learner.kinds[0]
        tasks = made_up_tasks(kind, feature=feature, outputs=outputs, described=learner.zero_shot)
    some = singles(tasks.sample(0, 4)) if isinstance(tasks, TaskSource) else list(tasks)
    for task in some:
        check_task(task)
    exact = [_double(task) for task in some]
    single, double = copy.deepcopy(learner), copy.deepcopy(learner).double()
    with evaluating(double):
        check_fit(double, exact[0], KEY)
    promises: list[Callable[[], Finding]] = [
        lambda: _pure(single, some),
        *(partial(_asked, probe, double, exact, ALIKE) for probe in ANSWERS),
        lambda: meta_gradient(double, exact, EXACT),
        lambda: looped_and_vectorised(double, exact, EQUAL),
        lambda: _asked(saved, single, some),
        lambda: _asked(on_one_device, single, some),
        lambda: _odd_support(double, exact[0]),
    ]
    return [_kept(learner, promise()) for promise in promises]


def made_up_tasks(
    kind: str, *, feature: tuple[int, ...] = (8,), outputs: int = 3, count: int = 4, described: bool = False
) -> list[Task]:
    """Small tasks, all of one shape: classes are clouds, targets are smooth functions of the inputs.

    Args:
        kind: 'classification' or 'regression'.
        feature: shape of an input.
        outputs: classes, or the length of a target.
        count: how many tasks.
        described: with a description of each class, shaped as an input: about where its cloud is.

    >>> made_up_tasks("regression", outputs=1)[0].query.y.shape
    torch.Size([6, 1])
    """
    return [_made_up(kind, feature, outputs, described, KEY.at("task", i).generator()) for i in range(count)]


def _made_up(kind: str, feature: tuple[int, ...], outputs: int, described: bool, generator: torch.Generator) -> Task:
    shots, queries = 4, 2
    centres = torch.randn(outputs, *feature, generator=generator)
    sides = []
    for each in (shots, queries):
        y = torch.arange(outputs).repeat(3 * each if kind == "regression" else each)
        y = y[torch.randperm(len(y), generator=generator)]
        x = centres[y] + 0.5 * torch.randn(len(y), *feature, generator=generator)
        if kind == "regression":
            sides.append(Examples(x, torch.sin(x.flatten(1) @ centres.flatten(1).T / math.sqrt(centres[0].numel()))))
        else:
            sides.append(Examples(x, y, ways=outputs))
    known = centres + 0.1 * torch.randn(centres.shape, generator=generator) if described else None
    return Task(sides[0], sides[1], known)


def _kept(learner: Learner, found: Finding) -> Finding:
    if found.passed is False:
        raise ContractBroken(f"{type(learner).__name__} breaks the promise '{found.name}': {found.sentence}.")
    return found


def _double(tree: Any) -> Any:
    return tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, tree)


def _asked(probe: Callable[..., Finding], learner: Learner, tasks: Sequence[Task], *limit: float) -> Finding:
    """A probe's finding about a learner in evaluation mode."""
    with evaluating(learner):
        return probe(learner, tasks, *limit)


def _pure(learner: Learner, tasks: Sequence[Task]) -> Finding:
    """Adapting twice gives one state, whatever the global generator holds, and leaves nothing behind."""
    name = "adapt is pure"
    for training in (True, False):
        learner.train(training)
        before, modes = fingerprint(learner), [m.training for m in learner.modules()]
        states = []
        for turn in range(2):
            # Dropout, in training, can read nothing but the global generator; nothing else may.
            with forked(KEY if training else KEY.at(turn)):
                states.append(learner.adapt(tasks[0].support, tasks[0].description, rng=KEY))
                learner.predict(states[-1], tasks[0].query.x)
        where = f"in {'training' if training else 'evaluation'} mode"
        if not same_state(*states):
            return Finding(name, False, f"adapting twice to the same support set gives two states {where}")
        if fingerprint(learner) != before:
            return Finding(name, False, f"adapting or answering writes into parameters or buffers {where}")
        if [m.training for m in learner.modules()] != modes or any(p.grad is not None for p in learner.parameters()):
            return Finding(name, False, f"adapting or answering leaves another mode, or gradients, behind {where}")
    return Finding(name, True, "twice the same state, and the learner is as it was, in training and in evaluation")


def _odd_support(learner: Learner, task: Task) -> Finding:
    """What cannot be learned from is refused with a message; what is legal but odd is learned from without NaN."""
    name = "odd support sets"
    support, feature = task.support, tuple(task.support.x.shape[1:])
    huge = torch.zeros(1, *feature).expand(1 << 50, *feature)
    spoiled = {
        "empty": support.select(torch.arange(0)),
        "wrongly shaped": dataclasses.replace(support, x=support.x.unsqueeze(1)),
        "larger than the memory": Examples(huge, support.y[:1].expand(1 << 50, *support.y.shape[1:]), ways=task.ways),
    }
    if support.x.is_floating_point():
        spoiled["holding NaN"] = dataclasses.replace(support, x=torch.full_like(support.x, torch.nan))
    for what, examples in spoiled.items():
        try:
            check_examples(examples, feature=feature)
        except BadExamples:
            continue
        return Finding(name, False, f"a support set {what} is not refused")
    told = ["empty, NaN, wrongly shaped and too large ones are refused"]
    with evaluating(learner):
        for what, odd in _odd_tasks(learner, task).items():
            try:
                check_fit(learner, odd, KEY)
            except UserError as error:  # a clear refusal is an answer too, where it may be given
                if what not in ("1,000 classes", "half precision"):
                    return Finding(name, False, f"{what} is refused: {error}")
                told.append(f"{what} refused")
                continue
            if bool(answers.answer(learner, odd).isnan().any()):
                return Finding(name, False, f"with {what}, answers are NaN")
            told.append(f"{what} learned from")
    return Finding(name, True, "; ".join(told))


def _odd_tasks(learner: Learner, task: Task) -> dict[str, Task]:
    """Tasks that are legal, however odd, and two that a learner may refuse."""
    support = task.support
    made = {
        "one example": dataclasses.replace(task, support=support.select(torch.arange(1))),
        "half precision": dataclasses.replace(task, support=dataclasses.replace(support, x=support.x.half())),
    }
    if task.ways is None:
        return made
    made["one class"] = dataclasses.replace(task, support=support.select(support.y == 0))
    made["a class without examples"] = dataclasses.replace(task, support=support.select(support.y != 0))
    many = torch.arange(1000)
    wide = Examples(support.x[many % len(support)], many, ways=1000)
    query = dataclasses.replace(task.query, ways=1000)
    description = None if task.description is None else task.description[many % len(task.description)]
    made["1,000 classes"] = Task(wide, query, description)
    if learner.zero_shot:
        made["descriptions alone"] = dataclasses.replace(task, support=support.select(torch.arange(0)))
    return made
