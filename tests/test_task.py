"""The nouns, and every way in which a task can be none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quickstudy.errors import BadExamples
from quickstudy.pytree import tree_flatten, tree_map
from quickstudy.task import Examples, Origin, Task, check_examples, check_task, is_padded, pad, stack, take, trim

X, Y = torch.arange(8.0).view(4, 2), torch.tensor([0, 1, 0, 1])


def task(x: Tensor = X, y: Tensor = Y, ways: int | None = 2) -> Task:
    return Task(Examples(x, y, ways=ways), Examples(X + 1, Y if ways else X, ways=ways))


def with_hole(value: float) -> Tensor:
    x = X.clone()
    x[2, 1] = value
    return x


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (task(x=X[:3]), "3 inputs, but 4 labels"),
        (task(x=X[:0], y=Y[:0]), "support set is empty"),
        (task(x=with_hole(float("nan"))), "row 2 holds NaN or infinity"),
        (task(x=with_hole(float("inf"))), "row 2 holds NaN or infinity"),
        (task(y=Y.float()), "of torch.float32"),
        (task(y=Y + 1), "labels run from 1 to 2, but the task has 2 classes"),
        (task(y=torch.zeros(4, dtype=torch.int64)), "queries ask for class 1, which the support set has no example of"),
        (task(x=torch.zeros(4, 3)), r"shaped \(2,\), but \(3,\) is expected"),
        (task(x=X.double()), "Support inputs are torch.float64, but queries are torch.float32"),
        (Task(Examples(X, Y, ways=2), Examples(X, Y, ways=3)), "2 ways, but the query set 3"),
        (task(y=Y, ways=None), "Targets of a regression are"),
    ],
)
def test_what_is_no_task_is_explained(broken: Task, message: str) -> None:
    with pytest.raises(BadExamples, match=message):
        check_task(broken)


def test_one_class_is_legal() -> None:
    check_examples(Examples(X, torch.zeros(4, dtype=torch.int64), ways=1))
    check_task(task())


def test_a_pytree_keeps_its_statics_and_leaves_out_none() -> None:
    leaves, spec = tree_flatten(task())
    assert len(leaves) == 4
    assert tree_map(lambda t: t * 2, task()).ways == 2
    assert spec != tree_flatten(Task(Examples(X, Y, ways=3), Examples(X, Y, ways=3)))[1]


def test_stack_take_pad_trim() -> None:
    one, other = task(), Task(Examples(X[:2], Y[:2], ways=2), Examples(X, Y, ways=2))
    with pytest.raises(BadExamples, match=r"use pad\(\)"):
        stack([one, other])
    padded = pad([one, other])
    assert is_padded(padded) and padded.support.x.shape == (2, 4, 2) and padded.support.mask is not None
    back = trim(take(padded, 1))
    assert torch.equal(back.support.x, X[:2]) and back.support.mask is None and back.ways == 2


def test_padding_of_ways_comes_off_again() -> None:
    three = torch.tensor([0, 1, 2, 0])
    more = Task(Examples(X, three, ways=3), Examples(X, three, ways=3), torch.ones(3, 5))
    origin = Origin(torch.arange(4), torch.arange(4), torch.tensor([7, 9]))
    described = Task(Examples(X, Y, ways=2), Examples(X, Y, ways=2), torch.zeros(2, 5), origin)
    padded = pad([more, described])
    assert padded.ways == 3 and padded.origin is not None
    back = trim(take(padded, 1))
    assert back.ways == 2 and back.description is not None and back.description.shape == (2, 5)
    assert back.origin is not None and back.origin.classes is not None and back.origin.classes.tolist() == [7, 9]


def test_examples_that_do_not_follow_each_other() -> None:
    both = Examples(X, Y, ways=2).followed_by(Examples(X[:1], Y[:1], torch.tensor([False]), ways=2))
    assert len(both) == 5 and both.mask is not None and both.mask.tolist() == [True] * 4 + [False]
    with pytest.raises(BadExamples, match="cannot be followed by"):
        Examples(X, Y, ways=2).followed_by(Examples(X, Y, ways=3))
