"""The main job on a small scale: every phase, the folder it leaves, and what it says when a baseline wins."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from quickstudy.bundle import load_bundle
from quickstudy.errors import UserError
from quickstudy.report.write import write_report
from quickstudy.study import Entry, Study
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool


@pytest.fixture(autouse=True)
def _steady_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes by looking at it, so that how busy the machine is does not decide what is learned in a budget."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0003 * next(ticks))


MLP = {"name": "mlp", "inputs": 64, "outputs": 8, "hidden": []}
NEAREST = Entry("nearest", "baseline", {"name": "nearest"}, says="the most similar example")
CANDIDATE = Entry("prototypical", "candidate", {"name": "prototypical", "encoder": MLP}, 0.5, says="a trained net")


def pictures(noise: float) -> Pool:
    """Classes told apart by 8 of 64 pixels; the others only disturb those who cannot learn what matters."""
    generator = torch.Generator().manual_seed(0)
    x = noise * torch.rand(240, 8, 64, generator=generator)
    x[:, :, :8] = torch.rand(240, 1, 8, generator=generator)
    names = [f"c{i:03d}" for i in range(240) for _ in range(8)]
    split = {f"c{i:03d}": ("train", "train", "validation", "test")[i % 4] for i in range(240)}
    return Pool.of(_image(x), names, split=split, name="pictures")


def _image(x: Tensor) -> Tensor:
    return x.reshape(-1, 1, 8, 8)


def study(folder: Path, *, noise: float, entries: list[Entry] | None = None) -> Study:
    source = Episodes(pictures(noise), ways=3, shots=1, queries=4)
    made = Study(source, out=folder, seconds=10, validation=20, tests=40, entries=entries or [NEAREST, CANDIDATE])
    made.budget = 4.0  # what a user may not ask for, so that the test is quick
    return made


def test_a_study_chooses_judges_audits_and_leaves_a_folder(tmp_path: Path) -> None:
    job = study(tmp_path, noise=1.0)
    phases = [event.phase for event in job.run()]
    assert {"training prototypical", "validated nearest", "judged", "audited", "saved"} <= set(phases)
    findings = job.findings
    assert findings is not None and findings.chosen.entry.name == "prototypical"
    assert findings.comparison.significant and "meta-learning is better by" in findings.sentence
    assert findings.audit.passed
    written = write_report(tmp_path, findings, job.source)
    page = Path(written["report"]).read_text(encoding="utf-8")
    assert findings.comparison.sentence.split(".")[0] in page and page.count("data:image/png") > 30
    assert "http" not in page, "the report needs nothing from outside"
    plain = json.loads((tmp_path / "results.json").read_text())
    assert plain["test"]["prototypical"]["audit"]["passed"] is True
    bundle = load_bundle(tmp_path / "bundle")
    assert type(bundle.learner).__name__ == "Prototypical" and bundle.feature == (1, 8, 8)


def test_it_says_plainly_when_a_baseline_wins_and_saves_the_baseline(tmp_path: Path) -> None:
    worse = Entry(
        "anil", "candidate", {"name": "anil", "net": {**MLP, "outputs": 3}, "lr": 1e-9}, 0.1, says="hardly moves"
    )
    job = study(tmp_path, noise=0.0, entries=[NEAREST, worse])
    for _ in job.run():
        pass
    assert job.findings is not None
    assert "the simple baseline WINS" in job.findings.sentence
    assert type(load_bundle(tmp_path / "bundle").learner).__name__ == "NearestNeighbour"
    write_report(tmp_path, job.findings, job.source)
    assert "a simple baseline wins" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_candidate_that_diverges_is_dropped_and_said(tmp_path: Path) -> None:
    net = {**MLP, "outputs": 3, "hidden": [16, 16]}
    wild = Entry("maml", "candidate", {"name": "maml", "net": net, "lr": 1e30}, 0.1)
    job = study(tmp_path, noise=0.5, entries=[NEAREST, wild, CANDIDATE])
    events = list(job.run())
    assert any(event.phase == "dropped maml" for event in events)
    assert job.findings is not None and "a rate is too high" in job.findings.dropped["maml"]


def test_what_cannot_be_studied(tmp_path: Path) -> None:
    source = Episodes(pictures(0.5), ways=3, shots=1, queries=4)
    with pytest.raises(UserError, match="at least 10"):
        Study(source, out=tmp_path, seconds=3)
    with pytest.raises(UserError, match="needs a candidate and a baseline"):
        list(Study(source, out=tmp_path, seconds=10, entries=[NEAREST]).run())
