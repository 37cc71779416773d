"""Why it is as good as it is: each diagnosis in its own words, with a small chart of its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from .charts.bars import bars
from .charts.curves import Point, curves
from .charts.scatter import Dot, chart_of_names

Figures = Mapping[str, Any]
SIDES = {"train": "baseline", "validation": "other"}  # side of the split -> CSS class


def diagnoses(found: Sequence[Mapping[str, Any]]) -> str:
    """HTML of all diagnoses; empty where there are none.

    >>> print(diagnoses([{"name": "weather", "sentence": "It rains <here>.", "figures": {}}]))
    <h3>Weather</h3><p>It rains &lt;here&gt;.</p>
    """
    made = []
    for one in found:
        title, chart = CHARTS.get(one["name"], (one["name"].capitalize(), _nothing))
        made.append(f"<h3>{escape(title)}</h3><p>{escape(one['sentence'])}</p>{chart(one['figures'])}")
    return "".join(made)


def _nothing(_: Figures) -> str:
    return ""


def _pooling(figures: Figures) -> str:
    chosen = figures["chosen"]
    rows = [(chosen["name"], chosen["value"], chosen["ci95"], "chosen")]
    rows += [(other["name"], other["value"], other["ci95"], "baseline") for other in figures["others"]]
    return bars(rows, metric=figures["metric"])


def _overfitting(figures: Figures) -> str:
    named = {"train": "training tasks", "validation": "new tasks"}
    rows = [(name, figures[side]["value"], figures[side]["ci95"], SIDES[side]) for side, name in named.items()]
    return bars(rows, metric=figures["metric"])


def _variety(figures: Figures) -> str:
    """Errors against the number of past tasks, and the power law to twice as many."""
    points = [(p["number"], p["error"], p["ci95"] or 0.0) for p in figures["points"] if p["error"] is not None]
    series: list[tuple[str, Sequence[Point], str]] = [("measured", points, "chosen points")]
    law = figures.get("law")
    if law is not None:
        last = figures["twice"]["number"] / 2
        numbers = sorted({float(n) for n, _, _ in points} | {2 * last})
        curve = [(n, law["end"] * (n / last) ** law["slope"], 0.0) for n in numbers]
        series.append(("power law, carried on to twice as many", curve, "chosen dashed"))
    accuracy = figures["metric"] == "accuracy"
    unit = figures["unit"]
    return _curves(
        series, f"past {unit} that it learned from", "wrong answers, %" if accuracy else "mean squared error", log=True
    )


def _wrong_labels(figures: Figures) -> str:
    clean = {"share": 0.0} | figures["clean"]
    points = [
        (100 * p["share"], p["value"], p["ci95"] or 0.0) for p in (clean, *figures["points"]) if p["value"] is not None
    ]
    accuracy = figures["metric"] == "accuracy"
    label = "right answers, %" if accuracy else "mean squared error"
    return _curves([("", points, "chosen")], "wrong labels among the examples, %", label)


def _curves(series: Sequence[tuple[str, Sequence[Point], str]], xlabel: str, ylabel: str, log: bool = False) -> str:
    ends = [v + sign * h for _, points, _ in series for _, v, h in points for sign in (-1, 1)]
    if not ends:
        return ""
    room = 0.1 * (max(ends) - min(ends)) or 1.0
    low, high = max(0.0, min(ends) - room), max(ends) + room
    return curves(series, xlabel=xlabel, ylabel=ylabel, low=low, high=high, log=log)


def _map(figures: Figures) -> str:
    """Past tasks, and the new ones on top of them."""
    dots = [Dot(p["x"], p["y"], SIDES.get(p["side"], "baseline"), str(p["name"])) for p in figures["points"]]
    new = figures.get("new", [])
    several = len(new) > 1
    dots += [Dot(p["x"], p["y"], "chosen", f"new {p['label']}" if several else "the new one") for p in new]
    plural = "classes" if figures["unit"] == "class" else "tasks"
    kinds = [(f"training {plural}", "baseline"), (f"validation {plural}", "other")]
    return chart_of_names(dots, what=f"Map of past {plural}", kinds=[*kinds, *([("new", "chosen")] if new else [])])


CHARTS: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "against pooling": ("Is it worth more than learning from all tasks at once?", _pooling),
    "overfitting": ("Did it learn its training tasks by heart?", _overfitting),
    "variety": ("Are there past tasks enough?", _variety),
    "wrong labels": ("What do wrong labels cost?", _wrong_labels),
    "similar tasks": ("Which past tasks are alike?", _map),
}
