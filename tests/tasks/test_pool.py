"""Pools: labels of any kind, splits by group, and rotations that stay on their side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quickstudy.errors import BadExamples, OverlappingSplits, UnknownName
from quickstudy.tasks.pool import SPLITS, Pool


def pool_of(classes: int, each: int = 2, groups: int | None = None) -> Pool:
    names = [f"c{i:02d}" for i in range(classes)]
    group = {name: f"g{i % (groups or classes)}" for i, name in enumerate(names)}
    return Pool.of(torch.zeros(classes * each, 1), names * each, groups=group)


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        (["owl", "lynx", "owl", "ape"], ("ape", "lynx", "owl"), [2, 1, 2, 0]),
        ([70, -3, 70, 5], ("-3", "5", "70"), [2, 0, 2, 1]),
        (np.array([0.5, 2.0, 0.5, 1.0]), ("0.5", "1.0", "2.0"), [0, 2, 0, 1]),
        (torch.tensor([9, 9, 1, 4]), ("1", "4", "9"), [2, 2, 0, 1]),
        (np.array(["b", "a", "b", "a"]), ("a", "b"), [1, 0, 1, 0]),
        ([True, False, True, True], ("False", "True"), [1, 0, 1, 1]),
        (["10", "9", 9, "9"], ("9", "10", "9"), [1, 2, 0, 2]),  # a number and its text are two classes
    ],
)
def test_labels_of_any_kind_are_numbered(labels: Any, classes: tuple[str, ...], y: list[int]) -> None:
    pool = Pool.of(torch.zeros(4, 3), labels)
    assert pool.classes == pool.groups == classes
    assert pool.y.tolist() == y
    assert pool.split == ("train",) * len(classes)


@pytest.mark.parametrize("labels", [[1.0, float("nan"), 2.0], np.array([1.0, np.nan, 2.0]), ["a", None, "b"]])
def test_missing_labels_are_named(labels: Any) -> None:
    with pytest.raises(BadExamples, match="label of row 1 is missing"):
        Pool.of(torch.zeros(3, 1), labels)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(BadExamples, match="3 rows, but there are 2 labels"):
        Pool.of(torch.zeros(3, 1), ["a", "b"])
    with pytest.raises(BadExamples, match=r"argmax\(1\)"):
        Pool.of(torch.zeros(3, 1), np.eye(3))
    with pytest.raises(BadExamples, match="holds no examples"):
        Pool.of(torch.zeros(0, 1), [])
    with pytest.raises(BadExamples, match=r"must be \(2,\) of torch.int64"):
        Pool("p", torch.zeros(2, 1), torch.zeros(2), ("a",), ("a",), ("train",))
    with pytest.raises(BadExamples, match="y runs from 0 to 5, but there are 1 classes"):
        Pool("p", torch.zeros(2, 1), torch.tensor([0, 5]), ("a",), ("a",), ("train",))
    with pytest.raises(BadExamples, match="1 classes need 1 groups and 1 splits; got 2, 1"):
        Pool("p", torch.zeros(2, 1), torch.tensor([0, 0]), ("a",), ("a", "b"), ("train",))


def test_wrong_names_of_splits() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'validation'"):
        Pool.of(torch.zeros(2, 1), ["a", "b"], split={"a": "train", "b": "valid"})
    with pytest.raises(UnknownName, match="no split 'dev'"):
        pool_of(2).members("dev")
    with pytest.raises(UnknownName, match="way to split by 'groups'"):
        pool_of(4).resplit((2, 1, 1), by="groups")


def test_splits_are_given_by_label_and_may_leave_classes_out() -> None:
    pool = Pool.of(torch.zeros(3, 1), [1, 2, 3], split={1: "test", 3: "train"}, groups={1: "x", 2: "x", 3: "y"})
    assert pool.split == ("test", "", "train")
    assert pool.groups == ("x", "x", "y")
    assert [pool.members(s).tolist() for s in SPLITS] == [[2], [], [0]]


@settings(deadline=None)
@given(
    classes=st.integers(3, 40),
    groups=st.integers(3, 12),
    fractions=st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)).filter(any),
    seed=st.integers(0, 99),
)
def test_whole_groups_are_dealt_and_every_wanted_split_gets_one(
    classes: int, groups: int, fractions: tuple[int, int, int], seed: int
) -> None:
    pool = pool_of(classes, groups=min(groups, classes)).resplit(fractions, seed=seed)
    assert set(pool.split) == {s for s, f in zip(SPLITS, fractions, strict=True) if f}
    assert len(set(zip(pool.groups, pool.split, strict=True))) == len(set(pool.groups))
    assert pool.split == pool.resplit(fractions, seed=seed).split


def test_resplitting_by_class_and_by_seed() -> None:
    pool = pool_of(20, groups=2)
    with pytest.raises(OverlappingSplits, match="2 groups cannot fill 3 splits with one each; use by='class'"):
        pool.resplit((3, 1, 1))
    with pytest.raises(OverlappingSplits, match="2 classes cannot fill 3 splits with one each; ask for fewer"):
        pool_of(2).resplit((3, 1, 1), by="class")
    parted = pool.resplit((3, 1, 1), by="class")
    assert [len(parted.members(s)) for s in SPLITS] == [12, 4, 4]
    assert parted.split != pool.resplit((3, 1, 1), by="class", seed=1).split


def test_rotations_are_classes_on_the_side_of_their_original() -> None:
    x = torch.arange(2 * 1 * 3 * 3).view(2, 1, 3, 3).to(torch.uint8)
    pool = Pool("p", x, torch.tensor([1, 0]), ("a", "b"), ("g", "h"), ("train", "test"))
    turned = pool.rotated()
    assert turned.name == "p+rotations"
    assert turned.classes == tuple(f"{c}/rot{angle}" for angle in ("000", "090", "180", "270") for c in "ab")
    assert turned.split == ("train", "test") * 4
    assert turned.groups == ("g", "h") * 4
    assert turned.y.tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    assert turned.origin is not None
    assert turned.origin.tolist() == [0, 1] * 4
    for quarter in range(4):
        expected = np.rot90(x[1, 0].numpy(), quarter)
        assert np.array_equal(turned.x[2 * quarter + 1, 0].numpy(), expected)
    assert turned.x.dtype == torch.uint8


def test_rotations_share_a_number_with_what_they_were_turned_from() -> None:
    x, y = torch.zeros(2, 4, 4), torch.tensor([0, 1])
    once = Pool("p", x, y, ("a", "b"), ("a", "b"), ("train", "train"), origin=torch.tensor([7, 7]))
    assert once.rotated().origin.tolist() == [7] * 8  # type: ignore[union-attr]


def test_labels_without_a_group_are_named() -> None:
    with pytest.raises(BadExamples, match="1 labels have no group, 'b' among them"):
        Pool.of(torch.zeros(2, 1), ["a", "b"], groups={"a": "letters"})


def test_copies_of_one_drawing_stay_on_one_side() -> None:
    turned = Pool.of(torch.zeros(4, 1, 2, 2), ["a", "b", "c", "d"]).rotated()
    with pytest.raises(OverlappingSplits, match="share drawings"):
        turned.resplit((2, 1, 1), by="class")
    assert set(turned.resplit((2, 1, 1)).split) == {"train", "validation", "test"}
    with pytest.raises(BadExamples, match=r"Only square images can be turned; 'examples' holds \(1, 2, 3\)"):
        Pool.of(torch.zeros(1, 1, 2, 3), ["a"]).rotated()
