"""CSV files as programs write them, and what is said of those that nobody can read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from quickstudy.errors import BadFile
from quickstudy.tasks.cells.dialects import dialect_of, read_csv

LETTERS = "abzÄöß€é漢 .,;|'\"\n"


def cells(path: Path) -> list[list[str]]:
    """What is read, the header first."""
    dialect = dialect_of(path)
    table = read_csv(path, dialect, list(dialect.names))
    return [list(dialect.names), *([*row.values()] for row in table.to_pylist())]


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.integers(2, 4).flatmap(
        lambda wide: st.lists(
            st.lists(st.text(LETTERS, max_size=6), min_size=wide, max_size=wide), min_size=1, max_size=8
        )
    ),
    separator=st.sampled_from(",;\t|"),
    ending=st.sampled_from(("\n", "\r\n", "\r")),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
    quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
)
def test_what_was_written_is_read(
    tmp_path: Path, records: list[list[str]], separator: str, ending: str, encoding: str, quoting: int
) -> None:
    if ending == "\r":  # Python's writer leaves a line feed without quotation marks where it ends no line
        records = [[cell.replace("\n", "\r") for cell in record] for record in records]
    wide = len(records[0])
    header = [f"name {i}" for i in range(wide)]
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator=ending, quoting=quoting)
    writer.writerows([header, *records])
    read = cells(written(tmp_path / "a.csv", file.getvalue(), encoding))
    full = [r for r in records if any(cell.strip(f'{separator}" \t\r\n') for cell in r)]
    assert read[0] == header
    assert [r for r in read[1:] if any(cell.strip(f'{separator}" \t\r\n') for cell in r)] == full


@pytest.mark.parametrize(
    ("encoding", "said"), [("cp1252", "Windows-1252"), ("latin-1", "Latin-1"), ("utf-16", "UTF-16")]
)
def test_the_encoding_is_found_and_said(tmp_path: Path, encoding: str, said: str) -> None:
    text = "city,size\nParis,1\nKöln,2\n" + ("\x81" if encoding == "latin-1" else "") + "Nîmes,3\n"
    path = written(tmp_path / "a.csv", text, encoding)
    assert cells(path)[2] == ["Köln", "2"]
    note = dialect_of(path).notes[0]
    assert said in note
    if encoding != "utf-16":
        assert "line 3 is not UTF-8" in note and "'Köln,2'" in note


def test_a_line_far_into_a_large_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quickstudy.tasks.cells.encodings.BLOCK", 64)
    path = written(tmp_path / "a.csv", "a,b\n" + "naïve,1\n" * 100)  # a letter is cut in two by a block's end
    assert dialect_of(path).encoding == "utf-8"
    with path.open("ab") as file:
        file.write("Köln,2\n".encode("latin-1"))
    assert "line 102 is not UTF-8" in dialect_of(path).notes[0]


@pytest.mark.parametrize(
    ("text", "separator", "decimal"),
    [
        ("a;b\n1,5;2,25\n", ";", ","),
        ("a;b\n1.5;2.25\n", ";", "."),
        ("a;b\n1.234;2,5\n", ";", ","),
        ("a\tb\n1,5\t2\n", "\t", ","),
        ('a,b\n"1,5",2\n', ",", "."),
        ("a|b\n1|2\n", "|", "."),
        ("sep=;\na;b\n1,5;2\n", ";", ","),
        ('a;b\n"x, y, z, w";2\n"x, y";1\n', ";", "."),
        ("a,b\nx; y; z,2\n", ",", "."),
    ],
)
def test_separator_and_decimal_mark(tmp_path: Path, text: str, separator: str, decimal: str) -> None:
    path = written(tmp_path / "a.csv", text)
    dialect = dialect_of(path)
    assert (dialect.separator, dialect.decimal, dialect.names) == (separator, decimal, ("a", "b"))
    assert len(cells(path)) == text.count("\n") - text.startswith("sep")


def test_empty_lines_and_lines_of_separators_are_no_records(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "\n\n;;\na;b;c\n\n1;2;3\n   \n;\n4;5;6\n;;\n\n")
    assert [r for r in cells(path) if any(r)] == [["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]]


def test_columns_get_names_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", " a ,a,,a (2)\n1,2,3,4\n")
    assert dialect_of(path).names == ("a", "a (2)", "column 3", "a (2) (2)")
    assert "'a (2)', 'column 3'" in dialect_of(path).notes[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n1,2,3\n1,2\n1\n", r"line 3 has 3 fields where the header has 2 .*'1,2,3'\. 1 more like it"),
        ('a,b\n"x\ny\nz",2\n\n1,2,3\n', r"line 6 has 3 fields"),
        ('a,b\n1,2\n"never closed,2\n1,2\n3,4\n', r"line 3 has 1 field .* goes on to line 5, so a quotation mark"),
        ("a,b\n", r"names its columns \(a, b\), and holds no row"),
        ("a,b", r"holds no row"),
        ("a,b\n\n  \n\n", r"holds no row"),
        ("sep=;\r\na;b\r\n", r"names its columns \(a, b\), and holds no row"),
        ("a,b,c,d,e,f\n", r"\(a, b, c, d, e, ...\), and"),
        ("sep=;\n", r"holds no line with content"),
        ("a;b\n1;2\n3;4;5\n", r"line 3 has 3 fields .*separated by semicolons"),
        ("sep=:\na:b\n1:2\n3:4:5\n", r"line 4 has 3 fields .*separated by ':'"),
        ('a,b\n"x\ny\n', r"line 2 has 1 field .*goes on to line 3"),
    ],
)
def test_the_line_at_fault_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(BadFile, match=said):
        cells(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"PK\x03\x04rest", "workbook"),
        (b"\x1f\x8brest", "unpack"),
        (b"%PDF-1.7", "PDF"),
        (b"a,b\n\x00\x00\x00\x00\x01abcdefghijklmno", "byte 5 is zero"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=said):
        cells(path)


def test_a_field_that_never_ends(tmp_path: Path) -> None:
    long = '"' + "x" * 200_000
    for text, line in ((f"a,b\n1,2\n{long}\n", 3), (f"a,b\n{long}\n", 2)):
        with pytest.raises(BadFile, match=f"line {line} begins a text of more than 131,072 characters, so a quotation"):
            cells(written(tmp_path / "a.csv", text))
    assert len(cells(written(tmp_path / "a.csv", f'a,b\n{long}",2\n'))[1][0]) == 200_000
