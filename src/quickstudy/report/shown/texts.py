"""Words and numbers on a page: made short, and a text with the words marked that counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Part = tuple[str, float]  # a word, some words or a column, and what is lost of an answer without it

FAINT = 0.2  # share of what counts most below which a word is not marked
LONGEST = 120  # letters of a piece
LETTERS = 500  # of a text whose words are marked
AROUND = 3  # pieces that are shown to each side of one that counts


def shortened(text: str, letters: int) -> str:
    """The beginning of a text, white space made plain.

    >>> shortened("a  long\\n story", 8)
    'a long…'
    """
    plain = " ".join(text.split())
    return plain if len(plain) <= letters else plain[: letters - 1].rstrip() + "…"


def number(value: float) -> str:
    """A number to four digits; empty where it is missing."""
    return "" if math.isnan(value) else f"{value:.4g}"


def marked(parts: Sequence[Part], *, between: str = " ") -> str:
    """HTML of a text in pieces, those that count marked; of a long one what stands around those that count most.

    Args:
        parts: its pieces.
        between: HTML that stands between them.

    >>> print(marked([("a", 0.0), ("fine", 0.3), ("<b>", -0.1)]))
    a <mark style="--w:100%">fine</mark> <mark class="against" style="--w:33%">&lt;b&gt;</mark>
    """
    most = max((abs(weight) for _, weight in parts), default=0.0)
    made, last = [], -1
    for i in _kept(parts):
        piece, strength = escape(shortened(parts[i][0], LONGEST)), abs(parts[i][1]) / most if most else 0.0
        if strength >= FAINT:
            against = ' class="against"' if parts[i][1] < 0 else ""
            piece = f'<mark{against} style="--w:{strength:.0%}">{piece}</mark>'
        made += ["…", piece] if i > last + 1 else [piece]
        last = i
    return between.join([*made, *(["…"] if last < len(parts) - 1 else [])])


def _kept(parts: Sequence[Part]) -> list[int]:
    """The pieces that there is room for: those that count most and what stands around them."""
    kept: set[int] = set()
    for i in sorted(range(len(parts)), key=lambda i: -abs(parts[i][1])):
        around = range(max(0, i - AROUND), min(len(parts), i + AROUND + 1))
        if kept and sum(len(parts[j][0]) + 1 for j in kept.union(around)) > LETTERS:
            break
        kept.update(around)
    return sorted(kept)
