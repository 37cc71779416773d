"""Classification tasks that exist already, and tasks whose support sets are prescribed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from quickstudy.errors import BadExamples, NotEnoughExamples, UnknownName, UserError
from quickstudy.evaluation.audit import audit
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.measure import singles
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.rng import distinct
from quickstudy.task import Task, check_task
from quickstudy.tasks.class_groups import ClassGroups
from quickstudy.tasks.dealing import proportional
from quickstudy.tasks.fixed import FixedTasks

SIDES = ("train",) * 4 + ("validation",) * 2 + ("test",) * 4 + ("",)
# Rows of each of three classes in each group: 3 lacks class 1, 2 has a poor one, 4 has one class only.
COUNTS = np.array(
    [[9, 12, 7], [20, 9, 8], [9, 2, 9], [15, 0, 30], [9, 0, 0], [8, 9, 9], *[[9, 9, 9]] * 3, [40, 9, 0], [9] * 3]
)


def source(sides: tuple[str, ...] = SIDES, counts: np.ndarray = COUNTS, **options: Any) -> ClassGroups:
    """The input of a row is (its number, its group, its class), and rows are in no order."""
    groups, classes = counts.shape
    group = torch.arange(groups).repeat_interleave(torch.from_numpy(counts.sum(1)))
    y = torch.arange(classes).repeat(groups).repeat_interleave(torch.from_numpy(counts.reshape(-1)))
    mixed = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    group, y = group[mixed], y[mixed]
    x = torch.stack([torch.arange(len(y)), group, y], 1).float()
    return ClassGroups("made up", x, y, group, sides, classes=("a", "b", "c"), **{"shots": 2, "queries": 3} | options)


def checked(tasks: Task) -> list[Task]:
    """The tasks one by one, each found to be one group, its sides disjoint, its rows where they say they are."""
    each = singles(tasks)
    for task in each:
        check_task(task)
        assert task.origin is not None and task.origin.group is not None
        for side, rows in ((task.support, task.origin.support), (task.query, task.origin.query)):
            assert torch.equal(side.x[:, 0], rows.float())
            assert bool((side.x[:, 1] == task.origin.group).all())
        rows = torch.cat([task.origin.support, task.origin.query]).tolist()
        assert len(set(rows)) == len(rows) and min(rows) >= 0
    return each


def test_shared_labels_are_the_numbers_of_the_classes() -> None:
    made = source()
    drawn = made.sample(0, 60)
    assert drawn.origin is not None and drawn.origin.classes is None
    assert set(drawn.origin.group.tolist()) == {0, 1, 3} and made.left_out == 1  # type: ignore[union-attr]
    for task in checked(drawn):
        assert task.ways == 3 and torch.equal(task.support.y.float(), task.support.x[:, 2])
        own = COUNTS[int(task.origin.group)] > 0  # type: ignore[union-attr,arg-type]
        assert torch.equal(torch.bincount(task.support.y, minlength=3), torch.tensor(2 * own))
        assert torch.equal(torch.bincount(task.query.y, minlength=3), torch.tensor(3 * own))
    assert drawn.support.mask is not None and made.test.protocol["groups"] == 4 and made.validation.left_out == 1
    assert made.test.replaced(shots=5).left_out == 0 and made.validation.sample(0, 5).support.mask is None


def test_local_labels_are_dealt_anew_and_padded() -> None:
    drawn = source(labels="local").sample(0, 200)
    seen = set()
    for task in checked(drawn):
        group, classes = int(task.origin.group), task.origin.classes  # type: ignore[union-attr,arg-type]
        assert task.ways == len(classes) == (COUNTS[group] > 0).sum()  # type: ignore[arg-type]
        dealt = [int(task.support.x[task.support.y == label, 2].unique().item()) for label in range(task.ways or 0)]
        assert [int(task.query.x[task.query.y == label, 2].unique().item()) for label in range(task.ways or 0)] == dealt
        # The number of a class is its own: that of no class of another group, and the same in every episode.
        seen |= {(group, c, n) for c, n in zip(dealt, classes.tolist(), strict=True)}  # type: ignore[union-attr]
        seen.add((group, tuple(dealt)))  # type: ignore[arg-type]
    numbers = {key[2]: key[:2] for key in seen if len(key) == 3}
    assert len(numbers) == 3 + 3 + 2 and sum(len(key) == 3 for key in seen) == 8
    assert sum(len(key) == 2 for key in seen) == 6 + 6 + 2  # every order of labels came
    assert drawn.origin is not None and bool((drawn.origin.classes[:, 2] == -1).any())  # type: ignore[index]


@pytest.mark.parametrize("options", [{}, {"labels": "local"}, {"queries": None}, {"balance": "natural", "shots": 3}])
def test_an_episode_depends_on_its_number_alone(options: dict[str, Any]) -> None:
    made = source(**options)
    many, one = made.sample(0, 9), made.sample(7, 1)
    for side in ("support", "query"):
        for name in ("x", "y", "mask"):
            a, b = getattr(getattr(many, side), name), getattr(getattr(one, side), name)
            assert (a is None and b is None) or torch.equal(a[7:8], b)
    assert made.manifest(9, batch=4) == source(**options).manifest(9, batch=9) != made.replaced(seed=1).manifest(9)
    assert len({tuple(rows) for rows in many.origin.support.tolist()}) > 6  # type: ignore[union-attr]


def test_all_other_rows_may_be_asked() -> None:
    made = source(queries=None)
    for task in checked(made.sample(0, 30)):
        counts = torch.from_numpy(COUNTS[int(task.origin.group)])  # type: ignore[union-attr,arg-type]
        both = torch.bincount(task.support.y, minlength=3) + torch.bincount(task.query.y, minlength=3)
        assert torch.equal(both, counts)
    assert made.protocol["queries"] == "all other rows" and made.left_out == 1


def test_natural_balance_is_that_of_the_group() -> None:
    made = source(balance="natural", shots=3, queries=4, sides=("",) * 9 + ("test",) * 2, split="test")
    for task in checked(made.sample(0, 20)):
        wanted = ([5, 1, 0], [7, 1, 0]) if task.origin.group == 9 else ([3, 3, 3], [4, 4, 4])  # type: ignore[union-attr]
        found = (torch.bincount(side.y, minlength=3).tolist() for side in (task.support, task.query))
        assert tuple(found) == wanted
    # All 49 rows, to the last: what the support set leaves is what the queries are dealt from.
    counts = np.array([[31, 18, 0]])
    for task in checked(source(("train",), counts, balance="natural", shots=12, queries=12).sample(0, 3)):
        assert torch.bincount(task.support.y).tolist() == [15, 9] and len(task.query) == 24


def test_groups_may_come_in_turn() -> None:
    groups = source(in_turn=True).sample(1, 6).origin.group.tolist()  # type: ignore[union-attr]
    assert groups == [1, 3, 0, 1, 3, 0]


def test_every_row_is_drawn_equally_often() -> None:
    drawn = source(("train",), COUNTS[:1]).sample(0, 4000)
    for side, each in (("support", 2), ("query", 3)):
        rows = getattr(drawn.origin, side).flatten()
        x = getattr(drawn, side).x.flatten(0, 1)
        for c, size in enumerate(COUNTS[0].tolist()):
            counts = torch.bincount(rows[x[:, 2] == c], minlength=28)
            counts, expected = counts[counts > 0], 4000 * each / size
            assert len(counts) == size
            assert float((counts - expected).square().sum() / expected) < 3 * size  # chi-square of size - 1


def test_picking_and_dealing_are_exact() -> None:
    rng = np.random.default_rng(0)
    among, count = np.array([3, 9, 5, 0] * 500), np.array([3, 2, 0, 0] * 500)
    chosen = distinct(rng.random((2000, 8)), among, count)
    assert ((chosen >= 0).sum(1) == count).all() and (chosen < among[:, None]).all()
    three, two = chosen[0::4, :3], chosen[1::4, :2]
    assert len({tuple(row) for row in three.tolist()}) == 6 and (two[:, 0] != two[:, 1]).all()
    assert np.bincount(two[:, 0], minlength=9).min() > 30  # of 56 expected
    sizes = rng.integers(0, 50, (300, 6)) * (rng.random((300, 6)) < 0.7)
    total = rng.integers((sizes > 0).sum(1), np.maximum(sizes.sum(1), 1) + 1)
    dealt = proportional(total, sizes)
    some = sizes.sum(1) > 0
    assert (
        (dealt.sum(1) == total)[some].all()
        and ((dealt > 0) == (sizes > 0)).all()
        and (dealt <= np.maximum(sizes, 1)).all()
    )


def test_inputs_may_be_bytes_or_a_function_of_rows() -> None:
    plain = source(labels="local")
    lazy = ClassGroups(
        "made up",
        lambda r: plain.x[r],
        plain.y,
        plain.group,
        SIDES,
        classes="abc",
        labels="local",
        shots=2,
        queries=3,  # type: ignore[index]
    )
    assert torch.equal(lazy.sample(0, 4).query.x, plain.sample(0, 4).query.x)
    bytes_ = ClassGroups("b", (plain.x % 256).byte(), plain.y, plain.group, SIDES, classes="abc", shots=1, queries=1)  # type: ignore[operator]
    assert 0.5 < float(bytes_.sample(0, 8).support.x.max()) <= 1


@pytest.mark.parametrize("labels", ["shared", "local"])
def test_honest_tasks_pass_the_audit(labels: str) -> None:
    counts = np.full((30, 3), 12)
    counts[::3, 2] = 0
    made = source(("train", "validation", "test") * 10, counts, labels=labels)
    noise = torch.randn(len(made.y), 20, generator=torch.Generator().manual_seed(1))
    made = made.replaced(x=noise + 4 * torch.nn.functional.one_hot(made.y, 20))
    learner = Prototypical(nn.Flatten())
    found = audit(learner, made.test, tasks=16)
    assert found.passed, str(found)
    result = evaluate(learner, made.test.replaced(queries=None), tasks=10)
    assert result.value > 90 and result.protocol["labels"] == labels and "2-shot" in str(result)


def test_many_tasks_a_second() -> None:
    counts = np.random.default_rng(0).integers(30, 400, (200, 3))
    made = source(("train",) * 200, counts, shots=5, queries=15, labels="local")
    made.sample(0, 32)
    began = time.perf_counter()
    for first in range(0, 1024, 32):
        made.sample(first, 32)
    assert 1024 / (time.perf_counter() - began) > 1000  # alone some 10,000


def test_what_does_not_fit_is_refused_with_its_numbers() -> None:
    with pytest.raises(
        NotEnoughExamples, match=r"30 support \+ 3 query rows of each, but none of the 4 groups of the train"
    ):
        source(shots=30)
    for options, message in (
        ({"shots": 0}, "shots is 0"),
        ({"queries": 0}, "queries is 0"),
        ({"shots": None}, "shots is"),
    ):
        with pytest.raises(UserError, match=message):
            source(**options)
    with pytest.raises(UnknownName, match="natural"):
        source(balance="naturel")
    with pytest.raises(UnknownName, match="local"):
        source(labels="own")
    y, group = torch.zeros(6, dtype=torch.int64), torch.zeros(6, dtype=torch.int64)
    with pytest.raises(BadExamples, match="int64, but y is"):
        ClassGroups("odd", y, y.float(), group, ("train",), classes="ab")
    with pytest.raises(BadExamples, match="y runs from 2 to 2, but 2 classes"):
        ClassGroups("odd", y, y + 2, group, ("train",), classes="ab")
    with pytest.raises(BadExamples, match="6 targets, 6 inputs and 5 groups"):
        ClassGroups("odd", y, y, group[:5], ("train",), classes="ab")
    with pytest.raises(NotEnoughExamples, match="two classes"):
        ClassGroups("odd", y, y, group, ("train",), classes="ab", shots=1, queries=1)


def fixed(**options: Any) -> FixedTasks:
    """Three tasks of 2 + 2 support rows and 8, 5 and 6 queries; the input of a row is its number."""
    y = torch.arange(40) % 2
    rows = torch.arange(40).split([12, 9, 10, 9])[:3]
    named = {"names": ("x", "y", "z"), "classes": ("bad", "good")} | options
    return FixedTasks("official", torch.arange(40.0)[:, None], y, [r[:4] for r in rows], [r[4:] for r in rows], **named)


def test_fixed_tasks_are_met_once_with_the_rows_that_are_prescribed() -> None:
    made = fixed()
    assert len(made) == 3 and made.protocol["shots"] == 2 and made.protocol["queries"] == (5, 8)
    for number, task in enumerate(singles(made.sample(0, 3))):
        check_task(task)
        assert sorted(task.support.x.flatten().tolist()) == made.support[number].tolist()
        assert sorted(task.query.x.flatten().tolist()) == made.query[number].tolist()
        assert torch.equal(task.query.y, task.query.x.flatten().long() % 2) and task.ways == 2
        assert task.origin is not None and int(task.origin.group) == number  # type: ignore[arg-type]
    assert made.manifest(3, batch=1) == made.manifest(3) != made.replaced(seed=1).manifest(3)
    assert evaluate(Prototypical(nn.Flatten()), made, tasks=len(made)).tasks == 3


def test_fixed_tasks_may_be_regressions() -> None:
    y = torch.arange(12.0)[:, None]
    made = FixedTasks(
        "r", y, y, [torch.tensor([0, 1]), torch.tensor([5])], [torch.tensor([2, 3]), torch.tensor([6, 7])]
    )
    first, second = singles(made.sample(0, 2))
    assert (
        made.kind == "regression" and first.ways is None and second.query.y.shape == (2, 1) and len(second.support) == 1
    )


def test_fixed_tasks_refuse_what_does_not_fit() -> None:
    rows = torch.arange(4)
    with pytest.raises(UserError, match="3 tasks, numbered from 0; 2 from number 2"):
        fixed().sample(2, 2)
    with pytest.raises(UserError, match="no train split"):
        _ = fixed().train
    with pytest.raises(BadExamples, match="but 1 classes"):
        fixed(classes=("one",))
    with pytest.raises(BadExamples, match="3 support sets, 3 queries and 1 names"):
        fixed(names=("x",))
    for query, message in (
        (rows[3:], "is there twice"),
        (rows[:0], "4 support and 0 query"),
        (rows + 4, r"among 0\.\.6"),
    ):
        with pytest.raises(BadExamples, match=message):
            FixedTasks("odd", torch.zeros(7, 1), torch.zeros(7, 1), [rows], [query])
