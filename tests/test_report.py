"""The report of a study: every kind of data and of answer, safe from what users' names hold, and small."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from quickstudy.evaluation.compare import compare
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.result import Result
from quickstudy.learner import Learner
from quickstudy.learners.baseline.majority import Majority
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.bayesian.deep_kernel import DeepKernel
from quickstudy.report.charts.bars import bars, said
from quickstudy.report.charts.curves import curves
from quickstudy.report.charts.scatter import Dot, against, chart_of_names
from quickstudy.report.diagnoses import diagnoses
from quickstudy.report.judged import labels_needed
from quickstudy.report.shown.examples import pictured, task_figures
from quickstudy.report.shown.inputs import inputs_of
from quickstudy.report.shown.next_task import table_of
from quickstudy.report.write import write_report
from quickstudy.study.diagnosis import similar_tasks, variety, wrong_labels
from quickstudy.study.explaining import Explainer
from quickstudy.study.own import Own, own_tasks
from quickstudy.task import take
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.groups import Groups
from quickstudy.tasks.own.arrays import rows_from_arrays
from quickstudy.tasks.own.images import read_images
from quickstudy.tasks.own.rows import Columns, Rows
from quickstudy.tasks.pool import Pool

EVIL = "<script>alert('&')</script>"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTUDY_CACHE", str(tmp_path / "cache"))


@dataclasses.dataclass
class Row:
    """A line of the leaderboard, as far as the report looks at it."""

    learner: Learner


@dataclasses.dataclass
class Findings:
    """What a study hands over, without having run one."""

    chosen: Row
    plain: dict[str, Any]

    def as_table(self) -> dict[str, Any]:
        return self.plain


def found(source: Any, learner: Learner, *, shots: tuple[int, ...] = (1, 2)) -> Findings:
    """Findings of a learner against the majority."""
    learners = {"net": learner, "majority": Majority()}
    results = {name: evaluate(one, source.test, tasks=6, shots=shots) for name, one in learners.items()}
    gap = compare(results["net"], results["majority"], names=("net", "majority"))
    board = [
        {"name": name, "role": role, "validation": result.to_json(), "training_seconds": 1.0, "steps": steps}
        for (name, result), role, steps in zip(results.items(), ("candidate", "baseline"), (10, 0), strict=True)
    ]
    plain = {
        "sentence": f"It is {EVIL} good.",
        "chosen": "net",
        "baseline": "majority",
        "comparison": dataclasses.asdict(gap),
        "audit": {"sentence": "No leak.", "findings": [{"name": EVIL, "passed": False, "sentence": EVIL}]},
        "test": {name: result.to_json() for name, result in results.items()},
        "leaderboard": board,
        "seconds": {"data": 1.0},
        "dropped": {"maml": f"a rate is {EVIL} too high"},
    }
    return Findings(Row(learner), plain)


def labelled(modality: str, inputs: Any, *, kind: str = "classification", tasks: int = 9, each: int = 12) -> Rows:
    """Rows of tasks with two classes of strange names, or with a measured label."""
    n = tasks * each
    labels = np.array(["good", EVIL])[np.arange(n) % 2] if kind == "classification" else np.linspace(-1, 1, n)
    names = np.array([f"task {EVIL} {i // each}" for i in range(n)])
    return Rows(f"data {EVIL}", modality, inputs, labels, kind, names, notes=(f"noted {EVIL}",))


def texts(count: int) -> list[str]:
    words = ["screen", "broke", "fast", "fine", "price", EVIL]
    return [" ".join(words[i] for i in RNG.integers(0, 6, 30)) for _ in range(count)]


def table(count: int) -> Columns:
    numbers = RNG.normal(size=(count, 2)).astype(np.float32)
    numbers[::7, 1] = np.nan
    codes = RNG.integers(-1, 2, (count, 1)).astype(np.int32)
    return Columns(numbers, ("age", f"a{EVIL}"), codes, ("colour",), (("red", EVIL),))


def written(folder: Path, own: Own, learner: Learner) -> str:
    """The page of a user's data, checked for what holds of every page."""
    files = write_report(folder, found(own.source, learner), own.source, own, explain=Explainer(learner, own))
    page = Path(files["report"]).read_text(encoding="utf-8")
    check(page)
    assert "What its answers rest on" in page and "without it" in page
    assert json.loads((folder / "results.json").read_text())["chosen"] == "net"
    assert "tasks" in page and escape(f"noted {EVIL}") in page, "what was understood is there"
    assert f"{folder}/bundle" in files["commands"] and "evaluate" not in files["commands"]
    return page


class Balanced(HTMLParser):
    """Every tag that is opened is closed, in order; pictures say what they show."""

    VOID = ("meta", "img", "br", "path", "circle", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            assert dict(attrs)["alt"]
        if tag == "svg":
            assert dict(attrs)["aria-label"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def check(page: str) -> None:
    """Self-contained, escaped, well-formed, and no number that is none."""
    assert "<script" not in page and "http" not in page and "url(" not in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower()
    parser = Balanced()
    parser.feed(page)
    assert not parser.open


def figures(source: Any, rows: Rows | None = None) -> list[str]:
    shown = pictured(NearestNeighbour(), source, rows)
    inputs = inputs_of(rows, tuple(shown[0].task.support.x.shape[1:]))
    assert inputs is not None
    return task_figures(shown, inputs)


def of_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_texts(tmp_path: Path) -> None:
    rows = labelled("text", texts(108))
    own = own_tasks(rows, encoder="hashed-n-grams", width=64, shots=2, columns={"label": "stars", "text": "review"})
    page = written(tmp_path, own, NearestNeighbour())
    assert "<q>" in page and "…</q>" in page
    head, *lines = of_csv(tmp_path / "next-task" / "support.csv")
    assert head == ["review", "stars"] and len(lines) == 4 and {label for _, label in lines} == {"good", EVIL}
    assert {text for text, _ in lines} <= set(own.rows.inputs), "whole texts, not what the page has room for"
    known = {text for text, _ in of_csv(tmp_path / "next-task" / "queries.csv")[1:]}
    assert not known & {text for text, _ in lines}


def test_molecules_are_in_monospace(tmp_path: Path) -> None:
    rows = labelled("text", ["C" * (1 + i % 40) + "O" for i in range(108)])
    own = own_tasks(rows, encoder="hashed-n-grams", width=64, shots=2)
    own = dataclasses.replace(own, rows=dataclasses.replace(own.rows, modality="molecule"))
    page = written(tmp_path, own, NearestNeighbour())
    assert "<code>CC" in page
    assert of_csv(tmp_path / "next-task" / "support.csv")[0] == ["smiles", "label"]
    assert "support.csv --label label --smiles smiles --out" in page


def test_tables_come_back_as_they_were_read(tmp_path: Path) -> None:
    own = own_tasks(labelled("features", table(108)), shots=2, columns={"label": "buys"})
    page = written(tmp_path, own, NearestNeighbour())
    assert f"<th>{escape(f'a{EVIL}')[:20]}" in page and "✓" in page
    head, *lines = of_csv(tmp_path / "next-task" / "queries.csv")
    assert head == ["age", f"a{EVIL}", "colour", "buys"]
    columns = own.rows.inputs
    exact = {(str(a), "" if np.isnan(b) else str(b)) for a, b in columns.numeric}
    assert lines and {(a, b) for a, b, _, _ in lines} <= exact
    every = list(table_of(own.rows, range(len(own.rows)), {}))[1:]
    assert {(a, b) for a, b, _, _ in every} == exact and "" in {b for _, b, _, _ in every}
    assert {colour for _, _, colour, _ in every} == {"red", EVIL, ""}


def test_series_are_small_curves(tmp_path: Path) -> None:
    series = [RNG.normal(size=(5 + i % 4, 2)).astype(np.float32) for i in range(108)]
    series[3][2, 1] = np.nan
    named = {"label": "kind", "id_": "beat", "when": "ms", "values": "lead, flow"}
    own = own_tasks(labelled("series", series), shots=2, columns=named)
    page = written(tmp_path, own, NearestNeighbour())
    assert page.count('class="spark"') > 10
    head, *lines = of_csv(tmp_path / "next-task" / "support.csv")
    assert head == ["beat", "ms", "lead", "flow", "kind"]
    assert [line[1] for line in lines if line[0] == "1"] == [str(i) for i in range(sum(x[0] == "1" for x in lines))]
    assert len({line[0] for line in lines}) == 4


@pytest.mark.parametrize("gaussian", [True, False])
def test_regressions_are_errors_on_a_scale_of_their_own(tmp_path: Path, gaussian: bool) -> None:
    own = own_tasks(labelled("features", table(108), kind="regression"), shots=4)
    learner: Learner = DeepKernel(torch.nn.Identity()) if gaussian else NearestNeighbour()
    page = written(tmp_path, own, learner)
    assert "predicted against true value" in page and "mean squared error" in page and "chance" not in page
    assert "which gives the same answer whatever is asked" in page, "the line of the majority"
    assert ("90% intervals" in page and "held the true value" in page) if gaussian else "does not say how sure" in page
    assert of_csv(tmp_path / "next-task" / "support.csv")[0][-1] == "label"


def test_images_of_a_folder(tmp_path: Path) -> None:
    for c in range(12):
        for i in range(6):
            path = tmp_path / "in" / (f"hm & <b> {c}" if c % 2 else f"c{c}") / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RNG.integers(0, 255, (200, 120, 3)).astype(np.uint8)).save(path)
    own = own_tasks(read_images(tmp_path / "in"), encoder="pixels", size=8, ways=2, shots=1, queries=3)
    stale = tmp_path / "out" / "next-task" / "support" / "of an earlier study"
    stale.mkdir(parents=True)
    explain = Explainer(NearestNeighbour(), own)
    files = write_report(tmp_path / "out", found(own.source, NearestNeighbour()), own.source, own, explain=explain)
    page = Path(files["report"]).read_text(encoding="utf-8")
    check(page)
    assert page.count("data:image/jpeg") > 10 and len(page) < 500_000, "thumbnails, not files"
    assert page.count('class="heat"') in (2, 3, 4)
    kinds = sorted((tmp_path / "out" / "next-task" / "support").iterdir())
    assert len(kinds) == 2 and stale not in kinds
    copied = next(kinds[0].iterdir())
    assert copied.read_bytes() in {p.read_bytes() for p in (tmp_path / "in").rglob("*.jpg")}


def test_a_broken_image_is_named_and_not_shown(tmp_path: Path) -> None:
    images = RNG.integers(0, 255, (90, 3, 8, 8)).astype(np.uint8)
    own = own_tasks(rows_from_arrays(images, np.arange(90) % 15), encoder="pixels", size=8, ways=2, shots=1, queries=3)
    assert "data:image/png" in "".join(figures(own.source, own.rows))
    broken = tmp_path / "broken & odd.png"
    broken.write_bytes(b"no image")
    rows = dataclasses.replace(own.rows, inputs=[broken] * 90)
    assert "<small>broken &amp; odd.png</small>" in "".join(figures(own.source, rows))


def test_named_sources_without_a_users_data(tmp_path: Path) -> None:
    x, group = torch.linspace(0, 1, 60).unsqueeze(1), torch.arange(60) // 10
    sides = ("train", "train", "validation", "test", "test", "")
    source = Groups("sensors", x, x.sin(), group, sides, shots=3, queries=4)
    files = write_report(tmp_path, found(source, NearestNeighbour()), source)
    page = Path(files["report"]).read_text(encoding="utf-8")
    check(page)
    assert "<th>train</th><td>2 tasks</td>" in page and "<th>x0</th>" in page
    assert files["commands"] == f"quickstudy evaluate {tmp_path}/bundle --tasks 1000"
    assert not (tmp_path / "next-task").exists()


def test_episodes_of_several_sizes_are_shown_without_their_padding() -> None:
    names = [f"c{i}" for i in range(12) for _ in range(10)]
    split = {f"c{i}": ("train", "validation", "test")[i % 3] for i in range(12)}
    pool = Pool.of(torch.rand(120, 1, 4, 4), names, split=split)
    source = Episodes(pool, ways=(2, 4), shots=(1, 3), queries=2)
    shown = figures(source)
    assert len(shown) == 3 and all(" of " in figure for figure in shown)


def test_a_page_of_ten_thousand_rows_stays_small(tmp_path: Path) -> None:
    own = own_tasks(labelled("features", table(10_000), tasks=50, each=200), shots=20)
    page = written(tmp_path, own, NearestNeighbour())
    assert len(page.encode()) < 200_000


def test_what_more_labels_bring_in_one_sentence() -> None:
    def said(points: dict[str, list[float]], metric: str = "mse", shots: Any = 5) -> str:
        result = {"metric": metric, "by_shots": points, "protocol": {"shots": shots}}
        return labels_needed(
            {"chosen": "net", "baseline": "net", "test": {"net": result}, "comparison": {"better": None}}
        )

    assert said({"5": [0.4, 0.01], "20": [0.3, 0.01]}) == (
        "With 5 examples of a task 'net' has an error of 0.40 ± 0.01; 20 would make it 25% less (0.30 ± 0.01)."
    )
    assert "no clear difference" in said({"5": [0.4, 0.3], "20": [0.3, 0.3]})
    assert "; one would bring 30.0 points less" in said({"1": [50, 1], "5": [80, 1]}, "accuracy")
    assert said({"2": [50, 1]}, "accuracy", [1, 2]).endswith("is right in 50.0% ± 1.0 of cases.")
    assert "too few" in said({})


def test_diagnoses_are_drawn() -> None:
    names = [f"c{i} {EVIL}" for i in range(20) for _ in range(10)]
    split = {name: ("train", "train", "validation", "test")[int(name[1:3]) % 4] for name in names}
    source = Episodes(Pool.of(torch.randn(200, 3), names, split=split), ways=2, shots=2, queries=3)
    learner = NearestNeighbour()
    new = take(source.test.sample(0, 1), 0).support
    asked = [
        wrong_labels(learner, source, tasks=5),
        variety(lambda part: learner, source, tasks=5),
        similar_tasks(learner, source, new),
    ]
    page = diagnoses([dataclasses.asdict(one) for one in asked])
    check(page)
    assert page.count("<svg") == 3 and page.count("<h3>") == 3 and "dashed" in page
    result: Result = evaluate(learner, source.validation, tasks=5)
    both = {"metric": "accuracy", "train": result.to_json(), "validation": result.to_json()}
    assert "new tasks" in diagnoses([{"name": "overfitting", "sentence": "s", "figures": both}])


def test_charts_of_nothing_and_of_extremes() -> None:
    assert said(50.0, 635.3) == "50.0% ± 100.0" and said(50.0, 635.3, "mse") == "50.0 ± 635.3"
    assert curves([], xlabel="x", ylabel="y", low=0, high=1) == against([], xlabel="x", ylabel="y") == ""
    assert chart_of_names([], what="map", kinds=[]) == ""
    one = Dot(1.0, 1.0, "chosen", "alone")
    for chart in (against([one], xlabel="x", ylabel="y"), chart_of_names([one], what="map", kinds=[])):
        check(chart)
    drawn = bars([("a", 0.1, 0.01, "chosen"), ("b", 0.2, None, "baseline"), ("c", 9e9, 1e9, "baseline")], metric="mse")
    assert "cut" in drawn and "9000000000.0" in drawn, "what is far off does not flatten the others"
    assert "width:25.0%" in drawn and "unknown" in bars([("d", None, None, "baseline")])
