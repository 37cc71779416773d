"""Associative retrieval: strings are what they are said to be, and an episode is the same in every batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from quickstudy.errors import UserError
from quickstudy.pytree import tree_leaves
from quickstudy.task import Task, check_task, take
from quickstudy.tasks.retrieval import Retrieval


def same(a: Task, b: Task) -> bool:
    return all(torch.equal(x, y) for x, y in zip(tree_leaves(a), tree_leaves(b), strict=True))


def test_an_answer_is_the_digit_of_its_letter() -> None:
    tasks = Retrieval(pairs=8, queries=3).sample(5, 200)
    assert tasks.support.x.dtype == torch.float32
    assert (tasks.support.x.sum(-1) == 1).all()
    met = tasks.query.x @ tasks.support.x.mT  # (T, queries, pairs), one where the letter is that of the question
    assert (met.sum(-1) == 1).all()
    assert torch.equal((met @ tasks.support.y.unsqueeze(-1).float()).squeeze(-1).long(), tasks.query.y)
    check_task(take(tasks, 0))


def test_letters_of_a_string_and_its_questions_differ() -> None:
    tasks = Retrieval(pairs=26, queries=26).sample(0, 20)
    assert (tasks.support.x.sum(1) == 1).all()
    assert (tasks.query.x.sum(1) == 1).all()


def test_letters_digits_and_places_are_uniform() -> None:
    tasks = Retrieval().sample(0, 5000)
    for counts in (
        tasks.support.x.sum((0, 1)),
        torch.bincount(tasks.support.y.flatten(), minlength=10).float(),
        (tasks.query.x @ tasks.support.x.mT).sum((0, 1)),
    ):
        expected = counts.sum() / len(counts)
        assert ((counts - expected).abs() < 4.5 * expected.sqrt()).all()


@pytest.mark.parametrize(("pairs", "error"), [(4, 0.6165), (8, 0.7001)])
def test_naming_the_commonest_digit_errs_as_is_said(pairs: int, error: float) -> None:
    tasks = Retrieval(pairs=pairs).sample(0, 20_000)
    commonest = torch.nn.functional.one_hot(tasks.support.y, 10).sum(1).argmax(1)
    assert (commonest != tasks.query.y[:, 0]).float().mean().item() == pytest.approx(error, abs=0.015)


def test_an_episode_is_the_same_in_every_batch_and_another_in_every_split() -> None:
    source = Retrieval(queries=2)
    assert same(take(source.sample(40, 9), 3), take(source.sample(43, 1), 0))
    assert source.manifest(7, batch=3) == source.manifest(7, batch=7)
    strings = [
        s.sample(0, 50).support.x.flatten(1) for s in (source, source.validation, source.test, Retrieval(seed=1))
    ]
    assert len(torch.unique(torch.cat(strings), dim=0)) > 195


def test_other_questions_leave_the_strings_as_they_are() -> None:
    one, all_of_them = Retrieval().sample(0, 3), Retrieval(queries=4).sample(0, 3)
    assert same(Task(one.support, one.support), Task(all_of_them.support, all_of_them.support))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 27}, "pairs is 27; it must be a whole number from 1 to 26, as there are 26 letters"),
        ({"pairs": 0}, "pairs is 0"),
        ({"pairs": 4.0}, r"pairs is 4\.0"),
        ({"queries": 5}, "queries is 5; it must be a whole number from 1 to 4"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Retrieval(**options)
