"""Lines with their intervals, as inline SVG; and the plane that points are drawn on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 640, 300
LEFT, TOP, RIGHT, BOTTOM = 72, 44, 620, 240  # of what is drawn in; labels stand around it

Point = tuple[float, float, float]  # x, value, half width of its interval


@dataclasses.dataclass(frozen=True)
class Plane:
    """Where values lie on a drawing."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point; what lies outside is put on the border."""
        low, high, here = (math.log(v) if self.log else v for v in (*self.x, x))
        across, up = (
            0.5 if b == a else min(max((v - a) / (b - a), 0.0), 1.0)
            for v, a, b in ((here, low, high), (y, self.y[0], self.y[1]))
        )
        return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)

    def axes(self, xlabel: str, ylabel: str, marks: Sequence[float]) -> str:
        """Lines at round values, and what both directions are."""
        parts = [f'<text x="0" y="16">{escape(ylabel)}</text>']
        for value in ticks(*self.y):
            y = self.at(self.x[0], value)[1]
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>')
            parts.append(f'<text x="{LEFT - 10}" y="{y + 6:.1f}" text-anchor="end">{value:g}</text>')
        for value in marks:
            x = self.at(value, self.y[0])[0]
            parts.append(f'<text x="{x:.1f}" y="{BOTTOM + 24}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text x="{RIGHT}" y="{BOTTOM + 52}" text-anchor="end">{escape(xlabel)}</text>')
        return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Round values from low to high, about five of them.

    >>> ticks(0, 1), ticks(60, 100)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [60.0, 70.0, 80.0, 90.0, 100.0])
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    size = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(size * n for n in (1, 2, 5, 10) if size * n * 5 >= (high - low) * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def svg(inside: str, spoken: str) -> str:
    """A drawing, and what it says to those who do not see it."""
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(spoken)}">{inside}</svg>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names (and CSS classes) of what is drawn, below it: there they have room on a phone."""
    made = "".join(f'<span class="{kind}"><i></i>{escape(name)}</span>' for name, kind in entries if name)
    return f'<p class="legend" aria-hidden="true">{made}</p>' if made else ""


def curves(
    series: Sequence[tuple[str, Sequence[Point], str]],
    *,
    xlabel: str,
    ylabel: str,
    low: float,
    high: float,
    log: bool = False,
) -> str:
    """Lines with intervals.

    Args:
        series: (label, points, CSS class) each; the class says 'dashed' for what was not measured, and 'points' where
            nothing should lie between them.
        xlabel: what x is.
        ylabel: what the value is.
        low: value at the bottom.
        high: value at the top.
        log: whether equal steps of x are equal factors.
    """
    xs = sorted({x for _, points, _ in series for x, _, _ in points})
    if not xs:
        return ""
    plane = Plane((xs[0], xs[-1]), (low, high), log)
    measured = sorted({x for _, points, kind in series for x, _, _ in points if "dashed" not in kind})
    parts = [plane.axes(xlabel, ylabel, xs if len(xs) <= 7 else measured if len(measured) <= 7 else (xs[0], xs[-1]))]
    spoken = []
    for label, points, kind in series:
        places = [(*plane.at(x, v), plane.at(x, v - h)[1], plane.at(x, v + h)[1]) for x, v, h in points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in places)
        if "points" not in kind:
            parts.append(f'<path class="line {kind}" d="{path}"/>')
        if "dashed" not in kind:
            whiskers = "".join(f"M{x:.1f} {a:.1f}V{b:.1f}" for x, _, a, b in places if abs(a - b) > 1)
            parts.append(f'<path class="whisker {kind}" d="{whiskers}"/>')
            parts += [f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>' for x, y, _, _ in places]
        spoken.append(f"{label}: " + ", ".join(f"{v:.3g} at {x:g}" for x, v, _ in points))
    about = f"{ylabel} against {xlabel}. {'; '.join(spoken)}"
    return svg("".join(parts), about) + legend([(label, kind) for label, _, kind in series])
