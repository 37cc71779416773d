"""Write what a study leaves: the report, results as JSON, and a next task to try the bundle on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..learner import Learner
from ..storage import write_atomically
from ..tasks.own.rows import Rows
from .page import page
from .shown.examples import pictured, task_figures
from .shown.inputs import inputs_of
from .shown.next_task import options_of, write_next_task
from .shown.reasons import Explain, reasons_figures
from .understood import account, facts_of


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


class Own(Protocol):
    """A user's data, as far as it is shown."""

    @property
    def rows(self) -> Rows:
        """Those that tasks name the numbers of."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """What the columns of the user's table are called."""

    def account(self) -> str:
        """All that was understood."""


def write_report(
    folder: Path, findings: Findings, source: Any, own: Own | None = None, *, explain: Explain | None = None
) -> dict[str, str]:
    """Write report.html, results.json and next-task/ into the folder of a study.

    Args:
        folder: of the study.
        findings: what it found.
        source: the tasks: Episodes, ClassGroups or Groups.
        own: the user's data that they were made of, if they were.
        explain: finds out what an answer of the learner that was chosen rests on; None: that is not shown.

    Returns:
        what -> path, and 'commands': lines to go on with.
    """
    rows = None if own is None else own.rows
    plain = findings.as_table()
    commands = _commands(folder, source, own)
    shown = pictured(findings.chosen.learner, source, rows)
    inputs = inputs_of(rows, tuple(shown[0].task.support.x.shape[1:]))
    html = page(
        plain,
        data=facts_of(source) if own is None else account(own.account()),
        figures=[] if inputs is None else task_figures(shown, inputs),
        commands=commands,
        reasons=[] if inputs is None or explain is None else reasons_figures(shown, inputs, explain),
    )
    write_atomically(folder / "report.html", html.encode())
    write_atomically(folder / "results.json", json.dumps(plain, indent=1, default=str).encode())
    return {
        "report": str(folder / "report.html"),
        "bundle": str(folder / "bundle"),
        "results": str(folder / "results.json"),
        "commands": "\n".join(command for _, command in commands),
    }


def _commands(folder: Path, source: Any, own: Own | None) -> list[tuple[str, str]]:
    """What to do next, and the command that does it; the next task is written."""
    bundle, state = shlex.quote(str(folder / "bundle")), shlex.quote(str(folder / "next-task.state"))
    options = ""
    if own is None:
        written = write_next_task(folder / "next-task", source)
    else:
        written = write_next_task(folder / "next-task", source, own.rows, own.columns)
        options = options_of(own.rows, own.columns)
    commands = []
    if written is not None:
        support, queries = (shlex.quote(str(path)) for path in written)
        commands = [
            ("Teach it a new task from its examples:", f"quickstudy adapt {bundle} {support}{options} --out {state}"),
            ("Ask it:", f"quickstudy predict {bundle} {state} {queries}{options}"),
        ]
    if own is None:  # a bundle knows named tasks again, but not where a user's own lie
        commands.append(("Judge it on more tasks that it never saw:", f"quickstudy evaluate {bundle} --tasks 1000"))
    return commands
