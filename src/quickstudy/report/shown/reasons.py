"""What single answers rest on, on the page: the question with what counted in it, and the examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from html import escape

from torch import Tensor

from ...outputs import central
from ...task import Task
from .examples import Pictured
from .figure import pictured_queries, row_of
from .inputs import Inputs, Parts, cells
from .texts import marked, number, shortened

EACH = 2  # right answers that are explained, and wrong ones
MOST = 5  # examples, and columns, of an answer
RANKS = ("nearest", "2nd nearest", "3rd nearest")


@dataclasses.dataclass(frozen=True)
class Reasons:
    """What one answer rests on, as far as that could be found out.

    Args:
        answer: the probability of the class that is answered, or the value.
        near: support examples, the nearest first.
        without: (n,) what `answer` would be without each support example.
        parts: what is lost of the answer without each word or column of the question, in their order, or without each
            place of an image (height, width).
        unknown: why something is not known, a sentence each.
    """

    answer: float
    near: tuple[int, ...] = ()
    without: Tensor | None = None
    parts: Parts = None
    unknown: tuple[str, ...] = ()


Explain = Callable[[Task, int], Reasons]  # a task without padding, and the number of a query


def reasons_figures(shown: Sequence[Pictured], inputs: Inputs, explain: Explain) -> list[str]:
    """HTML of a handful of answers that the page pictures, right ones and wrong ones, and what each rests on.

    Args:
        shown: tasks that are pictured.
        inputs: how inputs are shown.
        explain: finds out what an answer rests on.
    """
    made, left = [], {"right": EACH, "wrong": EACH}
    for one in shown:
        for kind, query in _one_of_each(one, inputs):
            if not left[kind]:
                continue
            found = explain(one.task, query)
            if math.isfinite(found.answer):
                left[kind] -= 1
                made.append(_figure(one, query, kind, inputs, found))
    return made


def _one_of_each(one: Pictured, inputs: Inputs) -> list[tuple[str, int]]:
    """A right answer and a wrong one, as far as there are; of values the nearest and the farthest off."""
    point, y = central(one.answer).cpu(), one.task.query.y
    if one.task.ways is None:
        gaps = (point - y)[:, 0].abs().nan_to_num(math.inf)
        return [("right", int(gaps.argmin())), ("wrong", int(gaps.argmax()))]
    right = point.argmax(-1) == y
    queries = pictured_queries(right, inputs)
    first = {"right" if right[i] else "wrong": i for i in reversed(queries)}
    return sorted(first.items())


def _figure(one: Pictured, query: int, kind: str, inputs: Inputs, found: Reasons) -> str:
    row, x = row_of(one.task, "query", query), one.task.query.x[query]
    told = [*_told(found, one.task.kind), *found.unknown]
    notes = "".join(f'<p class="soft">{escape(sentence)}</p>' for sentence in told)
    title = f"<h3>{escape(one.title)}: {_title(one, query, found)}</h3>"
    if inputs.layout == "cells":
        return f'{title}<figure class="why cells">{_table(one, query, inputs, found)}{notes}</figure>'
    question = inputs.large(row, x, "the question", found.parts)
    return (
        f'{title}<figure class="why {inputs.layout}"><div class="question {kind}">{question}{notes}</div>'
        f'<div class="rests">{"".join(_example(one, i, inputs, found) for i in _examples(found))}</div></figure>'
    )


def _title(one: Pictured, query: int, found: Reasons) -> str:
    if one.task.ways is None:
        true = number(float(one.task.query.y[query, 0]))
        return escape(f"predicted {number(found.answer)}, and {true} is true")
    answered, right = int(central(one.answer)[query].argmax()), int(one.task.query.y[query])
    said = escape(f"“{shortened(one.names[answered], 40)}”, {_sure(found.answer)} sure")
    if answered == right:
        return f'<span class="right">{said} ✓</span>'
    return f'<span class="wrong">{said} ✗ ({escape(shortened(one.names[right], 40))})</span>'


def _told(found: Reasons, kind: str) -> list[str]:
    """What counts most in the question, in a sentence."""
    if found.parts is None or not len(found.parts):
        return []
    if isinstance(found.parts, Tensor):
        loss = max(float(found.parts.max()), float(found.parts.min()), key=abs)
        without = f"Without the {'warmest' if loss > 0 else 'coldest'} place"
    else:
        part, loss = max(found.parts, key=lambda part: abs(part[1]))
        without = f"Without “{shortened(part, 60)}”"
    if kind == "regression":
        return [f"{without} it would differ by {number(loss)}."]
    if abs(loss) < 0.005:
        return ["No single part of the question changes how sure it is by a point."]
    return [f"{without} it would be {abs(100 * loss):.0f} points {'less' if loss > 0 else 'more'} sure."]


def _examples(found: Reasons) -> list[int]:
    """The nearest, and those whose absence would change the answer most."""
    rows = list(found.near)
    if found.without is not None:
        change = (found.without - found.answer).abs()
        rows += [i for i in change.argsort(descending=True, stable=True).tolist() if i not in rows]
    return rows[:MOST]


def _example(one: Pictured, i: int, inputs: Inputs, found: Reasons) -> str:
    """An example, what it is, and what the answer would be without it."""
    support = one.task.support
    input_ = inputs.html(row_of(one.task, "support", i), support.x[i], f"example {i + 1}")
    return (
        f'<div class="example">{input_}<div><b>{escape(_label(one, i))}</b> <small>{_rank(i, found)}</small>'
        f"{_shift(one, i, found, 'without it ')}</div></div>"
    )


def _label(one: Pictured, i: int) -> str:
    y = one.task.support.y[i]
    return number(float(y[0])) if one.task.ways is None else shortened(one.names[int(y)], 40)


def _rank(i: int, found: Reasons) -> str:
    return RANKS[found.near.index(i)] if i in found.near[: len(RANKS)] else ""


def _shift(one: Pictured, i: int, found: Reasons, says: str = "") -> str:
    """How the answer would move without an example: from the mark to the end of the bar."""
    if found.without is None:
        return ""
    value = float(found.without[i])
    if one.task.ways is None:
        return f'<span class="shift">{says}{number(value)}</span>'
    low, high = sorted((100 * value, 100 * found.answer))
    kind = "against" if value > found.answer else "for"
    return (
        f'<span class="shift"><span class="track" aria-hidden="true"><i class="moved {kind}" style="left:{low:.1f}%;'
        f'width:{high - low:.1f}%"></i><i class="mark" style="left:{100 * found.answer:.1f}%"></i></span>'
        f"{says}{_sure(value)}</span>"
    )


def _table(one: Pictured, query: int, inputs: Inputs, found: Reasons) -> str:
    """The question, what counts in it marked, and the examples, in the columns that counted most."""
    task = one.task
    asked = inputs.cells(row_of(task, "query", query), task.query.x[query])
    lost = dict(found.parts) if found.parts is not None and not isinstance(found.parts, Tensor) else {}
    names = sorted(asked, key=lambda name: -abs(lost.get(name, 0.0)))[:MOST]
    head = "".join(f"<th>{escape(shortened(name, 24))}</th>" for name in names)
    cell = marked([(shortened(asked[name] or "–", 24), lost.get(name, 0.0)) for name in names], between="</td><td>")
    rows = [f"<tr><td>asked</td><td></td><td>{cell}</td></tr>"]
    for i in _examples(found):
        given = inputs.cells(row_of(task, "support", i), task.support.x[i])
        label = f"<b>{escape(_label(one, i))}</b> <small>{_rank(i, found)}</small>"
        told = cells([given[name] for name in names])
        rows.append(f"<tr><td>{label}</td><td>{_shift(one, i, found)}</td>{told}</tr>")
    without = "" if found.without is None else "without it"
    head = f"<thead><tr><th></th><th>{without}</th>{head}</tr></thead>"
    return f'<div class="wide"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _sure(probability: float) -> str:
    return f"{probability:.0%}"
