"""What the pages are made of, without a browser."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from quickstudy.evaluation.result import Result

pytest.importorskip("fastapi", reason="needs the extra 'serve'")
pytest.importorskip("jinja2", reason="needs the extra 'serve'")

from quickstudy.web.learner import facts
from quickstudy.web.runs import RunFolder, boards

WEB = Path(__file__).parents[2] / "src" / "quickstudy" / "web"


def result(values: list[float], manifest: str = "m") -> Result:
    protocol = {"source": "glyphs", "split": "test", "ways": 5, "shots": 1, "transductive": False}
    mean = sum(values) / len(values)
    return Result(
        len(values), "accuracy", mean, 1.0, mean, tuple(values), ("e",) * len(values), 0.0, 0, None, None, protocol,
        manifest, "Prototypical", "f", 1.0, {1: (80.0, 1.0), 5: (95.0, 0.5)},
    )  # fmt: skip


def write(folder: Path, name: str, points: int = 0, judged: Result | None = None) -> None:
    (folder / name / "bundle").mkdir(parents=True)
    if points:
        lines = [{"step": s, "loss": 1 / s, "metric": 0.5, "seconds": s, "val": None} for s in range(1, points + 1)]
        (folder / name / "curve.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if judged is not None:
        (folder / name / "bundle" / "result.json").write_text(json.dumps(judged.to_json()))


def test_only_runs_on_the_same_tasks_are_compared(tmp_path):
    write(tmp_path, "a", 3, result([80.0, 90.0, 85.0]))
    write(tmp_path, "b", 3, result([70.0, 79.0, 76.0]))
    write(tmp_path, "c", 3, result([99.0, 99.0, 99.0], manifest="others"))
    found = {board["title"] + str(len(board["rows"])): board for board in boards(RunFolder(tmp_path).runs())}
    both = next(board for board in found.values() if len(board["rows"]) == 2)
    assert [row["name"] for row in both["rows"]] == ["a", "b"]
    assert both["rows"][0]["against"] == "" and "a is better than b by 10.0 points" in both["rows"][1]["against"]
    assert both["rows"][0]["bar"] == [84.0, 85.0, 86.0]
    assert len(found) == 2


def test_a_run_is_training_until_it_is_quiet_or_judged(tmp_path):
    write(tmp_path, "now", 2)
    write(tmp_path, "old", 2)
    write(tmp_path, "done", 2, result([50.0, 60.0]))
    os.utime(tmp_path / "old" / "curve.jsonl", (1e9, 1e9))
    (tmp_path / "no-run").mkdir()
    folder = RunFolder(tmp_path)
    assert {run.name: run.state for run in folder.runs()} == {"now": "training", "old": "stopped", "done": "judged"}
    os.utime(tmp_path / "done" / "bundle" / "result.json", (1e9, 1e9))
    assert {run.name: run.state for run in folder.runs()}["done"] == "training"  # again, since it was judged


def test_damaged_files_are_passed_over(tmp_path):
    write(tmp_path, "a", 2)
    with (tmp_path / "a" / "curve.jsonl").open("a") as curve:
        curve.write('null\n[1]\n{"step": "x", "loss": 1, "metric": 1, "seconds": 1}\n{"step": 9, "lo')
    (tmp_path / "a" / "bundle" / "result.json").write_text("[" * 100_000)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "curve.jsonl").write_bytes(b"\xff\xfe\x00")
    (run,) = RunFolder(tmp_path).runs()
    assert [point.step for point in run.points] == [1, 2] and run.result is None


def test_a_file_that_changed_is_read_again(tmp_path):
    write(tmp_path, "a", 2)
    folder = RunFolder(tmp_path)
    assert len(folder.runs()[0].points) == 2
    with (tmp_path / "a" / "curve.jsonl").open("a") as curve:
        curve.write(json.dumps({"step": 3, "loss": 1.0, "metric": 1.0, "seconds": 3}) + "\n")
    assert folder.runs()[0].points[-1].step == 3


def test_curves_of_those_that_are_chosen_are_drawn(tmp_path):
    for name in ("a", "<b>", "c"):
        write(tmp_path, name, 5)
    view = RunFolder(tmp_path).view(["<b>", "../secret"])
    assert list(view["shown"]) == ["<b>"]
    assert "&lt;b&gt;" in view["charts"][0][1] and "<b>" not in view["charts"][0][1]


def card(**values):
    empty = {"kind": "classification", "result": None, "curve": {}, "trained_on": {}}
    return empty | values


def test_a_card_says_how_it_was_judged_and_draws_its_curve():
    judged = {k: v for k, v in result([80.0, 90.0]).to_json().items() if k not in ("values", "episodes")}
    found = facts(card(result=judged, curve={"1": 80.0, "5": 95.0}, trained_on={"name": "glyphs"}))
    assert found["judged"] == str(result([80.0, 90.0]))
    assert "95 at 5" in found["curve"] and "whisker" in found["curve"]
    assert found["trained_on"] == [("name", "glyphs")]


def test_a_card_of_which_little_is_known():
    assert facts(card()) == {"judged": None, "curve": "", "trained_on": []}
    assert facts(card(result={"score": 3, "nested": {}}))["judged"] == "score 3"


def test_nothing_is_inline_or_from_elsewhere():
    for file in WEB.rglob("*"):
        if file.suffix not in (".html", ".js", ".css"):
            continue
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://|//cdn|(inner|outer)HTML|AdjacentHTML|document\.write|\beval\(", text), file
        if file.suffix == ".html":
            assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)|\|\s*safe", text), file


@pytest.fixture
def fetch(served):
    def start(path: str, **headers: str):
        request = urllib.request.Request(served("glyphs") + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    return start


def test_the_policy_allows_nothing_inline(fetch):
    for path in ("/", "/tasks/x", "/learner", "/runs", "/assets/task.js"):
        status, headers, _ = fetch(path)
        policy = headers["Content-Security-Policy"]
        assert (
            status == 200
            and "script-src 'self';" in policy
            and "unsafe" not in policy
            and "default-src 'none'" in policy
        )


@pytest.mark.parametrize("name", ["..%2fpages.py", "pages.py", "%2e%2e/pages.py", "frame.html", "__init__.py", ""])
def test_assets_are_those_that_there_are(fetch, name):
    assert fetch(f"/assets/{name}")[0] == 404


def test_an_asset_that_has_not_changed_is_not_sent_again(fetch):
    _, headers, _ = fetch("/assets/frame.css")
    status, _, body = fetch("/assets/frame.css", **{"If-None-Match": headers["ETag"]})
    assert (status, body) == (304, "")
