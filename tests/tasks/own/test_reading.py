"""One function from a path to rows: what it takes for what, and what it says of options that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow")
import pyarrow as pa
from pyarrow import parquet

from quickstudy.cli.main import call
from quickstudy.errors import BadExamples, BadFile, MissingData, UnknownName, UserError
from quickstudy.tasks.own.reading import read_rows
from quickstudy.tasks.own.reading_asked import read_asked
from quickstudy.tasks.own.rows import Rows

COLUMNS = {
    "user": ["u", "u", "v", "v"] * 2,
    "run": ["1", "2", "1", "2"] * 2,
    "t": [0, 0, 0, 0, 1, 1, 1, 1],
    "x": [0.5, 2.5, 1.0, 3.0, 0.7, 2.0, 1.5, 9.0],
    "words": list("abcdefgh"),
    "y": ["go", "stay"] * 4,
}


@pytest.fixture(params=["csv", "parquet"])
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The same table in both formats."""
    path = tmp_path / f"a.{request.param}"
    if request.param == "parquet":
        parquet.write_table(pa.table(COLUMNS), path)
    else:
        lines = [",".join(map(str, record)) for record in zip(*COLUMNS.values(), strict=True)]
        path.write_text("\n".join([",".join(COLUMNS), *lines]))
    return path


def test_a_path_becomes_rows(file: Path) -> None:
    text = read_rows(file, task="user", label="y", text="words")
    assert (text.modality, text.inputs) == ("text", list("abcdefgh"))
    features = read_rows(str(file), task="user", label="y", group="run")
    assert features.modality == "features" and features.groups is not None
    assert features.inputs.names == ("t", "x")
    series = read_rows(file, task="user", label="y", id="run", time="t", values=["x"])
    assert series.modality == "series" and [x.tolist() for x in series.inputs[:2]] == [
        [[0.5], [np.float32(0.7)]],
        [[2.5], [2.0]],
    ]
    molecules = read_rows(file, task="user", label="x", smiles="words", kind="regression")
    assert (molecules.modality, molecules.kind) == ("molecule", "regression")


def test_a_folder_becomes_images(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"c{i % 2}").mkdir(exist_ok=True)
        Image.new("L", (3, 3 + i), i).save(tmp_path / f"c{i % 2}" / f"{i}.png")
    assert len(read_rows(tmp_path)) == 4
    with pytest.raises(UserError, match=r"is a folder of images.* task, label say what a table holds"):
        read_rows(tmp_path, task="t", label="y")
    with pytest.raises(UserError, match="kind says what a table holds"):
        read_rows(tmp_path, kind="regression")


def test_a_limit_on_pixels_holds_for_paths_in_a_table_too(tmp_path: Path) -> None:
    for i in range(6):
        Image.new("L", (3 + 100 * (i == 0), 3), i).save(tmp_path / f"{i}.png")
    (tmp_path / "a.csv").write_text("image,y\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(6)))
    rows = read_rows(tmp_path / "a.csv", label="y", image="image", most_pixels=100)
    assert len(rows) == 5 and rows.dropped[0].reason == "images of more than 100 pixels"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Which column of .* is to be predicted.* there are 'user', 'run', 't', 'x', 'words', 'y'"),
        ({"label": "y", "id": "run"}, "id and time; time is missing"),
        ({"label": "y", "time": "t"}, "id and time; id is missing"),
        ({"label": "y", "values": ["x"]}, "take id and time too"),
        ({"label": "y", "id": "run", "time": "t", "text": "words"}, "text cannot go with id and time"),
        ({"label": "y", "text": "words", "smiles": "words"}, "text and smiles"),
    ],
)
def test_options_that_do_not_go_together(file: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_rows(file, **options)  # type: ignore[arg-type]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        read_rows(tmp_path / "none.csv")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadFile, match="cannot be read as Parquet"):
        read_rows(tmp_path / "cut.parquet")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingData, match=r"pip install 'quickstudy\[tables\]'"):
        read_rows(tmp_path / "cut.parquet")


def test_a_spreadsheet_as_a_new_user_saves_it(tmp_path: Path) -> None:
    """Semicolons, a mark, decimal commas, empty lines and columns, and a letter that is not UTF-8, all in one."""
    lines = ["Linie;Länge;Gewicht;Farbe;Urteil;", ";;;;;", ""]
    for i in range(40):
        weight = f"{1000 + i * i:,}".replace(",", ".")
        cells = [
            f"L{i % 4}",
            f"{i * 7 % 11},{i % 10}",
            weight,
            ("rot", "grün")[i % 3 % 2],
            ("gut", "Ausschuß")[i % 8 // 4],
        ]
        lines += [";".join([*cells, ""]), *([""] if i % 7 == 0 else [])]
    path = tmp_path / "Prüfung.csv"
    for encoding in ("utf-8-sig", "latin-1", "utf-16"):
        path.write_bytes("\r\n".join(lines).encode(encoding))
        rows: Rows = read_rows(path, task="Linie", label="Urteil")
        assert len(rows) == 40 and rows.inputs.names == ("Länge", "Gewicht", "Farbe")
        np.testing.assert_allclose(rows.inputs.numeric[:, 0], [i * 7 % 11 + i % 10 / 10 for i in range(40)])
        np.testing.assert_allclose(rows.inputs.numeric[:, 1], [1000 + i * i for i in range(40)])
        assert rows.classes[0] == ("Ausschuß", "gut")
        account = rows.account()
        assert "numbers have a decimal comma" in account and "(column 6)" in account
        assert ("line 1 is not UTF-8" in account) == (encoding == "latin-1")
    path.write_bytes("\r\n".join([*lines[:9], "L1;1;2", *lines[9:]]).encode())
    with pytest.raises(BadFile, match=r"line 10 has 3 fields where the header has 6 .*'L1;1;2'"):
        read_rows(path, task="Linie", label="Urteil")


def stores(path: Path) -> Path:
    """Two branches in two years, four rows each."""
    rows = [f"{b},{y},{i},{'yes' if i % 2 else 'no'}" for b in "ab" for y in (2024, 2025) for i in (3, 1, 4, 2)]
    path.write_text("\n".join(["branch,year,x,sold", *rows]))
    return path


def test_a_task_may_be_named_by_several_columns(tmp_path: Path) -> None:
    path = stores(tmp_path / "stores.csv")
    rows = read_rows(path, task=("branch", "year"), label="sold")
    assert rows.task_numbers[0] == ("a / 2024", "a / 2025", "b / 2024", "b / 2025")
    assert np.bincount(rows.task_numbers[1]).tolist() == [4] * 4 and rows.inputs.names == ("x",)
    assert read_rows(path, task=["branch"], label="sold").task_numbers[0] == ("a", "b")
    series = read_rows(path, task=("branch", "year"), label="sold", id="x", time="year", values=["x"])
    assert series.task_numbers[0] == rows.task_numbers[0] and len(series) == 16
    with pytest.raises(UserError, match="'branch' is named twice"):
        read_rows(path, task=("branch", "branch"), label="sold")
    with pytest.raises(UnknownName, match="Did you mean 'year'"):
        read_rows(path, task=("branch", "yaer"), label="sold")


def test_two_tasks_never_have_one_name(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("a,b,x,y\nu / v,w,1,0\nu / v,w,2,1\nu,v / w,3,0\nu,v / w,5,1\n")
    with pytest.raises(BadExamples, match="Two tasks would be called 'u / v / w'"):
        read_rows(path, task=("a", "b"), label="y")


def test_one_task_is_learned_at_a_time_whatever_names_it(tmp_path: Path) -> None:
    path = stores(tmp_path / "stores.csv")
    columns = {"label": "sold", "task": ["branch", "year"]}
    with pytest.raises(UserError, match=r"rows of 4 tasks \('branch / year': a / 2024, a / 2025, b / 2024, b / 2025\)"):
        read_asked(path, "features", "classification", columns, support=True, features=(["x"], []))
    one = tmp_path / "one.csv"
    one.write_text("\n".join(path.read_text().splitlines()[:5]))
    asked = read_asked(one, "features", "classification", columns, support=True, features=(["x"], []))
    assert len(asked) == 4 and asked.inputs.names == ("x",)


def test_the_command_line_takes_several_columns_for_a_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = stores(tmp_path / "stores.csv")
    assert call(["study", str(path), "--task", "branch", "--task", "year", "--label", "sold", "--check"]) == 0
    said = capsys.readouterr().out
    assert "tasks     4, of 4 to 4 rows (median 4): a / 2024, a / 2025" in said and "features  1 numeric" in said
    assert "1 test task is too few for a claim" in said
    assert call(["study", str(path), "--task", "branch", "--label", "sold", "--check"]) == 2
    assert "2 tasks cannot fill 3 sides" in capsys.readouterr().err
