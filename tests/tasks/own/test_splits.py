"""Tasks dealt to three sides, and what can be claimed of so many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from quickstudy.errors import OverlappingSplits, UserError
from quickstudy.functional.student import t_quantile
from quickstudy.tasks.checked.splits import expected_interval, split_rows
from quickstudy.tasks.own.rows import Rows
from quickstudy.tasks.pool import SPLITS


def of_tasks(tasks: list[int], groups: list[int] | None = None) -> Rows:
    """Two rows of two classes for each entry."""
    names = np.repeat(np.char.add("t", np.array(tasks).astype(str)), 2)
    linked = None if groups is None else np.repeat(np.array(groups).astype(str), 2)
    inputs = [f"w{i}" for i in range(len(names))]
    return Rows("a", "text", inputs, np.array(["x", "y"] * len(tasks)), "classification", names, groups=linked)


@settings(max_examples=60, deadline=None)
@given(
    links=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30),
    fractions=st.tuples(*[st.sampled_from((0.0, 0.2, 0.6, 1.0))] * 3).filter(any),
    seed=st.integers(0, 3),
)
def test_no_group_and_no_task_is_on_two_sides(
    links: list[tuple[int, int]], fractions: tuple[float, float, float], seed: int
) -> None:
    rows = of_tasks([a for a, _ in links], [b for _, b in links])
    try:
        split = split_rows(rows, fractions, seed)
    except OverlappingSplits:
        return
    assert rows.tasks is not None and rows.groups is not None
    sides = split.of(rows)
    for keys in (rows.tasks, rows.groups):
        for key in set(keys.tolist()):
            assert len(set(sides[keys == key].tolist())) == 1
    assert set(sides.tolist()) == {side for side, part in zip(SPLITS, fractions, strict=True) if part}


@pytest.mark.parametrize(("count", "expected"), [(3, (1, 1, 1)), (5, (3, 1, 1)), (10, (6, 2, 2)), (100, (60, 20, 20))])
def test_fractions_and_seeds(count: int, expected: tuple[int, int, int]) -> None:
    rows = of_tasks(list(range(count)))
    split = split_rows(rows)
    assert tuple(len(split.names(side)) for side in SPLITS) == expected
    assert split_rows(rows).sides == split.sides
    assert len({split_rows(rows, seed=s).names("test") for s in range(10)}) > 1
    assert split_rows(rows, (1, 0, 0)).names("train") == tuple(sorted(split.sides))


def test_a_large_group_does_not_upset_the_fractions() -> None:
    split = split_rows(of_tasks(list(range(100)), [0] * 50 + list(range(50, 100))))
    assert tuple(len(split.names(side)) for side in SPLITS) == (60, 20, 20)
    split = split_rows(of_tasks(list(range(100)), [0] * 98 + [1, 2]))
    assert tuple(len(split.names(side)) for side in SPLITS) == (98, 1, 1)


def test_classes_are_dealt_where_tasks_are_drawn() -> None:
    labels = np.repeat([f"c{i}" for i in range(10)], 3)
    rows = Rows("a", "text", [f"w{i}" for i in range(30)], labels, "classification", None)
    split = split_rows(rows)
    assert split.unit == "class" and len(split.names("test")) == 2 and math.isnan(split.interval)
    assert "classes: 6 for train, 2 for validation, 2 for test" in str(split)
    assert "says nothing of classes beyond these" in str(split)


def test_too_few_to_split_and_too_few_for_a_claim() -> None:
    with pytest.raises(OverlappingSplits, match="2 tasks cannot fill 3 sides"):
        split_rows(of_tasks([0, 1]))
    with pytest.raises(OverlappingSplits, match=r"3 tasks in 1 groups that share none .* leave the group out"):
        split_rows(of_tasks([0, 1, 1, 2], [0, 0, 1, 1]))
    with pytest.raises(UserError, match="none negative"):
        split_rows(of_tasks([0, 1, 2]), (0.5, 0.7, -0.2))
    assert any("too few for a claim" in note for note in split_rows(of_tasks(list(range(25)))).notes)
    enough = split_rows(of_tasks(list(range(30))))
    assert not any("too few" in note for note in enough.notes) and enough.interval > 0
    grouped = split_rows(of_tasks(list(range(40)), [i // 8 for i in range(40)]))
    assert "1 independent group in the test is too few" in str(grouped) and math.isnan(grouped.interval)


def test_the_interval_is_students() -> None:
    for freedom in (1, 2, 5, 30, 300, 1000, 1001, 5000):
        assert t_quantile(0.95, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-4)
    assert math.isnan(expected_interval(1, 10)) and expected_interval(2, 1) == 1.0
    rng = np.random.default_rng(0)
    p = np.clip(rng.normal(0.8, 0.1, (4000, 12)), 0, 1)
    accuracy = rng.binomial(50, p) / 50
    half = stats.t.ppf(0.975, 11) * accuracy.std(1, ddof=1) / math.sqrt(12)
    assert expected_interval(12, 50) == pytest.approx(half.mean(), rel=0.1)


def test_a_regression_is_told_in_deviations() -> None:
    rows = Rows("a", "text", ["w"] * 60, np.arange(60.0), "regression", np.repeat([f"t{i}" for i in range(30)], 2))
    assert "± 1.05 (95 %) times the standard deviation" in str(split_rows(rows))
