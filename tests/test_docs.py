"""What the documents say is true: code runs, links lead somewhere, figures are those of the benchmarks."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from quickstudy.rng import Rng, forked

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?(?P<to>[^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")


def blocks(page: Path) -> list[tuple[int, str]]:
    """Line number and code of every block that is marked ```python and nothing else."""
    text = page.read_text(encoding="utf-8")
    found = [(text.count("\n", 0, m.start("code")), m) for m in FENCE.finditer(text)]
    return [(line, m["code"]) for line, m in found if m["info"].strip() == "python"]


def links(text: str) -> list[str]:
    """Where the links of a page lead within this repository; code is no link."""
    plain = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    return [to for to in LINK.findall(plain) if not re.match(r"[a-z]+:|#", to)]


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """docs/make.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "__main__"}
    with forked(Rng(0)):  # pages may seed torch, as their readers do; other tests are not to notice
        for line, code in blocks(page):
            # Empty lines in front, so that a traceback has the line numbers of the page.
            exec(compile("\n" * line + code, str(page), "exec"), space)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(example), "--steps", "2", "--tests", "4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "±" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = [to for to in links(page.read_text(encoding="utf-8")) if not (page.parent / to.partition("#")[0]).exists()]
    assert lost == []


def test_links_are_found() -> None:
    text = '[a](b.md#c) ![d](<e.png> "f") [g](https://h.org) [i](#j)\n```text\n[k](l)\n```\n`[m](n)`'
    assert links(text) == ["b.md#c", "e.png"]


RECORDS = [
    {
        "work": "omniglot/20-way-1-shot", "learner": "maml", "metric": "accuracy", "value": 96.04, "ci95": 0.3,
        "transductive": True, "statistics": "batch", "tasks": 1000, "queries": 75.0, "interval": "95% t over tasks",
        "cpu_seconds": 9000, "peak_mb": 1200, "published": "95.8 | table 1", "recipe": "omniglot-maml",
        "curve": [{"step": 100, "loss": 1.25, "metric": 0.5, "cpu": 4.0, "val": None}],
    },
    {"work": "omniglot/5-way-1-shot", "learner": "prototypical", "metric": "accuracy", "value": 98.7, "ci95": 0.1},
    {
        "work": "sine/10-shot/1-step", "learner": "maml", "metric": "mse", "value": 0.4321, "ci95": 0.04, "median": 0.3,
        "diverged": 0.5, "transductive": False, "statistics": "none", "seeds": 2, "by_seed": [0.42, 0.44],
        "curve": [{"step": 2500, "seconds": 31.0, "validation_by_steps": {"10": [0.2, 0.03], "1": [0.7, 0.06]}}],
    },
]  # fmt: skip


def test_records_become_tables(make: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "omniglot.json").write_text(json.dumps(RECORDS))
    text = make.page(make.read(tmp_path))
    assert text.index("### omniglot/5-way-1-shot") < text.index("### omniglot/20-way-1-shot") < text.index("## sine")
    assert "| **96.0%** ± 0.3 | 1,000 | 75 | transductive, statistics of batch |" in text
    assert "95.8 \\| table 1 | 2.5 h | 1,200 MB |" in text
    assert "`python benchmarks/omniglot.py --only omniglot-maml`; [recipe](../recipes/omniglot-maml.toml)" in text
    assert "| mse **0.43** ± 0.04 (median 0.30, 0.5% diverged) | - | - | inductive | 2 (0.42, 0.44) |" in text
    assert "| step | time | validation, 1 step | validation, 10 steps |" in text
    assert "| 100 | 4 s | 1.25 | 50.0% |" in text


def test_without_records_the_page_says_so(make: ModuleType, tmp_path: Path) -> None:
    assert "No benchmark has left a record yet" in make.page(make.read(tmp_path))


def test_a_record_that_cannot_be_shown_is_named(make: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('[{"work": "omniglot/5-way-1-shot"}]')
    with pytest.raises(ValueError, match=r"odd\.json has no learner, metric, value, ci95"):
        make.read(tmp_path)


def test_a_page_out_of_date_is_found(
    make: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(make, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["make.py", "--check"])
    assert make.main() == 1 and "python docs/make.py" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["make.py"])
    assert make.main() == 0
    monkeypatch.setattr(sys, "argv", ["make.py", "--check"])
    assert make.main() == 0


def test_results_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "make.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
