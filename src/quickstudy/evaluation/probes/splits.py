"""Probes of the split: no class, group or sample may stand on two sides, nor a copy of one."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from ...errors import UserError
from ...task import Task
from ...tasks.pool import SPLITS, Pool
from ...tasks.source import TaskSource
from .duplicates import ASKED, MOST, near_duplicates, room, thinned
from .finding import Finding, inapplicable

Key = tuple[object, ...]


@dataclasses.dataclass(frozen=True)
class Side:
    """What one side of a split is made of: all that its pool says, and all that its episodes drew.

    Args:
        classes: of its tasks.
        groups: of these classes (alphabets, patients), or of the tasks themselves.
        samples: the drawings behind its rows, where they are numbered, with the set of examples they are numbered in.
        x: (n, *feature) inputs, thinned to what the search for copies can hold.
    """

    classes: frozenset[Key]
    groups: frozenset[Key]
    samples: frozenset[Key]
    x: Tensor

    @classmethod
    def of(cls, source: TaskSource, tasks: Sequence[Task]) -> Self:
        """The side that a source draws from."""
        origins = [task.origin for task in tasks if task.origin is not None]
        rows = _numbers([part for o in origins for part in (o.support, o.query)])
        # Classes without rows are numbers that padding made up.
        drawn = _numbers([o.classes for o in origins if bool((o.support >= 0).any())])
        pool: Pool | None = getattr(source, "pool", None)
        if isinstance(pool, Pool):
            return cls._of_pool(pool, torch.cat([pool.members(source.split), drawn]).unique(), rows)
        named = [
            frozenset((source.name, number) for number in part.tolist())
            for part in (drawn, _numbers([o.group for o in origins]), rows)
        ]
        # An input of a regression may well come again in another task: there it has another answer.
        known = [task for task in tasks if task.ways is not None]
        parts = [part for task in known for part in (task.support.x, task.query.x)]
        x = torch.cat(parts) if parts else torch.zeros(0)
        return cls(named[0], named[1], named[2], x[thinned(torch.arange(len(x)), room(x))])

    @classmethod
    def _of_pool(cls, pool: Pool, members: Tensor, rows: Tensor) -> Self:
        inside = torch.isin(pool.y, members).nonzero().flatten()
        origin = torch.arange(len(pool.y)) if pool.origin is None else pool.origin
        named = frozenset((pool.groups[c], pool.classes[c]) for c in members.tolist())
        # Numbers of rows mean something in one set of examples only; names do everywhere.
        home = pool.x.data_ptr()
        samples = frozenset((home, number) for number in origin[torch.cat([inside, rows])].tolist())
        return cls(named, frozenset((group,) for group, _ in named), samples, pool.x[thinned(inside, room(pool.x))])


def sides_of(
    source: TaskSource, splits: Mapping[str, TaskSource] | None, tasks: int
) -> dict[str, tuple[TaskSource, Task]]:
    """Every side that tasks can be drawn from, with `tasks` of its episodes."""
    found = {}
    for name in splits or SPLITS:
        try:
            side = splits[name] if splits else source.of(name)
            found[name] = (side, side.sample(0, tasks))
        except UserError:
            # A side that is empty or too small for a task cannot have leaked through one.
            if splits:
                raise
    return found


def overlaps(sides: Mapping[str, Side]) -> list[Finding]:
    """Whether classes, groups or samples are on two sides."""
    return [_overlap(sides, "classes"), _overlap(sides, "groups"), _overlap(sides, "samples")]


def _overlap(sides: Mapping[str, Side], what: str) -> Finding:
    name = f"{what} on two sides"
    known = {side: getattr(content, what) for side, content in sides.items() if getattr(content, what)}
    if len(known) < 2:
        return inapplicable(name, f"fewer than two splits have {what} that can be told apart")
    # The set that a sample is numbered in is an address, and tells a reader nothing.
    total, shown, key_from = 0, [], 1 if what == "samples" else 0
    for (one, a), (other, b) in itertools.combinations(known.items(), 2):
        both = a & b
        total += len(both)
        if both:
            some = ", ".join("/".join(map(str, key[key_from:])) for key in sorted(both, key=str)[:3])
            shown.append(f"{len(both):,} in {one} and {other} ({some}{', ...' if len(both) > 3 else ''})")
    counts = ", ".join(f"{len(content):,} in {side}" for side, content in known.items())
    return Finding(name, total == 0, "; ".join(shown) or f"none shared ({counts})", total, 0)


def copies(sides: Mapping[str, Side]) -> Finding:
    """Whether inputs of one side are on another too, exactly or nearly.

    One in a thousand may be: two people draw a plain stroke alike.
    """
    name, limit = "near duplicates", 1e-3
    shares, shown = [], []
    for (one, a), (other, b) in itertools.combinations(sides.items(), 2):
        found = near_duplicates(a.x, b.x)
        if found is None:
            continue
        shares.append(len(found.rows) / found.looked_at)
        if len(found.rows):
            alike = "nearly equal" if found.similarity < 1 else "equal"
            share = f"{len(found.rows):,} of {found.looked_at:,} of {other}"
            shown.append(f"{share} are {alike} to one of {one} (cosine up to {found.similarity:.5f})")
    if not shares:
        return inapplicable(name, "no two splits have classes whose inputs are of one shape")
    says = "; ".join(shown) or f"none of up to {ASKED:,} inputs of one side is like one of up to {MOST:,} of another"
    return Finding(name, max(shares) <= limit, says, max(shares), limit)


def _numbers(parts: Sequence[Tensor | None]) -> Tensor:
    """All different numbers of some tensors, without padding (-1)."""
    known = [part.flatten() for part in parts if part is not None]
    every = torch.cat(known).unique() if known else torch.zeros(0, dtype=torch.int64)
    return every[every >= 0]
