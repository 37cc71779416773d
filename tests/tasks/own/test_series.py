"""Series from long tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from quickstudy.errors import BadExamples, UnknownName
from quickstudy.tasks.own.rows import Rows
from quickstudy.tasks.own.series import read_series

HEADER = "user,what,run,t,x,y,place\n"


def read(path: Path, lines: list[str], **changed: object) -> Rows:
    path.write_text(HEADER + "".join(line + "\n" for line in lines))
    named = {"task": "user", "label": "what", "id": "run", "time": "t", **changed}
    return read_series(path, **named)  # type: ignore[arg-type]


def lines(users: str = "uv", runs: int = 2, length: int = 4) -> list[str]:
    """Runs of both kinds for each user; the values say where they come from."""
    return [
        f"{u},{('go', 'stay')[r % 2]},{r},{t},{100 * i + 10 * r + t},{0.5 * t},home"
        for i, u in enumerate(users)
        for r in range(runs)
        for t in range(length + r)
    ]


def test_series_are_sorted_and_may_differ_in_length(tmp_path: Path) -> None:
    shuffled = [lines()[i] for i in np.random.default_rng(0).permutation(len(lines()))]
    rows = read(tmp_path / "a.csv", shuffled)
    assert rows.modality == "series" and rows.tasks is not None
    assert rows.tasks.tolist() == ["u", "u", "v", "v"] and rows.labels.tolist() == ["go", "stay"] * 2
    assert [x.shape for x in rows.inputs] == [(4, 2), (5, 2)] * 2 and rows.inputs[0].dtype == np.float32
    assert rows.inputs[3][:, 0].tolist() == [110, 111, 112, 113, 114]
    assert "channels: x, y" in rows.notes
    assert rows.dropped[0].reason == "columns that hold words, or nothing" and rows.dropped[0].examples == ("place",)


def test_channels_can_be_named(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", lines(), values=["y"]).inputs[0].shape == (4, 1)
    with pytest.raises(UnknownName, match="called 'z'"):
        read(tmp_path / "a.csv", lines(), values=["z"])
    with pytest.raises(BadExamples, match="'place' is to be a channel, but row 1 holds 'home'"):
        read(tmp_path / "a.csv", lines(), values=["x", "place"])


def test_doubles_and_gaps_in_time_are_said(tmp_path: Path) -> None:
    more = ["u,go,0,2,-1,-1,home", "u,go,0,9,-1,,home", "u,go,0,,-1,-1,home", "v,,0,1,1,1,home"]
    rows = read(tmp_path / "a.csv", [*lines(), *more])
    assert rows.inputs[0][:, 0].tolist() == [0, 1, 2, 3, -1] and np.isnan(rows.inputs[0][4, 1])
    assert {d.reason: d.examples for d in rows.dropped if "row" in d.reason} == {
        "rows without 'what'": ("row 22",),
        "rows without a time": ("row 21",),
        "rows at a time that their series has already": ("u/0 at 2",),
    }
    assert "1 of 38 values are missing, and stay so" in rows.notes
    assert any(
        "1 steps of time are longer than 1.5 times the usual 1; the longest, 6, is in 'u/0'" in n for n in rows.notes
    )


def test_rows_are_called_by_their_place_in_the_file(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", ["v,,0,1,1,1,home", *lines(), "u,go,0,,1,1,home"])
    assert {d.reason: d.examples for d in rows.dropped if "without" in d.reason} == {
        "rows without 'what'": ("row 1",),
        "rows without a time": ("row 20",),
    }
    with pytest.raises(BadExamples, match="'x' is to be a channel, but row 20 holds 'odd'"):
        read(tmp_path / "a.csv", ["v,,0,1,1,1,home", *lines(), "u,go,0,9,odd,1,home"], values=["x"])
    (tmp_path / "b.csv").write_text("what,run,t,place\ngo,0,0,home\nstay,1,0,home\n")
    with pytest.raises(BadExamples, match="No column of 'b' is left for values; looked at: place"):
        read_series(tmp_path / "b.csv", task=None, label="what", id="run", time="t")


def test_dates_sort_as_dates(tmp_path: Path) -> None:
    cells = [line.split(",") for line in lines()]
    dated = [",".join([*c[:3], f"2024-01-{9 + int(c[3]):02} 08:00", *c[4:]]) for c in cells]
    rows = read(tmp_path / "a.csv", dated[::-1])
    assert rows.inputs[0][:, 1].tolist() == [0, 0.5, 1, 1.5]
    with pytest.raises(BadExamples, match="'t' holds no number and no date"):
        read(tmp_path / "a.csv", [",".join([*c[:3], "soon", *c[4:]]) for c in cells])


def test_a_series_with_two_labels_is_left_out(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", [*lines(runs=4), "u,stay,0,99,1,1,home"])
    assert rows.dropped[-1].reason == "series with more than one label" and rows.dropped[-1].examples == ("u/0",)
    assert len(rows) == 7


def test_tasks_can_be_drawn_and_labels_measured(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", lines(runs=4), task=None)
    assert rows.tasks is None and len(rows) == 4
    measured = [",".join([c[0], f"{0.5 * int(c[2])}", *c[2:]]) for c in (line.split(",") for line in lines(runs=30))]
    rows = read(tmp_path / "a.csv", measured, group="place")
    assert rows.kind == "regression" and rows.labels[:3].tolist() == [0, 0.5, 5]
    assert rows.groups is not None and set(rows.groups.tolist()) == {"home"}
