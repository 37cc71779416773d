"""Rows by themselves: what fits together, what is left out of what, and the account."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quickstudy.errors import BadExamples, NotEnoughExamples, UnknownName
from quickstudy.tasks.cells.names import numbered
from quickstudy.tasks.checked.leaks import fingerprints, repeats
from quickstudy.tasks.own.arrays import rows_from_arrays
from quickstudy.tasks.own.rows import Columns, Dropped, Rows


def texts(words: list[str], labels: list[str], tasks: list[str] | None = None) -> Rows:
    return rows_from_arrays(np.array(words, dtype=object), labels, tasks, name="words")


def test_parts_fit_together() -> None:
    rows = Rows("a", "text", ["u", "v"], np.array(["x", "y"]), "classification", None)
    assert rows[np.array([True, False])].inputs == ["u"]
    assert rows[np.array([1])].labels.tolist() == ["y"]
    with pytest.raises(BadExamples, match=r"2 inputs, but tasks of shape \(1,\)"):
        dataclasses.replace(rows, tasks=np.array(["t"]))
    with pytest.raises(UnknownName, match=r"modality 'txt'\. Did you mean 'text'"):
        dataclasses.replace(rows, modality="txt")
    with pytest.raises(UnknownName, match="kind of label"):
        dataclasses.replace(rows, kind="ranking")
    with pytest.raises(NotEnoughExamples, match=r"Nothing is left of 'a'. 2: broken \(u, v\)"):
        rows.without(np.array([True, True]), "broken", ["u", "v"])


def test_columns_fit_together() -> None:
    none = np.zeros((2, 0), dtype=np.int32)
    with pytest.raises(BadExamples, match="1 numeric and 0 categorical"):
        Columns(np.zeros((2, 2)), ("a",), none, (), ())
    with pytest.raises(BadExamples, match="codes are integers"):
        Columns(np.zeros((2, 1)), ("a",), np.zeros((2, 1)), ("b",), (("x",),))


def test_the_account_is_short_whatever_there_is() -> None:
    n = 5000
    rows = texts([f"w{i}" for i in range(n)], [f"c{i // 2:04}" for i in range(n)])
    rows = dataclasses.replace(rows, dropped=(Dropped.of("files that are broken", [f"f{i}" for i in range(100)]),))
    account = str(rows).splitlines()
    assert account[0] == "words: 5,000 rows of text, a classification"
    assert account[1] == "tasks     drawn from the classes"
    assert account[2].startswith("classes   2,500, of 2 to 2 rows (median 2); most often 'c0000' (0%): c0000, c0001,")
    assert account[3] == "left out  100: files that are broken (f0, f1, f2, f3, f4, ...)"
    assert len(account) < 10


def test_tasks_with_one_class_and_classes_with_one_example() -> None:
    rows = texts(list("abcdefg"), ["x", "y", "x", "y", "x", "x", "y"], ["t", "t", "t", "u", "u", "v", "w"])
    assert rows.task_numbers[0] == ("t", "u")
    assert rows.dropped[-1] == Dropped(
        "rows of tasks with one class, where there is nothing to tell apart", 2, ("v", "w")
    )
    assert any("5 classes have one example in their task, 'y' in 't' for one" in note for note in rows.notes)
    drawn = texts(list("abcde"), ["x", "x", "y", "y", "z"])
    assert drawn.dropped[-1].examples == ("z",) and len(drawn) == 4
    with pytest.raises(NotEnoughExamples, match="'words' has 1 with two examples or more"):
        texts(list("abc"), ["x", "x", "y"])
    with pytest.raises(NotEnoughExamples, match=r"Each of the 2 tasks .* has one class only \('x': 'x'\)"):
        texts(list("abcd"), ["y", "y", "x", "x"], ["y", "y", "x", "x"])
    one = texts(list("abcd"), ["x", "y"] * 2, ["t"] * 4)
    assert any("there is one task" in note for note in one.notes)


def test_a_row_alone_in_its_task_leaves_a_regression() -> None:
    y = np.linspace(0.1, 1.0, 31)
    rows = rows_from_arrays(np.sin(np.arange(31.0))[:, None], y, [0] * 15 + [1] * 15 + [2])
    assert rows.kind == "regression" and len(rows) == 30
    assert rows.dropped == (Dropped("rows alone in their task", 1, ("2",)),)


def test_classes_that_differ_by_capitals_are_said() -> None:
    rows = texts(list("abcdef"), ["Good", "good", "bad"] * 2)
    assert any(
        "1 classes differ from another by capital letters alone: 'Good' and 'good'" in note for note in rows.notes
    )


def test_inputs_in_several_tasks_are_named_with_counts() -> None:
    rows = texts(["a", "b", "c", "a", "b", "d", "a", "e", "e"], list("xyyxxyyxx"), ["s"] * 3 + ["t"] * 3 + ["u"] * 3)
    note = next(note for note in rows.notes if "more than one task" in note)
    assert note.startswith("5 rows (2 inputs) stand in more than one task; 's' and 't' share 2. 0 of the inputs have")
    assert any("1 rows repeat the input of another row of their task" in note for note in rows.notes)
    leak = texts(["a", "b", "a", "c"], list("xyxy"), list("sstt"))
    assert any("'s' and 't' share 1. 1 of the inputs have the same label everywhere" in note for note in leak.notes)
    drawn = texts(["a", "b", "a", "c"], list("xxyy"))
    assert any("2 rows (1 inputs) stand in more than one class" in note for note in drawn.notes)
    assert not any("more than one" in note for note in texts(list("abcd"), list("xyxy"), list("sstt")).notes)


def test_groups_that_keep_copies_together_are_no_leak() -> None:
    rows = texts(["a", "b", "a", "c", "d", "e"], list("xyxyxy"), list("ssttuu"))
    for groups, said in (("gggghh", "groups keep all copies"), ("gghhii", "give all copies one group, which 1 inputs")):
        assert any(said in note for note in repeats(dataclasses.replace(rows, groups=np.array(list(groups)))).notes)


def test_features_that_are_the_same_everywhere_are_named() -> None:
    x = np.random.default_rng(0).normal(size=(8, 9))
    x[:, 2:9], x[:, 5], x[3, 4] = 1.0, np.nan, np.nan
    notes = rows_from_arrays(x, ["a", "b"] * 4).notes
    assert "6 features are the same in every row: 'x2', 'x3', 'x5', 'x6', 'x7', ..." in notes


def test_equal_inputs_have_equal_fingerprints() -> None:
    numeric = np.array([[0.0, np.nan], [-0.0, np.nan], [np.nan, 0.0], [0.0, 1.0]])
    codes = np.array([[1], [1], [1], [-1]], dtype=np.int32)
    a, b, c, d = fingerprints(Columns(numeric, ("p", "q"), codes, ("r",), (("u", "v"),))).tolist()
    assert a == b and len({a, c, d}) == 3
    series = fingerprints([np.zeros((2, 1)), np.zeros((1, 2)), np.zeros((2, 1))])
    assert series[0] == series[2] != series[1]
    many = np.random.default_rng(0).integers(0, 2, (20_000, 40)).astype(np.float64)
    columns = Columns(many, tuple(map(str, range(40))), np.zeros((20_000, 0), np.int32), (), ())
    assert len(np.unique(fingerprints(columns))) == len(np.unique(many, axis=0))


def table(x: np.ndarray, y: np.ndarray, tasks: np.ndarray, codes: np.ndarray | None = None) -> Rows:
    """Rows of columns n0, n1, ... and, where codes are given, a column of words."""
    words = np.zeros((len(x), 0), dtype=np.int32) if codes is None else codes[:, None].astype(np.int32)
    names = () if codes is None else ("word",)
    values = tuple(tuple(f"v{i:03}" for i in range(c.max() + 1)) for c in words.T)
    columns = Columns(x, tuple(f"n{i}" for i in range(x.shape[1])), words, names, values)
    from quickstudy.tasks.checked.findings import settled

    labels = y if y.dtype == np.float64 else np.char.add("c", y.astype(str))
    kind = "regression" if y.dtype == np.float64 else "classification"
    return settled(Rows("table", "features", columns, labels, kind, np.char.add("t", tasks.astype(str))))


def suspected(rows: Rows) -> str:
    return next((note.split(" alone")[0] for note in rows.notes if "is a leak" in note and "alone" in note), "")


@pytest.mark.parametrize("n", [300, 50_000])
def test_a_feature_that_knows_the_label_is_suspected(n: int) -> None:
    rng = np.random.default_rng(0)
    tasks, y = np.arange(n) % 10, rng.integers(0, 3, n)
    x = rng.normal(size=(n, 4))
    assert suspected(table(x, y, tasks)) == ""
    x[:, 2] = (y * 10 + rng.random(n)) * np.where(tasks % 2, 1, -1)  # each class has its interval, another in each task
    assert suspected(table(x, y, tasks, codes=rng.integers(0, 5, n))) == "'n2'"
    x[np.flatnonzero(y == 1)[0], 2] = np.nan if n == 300 else 1e9
    assert suspected(table(x, y, tasks)) == ""  # one exception among many rows is enough
    codes = y * 2 + rng.integers(0, 2, n)
    assert suspected(table(x, y, tasks, codes=codes)) == "'word'"
    assert suspected(table(x, y, tasks, codes=np.arange(n))) == ""  # an id tells nothing of new rows
    y2 = rng.normal(size=n)
    x[:, 1] = 3.0 - 2.0 * y2 + tasks
    assert suspected(table(x, y2, tasks)) == "'n1'"
    assert suspected(table(rng.normal(size=(n, 3)), y2, tasks)) == ""


def test_many_small_tasks_tell_together() -> None:
    """A part of the rows has next to none of each task, and yet all of them leave no doubt."""
    rng, n = np.random.default_rng(0), 160_000
    tasks, y = np.arange(n) // 4, np.arange(n) % 2
    x = rng.normal(size=(n, 2))
    x[:, 1] = np.where(rng.random(n // 4) < 0.5, 1, -1)[tasks] * (y + 0.5 * rng.random(n))
    assert suspected(table(x, y, tasks)) == "'n1'"


def test_what_tiny_tasks_do_by_chance_is_not_suspected() -> None:
    rng = np.random.default_rng(1)
    tasks, y = np.repeat([0, 1], 4), np.tile([0, 0, 1, 1], 2)
    x = rng.normal(size=(8, 200))
    x[:, 7] = y + 0.1 * rng.random(8)
    assert suspected(table(x, y, tasks)) == ""


def test_numbers_of_names() -> None:
    names, of = numbered(np.array(["b", "a", "b", "c"]))
    assert names == ("a", "b", "c") and of.tolist() == [1, 0, 1, 2]
