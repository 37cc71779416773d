"""One task on the page: what was taught on one side, what was asked on the other, and what was answered."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import torch
from torch import Tensor

from ...evaluation.result import rounded
from ...outputs import Gaussian, Output, central
from ...task import Examples, Task
from ..charts.scatter import Dot, against
from .inputs import Inputs
from .texts import number, shortened

MOST = {"tiles": 15, "lines": 6, "cells": 8}  # queries that are shown, by layout
TAUGHT = {"tiles": 5, "lines": 3, "cells": 3}  # examples of a class
CLASSES = 10
SPAN = 1.6449  # deviations to each side of the central 90 % of a normal distribution


@dataclasses.dataclass(frozen=True)
class Item:
    """An input, what stands below it, and its CSS class: right, wrong or none."""

    input: str
    word: str = ""
    kind: str = ""


def class_figure(task: Task, answers: Tensor, names: Sequence[str], inputs: Inputs) -> str:
    """HTML of a classification task.

    Args:
        task: one, without padding.
        answers: (q,) classes that a learner answered.
        names: of the classes.
        inputs: how inputs are shown.
    """
    tiles = inputs.layout == "tiles"
    short = [str(c + 1) if tiles else shortened(name, 24) for c, name in enumerate(names)]
    groups = []
    for label, name in enumerate(names[:CLASSES]):
        which = (task.support.y == label).nonzero().flatten().tolist()
        shown = which[: TAUGHT[inputs.layout]]
        more = f" ({len(shown)} of {len(which)} shown)" if len(which) > len(shown) else ""
        items = [Item(_html(inputs, task, "support", i, f"example of {name}"), short[label]) for i in shown]
        groups.append((short[label], shortened(name, 60) + more, items))
    asked = []
    for i in pictured_queries(answers == task.query.y, inputs):
        right, answer = int(task.query.y[i]), int(answers[i])
        good = right == answer
        word = f"{short[answer]} ✓" if good else f"{short[answer]} ✗ ({short[right]})"
        alt = f"query of {names[right]}, answered {names[answer]}"
        asked.append(Item(_html(inputs, task, "query", i, alt), word, "right" if good else "wrong"))
    left = f"<p><small>and {len(names) - CLASSES} more classes</small></p>" if len(names) > CLASSES else ""
    return _figure(inputs, _taught(inputs, groups) + left, _items(inputs, asked, "answer"))


def value_figure(task: Task, output: Output, inputs: Inputs) -> str:
    """HTML of a regression task: all answers against the true values, and those that are farthest off.

    Of several targets the first is shown.

    Args:
        task: one, without padding.
        output: (q, d) predictions, or a Gaussian of them.
        inputs: how inputs are shown.
    """
    true, found = task.query.y[:, 0].tolist(), central(output)[:, 0].tolist()
    halves: Any = [None] * len(true)
    if isinstance(output, Gaussian):
        halves = (SPAN * output.variance[:, 0].sqrt()).tolist()
    kinds = [
        "chosen" if half is None else "right" if abs(a - b) <= half else "wrong"
        for a, b, half in zip(true, found, halves, strict=True)
    ]
    dots = [
        Dot(a, b, kind, half=half or 0.0)
        for a, b, kind, half in zip(true, found, kinds, halves, strict=True)
        if math.isfinite(b)
    ]
    chart = against(dots, xlabel="true value", ylabel="predicted")
    several = 2 * TAUGHT[inputs.layout]
    count = min(len(task.support), several)
    taught = [
        Item(_html(inputs, task, "support", i, f"example with {number(y)}"), number(y))
        for i, y in enumerate(task.support.y[:several, 0].tolist())
    ]
    more = f"<p><small>and {len(task.support) - count} more examples</small></p>" * (len(task.support) > count)
    gaps = [abs(a - b) if math.isfinite(b) else math.inf for a, b in zip(true, found, strict=True)]
    worst = sorted(range(len(gaps)), key=lambda i: -gaps[i])[: TAUGHT[inputs.layout]]
    asked = []
    for i in worst:
        value = number(found[i]) if halves[i] is None else " ± ".join(rounded(found[i], halves[i]))
        word = f"{value} (true: {number(true[i])})"
        kind = "" if halves[i] is None else kinds[i]
        asked.append(Item(_html(inputs, task, "query", i, f"query answered {word}"), word, kind))
    off = f"<h4>Farthest off</h4>{_items(inputs, asked, 'predicted')}"
    return _figure(inputs, _items(inputs, taught, "value") + more, chart + off)


def _html(inputs: Inputs, task: Task, side: str, i: int, alt: str) -> str:
    examples: Examples = getattr(task, side)
    return inputs.html(row_of(task, side, i), examples.x[i], alt)


def row_of(task: Task, side: str, i: int) -> int:
    """The row of the user's data that an example of a side ('support' or 'query') is; -1 where there are none."""
    return -1 if task.origin is None else int(getattr(task.origin, side)[i])


def pictured_queries(right: Tensor, inputs: Inputs) -> list[int]:
    """Wrong answers, up to two thirds where there are right ones to fill the rest, in the order they come."""
    most, bad, good = MOST[inputs.layout], (~right).nonzero().flatten(), right.nonzero().flatten()
    few = bad[: max(most - len(good), 2 * most // 3)]
    return sorted(torch.cat([few, good[: most - len(few)]]).tolist())


def _taught(inputs: Inputs, groups: Sequence[tuple[str, str, list[Item]]]) -> str:
    if inputs.layout == "cells":
        return _items(inputs, [item for _, _, items in groups for item in items], "label")
    if inputs.layout == "lines":
        return "".join(f"<h4>{escape(name)}</h4>" + "".join(item.input for item in items) for _, name, items in groups)
    return "".join(
        f'<div class="class"><span class="tag">{tag}</span>{"".join(item.input for item in items)}'
        f"<small>{escape(name)}</small></div>"
        for tag, name, items in groups
    )


def _items(inputs: Inputs, items: Sequence[Item], called: str) -> str:
    """What was asked, side by side, below each other, or as a table."""
    if inputs.layout != "cells":
        made = "".join(
            f'<div class="query {item.kind}">{item.input}<span>{escape(item.word)}</span></div>' for item in items
        )
        return f'<div class="queries">{made}</div>'
    head = "".join(f"<th>{escape(shortened(name, 24))}</th>" for name in inputs.columns)
    rows = "".join(f'<tr class="{item.kind}"><td>{escape(item.word)}</td>{item.input}</tr>' for item in items)
    rest = f"<p><small>and {inputs.more:,} more columns</small></p>" if inputs.more else ""
    return (
        f'<div class="wide"><table class="cells"><thead><tr><th>{escape(called)}</th>{head}</tr></thead><tbody>{rows}'
        f"</tbody></table></div>{rest}"
    )


def _figure(inputs: Inputs, taught: str, asked: str) -> str:
    return (
        f'<figure class="task {inputs.layout}"><div class="support">{taught}</div><div class="asked">{asked}</div>'
        "</figure>"
    )
