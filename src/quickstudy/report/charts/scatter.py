"""Points on a plane: predictions against what is true, and maps with names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from html import escape

from .curves import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Plane, legend, svg, ticks

LETTER, LINE = 12, 24  # of a name on a phone, where letters are largest beside the chart
LONGEST = 18  # letters of a name on a map


@dataclasses.dataclass(frozen=True)
class Dot:
    """A point of a scatter chart.

    Args:
        x: where it lies.
        y: the same.
        kind: CSS class.
        name: what it is.
        half: half the width of its interval, in the direction of y.
    """

    x: float
    y: float
    kind: str
    name: str = ""
    half: float = 0.0


def against(dots: Sequence[Dot], *, xlabel: str, ylabel: str) -> str:
    """Values against each other, on one scale: on the diagonal they agree."""
    ends = [end for dot in dots for end in (dot.x, dot.y)]
    if not ends:
        return ""
    # The span of the values, not of the intervals: a very unsure answer would shrink all others to nothing.
    room = 0.05 * (max(ends) - min(ends)) or 0.5
    span = (min(ends) - room, max(ends) + room)
    plane = Plane(span, span)
    (ax, ay), (bx, by) = plane.at(span[0], span[0]), plane.at(span[1], span[1])
    parts = [plane.axes(xlabel, ylabel, ticks(*span)), f'<path class="mark" d="M{ax} {ay}L{bx} {by}"/>']
    for dot in dots:
        (x, y), low, high = plane.at(dot.x, dot.y), plane.at(dot.x, dot.y - dot.half), plane.at(dot.x, dot.y + dot.half)
        if dot.half:
            parts.append(f'<path class="whisker {dot.kind}" d="M{x:.1f} {low[1]:.1f}V{high[1]:.1f}"/>')
        parts.append(f'<circle class="{dot.kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
    return svg("".join(parts), f"{ylabel} against {xlabel}, {len(dots)} answers; the dashed line is where both agree")


def chart_of_names(dots: Sequence[Dot], *, what: str, kinds: Sequence[tuple[str, str]]) -> str:
    """A map without scales; as many names as fit, all of them where a pointer rests.

    Args:
        dots: the last of them are drawn on top, and named first.
        what: it shows.
        kinds: (name, CSS class) of the kinds of dots.
    """
    if not dots:
        return ""
    xs, ys = [dot.x for dot in dots], [dot.y for dot in dots]
    plane = Plane((min(xs), max(xs)), (min(ys), max(ys)))
    places = [plane.at(dot.x, dot.y) for dot in dots]
    parts = [
        f'<circle class="{dot.kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(dot.name)}</title></circle>'
        for dot, (x, y) in zip(dots, places, strict=True)
    ]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places] if len(places) <= 60 else []
    for dot, (x, y) in zip(reversed(dots), reversed(places), strict=True):
        name = dot.name if len(dot.name) <= LONGEST else dot.name[: LONGEST - 1] + "…"
        long = LETTER * len(name)
        for left in (x + 8, x - 8 - long):
            box = (left, y - LINE / 2, left + long, y + LINE / 2)
            inside = left >= 0 and left + long <= WIDTH
            if inside and not any(_meet(box, other) for other in taken):
                near, end = (x + 8, "start") if left > x else (x - 8, "end")
                parts.append(f'<text x="{near:.1f}" y="{y + 6:.1f}" text-anchor="{end}">{escape(name)}</text>')
                taken.append(box)
                break
    size = f'width="{RIGHT - LEFT + 68}" height="{BOTTOM - TOP + 40}"'
    parts.insert(0, f'<rect class="frame" x="{LEFT - 60}" y="{TOP - 20}" {size}/>')
    return svg("".join(parts), f"{what}, {len(dots)} points") + legend(kinds)


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
