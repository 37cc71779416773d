"""How good everyone was: verdict, bars, the curve over the number of examples, and how sure the answers are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .charts.bars import Bar, bars, said
from .charts.curves import Point, curves

Plain = Mapping[str, Any]
REFERENCE = "majority"  # of a regression, which knows no chance: the middle of the support targets, whatever is asked


def verdict(findings: Plain) -> str:
    """Who won, in a word or two."""
    better = findings["comparison"]["better"]
    if better is None:
        return '<span class="badge even">no clear difference</span>'
    if better == findings["chosen"]:
        return '<span class="badge good">meta-learning wins</span>'
    return '<span class="badge bad">a simple baseline wins</span>'


def saved(findings: Plain) -> str:
    """Who is in the bundle: without a clear gain the simpler one."""
    name: str = findings["chosen"] if findings["comparison"]["better"] == findings["chosen"] else findings["baseline"]
    return name


def tests(findings: Plain) -> str:
    """The learner and the baseline that were chosen, on the test tasks."""
    rows = [
        (name, result["value"], result["ci95"], _kind(name == findings["chosen"]))
        for name, result in findings["test"].items()
    ]
    return _bars(rows, findings["test"][findings["chosen"]]) + f"<p>{escape(findings['comparison']['sentence'])}.</p>"


def leaderboard(findings: Plain) -> str:
    """Everyone on the validation tasks, best first, and who was dropped."""
    sign = 1 if metric_of(findings) == "accuracy" else -1
    rows = sorted(
        findings["leaderboard"],
        key=lambda row: math.inf if row["validation"]["value"] is None else -sign * row["validation"]["value"],
    )
    shown = [
        (row["name"], row["validation"]["value"], row["validation"]["ci95"], _kind(row["role"] == "candidate"))
        for row in rows
    ]
    dropped = "".join(f"<p>Dropped: {escape(name)}. {escape(why)}</p>" for name, why in findings["dropped"].items())
    return _bars(shown, rows[0]["validation"]) + dropped


def _bars(rows: Sequence[Bar], result: Plain) -> str:
    metric = result["metric"]
    line = _chance(result) if metric == "accuracy" else next((v for name, v, _, _ in rows if name == REFERENCE), None)
    what = "chance" if metric == "accuracy" else f"'{REFERENCE}', which gives the same answer whatever is asked"
    unit = "Percent of right answers." if metric == "accuracy" else "Mean squared error: smaller is better."
    note = f"{unit} The dashed line is {what}." if line is not None else unit
    return bars(rows, metric=metric, line=line) + f'<p class="soft">{note}</p>'


def metric_of(findings: Plain) -> str:
    """'accuracy' or an error."""
    metric: str = findings["test"][findings["chosen"]]["metric"]
    return metric


def _kind(candidate: bool) -> str:
    return "chosen" if candidate else "baseline"


def _chance(result: Plain) -> float | None:
    ways = result["protocol"].get("ways")
    return None if ways is None else 100 / (ways if isinstance(ways, int) else ways[0])


def shots(findings: Plain) -> str:
    """How many labels are needed: one sentence, and the curve."""
    series = [(name, _curve(result), _kind(name == findings["chosen"])) for name, result in findings["test"].items()]
    series = [(name, points, kind) for name, points, kind in series if points]
    if not series:
        return "<p>There are too few examples for a curve.</p>"
    accuracy = metric_of(findings) == "accuracy"
    ends = [v + sign * h for _, points, _ in series for _, v, h in points for sign in (-1, 1)]
    low, high = (min(max(0.0, 10 * (min(ends) // 10)), 90.0), 100.0) if accuracy else (0.0, max(ends))
    drawn = curves(
        series,
        xlabel=f"examples of {_whole(findings)}",
        ylabel="right answers, %" if accuracy else "mean squared error",
        low=low,
        high=high,
        log=True,
    )
    return f"<p>{escape(labels_needed(findings))}</p>{drawn}"


def _curve(result: Plain) -> list[Point]:
    points = sorted((int(k), v, h) for k, (v, h) in result["by_shots"].items() if v is not None)
    return [(float(k), v, h or 0.0) for k, v, h in points]


def _whole(findings: Plain) -> str:
    return "each class" if metric_of(findings) == "accuracy" else "a task"


def labels_needed(findings: Plain) -> str:
    """What more labels would bring, of the learner that is in the bundle: a gain is named where it stands out.

    >>> result = {"metric": "accuracy", "by_shots": {"1": [70, 1], "5": [86, 1], "9": [88.4, 0.9]}}
    >>> test = {"net": result | {"protocol": {"shots": 5}}}
    >>> labels_needed({"chosen": "net", "test": test, "comparison": {"better": "net"}})
    "With 5 examples of each class 'net' is right in 86.0% ± 1.0 of cases; 9 would bring 2.4 points more (88.4% ± 0.9)."
    """
    name = saved(findings)
    result, points = findings["test"][name], _curve(findings["test"][name])
    if not points:
        return "There are too few examples to say."
    metric, now = result["metric"], result["protocol"]["shots"]
    usual = now if isinstance(now, int) else now[0]
    here = max((point for point in points if point[0] <= usual), default=points[0])
    count = "one example" if here[0] == 1 else f"{here[0]:g} examples"
    level = f"is right in {said(*here[1:])} of cases" if metric == "accuracy" else f"has an error of {_error(here)}"
    text = f"With {count} of {_whole(findings)} '{name}' {level}"
    other = points[-1] if points[-1] is not here else points[0]
    if other is here:
        return f"{text}."
    alone = "one" if other[0] == 1 else f"{other[0]:g}"
    gain = other[1] - here[1] if metric == "accuracy" else here[1] - other[1]
    if abs(gain) <= math.hypot(here[2], other[2]):
        return f"{text}; {alone} would make no clear difference ({said(*other[1:], metric)})."
    if metric == "accuracy":
        return f"{text}; {alone} would bring {abs(gain):.1f} points {_more(gain)} ({said(*other[1:])})."
    return f"{text}; {alone} would make it {abs(gain) / here[1]:.0%} {_more(-gain)} ({_error(other)})."


def _error(point: Point) -> str:
    return said(*point[1:], "mse")


def _more(gain: float) -> str:
    return "more" if gain > 0 else "less"


def training(findings: Plain) -> str:
    """How long who was trained."""
    cells = "".join(
        f"<tr><td>{escape(row['name'])}</td><td>{row['steps']:,}</td><td>{row['training_seconds']:.0f} s</td></tr>"
        for row in findings["leaderboard"]
        if row["steps"]
    )
    return f"<table><thead><tr><th>learner</th><th>steps</th><th>time</th></tr></thead><tbody>{cells}</tbody></table>"


def calibration(findings: Plain) -> str:
    """Whether the chosen learner knows how sure it may be."""
    test, name = findings["test"][findings["chosen"]], escape(findings["chosen"])
    likely = "" if test["nll"] is None else f" Negative log-likelihood: {test['nll']:.3f} nats."
    if test["ece"] is not None:
        return (
            f"<p>When '{name}' says it is 90% sure, it should be right nine times in ten. On average its confidence is"
            f" off by {test['ece']:.1f} points (expected calibration error).{likely}</p>"
        )
    if test["coverage"] is not None:
        return f"<p>Of its 90% intervals {test['coverage']:.0f}% held the true value.{likely}</p>"
    return f"<p>'{name}' gives values alone, and does not say how sure it is.</p>"


def protocol(findings: Plain) -> str:
    """What exactly was asked."""
    test = findings["test"][findings["chosen"]]
    p = test["protocol"]
    mode = "transductive" if p["transductive"] else "inductive: each query is answered without looking at the others"
    if test["metric"] == "accuracy":
        shape = f"{_span(p['ways'])}-way {_span(p['shots'])}-shot, {_span(p['queries'])} queries a class"
    else:
        shape = f"{_span(p['shots'])} examples and {_span(p['queries'])} queries a task"
    return (
        f"{shape}, {test['tasks']} test tasks (seed {p['seed']}), {mode}. Intervals are 95% (t, over tasks)."
        f" '{findings['baseline']}' was the best baseline on validation tasks; the test tasks were looked at once,"
        f" after everything had been chosen. Tasks: {test['manifest'][:16]}."
    )


def _span(count: Any) -> str:
    return " to ".join(str(n) for n in count) if isinstance(count, list | tuple) else str(count)
