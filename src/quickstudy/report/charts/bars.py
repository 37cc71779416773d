"""Horizontal bars with their intervals, as HTML: on a phone labels go above them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ...evaluation.result import rounded

Bar = tuple[str, float | None, float | None, str]  # label, value, half width of its interval, CSS class


def said(value: float | None, half: float | None, metric: str = "accuracy") -> str:
    """A number with its interval, in the unit of its metric.

    >>> said(86.12, 0.94), said(0.4321, 0.0412, "mse"), said(None, None)
    ('86.1% ± 0.9', '0.43 ± 0.04', 'unknown')
    """
    if value is None or math.isnan(value):
        return "unknown"
    # Of two or three tasks Student's interval would reach beyond all that there is.
    widest = 100.0 if metric == "accuracy" else math.inf
    number, width = rounded(value, math.nan if half is None else min(half, widest))
    return f"{number}{'%' if metric == 'accuracy' else ''} ± {width}"


def bars(rows: Sequence[Bar], *, metric: str = "accuracy", line: float | None = None) -> str:
    """Horizontal bars with their intervals: percent of 100, or errors on a scale of their own.

    An error many times that of the line does not flatten the others: its bar is cut, its number is not.

    Args:
        rows: what is compared.
        metric: 'accuracy' or an error.
        line: a value to mark, such as chance.
    """
    top = 100.0 if metric == "accuracy" else _top(rows, line)
    mark = "" if line is None else f'<i class="mark" style="left:{_share(line, top)}"></i>'
    made = []
    for label, value, half, kind in rows:
        drawn = ""
        if value is not None:
            low, high = value - (half or 0), value + (half or 0)
            cut = " cut" if value > top else ""
            width = f"calc({_share(high, top)} - {_share(low, top)})"
            drawn = f'<i class="fill{cut}" style="width:{_share(value, top)}"></i>'
            drawn += f'<i class="whisker" style="left:{_share(low, top)};width:{width}"></i>' if half else ""
        made.append(
            f'<div class="bar {kind}"><span class="name">{escape(label)}</span><span class="track"'
            f' aria-hidden="true">{drawn}{mark}</span><span class="value">{said(value, half, metric)}</span></div>'
        )
    return f'<div class="bars">{"".join(made)}</div>'


def _top(rows: Sequence[Bar], line: float | None) -> float:
    ends = sorted(value + (half or 0) for _, value, half, _ in rows if value is not None)
    most = ends[-1] if ends else 0.0
    ordinary = max(ends[len(ends) // 2] if ends else 0.0, line or 0.0)
    return min(most, 2 * ordinary) or 1.0


def _share(value: float, top: float) -> str:
    return f"{100 * min(max(value / top, 0.0), 1.0):.1f}%"
