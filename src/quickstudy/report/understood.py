"""What the study was made of: what was read of a user's data, or the sides of named tasks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..tasks.episodes import Episodes
from ..tasks.pool import SPLITS

KEY = 10  # letters of an account's left column
SOME = 8  # names that are listed


def account(text: str) -> str:
    """An account (`Own.account`) as HTML: its first line, then a table, lines of one subject together.

    >>> print(account("mail: 4 rows\\ntasks     2: a, b\\nnote      one\\nnote      two"))
    <p>mail: 4 rows</p><table><tr><th>tasks</th><td>2: a, b</td></tr><tr><th>note</th><td>one<br>two</td></tr></table>
    """
    head, *lines = text.splitlines()
    facts: dict[str, list[str]] = {}
    for line in lines:
        facts.setdefault(line[:KEY].strip(), []).append(line[KEY:])
    notes = facts.pop("note", None)  # they come from several places, and stand together at the end
    return f"<p>{escape(head)}</p>" + table([*facts.items(), *([] if notes is None else [("note", notes)])])


def facts_of(source: Any) -> str:
    """How many classes or tasks a named source has on each side."""
    if isinstance(source, Episodes):
        pool = source.pool
        facts = [("examples", [f"{len(pool.x):,} of {'×'.join(map(str, pool.x.shape[1:]))}"])]
        for split in SPLITS:
            members = pool.members(split).tolist()
            groups = sorted({pool.groups[c] for c in members})
            some = ", ".join(groups[:SOME]) + (f" and {len(groups) - SOME} more" if len(groups) > SOME else "")
            facts.append((split, [f"{len(members):,} classes of {len(groups)} groups: {some}"]))
        return table(facts)
    sides = getattr(source, "sides", None)
    facts = [("examples", [f"{len(source.y):,}"])] if hasattr(source, "y") else []
    if sides is not None:
        facts += [(split, [f"{sides.count(split):,} tasks"]) for split in SPLITS]
    return table([("tasks", [source.name]), *facts])


def table(facts: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Names and what there is to say of each, a line or a few."""
    rows = (f"<tr><th>{escape(k)}</th><td>{'<br>'.join(map(escape, lines))}</td></tr>" for k, lines in facts)
    return f"<table>{''.join(rows)}</table>"
