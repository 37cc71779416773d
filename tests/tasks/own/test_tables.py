"""Tables from files: what is read, what is left out, and what is said."""

from __future__ import annotations

import datetime
import decimal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow")
import pyarrow as pa
from pyarrow import parquet

from quickstudy.errors import BadExamples, BadFile, MissingData, UnknownName, UserError
from quickstudy.tasks.cells.names import names_of
from quickstudy.tasks.cells.numbers import numbers_of
from quickstudy.tasks.own.rows import Columns, Rows
from quickstudy.tasks.own.tables import read_table

SPREADSHEET = (
    "Kunde;Größe;Farbe;Nummer;Ort;Ergebnis\r\n"
    "A;1.234,5;rot;K-17;Köln;gut\r\n"
    "A;;blau;K-18;Köln;schlecht\r\n"
    "\r\n"
    "A;3,5;rot;K-19;Köln;gut\r\n"
    "B;10;NA;K-20;Köln;schlecht\r\n"
    ";;;;;\r\n"
    'B;2,25;"rot";K-21;Köln;gut\r\n'
    "B;7,125;blau;K-22;Köln;\r\n"
)


def table(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    parquet.write_table(pa.table(dict(columns)), path)
    return path


def features(rows: Rows) -> Columns:
    assert isinstance(rows.inputs, Columns)
    return rows.inputs


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_a_spreadsheet_saved_as_csv(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(SPREADSHEET.encode(encoding))
    rows = read_table(path, task="Kunde", label="Ergebnis")
    assert rows.tasks is not None and rows.tasks.tolist() == ["A", "A", "A", "B", "B"]
    assert rows.labels.tolist() == ["gut", "schlecht", "gut", "schlecht", "gut"]
    assert features(rows).names == ("Größe", "Farbe")
    np.testing.assert_array_equal(features(rows).numeric[:, 0], [1234.5, np.nan, 3.5, 10.0, 2.25])
    assert features(rows).categorical[:, 0].tolist() == [1, 0, 1, -1, 1]
    assert features(rows).categories == (("blau", "rot"),)
    account = str(rows)
    assert "5 rows of features, a classification" in account
    assert "2: rows without 'Ergebnis' (row 5, row 7)" in account
    assert "1: columns whose words are all different (ids or texts) (Nummer)" in account
    assert "1: columns with the same value in every row (Ort)" in account
    assert "separated by semicolons, numbers have a decimal comma" in account


def test_types_of_parquet(tmp_path: Path) -> None:
    days = [datetime.date(2024, 1, 1 + (3 * i) % 28) for i in range(6)]
    rows = read_table(
        table(
            tmp_path / "a.parquet",
            {
                "whole": [4, None, 6, 1, 9, 8],
                "point": [0.5, 1.5, float("inf"), None, 2.0, 3.0],
                "day": days,
                "yes": [True, False, None, True, False, True],
                "word": pa.array(["u", "v", "u", None, "v", "u"]).dictionary_encode(),
                "list": [[1.0]] * 6,
                "none": pa.array([None] * 6, pa.int32()),
                "row": list(range(6)),
                "task": [1.0, 1.0, 1.0, 2.0, 2.0, 2.0],
                "y": [0, 1, 0, 0, 1, 1],
            },
        ),
        task="task",
        label="y",
    )
    columns = features(rows)
    assert columns.names == ("whole", "point", "day", "yes", "word")
    np.testing.assert_array_equal(columns.numeric[:, :2].T, [[4, np.nan, 6, 1, 9, 8], [0.5, 1.5, np.nan, np.nan, 2, 3]])
    assert columns.numeric[1, 2] - columns.numeric[0, 2] == 3 * 86_400
    assert columns.categorical.T.tolist() == [[1, 0, -1, 1, 0, 1], [0, 1, 0, -1, 1, 0]]
    assert columns.categories == (("false", "true"), ("u", "v"))
    assert rows.task_numbers[0] == ("1", "2") and rows.classes[0] == ("0", "1")
    assert {d.reason.split(" (")[0]: d.examples for d in rows.dropped} == {
        "columns whose cells are list<element: double>, neither a number nor a name": ("list",),
        "columns without a value": ("none",),
        "columns that number the rows": ("row",),
    }


@pytest.mark.parametrize(
    ("cells", "mark", "expected"),
    [
        (["1.5", " 2 ", "", "NA", "?"], ".", [1.5, 2, None, None, None]),
        (["1,5", "2", "-3,25", "1e3"], ",", [1.5, 2, -3.25, 1000]),
        (["1.234", "2,5", "999"], ",", [1234, 2.5, 999]),
        (["1,234.5", "12", "1,234,567"], ".", [1234.5, 12, 1234567]),
        (["+1.5", "-.5", "2."], ".", [1.5, -0.5, 2]),
        (["inf", "nan", "1"], ".", [None, None, 1]),
        (["2024-01-02", "1970-01-01 00:01:00", ""], ".", [1704153600, 60, None]),
        (["1", "x", "3", "4"], ".", [1, "x", 3, 4]),
        (["", "", ""], ",", [None, None, None]),
        ([*map(str, range(200)), "1.234"], ",", [*range(200), 1234]),
    ],
)
def test_how_numbers_are_written(cells: list[str], mark: str, expected: list[float | str | None]) -> None:
    values, empty, words = numbers_of(pa.chunked_array([cells]), mark)
    assert empty.tolist() == [e is None for e in expected]
    assert words.tolist() == [isinstance(e, str) for e in expected]
    numbers = [np.nan if e is None or isinstance(e, str) else e for e in expected]
    np.testing.assert_array_equal(values, numbers)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([datetime.timedelta(minutes=2), None]), [120, None]),
        (pa.array([datetime.time(1, 0, 30), None]), [3630, None]),
        (pa.array([datetime.datetime(1970, 1, 1, 0, 1), None], pa.timestamp("ns", "UTC")), [60, None]),
        (pa.array([b"1.5", None]), [1.5, None]),
        (pa.array([decimal.Decimal("1.25"), None]), [1.25, None]),
        (pa.array([1.5, float("-inf")], pa.float32()), [1.5, None]),
        (pa.array([None, None]), [None, None]),
        (pa.array(["2", None]).dictionary_encode(), [2, None]),
    ],
)
def test_numbers_of_any_type(cells: pa.Array, expected: list[float | None]) -> None:
    values, empty, words = numbers_of(pa.chunked_array([cells]))
    assert empty.tolist() == [e is None for e in expected] and not words.any()
    np.testing.assert_array_equal(values, [np.nan if e is None else e for e in expected])


def test_whole_numbers_are_names_without_a_point() -> None:
    def named(values: list[float | None]) -> list[str]:
        return names_of(pa.chunked_array([pa.array(values, pa.float64())]), "a")[0].tolist()

    assert named([1.0, float("nan"), 2.0, None]) == ["1", "", "2", ""]
    assert named([1.0, 2.5]) == ["1", "2.5"]
    assert len(set(named([1e300, 2e300, float("inf")]))) == 3


def test_rows_are_called_by_their_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("y,text,task\n,x,t\na,u,t\nb,,t\nb,v,t\na,,\na,w,t\n")
    rows = read_table(path, label="y", text="text", task="task")
    assert {d.reason: d.examples for d in rows.dropped} == {
        "rows without 'y'": ("row 1",),
        "rows without 'task'": ("row 5",),
        "rows without text": ("row 3",),
    }
    path.write_text("y,x,t\n,0,t\n1,1,t\nodd,2,u\n2,3,u\n")
    with pytest.raises(BadExamples, match="'odd' in row 3 first"):
        read_table(path, label="y", task="t", kind="regression")


def test_few_words_among_the_labels_are_said(tmp_path: Path) -> None:
    n = 100
    columns = {"x": list(np.sin(np.arange(n))), "t": ["a", "b"] * (n // 2), "y": [f"{i % 40}" for i in range(n)]}
    columns["y"][7] = "?"
    rows = read_table(table(tmp_path / "a.parquet", columns), task="t", label="y")
    assert rows.kind == "classification"
    assert any("'y' holds numbers, but something else in 1 of 100 rows: '?' in row 8" in note for note in rows.notes)
    with pytest.raises(BadExamples, match=r"'\?' in row 8 first. Mend"):
        read_table(tmp_path / "a.parquet", task="t", label="y", kind="regression")


def test_a_column_that_counts_the_rows_is_known_with_rows_left_out(tmp_path: Path) -> None:
    n = 20
    columns = {"row": list(range(n)), "x": list(np.sin(np.arange(n))), "y": [("a", "b", "")[i % 3] for i in range(n)]}
    rows = read_table(table(tmp_path / "a.parquet", columns), label="y")
    assert features(rows).names == ("x",)
    columns["row"] = [i * i for i in range(n)]
    assert features(read_table(table(tmp_path / "a.parquet", columns), label="y")).names == ("row", "x")


def test_a_few_words_among_numbers_are_missing_and_said(tmp_path: Path) -> None:
    n = 100
    age = [str((7 * i) % 31) for i in range(n)]
    age[3] = age[50] = "unknown"
    rows = read_table(table(tmp_path / "a.parquet", {"age": age, "y": ["a", "b"] * 50}), label="y")
    assert np.isnan(features(rows).numeric[:, 0]).sum() == 2
    assert any("'age' holds numbers, and 2 words that count as missing: 'unknown'" in note for note in rows.notes)


def test_the_kind_of_label_is_found_and_can_be_said(tmp_path: Path) -> None:
    n = 60
    columns = {
        "x": list(np.sin(np.arange(n))),
        "t": ["a", "b", "c"] * 20,
        "y": [i * 1.5 for i in range(n)],
        "s": ["u", "v"] * 30,
    }
    path = table(tmp_path / "a.parquet", columns)
    rows = read_table(path, task="t", label="y")
    assert rows.kind == "regression" and rows.labels.dtype == np.float64
    assert "60 different values: a regression" in str(rows) and "0 to 88.5, median 44.25" in str(rows)
    with pytest.raises(BadExamples, match="only classes can be drawn into tasks; name the column"):
        read_table(path, label="y")
    with pytest.raises(BadExamples, match="'s' holds something else in 60 of 60 rows: 'u' in row 1 first"):
        read_table(path, task="t", label="s", kind="regression")
    with pytest.raises(UnknownName, match="Did you mean 'regression'"):
        read_table(path, task="t", label="y", kind="regresion")
    whole = table(tmp_path / "b.parquet", {**columns, "y": [i % 30 for i in range(n)]})
    assert read_table(whole, label="y").kind == "classification"  # drawn from classes: they can be nothing else
    assert read_table(whole, task="t", label="y").kind == "regression"
    assert len(read_table(whole, task="t", label="y", kind="classification").classes[0]) == 30


def test_text_and_molecules(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('task,text,label\nt,"one\ntwo, three",a\nt,four,b\nt,"",a\nt,five,b\n')
    rows = read_table(path, task="task", label="label", text="text")
    assert (rows.modality, rows.inputs) == ("text", ["one\ntwo, three", "four", "five"])
    assert rows.dropped[0].reason == "rows without text" and rows.dropped[0].examples == ("row 3",)
    assert read_table(path, task="task", label="label", smiles="text").modality == "molecule"


def test_images_are_named_from_the_table_on(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (3, 3)).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"")
    path = tmp_path / "a.csv"
    path.write_text("image,label\na.png,u\nb.png,v\nc.png,u\nd.png,v\na.png,u\nb.png,v\n,u\n")
    rows = read_table(path, label="label", image="image")
    assert rows.inputs == [tmp_path / name for name in ("a.png", "b.png", "a.png", "b.png")]
    assert {d.reason: d.count for d in rows.dropped} == {
        "rows without image": 1,
        "images of zero bytes": 1,
        "images that are not there": 1,
    }


def test_only_the_columns_that_are_needed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("label,text,rest\n" + f"a,x,{'r' * 1000}\nb,y,{'r' * 1000}\n" * 20)
    monkeypatch.setattr("quickstudy.tasks.cells.table.memory_available", lambda: 10_000.0)
    assert len(read_table(path, label="label", text="text")) == 40
    with pytest.raises(
        UserError, match=r"has 0\.0 MB, and reading 3 of its 3 columns takes about 0\.1 MB of memory, of which 0\.0 MB"
    ):
        read_table(path, label="label")
    big = table(tmp_path / "a.parquet", {"label": ["a", "b"] * 5000, "x": [0.0, 1.0] * 5000})
    with pytest.raises(UserError, match=r"reading 2 of its 2 columns takes about"):
        read_table(big, label="label")


def test_what_a_table_takes_is_not_told_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 20_000
    long = table(tmp_path / "a.parquet", {"label": ["a", "b"] * (n // 2), "text": ["w" * 400, "v" * 400] * (n // 2)})
    short = tmp_path / "a.csv"
    short.write_text("label,x\n" + "1,0\n0,1\n" * (n // 2))
    assert long.stat().st_size < 1e5 and short.stat().st_size < 1e5
    monkeypatch.setattr("quickstudy.tasks.cells.table.memory_available", lambda: 0.7e6)
    sizes = (
        r"reading 2 of its 2 columns takes about 2\d\.\d MB of memory, of which 0\.7 MB are free\. Give a part of its"
    )
    with pytest.raises(UserError, match=sizes + " rows, or fewer columns"):
        read_table(long, label="label", text="text")
    with pytest.raises(UserError, match="takes about"):
        read_table(short, label="label")
    monkeypatch.setattr("quickstudy.tasks.cells.table.memory_available", lambda: 30e6)
    assert len(read_table(long, label="label", text="text")) == n


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(
        tmp_path / "a.parquet", {"label": ["a", "b"] * 4, "task": ["t"] * 8, "x": range(8), "long": ["w" * 600] * 8}
    )
    with pytest.raises(
        UnknownName, match=r"no column of a.parquet called 'lable'. Did you mean 'label'\? Known: label"
    ):
        read_table(path, label="lable", task="task")
    with pytest.raises(UserError, match="'label' is named twice"):
        read_table(path, label="label", task="label")
    with pytest.raises(UserError, match="text and smiles"):
        read_table(path, label="label", text="x", smiles="task")
    with pytest.raises(BadExamples, match="'long' holds texts of up to 600 characters"):
        read_table(path, label="long")
    with pytest.raises(BadExamples, match=r"No column is left to predict from .*number the rows: x"):
        read_table(path, label="label", task="task")
    with pytest.raises(BadFile, match="does not exist"):
        read_table(tmp_path / "b.csv", label="label")
    with pytest.raises(BadFile, match="is a folder"):
        read_table(tmp_path, label="label")
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadFile, match="cannot be read as Parquet"):
        read_table(tmp_path / "cut.parquet", label="label")
    empty = table(tmp_path / "e.parquet", {"label": pa.array(["", None, "NA"]), "x": [1, 2, 3]})
    with pytest.raises(BadExamples, match=r"No row of 'e' \(3\) has a value in each of: label"):
        read_table(empty, label="label")
    with pytest.raises(BadFile, match="2 columns and no row"):
        read_table(table(tmp_path / "none.parquet", {"label": pa.array([], pa.string()), "x": []}), label="label")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingData, match=r"pip install 'quickstudy\[tables\]'"):
        read_table(path, label="label")


def test_a_hundred_thousand_classes(tmp_path: Path) -> None:
    n = 100_000
    path = table(
        tmp_path / "a.parquet", {"text": [f"w{i}" for i in range(2 * n)], "label": [f"c{i}" for i in range(n)] * 2}
    )
    start = time.process_time()
    rows = read_table(path, label="label", text="text")
    assert len(rows.classes[0]) == n and len(str(rows)) < 1000
    assert time.process_time() - start < 5.0
