"""Write what a study leaves: the report, results as JSON, and a next task to try the bundle on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image

from ..evaluation.evaluate import evaluating
from ..learner import Learner
from ..outputs import central
from ..storage import write_atomically
from ..task import Task, take
from ..tasks.episodes import Episodes
from .page import page
from .pictures import task_figure


class HasLearner(Protocol):
    """A row of the leaderboard, as far as pictures need it."""

    learner: Learner


class Findings(Protocol):
    """What a study found, as far as it is written down."""

    @property
    def chosen(self) -> HasLearner:
        """Whose answers are shown."""

    def as_table(self) -> dict[str, Any]:
        """Everything in plain data."""


def write_report(folder: Path, findings: Findings, source: Any, own: Any = None) -> dict[str, str]:
    """Write report.html, results.json and next-task/ into the folder of a study.

    Returns:
        what -> path, and 'commands': three lines to go on with.
    """
    plain = findings.as_table()
    images = source.pool.x.dim() == 4
    figures = _figures(findings.chosen.learner, source) if images else []
    bundle = folder / "bundle"
    commands = [
        ("Judge it on more tasks that it never saw:", f"quickstudy evaluate {bundle} --tasks 1000"),
    ]
    if images:
        next_task = _next_task(folder / "next-task", source)
        state = folder / "next-task.state"
        commands = [
            (
                "Teach it a new task from one example a class:",
                f"quickstudy adapt {bundle} {next_task / 'support'} --out {state}",
            ),
            ("Ask it:", f"quickstudy predict {bundle} {state} {next_task / 'queries'}"),
            *commands,
        ]
    html = page(plain, data=_facts(source), figures=figures, commands=commands)
    write_atomically(folder / "report.html", html.encode())
    write_atomically(folder / "results.json", json.dumps(plain, indent=1, default=str).encode())
    return {
        "report": str(folder / "report.html"),
        "bundle": str(bundle),
        "results": str(folder / "results.json"),
        "commands": "\n".join(command for _, command in commands),
    }


def _figures(learner: Learner, source: Episodes, *, among: int = 20) -> list[str]:
    """The first two test tasks, and of the first twenty the one with the most mistakes, which says more than those."""
    shown = source.test.sample(0, among)
    tasks = [take(shown, number) for number in range(among)]
    answers = [_answers(learner, task) for task in tasks]
    wrong = [int((answer != task.query.y).sum()) for answer, task in zip(answers, tasks, strict=True)]
    hardest = max(range(2, among), key=lambda number: wrong[number])
    titles = {0: "The first test task", 1: "The second", hardest: f"The hardest of the first {among}"}
    return [
        f"<h3>{title}: {len(answers[i]) - wrong[i]} of {len(answers[i])} right</h3>"
        + task_figure(tasks[i], answers[i], _names(source, tasks[i]))
        for i, title in titles.items()
    ]


def _answers(learner: Learner, task: Task) -> torch.Tensor:
    with evaluating(learner):
        return central(learner.predict(learner.adapt(task.support), task.query.x)).argmax(-1)


def _names(source: Episodes, task: Task) -> list[str]:
    assert task.origin is not None and task.origin.classes is not None
    return [source.pool.classes[c] for c in task.origin.classes.tolist()]


def _facts(source: Episodes) -> list[tuple[str, str]]:
    pool = source.pool
    facts = [("examples", f"{len(pool.x):,} of {'×'.join(map(str, pool.x.shape[1:]))}")]
    for split in ("train", "validation", "test"):
        members = pool.members(split).tolist()
        groups = sorted({pool.groups[c] for c in members})
        some = ", ".join(groups[:8]) + (f" and {len(groups) - 8} more" if len(groups) > 8 else "")
        facts.append((split, f"{len(members):,} classes of {len(groups)} groups: {some}"))
    return facts


def _next_task(folder: Path, source: Episodes) -> Path:
    """One more test task as image files: support/CLASS/N.png and queries/N.png, as a user would bring them."""
    task = take(source.test.sample(10_000, 1), 0)
    names = [name.replace("/", " ") for name in _names(source, task)]
    for label, name in enumerate(names):
        for number, x in enumerate(task.support.x[task.support.y == label]):
            _write_image(folder / "support" / name / f"{number + 1}.png", x)
    for number, (x, label) in enumerate(zip(task.query.x[:10], task.query.y[:10].tolist(), strict=True)):
        _write_image(folder / "queries" / f"{number + 1:02d} {names[label]}.png", x)
    return folder


def _write_image(path: Path, x: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (x * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(path)
