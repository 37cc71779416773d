"""The page "which learner should I take?" and its picture, from the records of the benchmarks; used by make.py.

Every sentence is made from committed figures: which learners it names is worked out here, not written down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

Record = dict[str, Any]

HEAD = """# Which learner should I take?

Written by `python docs/make.py` from the records in `benchmarks/results/`, as [results](results.md) is, where budgets,
machines and published figures stand. What follows from how each algorithm works is in
[how to choose](how-to-choose.md). A learner whose training was capped is marked with *; with more training it would
do better, so a place behind others says little about it.
"""
IMAGES = "omniglot/5-way-1-shot"
SHAPE = (720, 420, 70, 20, 640, 370)  # width, height; left, top, right and bottom of the frame


def page(records: Sequence[Record], figure: Callable[[Record], str]) -> str:
    """The whole page; a section without records is left out."""
    works: dict[str, list[Record]] = {}
    for row in records:
        works.setdefault(row["work"], []).append(row)
    parts = [HEAD, _images(works.get(IMAGES, []), works, figure)]
    for work, title, text in SECTIONS:
        if rows := works.get(work, []):
            parts.append(_section(title, text, rows, figure))
    return "".join(parts)


SECTIONS = (
    (
        "sine/10-shot",
        "Numbers: curves from ten points",
        "Mean squared error on sine curves, each seen at ten points (600 test curves, 100 questions each).",
    ),
    (
        "gp/rbf",
        "Numbers with their uncertainty",
        "Draws from Gaussian processes. The true process is the ceiling: nothing that has to learn can do better.",
    ),
    ("dkt-sine", "Few points, and how sure", "Five noisy points of a sine curve."),
    (
        "retrieval/r20",
        "Something to remember",
        "Letters with digits are shown one after another, then a letter is asked for; each memory has 20 units.",
    ),
    (
        "glyphs/zero-to-twenty",
        "From a description to many examples",
        "Characters of scripts never seen, described by their printed shape and shown as distorted drawings.",
    ),
)


def _images(rows: list[Record], works: dict[str, list[Record]], figure: Callable[[Record], str]) -> str:
    shown = [row for row in rows if row.get("adapt_ms") is not None and not row.get("variant")]
    if not shown:
        return ""
    inductive = sorted((r for r in shown if not r.get("transductive")), key=lambda r: -r["value"])
    lines = [
        "\n## New classes from one image each\n",
        "Omniglot, five classes never seen in training, one example of each, the same 1,000 tasks for all.\n",
        "![accuracy against the time to adapt](which-learner.svg)\n",
        *_sentences(inductive, works),
        "\n| learner | inductive | transductive | to adapt | state | training | 20 classes |",
        "|---|---|---|---|---|---|---|",
    ]
    names = list(dict.fromkeys(r["learner"] for r in [*inductive, *shown]))
    for name in names:
        mine = [r for r in shown if r["learner"] == name]
        sides = [next((figure(r) for r in mine if bool(r.get("transductive")) is side), "-") for side in (False, True)]
        one = mine[0]
        more = next((r for r in works.get("omniglot/20-way-1-shot", []) if r["learner"] == name), None)
        cost = minutes(one["cpu_seconds"])
        cells = [called(one), *sides, milliseconds(one["adapt_ms"]), size(one["state_bytes"]), cost]
        lines.append(f"| {' | '.join([*cells, figure(more) if more else '-'])} |")
    return "\n".join(lines) + "\n"


def _sentences(rows: list[Record], works: dict[str, list[Record]]) -> list[str]:
    """What the figures say, for inductive learners, the best first."""
    best = rows[0]
    near = [r for r in rows if r["value"] + r["ci95"] >= best["value"] - best["ci95"]]
    quick, small = min(near, key=lambda r: r["adapt_ms"]), min(near, key=lambda r: r["state_bytes"])
    cheap = min(rows, key=lambda r: r["cpu_seconds"])
    said = [
        f"- **Most accurate**: {called(best)}, {best['value']:.1f} % ± {best['ci95']:.1f}."
        + (f" Within the intervals of both: {', '.join(called(r) for r in near[1:])}." if near[1:] else ""),
        f"- **Quickest to adapt among these**: {called(quick)}, {milliseconds(quick['adapt_ms'])} a task on one core.",
        f"- **Smallest state among these**: {called(small)}, {size(small['state_bytes'])} a task.",
        f"- **Least training of all**: {called(cheap)}, {minutes(cheap['cpu_seconds'])} for {cheap['value']:.1f} %.",
    ]
    wide = sorted(
        (r for r in works.get("omniglot/20-way-1-shot", []) if not r.get("transductive") and not r.get("variant")),
        key=lambda r: -r["value"],
    )
    if wide:
        said.append(f"- **With 20 classes**: {called(wide[0])}, {wide[0]['value']:.1f} % ± {wide[0]['ci95']:.1f}.")
    return said


def _section(title: str, text: str, rows: list[Record], figure: Callable[[Record], str]) -> str:
    lines = [f"\n## {title}\n", f"{text}\n", "| learner | figure |", "|---|---|"]
    # The best first, and the best error is the least.
    sign = 1 if rows[0]["metric"] == "mse" else -1
    rows = sorted(rows, key=lambda r: sign * r["value"])
    lines += [f"| {called(r)}{', ' + r['variant'] if r.get('variant') else ''} | {figure(r)} |" for r in rows]
    return "\n".join(lines) + "\n"


def called(row: Record) -> str:
    """The name of a learner, with a star where its training was capped."""
    return f"`{row['learner']}`" + ("*" if str(row.get("budget", "")).startswith("capped") else "")


def minutes(seconds: float) -> str:
    """Processor time to a whole minute or, below two, second."""
    return f"{seconds:.0f} CPU-seconds" if seconds < 120 else f"{seconds / 60:.0f} CPU-minutes"


def milliseconds(value: float) -> str:
    """A time to two digits, in ms or s."""
    number, unit = (value, "ms") if value < 1000 else (value / 1000, "s")
    return f"{float(f'{number:.2g}'):g} {unit}"  # no exponent: 140, not 1.4e+02


def size(count: float) -> str:
    """A number of bytes to two digits."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000 or unit == "MB":
            return f"{count:.0f} {unit}" if count >= 100 or unit == "bytes" else f"{count:.2g} {unit}"
        count /= 1000
    raise AssertionError


def picture(records: Sequence[Record]) -> str:
    """Accuracy against the time to adapt, a point a learner, its area the state it leaves, as SVG."""
    shown = [
        r
        for r in records
        if r["work"] == IMAGES and r.get("adapt_ms") is not None and not r.get("transductive") and not r.get("variant")
    ]
    width, height, left, top, right, bottom = SHAPE
    style = "text{font:13px sans-serif;fill:#333}.grid{stroke:#ddd}circle{fill:#2a6fb0;fill-opacity:.55}"
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"><style>{style}</style>']
    parts.append(f'<rect width="{width}" height="{height}" fill="#fff"/>')
    if shown:
        parts += _points(shown, left, top, right, bottom)
    return "".join(parts) + "</svg>\n"


def _points(shown: list[Record], left: int, top: int, right: int, bottom: int) -> list[str]:
    times = [math.log10(r["adapt_ms"]) for r in shown]
    low, high = math.floor(min(times)), math.ceil(max(times) + 1e-9)
    least = 5 * math.floor(min(r["value"] for r in shown) / 5)

    def at(row: Record) -> tuple[float, float]:
        across = (math.log10(row["adapt_ms"]) - low) / max(high - low, 1)
        return left + across * (right - left), bottom - (row["value"] - least) / (100 - least) * (bottom - top)

    parts = []
    for k in range(low, high + 1):
        x = left + (k - low) / max(high - low, 1) * (right - left)
        parts.append(f'<path class="grid" d="M{x:.0f} {top}V{bottom}"/>')
        parts.append(f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle">{milliseconds(10.0**k)}</text>')
    for value in range(least, 101, 5 if least > 60 else 10):
        y = bottom - (value - least) / (100 - least) * (bottom - top)
        parts.append(f'<path class="grid" d="M{left} {y:.0f}H{right}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{value}%</text>')
    parts.append(f'<text x="{(left + right) / 2:.0f}" y="{bottom + 40}" text-anchor="middle">time to adapt</text>')
    taken: list[tuple[float, float]] = []
    for row in sorted(shown, key=lambda r: -r["value"]):
        x, y = at(row)
        radius = 3 + 2 * max(0.0, math.log10(max(row["state_bytes"], 1)) - 2)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
        label = y + 4
        while any(abs(label - b) < 14 and abs(x - a) < 110 for a, b in taken):
            label += 14
        taken.append((x, label))
        star = "*" if str(row.get("budget", "")).startswith("capped") else ""
        parts.append(f'<text x="{x + radius + 4:.1f}" y="{label:.1f}">{escape(row["learner"])}{star}</text>')
    return parts
