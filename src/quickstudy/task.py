"""The nouns: examples, and a task made of a support set and queries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .errors import BadExamples
from .machine import memory_available
from .pytree import pytree, static, tree_flatten, tree_map, tree_unflatten


@pytree
class Examples:
    """Inputs with their labels. Batched over tasks, every tensor has one more leading dimension.

    Args:
        x: (n, *feature) inputs.
        y: (n,) int64 classes 0..ways-1, or (n, d) floating targets for regression.
        mask: (n,) bool, True for real examples and False for padding; None when all are real.
        ways: the number of classes, a static number; None for regression.
    """

    x: Tensor
    y: Tensor
    mask: Tensor | None = None
    ways: int | None = static(None)

    def __len__(self) -> int:
        return len(self.y)

    def select(self, rows: Tensor) -> Examples:
        """The examples of some rows, in that order."""
        return Examples(self.x[rows], self.y[rows], None if self.mask is None else self.mask[rows], ways=self.ways)

    def followed_by(self, more: Examples) -> Examples:
        """These examples and then those."""
        if self.ways != more.ways or self.x.shape[1:] != more.x.shape[1:]:
            raise BadExamples(
                f"Examples of {self.ways} classes shaped {tuple(self.x.shape[1:])} cannot be followed by examples of"
                f" {more.ways} classes shaped {tuple(more.x.shape[1:])}."
            )
        mask = None
        if self.mask is not None or more.mask is not None:
            mask = torch.cat([_mask_of(self), _mask_of(more)])
        return Examples(torch.cat([self.x, more.x]), torch.cat([self.y, more.y]), mask, ways=self.ways)


@pytree
class Origin:
    """Where a task's parts came from: numbers in the pool, for the audit, episode lists and pooled baselines.

    Args:
        support: (n,) row numbers.
        query: (q,) row numbers.
        classes: (ways,) class numbers in the pool, -1 for a class that is padding; None for regression.
        group: () number of the task's own group (a user, an assay), where tasks are not drawn from classes.
    """

    support: Tensor
    query: Tensor
    classes: Tensor | None = None
    group: Tensor | None = None


@pytree
class Task:
    """A few labelled examples (support) and some questions (query).

    Args:
        support: what a learner adapts to.
        query: what it is asked; its labels are for training and judging only.
        description: anything known beforehand: (ways, *d) class descriptions, or (d,) meta-features of the task.
        origin: where the examples came from.

    >>> x, y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    >>> task = Task(Examples(x, y, ways=2), Examples(x, y, ways=2))
    >>> task.ways, stack([task, task]).support.x.shape
    (2, torch.Size([2, 4, 2]))
    """

    support: Examples
    query: Examples
    description: Tensor | None = None
    origin: Origin | None = None

    @property
    def ways(self) -> int | None:
        """The number of classes; None for regression."""
        return self.support.ways

    @property
    def kind(self) -> str:
        """'classification' or 'regression'."""
        return "regression" if self.ways is None else "classification"


def batch_size(tasks: Task) -> int:
    """How many tasks a batch holds."""
    return len(tasks.support.y)


def take(tasks: Task, which: int | slice | Tensor) -> Task:
    """One task of a batch (int), or some of them as a batch (slice, tensor of numbers)."""
    return tree_map(lambda leaf: leaf[which], tasks)


def on_device(tasks: Task, device: torch.device) -> Task:
    """The same task or batch in the memory of a device."""
    return tree_map(lambda leaf: leaf.to(device), tasks)


def stack(tasks: Sequence[Task]) -> Task:
    """A batch of tasks of one shape.

    Raises:
        BadExamples: the tasks differ in shape or ways; `pad` makes one batch of them.
    """
    flat = [tree_flatten(task) for task in tasks]
    leaves, spec = flat[0]
    for other, other_spec in flat[1:]:
        if other_spec != spec or any(a.shape != b.shape for a, b in zip(leaves, other, strict=True)):
            raise BadExamples("These tasks differ in shape or number of classes, so they cannot be stacked; use pad().")
    return tree_unflatten([torch.stack(column) for column in zip(*(f[0] for f in flat), strict=True)], spec)


def _mask_of(examples: Examples) -> Tensor:
    if examples.mask is not None:
        return examples.mask
    shape = examples.y.shape if examples.ways is not None else examples.y.shape[:-1]
    return torch.ones(shape, dtype=torch.bool, device=examples.y.device)


def _lengthen(tensor: Tensor, length: int, value: float = 0) -> Tensor:
    filling = tensor.new_full((length - len(tensor), *tensor.shape[1:]), value)
    return torch.cat([tensor, filling])


def pad(tasks: Sequence[Task]) -> Task:
    """A batch of tasks of differing ways, shots and queries: padded at the end, and masked.

    What is padding is known from the masks and from `origin.classes` (-1), so `trim` can take it off again; the engine
    does so before it calls a learner that does not read masks. Padding never changes an answer.
    """
    n, q = max(len(t.support) for t in tasks), max(len(t.query) for t in tasks)
    ways = None if tasks[0].ways is None else max(t.ways or 0 for t in tasks)
    padded = []
    for task in tasks:
        if task.origin is not None:
            classes = None if task.origin.classes is None else _lengthen(task.origin.classes, ways or 0, -1)
            ids = (_lengthen(task.origin.support, n, -1), _lengthen(task.origin.query, q, -1))
            origin = Origin(*ids, classes, task.origin.group)
        else:
            classes = None if ways is None else _lengthen(torch.arange(task.ways or 0), ways, -1)
            # The rows of what came from nowhere are not known; numbers of their own would look like rows of a pool.
            origin = Origin(torch.full((n,), -1), torch.full((q,), -1), classes)
        sides = (_pad_examples(task.support, n, ways), _pad_examples(task.query, q, ways))
        description = task.description
        if description is not None and ways is not None and description.dim() > 1:
            description = _lengthen(description, ways)
        padded.append(Task(*sides, description, origin))
    return stack(padded)


def _pad_examples(examples: Examples, length: int, ways: int | None) -> Examples:
    mask = _lengthen(_mask_of(examples), length, False)
    return Examples(_lengthen(examples.x, length), _lengthen(examples.y, length), mask, ways=ways)


def trim(task: Task) -> Task:
    """One task without its padding: no mask, its own number of ways."""
    ways = task.ways
    if ways is not None and task.origin is not None and task.origin.classes is not None:
        ways = int((task.origin.classes >= 0).sum())
    sides = []
    rows = []
    for side in (task.support, task.query):
        real = _mask_of(side)
        rows.append(real)
        sides.append(Examples(side.x[real], side.y[real], ways=ways))
    description = task.description
    if description is not None and ways is not None and description.dim() > 1:
        description = description[:ways]
    origin = task.origin
    if origin is not None:
        classes = None if origin.classes is None else origin.classes[:ways]
        origin = Origin(origin.support[rows[0]], origin.query[rows[1]], classes, origin.group)
    return Task(sides[0], sides[1], description, origin)


def is_padded(tasks: Task) -> bool:
    """Whether any example of a task (or batch) may be padding."""
    return tasks.support.mask is not None or tasks.query.mask is not None


def check_examples(
    examples: Examples,
    *,
    what: str = "support",
    feature: tuple[int, ...] | None = None,
    may_be_empty: bool = False,
) -> None:
    """Stop with one clear message when examples of one task cannot be learned from.

    Outside `vmap` only: it looks at values.

    Args:
        examples: of one task.
        what: 'support' or 'query', for the message.
        feature: shape that an input should have.
        may_be_empty: a support set whose classes are described needs no examples.

    Raises:
        BadExamples: wrong shapes or types, no examples, labels out of range, NaN or infinity.
    """
    x, y, ways = examples.x, examples.y, examples.ways
    if len(x) != len(y):
        raise BadExamples(f"The {what} set has {len(x)} inputs, but {len(y)} labels; give one label an input.")
    if len(y) == 0 and not may_be_empty:
        raise BadExamples(f"The {what} set is empty; give at least one example.")
    if feature is not None and tuple(x.shape[1:]) != tuple(feature):
        raise BadExamples(
            f"The {what} inputs are shaped {tuple(x.shape[1:])}, but {tuple(feature)} is expected here; support, query"
            " and the examples a learner was trained on must have one shape."
        )
    _check_size(x, what)
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        row = int((~torch.isfinite(x.flatten(1))).any(1).nonzero()[0])
        raise BadExamples(f"The {what} input of row {row} holds NaN or infinity; leave it out or fill it in.")
    if ways is None:
        _check_targets(y, what)
    elif len(y):
        _check_labels(y, ways, what)


def _check_size(x: Tensor, what: str) -> None:
    """Refuse what cannot be looked at once: a view may be far larger than the storage behind it."""
    needed, free = x.numel() * x.element_size(), memory_available()
    if needed > free:
        raise BadExamples(
            f"The {what} set of {len(x):,} inputs shaped {tuple(x.shape[1:])} takes {needed / 2**30:,.1f} GiB, but"
            f" {free / 2**30:,.1f} GiB of memory are free; adapt to fewer examples."
        )


def _check_targets(y: Tensor, what: str) -> None:
    if y.dim() != 2 or not y.is_floating_point():
        raise BadExamples(
            f"Targets of a regression are (n, d) and floating, but the {what} set has {tuple(y.shape)} of {y.dtype}."
        )
    if not bool(torch.isfinite(y).all()):
        row = int((~torch.isfinite(y)).any(1).nonzero()[0])
        raise BadExamples(f"The {what} target of row {row} is NaN or infinite; leave it out.")


def _check_labels(y: Tensor, ways: int, what: str) -> None:
    if y.dtype != torch.int64 or y.dim() != 1:
        raise BadExamples(
            f"Labels of a task are (n,) of torch.int64, 0..{ways - 1}, but the {what} set has {tuple(y.shape)} of"
            f" {y.dtype}. Pool.of(x, labels) and Task.from_labels number labels of any kind."
        )
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= ways:
        raise BadExamples(
            f"The {what} labels run from {low} to {high}, but the task has {ways} classes (0..{ways - 1})."
        )


def check_task(task: Task) -> None:
    """Stop with one clear message when a task is not one: see `check_examples`, and query must fit support.

    Raises:
        BadExamples: also when a class of the query is missing from the support, or shapes and types differ.
    """
    check_examples(task.support, what="support", may_be_empty=task.description is not None)
    check_examples(task.query, what="query", feature=tuple(task.support.x.shape[1:]))
    if task.support.x.dtype != task.query.x.dtype:
        raise BadExamples(
            f"Support inputs are {task.support.x.dtype}, but queries are {task.query.x.dtype}; use one type."
        )
    if task.support.ways != task.query.ways:
        raise BadExamples(f"The support set has {task.support.ways} ways, but the query set {task.query.ways}.")
    if task.ways is not None:
        known, asked = set(task.support.y.tolist()), set(task.query.y.tolist())
        if asked - known and task.description is None:
            raise BadExamples(
                f"The queries ask for class {min(asked - known)}, which the support set has no example of; give one, or"
                " a description of the class."
            )
