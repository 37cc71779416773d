"""Charts as inline SVG: they scale, print, follow dark mode and need no library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 640


def bars(
    rows: Sequence[tuple[str, float, float, str]], *, unit: str = "%", top: float = 100.0, line: float | None = None
) -> str:
    """Horizontal bars with their intervals.

    Args:
        rows: (label, value, half width of the interval, CSS class) each.
        unit: written behind the numbers.
        top: value of a full bar.
        line: a value to mark, such as chance.
    """
    left, right, each = 190, 120, 30
    span = WIDTH - left - right
    height = each * len(rows) + 8
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(_spoken(rows, unit))}">']
    for i, (label, value, half, kind) in enumerate(rows):
        y, width = 4 + i * each, max(1.0, span * value / top)
        low, high = (left + span * max(0.0, v) / top for v in (value - half, value + half))
        middle = y + each / 2 - 2
        parts += [
            f'<text x="{left - 8}" y="{middle + 5}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="{kind}" x="{left}" y="{y}" width="{width:.1f}" height="{each - 8}" rx="3"/>',
            f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}'
            f'M{low:.1f} {middle - 5}v10M{high:.1f} {middle - 5}v10"/>',
            f'<text x="{WIDTH - right + 8}" y="{middle + 5}">{value:.1f}{unit} ± {half:.1f}</text>',
        ]
    if line is not None:
        x = left + span * line / top
        parts.append(f'<path class="mark" d="M{x:.1f} 0V{height}"/>')
    return "".join(parts) + "</svg>"


def _spoken(rows: Sequence[tuple[str, float, float, str]], unit: str) -> str:
    return "; ".join(f"{label}: {value:.1f}{unit} plus or minus {half:.1f}" for label, value, half, _ in rows)


def curves(
    series: Sequence[tuple[str, Sequence[tuple[float, float, float]], str]],
    *,
    xlabel: str,
    ylabel: str,
    low: float,
    high: float,
) -> str:
    """Lines with intervals.

    Args:
        series: (label, points of (x, value, half width of the interval), CSS class) each.
        xlabel: what x is.
        ylabel: what the value is.
        low: value at the bottom.
        high: value at the top.
    """
    box = (60, 12, WIDTH - 180, 220)  # left, top, right, bottom
    xs = [x for _, points, _ in series for x, _, _ in points]
    if not xs:
        return ""
    least, most = min(xs), max(xs)

    def at(x: float, y: float) -> tuple[float, float]:
        across = 0.5 if most == least else (x - least) / (most - least)
        up = (min(max(y, low), high) - low) / (high - low)
        return box[0] + across * (box[2] - box[0]), box[3] - up * (box[3] - box[1])

    parts = [f'<svg viewBox="0 0 {WIDTH} 270" role="img" aria-label="{escape(ylabel)} against {escape(xlabel)}">']
    for k in range(5):
        value = low + (high - low) * k / 4
        y = at(least, value)[1]
        parts.append(
            f'<path class="grid" d="M{box[0]} {y:.1f}H{box[2]}"/>'
            f'<text x="{box[0] - 8}" y="{y + 5:.1f}" text-anchor="end">{value:.0f}</text>'
        )
    for x in sorted(set(xs)) if len(set(xs)) <= 8 else (least, most):
        parts.append(f'<text x="{at(x, low)[0]:.1f}" y="{box[3] + 20}" text-anchor="middle">{x:,.0f}</text>')
    ends: list[float] = []
    for label, points, kind in series:
        places = [(*at(x, v), at(x, v - h)[1], at(x, v + h)[1]) for x, v, h in points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in places)
        whiskers = "".join(f"M{x:.1f} {a:.1f}V{b:.1f}" for x, _, a, b in places if abs(a - b) > 1)
        end = places[-1][1] + 5
        while any(abs(end - other) < 16 for other in ends):
            end += 16
        ends.append(end)
        parts.append(f'<path class="line {kind}" d="{path}"/><path class="whisker" d="{whiskers}"/>')
        parts.append(f'<text x="{box[2] + 8}" y="{end:.1f}">{escape(label)}</text>')
    middle = (box[0] + box[2]) / 2
    parts.append(f'<text x="{middle}" y="{box[3] + 42}" text-anchor="middle">{escape(xlabel)}</text>')
    return "".join(parts) + "</svg>"
