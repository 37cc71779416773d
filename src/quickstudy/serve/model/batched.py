"""A bundle over several tasks at once: what has one shape goes through the learner together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ...bundle import Answers, Bundle
from ...engine.mapping import map_tasks
from ...engine.plan import choose, obstacle
from ...errors import UserError
from ...pytree import tree_flatten, tree_map
from ...task import Task, stack
from .packing import Learned

T = TypeVar("T")
R = TypeVar("R")
Labels = tuple[str, ...] | Tensor


@dataclasses.dataclass(frozen=True)
class Support:
    """Examples to learn from.

    Args:
        x: (n, *feature) numbers.
        labels: n names of classes, or (n, d) targets.
    """

    x: Tensor
    labels: Labels


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of something learned: (q, *feature) numbers."""

    learned: Learned
    x: Tensor


class Batched:
    """A bundle whose `adapt` and `predict` take lists of tasks, and give an error for those that have one.

    Answers are those of the bundle alone, but for rounding.
    """

    def __init__(self, bundle: Bundle):
        self.bundle = bundle

    @torch.no_grad()
    def adapt(self, supports: Sequence[Support]) -> list[Learned | UserError]:
        """What is learned from each, in their order."""
        return _each_or_together(supports, self._support_key, self._adapt_one, self._adapt_many)

    @torch.no_grad()
    def predict(self, questions: Sequence[Question]) -> list[Answers | UserError]:
        """The answers to each, in their order."""
        return _each_or_together(questions, self._question_key, self._predict_one, self._predict_many)

    def _adapt_one(self, support: Support) -> Learned:
        return Learned(*self.bundle.adapt(support.x, support.labels))

    def _support_key(self, support: Support) -> Hashable:
        if obstacle(self.bundle.learner):
            return None
        labels = support.labels
        ways = len(set(labels)) if isinstance(labels, tuple) else tuple(labels.shape)
        return tuple(support.x.shape), ways

    def _adapt_many(self, supports: Sequence[Support]) -> list[Learned]:
        learner = self.bundle.learner
        given = [self.bundle.support(support.x, support.labels) for support in supports]
        tasks = stack([Task(examples, examples.select(torch.tensor([0]))) for _, examples, _ in given])
        states = map_tasks(lambda task, _: learner.adapt(task.support), tasks, choose(learner, tasks))
        made = []
        for i, (names, _, _) in enumerate(given):
            state = tree_map(lambda leaf, i=i: leaf[i].clone(), states)  # a view would keep those of the others alive
            made.append(Learned(state, self.bundle.envelope(state, names)))
        return made

    def _predict_one(self, question: Question) -> Answers:
        return self.bundle.predict(question.learned.state, question.learned.envelope, question.x)

    def _question_key(self, question: Question) -> Hashable:
        leaves, spec = tree_flatten(question.learned.state)
        own_convolutions = any(isinstance(leaf, Tensor) and leaf.dim() > 3 for leaf in leaves)
        # Convolutions with weights of their own for each task run faster one task at a time on a CPU.
        if own_convolutions or obstacle(self.bundle.learner):
            return None
        return str(spec), tuple(tuple(leaf.shape) for leaf in leaves), tuple(question.x.shape)

    def _predict_many(self, questions: Sequence[Question]) -> list[Answers]:
        states = tree_map(lambda *leaves: torch.stack(leaves), *(q.learned.state for q in questions))
        x = torch.stack([question.x for question in questions])
        outputs = torch.func.vmap(self.bundle.learner.predict)(states, x)
        given = (tree_map(lambda leaf, i=i: leaf[i], outputs) for i in range(len(questions)))
        return [self.bundle.answers(output, q.learned.envelope) for output, q in zip(given, questions, strict=True)]


def _each_or_together(
    items: Sequence[T], key: Callable[[T], Hashable], one: Callable[[T], R], many: Callable[[Sequence[T]], list[R]]
) -> list[R | UserError]:
    """Items of one key together, the others (and those of key None) one after another; order is kept."""
    groups: dict[Hashable, list[int]] = {}
    for i, item in enumerate(items):
        found = key(item)
        groups.setdefault(("alone", i) if found is None else ("together", found), []).append(i)
    results: dict[int, R | UserError] = {}
    for rows in groups.values():
        try:
            made = many([items[i] for i in rows]) if len(rows) > 1 else [one(items[rows[0]])]
            results.update(zip(rows, made, strict=True))
        except (RuntimeError, IndexError, ValueError):
            # One at a time, it is known whose fault it is, and the bundle's own message says what it was.
            for i in rows:
                try:
                    results[i] = one(items[i])
                except UserError as error:
                    results[i] = error
    return [results[i] for i in range(len(items))]
