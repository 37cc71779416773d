"""`select`, `tune` and `automl` as a user meets them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from quickstudy.cli import main
from quickstudy.cli.main import call

PAST = {"tree": (0.9, 0.8, 0.85), "line": (0.6, 0.9, 0.5), "near": (0.5, 0.4, 0.45)}


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    path = tmp_path / "matrix.csv"
    rows = [f"set {i}," + ",".join(str(scores[i]) for scores in PAST.values()) for i in range(3)]
    path.write_text("\n".join(["," + ",".join(PAST), *rows]) + "\n")
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A row for each trial: best at lr = 0.1, whatever the data set."""
    path = tmp_path / "runs.csv"
    lines = ["dataset,score,lr,depth"]
    for d in range(5):
        for lr in (0.001, 0.01, 0.1, 1.0):
            for depth in (1, 3):
                lines.append(f"set {d},{-((np.log10(lr) + 1) ** 2) - 0.1 * depth + 0.01 * d:.5f},{lr},{depth}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "houses.csv"
    lines = ["rooms,place,owner,price,expensive"]
    for i in range(80):
        rooms, place = int(rng.integers(1, 7)), ("town", "land")[i % 2]
        price = 50 * rooms + 100 * (place == "town") + rng.normal() * 10
        lines.append(f"{'' if i % 11 == 0 else rooms},{place},o{i},{price:.1f},{'yes' if price > 250 else 'no'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def output(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_commands_are_in_the_list() -> None:
    assert {"select", "tune", "automl"} <= set(main.COMMANDS)


def test_select_recommends_from_a_matrix(matrix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["select", str(matrix), "-k", "2", "--json"]) == 0
    found = output(capsys)
    assert found["recommended"][0]["candidate"] == {"candidate": "tree"} and len(found["recommended"]) == 2
    assert call(["select", str(matrix)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("tree") < shown.index("near") and "3 past data sets, 3 candidates, 0 tried here" in shown


def test_select_for_a_data_set_of_the_table(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.write_text(runs.read_text() + "new,-1.1,1.0,1\n")
    assert call(["select", str(runs), "--for", "new", "-k", "1", "--json"]) == 0
    found = output(capsys)
    assert found["past"] == "5 past data sets, 8 candidates, 1 tried here"
    assert found["recommended"][0]["candidate"] == {"lr": 0.1, "depth": 1}


def test_select_of_errors_says_errors(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where less is better the worst of the other table comes first, and figures keep their sign."""
    assert call(["select", str(runs), "--minimise", "-k", "1", "--json"]) == 0
    (first,) = output(capsys)["recommended"]
    assert first["candidate"]["lr"] in (0.001,) and first["low"] < first["expected"] < first["high"] < 0


def test_select_errors(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["select", str(runs), "--for", "nobody"]) == 2
    assert "no data set 'nobody'" in capsys.readouterr().err
    assert call(["select", str(runs.with_name("gone.csv"))]) == 2
    assert "does not exist" in capsys.readouterr().err


def tune(tmp_path: Path, runs: Path, code: str, *options: str) -> list[str]:
    storage = f"sqlite:///{tmp_path / 'tune.db'}"
    command = [sys.executable, "-c", code, "{lr}", "{depth}"]
    return ["tune", "--past", str(runs), "--storage", storage, "--json", *options, "--", *command]


SCORE = "import sys, math; lr, depth = map(float, sys.argv[1:]); print('score', -(math.log10(lr) + 1) ** 2 - depth)"


def test_tune_tries_first_what_was_good_and_goes_on(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tune(tmp_path, runs, SCORE, "--trials", "1")) == 0
    assert output(capsys)["best"] == {"score": -1.0, "settings": {"lr": 0.1, "depth": 1}}
    assert call(tune(tmp_path, runs, SCORE, "--trials", "2")) == 0
    assert output(capsys)["trials"] == 2
    # Another study of the storage learns from this one, without a table.
    storage = f"sqlite:///{tmp_path / 'tune.db'}"
    again = ["tune", "--study", "other", "--storage", storage, "--trials", "1", "--json"]
    assert call([*again, "--", sys.executable, "-c", SCORE, "{lr}", "{depth}"]) == 0
    assert output(capsys)["best"]["settings"]["lr"] == 0.1


def test_tune_records_trials_that_fail_or_hang(tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys, time\nlr, depth = map(float, sys.argv[1:])\n"
        "if lr == 0.1 and depth == 1: sys.exit('out of memory')\n"
        "if lr == 0.1: time.sleep(60)\nprint(1.5)"
    )
    assert call(tune(tmp_path, runs, code, "--trials", "4", "--each", "3")) == 0
    found = output(capsys)
    assert found["failed"] == ["exit code 1: out of memory", "not ready after 3 s"] and found["best"]["score"] == 1.5


def test_tune_from_a_space_file_with_conditions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.toml"
    space.write_text(
        'kind = { choices = ["a", "b"] }\nwidth = { low = 1, high = 9, whole = true, when = { kind = ["a"] } }\n'
    )
    code = "import sys, json; s = json.loads(sys.argv[1]); assert ('width' in s) == (s['kind'] == 'a'); print(1)"
    line = ["tune", "--space", str(space), "--storage", f"sqlite:///{tmp_path / 't.db'}", "--trials", "3", "--json"]
    assert call([*line, "--", sys.executable, "-c", code, "{settings}"]) == 0
    assert output(capsys)["failed"] == []
    assert call([*line, "--", "echo", "{width}"]) == 2
    assert "not in every configuration" in capsys.readouterr().err
    assert call([*line, "--", "echo", "{lr}"]) == 2
    assert "asks for {lr}" in capsys.readouterr().err
    assert call([*line, "--", "echo", "1"]) == 2
    assert "takes no setting" in capsys.readouterr().err


def test_tune_without_anything_to_tune(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = f"sqlite:///{tmp_path / 't.db'}"
    assert call(["tune", "--storage", storage, "--", "echo", "{lr}"]) == 2
    assert "neither a past nor a space" in capsys.readouterr().err
    assert call(["tune", "--storage", "nonsense://x", "--", "echo", "{lr}"]) == 2
    assert "cannot be opened" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("label", "other", "kind"), [("expensive", "price", "classification"), ("price", "expensive", "regression")]
)
def test_automl_leaves_a_folder_that_answers(
    houses: Path, tmp_path: Path, label: str, other: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    line = ["automl", str(houses), "--label", label, "--trials", "3", "--time", "600", "--folds", "3"]
    assert call([*line, "--out", str(out), "--store", str(store), "--json"]) == 0
    found = output(capsys)
    assert found["kind"] == kind and found["score"] > 0.7 and len(found["leaderboard"]) == 3
    assert (out / "predictor.skops").is_file() and (store / "trials.db").is_file()
    assert json.loads((out / "results.json").read_text()) == found
    fresh = tmp_path / "fresh.csv"
    fresh.write_text(f"place,rooms,{other}\ntown,6,{'yes' if kind == 'regression' else 400}\nsea,,\n")
    assert call(["automl", str(fresh), "--use", str(out), "--json"]) == 0
    rows = output(capsys)
    assert len(rows) == 2 and (rows[0][label] == "yes" if kind == "classification" else rows[0][label] > 250)


def test_automl_errors(houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["automl", str(houses)]) == 2
    assert "--label" in capsys.readouterr().err
    assert call(["automl", str(houses), "--label", "prize"]) == 2
    assert "Did you mean 'price'" in capsys.readouterr().err
    assert call(["automl", str(houses), "--use", str(tmp_path)]) == 2
    assert "no folder that `quickstudy automl` left" in capsys.readouterr().err


def test_help_names_every_option_once() -> None:
    for name in ("select", "tune", "automl"):
        command = main.main.get_command(click.Context(main.main), name)
        assert command is not None
        with click.Context(command) as context:
            assert command.get_help(context).count("--json") == 1
