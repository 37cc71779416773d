"""The page of a study: what was asked, what came out, how sure that is, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from . import judged
from .diagnoses import diagnoses
from .judged import Plain
from .understood import table


def page(
    findings: Plain,
    *,
    data: str,
    figures: Sequence[str],
    commands: Sequence[tuple[str, str]],
    reasons: Sequence[str] = (),
) -> str:
    """One self-contained HTML page.

    Args:
        findings: what `study.Findings.as_table` gives.
        data: HTML that says what the study was made of (`understood`).
        figures: HTML of some test tasks with the answers they were given (`shown.figure`).
        commands: (what it does, command) to go on with.
        reasons: HTML of some of these answers and what each rests on (`shown.reasons`).
    """
    protocol = findings["test"][findings["chosen"]]["protocol"]
    why = diagnoses(findings.get("diagnoses") or [])
    return Template(files(__package__).joinpath("frame.html").read_text(encoding="utf-8")).substitute(
        title=f"Study of {escape(str(protocol['source']))}",
        sentence=escape(findings["sentence"]),
        verdict=judged.verdict(findings),
        data=data,
        figures=_figures(findings, figures),
        reasons=_reasons(findings, reasons),
        judged=judged.tests(findings),
        protocol=escape(judged.protocol(findings)),
        shots=judged.shots(findings),
        leaderboard=judged.leaderboard(findings),
        training=judged.training(findings),
        diagnoses=f"<section><h2>Why is it as good as it is?</h2>{why}</section>" if why else "",
        audit=_audit(findings["audit"]),
        calibration=judged.calibration(findings),
        commands="".join(f"<p>{escape(what)}</p><pre>{escape(command)}</pre>" for what, command in commands),
        time=table([(name, [f"{seconds:.0f} s"]) for name, seconds in findings["seconds"].items()]),
    )


def _figures(findings: Plain, figures: Sequence[str]) -> str:
    if not figures:
        return "<p>There is no picture of such inputs, so none are shown.</p>"
    kind = (
        "its answer: green is right, red is wrong (what is right in brackets). Of both some are shown."
        if judged.metric_of(findings) == "accuracy"
        else "what it predicted against what is true, with its 90% intervals where it gives any: green holds the truth,"
        " red does not."
    )
    about = f"First what '{findings['chosen']}' was taught, then what it was asked, with {kind}"
    return f'<p class="soft">{escape(about)}</p>{"".join(figures)}'


def _reasons(findings: Plain, reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    about = (
        "A few of the answers above, right and wrong. What is warm in a question speaks for the answer, what is cold"
        " against it."
        if judged.metric_of(findings) == "accuracy"
        else "A few answers, close and far off. What is warm in a question moves the answer most."
    )
    about += (
        " Beside it are the examples nearest to the question, and those that the answer depends on most, with what the"
        " answer is when all is learned again without that example."
    )
    return f'<section><h2>What its answers rest on</h2><p class="soft">{about}</p>{"".join(reasons)}</section>'


def _audit(verdict: Plain) -> str:
    marks = {True: ("✓", "right"), False: ("✗", "wrong"), None: ("–", "")}
    rows = []
    for finding in verdict["findings"]:
        mark, kind = marks[finding["passed"]]
        rows.append(
            f'<tr class="{kind}"><td>{mark}</td><td>{escape(finding["name"])}</td>'
            f"<td>{escape(finding['sentence'])}</td></tr>"
        )
    checks = f"<details><summary>All {len(rows)} checks</summary><table>{''.join(rows)}</table></details>"
    return f"<p>{escape(verdict['sentence'])}</p>{checks}"
