"""The page of a study: what was asked, what came out, how sure that is, and how to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from .charts import bars, curves

Plain = Mapping[str, Any]


def page(
    findings: Plain, *, data: Sequence[tuple[str, str]], figures: Sequence[str], commands: Sequence[tuple[str, str]]
) -> str:
    """One self-contained HTML page.

    Args:
        findings: what `study.Findings.as_table` gives.
        data: (name, value) facts about the tasks.
        figures: HTML of some test tasks with the answers they were given (`pictures.task_figure`).
        commands: (what it does, command) to go on with.
    """
    chosen, baseline = findings["chosen"], findings["baseline"]
    test = findings["test"][chosen]
    return Template(files(__package__).joinpath("frame.html").read_text(encoding="utf-8")).substitute(
        title=f"Study of {escape(str(test['protocol']['source']))}",
        sentence=escape(findings["sentence"]),
        verdict=_verdict(findings),
        figures="".join(figures) or "<p>These tasks are not pictures, so none are shown.</p>",
        judged=_judged(findings),
        leaderboard=_leaderboard(findings),
        shots=_shots(findings),
        training=_training(findings),
        audit=_audit(findings["audit"]),
        data=_facts(data),
        calibration=_calibration(test, chosen),
        time=_facts([(name, f"{seconds:.0f} s") for name, seconds in findings["seconds"].items()]),
        commands="".join(f"<p>{escape(what)}</p><pre>{escape(command)}</pre>" for what, command in commands),
        protocol=escape(_protocol(test, baseline)),
    )


def _verdict(findings: Plain) -> str:
    gap = findings["comparison"]
    if abs(gap["difference"]) <= gap["ci95"]:
        return '<span class="badge even">no clear difference</span>'
    if gap["difference"] > 0:
        return '<span class="badge good">meta-learning wins</span>'
    return '<span class="badge bad">a simple baseline wins</span>'


def _chance(result: Plain) -> float:
    ways = result["protocol"]["ways"]
    return 100 / (ways if isinstance(ways, int) else ways[0])


def _judged(findings: Plain) -> str:
    rows = [
        (name, result["value"], result["ci95"], "chosen" if name == findings["chosen"] else "baseline")
        for name, result in findings["test"].items()
    ]
    first = next(iter(findings["test"].values()))
    return bars(rows, line=_chance(first)) + f"<p>{escape(findings['comparison']['sentence'])}</p>"


def _leaderboard(findings: Plain) -> str:
    rows = sorted(findings["leaderboard"], key=lambda row: -row["validation"]["value"])
    chart = bars(
        [
            (
                row["name"],
                row["validation"]["value"],
                row["validation"]["ci95"],
                "chosen" if row["role"] == "candidate" else "baseline",
            )
            for row in rows
        ],
        line=_chance(rows[0]["validation"]),
    )
    dropped = "".join(f"<p>Dropped: {escape(name)}. {escape(why)}</p>" for name, why in findings["dropped"].items())
    return chart + dropped


def _shots(findings: Plain) -> str:
    series = []
    for name, result in findings["test"].items():
        points = [(float(k), v[0], v[1]) for k, v in sorted(result["by_shots"].items(), key=lambda item: int(item[0]))]
        if points:
            series.append((name, points, "chosen" if name == findings["chosen"] else "baseline"))
    if not series:
        return "<p>The classes hold too few examples for a curve.</p>"
    low = min(v - h for _, points, _ in series for _, v, h in points)
    return curves(
        series, xlabel="examples of each class", ylabel="right answers, %", low=max(0.0, 10 * (low // 10)), high=100
    )


def _training(findings: Plain) -> str:
    rows = [row for row in findings["leaderboard"] if row["steps"]]
    cells = "".join(
        f"<tr><td>{escape(row['name'])}</td><td>{row['steps']:,}</td><td>{row['training_seconds']:.0f} s</td></tr>"
        for row in rows
    )
    return f"<table><thead><tr><th>learner</th><th>steps</th><th>time</th></tr></thead><tbody>{cells}</tbody></table>"


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


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts) + "</table>"


def _calibration(test: Plain, name: str) -> str:
    return (
        f"<p>When '{escape(name)}' says it is 90% sure, it should be right nine times in ten. On average its confidence"
        f" is off by {test['ece']:.1f} points (expected calibration error); negative log-likelihood"
        f" {test['nll']:.3f} nats.</p>"
    )


def _protocol(test: Plain, baseline: str) -> str:
    p = test["protocol"]
    mode = "transductive" if p["transductive"] else "inductive: each query is answered without looking at the others"
    return (
        f"{p['ways']}-way {p['shots']}-shot, {p['queries']} queries a class, {test['tasks']} test tasks (seed"
        f" {p['seed']}), {mode}. Intervals are 95% (t, over tasks). '{baseline}' was the best baseline on validation"
        f" tasks; the test tasks were looked at once, after everything had been chosen. Tasks: {test['manifest'][:16]}."
    )
