"""Curves of training as inline SVG: many points, no intervals."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ..report.charts.curves import Plane, legend, svg, ticks

MOST = 300  # points of a line, more than a screen shows apart
SETTLED = 0.05  # of the first steps what is large is cut off, or it would flatten all that follows

Line = tuple[str, Sequence[tuple[float, float]], str]  # name, (step, value) pairs, CSS class


def lines(series: Sequence[Line], ylabel: str) -> Markup:
    """One drawing of several runs; every text in it is escaped.

    >>> lines([("<b>", [(1, 0.5), (2, 0.25)], "c1")], "loss").count("&lt;b&gt;")
    2
    """
    end = max(points[-1][0] for _, points, _ in series)
    settled = [v for _, points, _ in series for s, v in points if s >= SETTLED * points[-1][0]]
    low, high = min(settled), max(settled)
    low = 0.0 if 0 <= low < high / 2 else low
    plane = Plane((0.0, end), (low, high if high > low else low + 1.0))
    parts, spoken = [plane.axes("steps", ylabel, ticks(0.0, end))], []
    for name, points, kind in series:
        kept = [*points[:: -(-len(points) // MOST)], points[-1]]
        path = "L".join("{:.1f} {:.1f}".format(*plane.at(s, v)) for s, v in kept)
        parts.append(f'<path class="line {kind}" d="M{path}"/>')
        spoken.append(f"{name}: {points[-1][1]:.3g} after {points[-1][0]:,.0f} steps")
    drawing = svg("".join(parts), f"{ylabel}. {'; '.join(spoken)}")
    return Markup(drawing + legend([(name, kind) for name, _, kind in series]))
