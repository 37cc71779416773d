"""From a user's rows to tasks: split first, then encoded, then drawn as they come."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..encoders.choice import encode, encoder_for
from ..encoders.protocol import Encoder
from ..errors import NotEnoughExamples
from ..tasks.checked.splits import Split, split_rows
from ..tasks.class_groups import ClassGroups
from ..tasks.datasets.download import Progress
from ..tasks.episodes import Episodes
from ..tasks.groups import Groups
from ..tasks.own.rows import Rows
from ..tasks.pool import SPLITS, Pool
from .entries import Tasks

QUERIES = (10, 5, 2, 1)  # of a class that is drawn: the first that nearly all classes have room for
ASKED = (50, 20, *QUERIES)  # of a task that exists, each of which is met once: the more, the less is left to chance
ROOM = 0.98


@dataclasses.dataclass(frozen=True)
class Own:
    """A user's data, ready for a study.

    Args:
        rows: those that were encoded.
        split: which task, or class, stands on which side.
        encoder: what made tensors of the inputs.
        x: (n, *feature).
        source: the tasks.
        columns: what the columns of the user's table are called: label, text, ...
        notes: what was left out to make tasks of the wanted shape.
    """

    rows: Rows
    split: Split
    encoder: Encoder
    x: Tensor
    source: Tasks
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def account(self) -> str:
        """All that was understood, for people."""
        feature = "x".join(map(str, self.encoder.feature))
        lines = [self.rows.account(), str(self.split), f"encoder   {self.encoder.identity.split()[0]} ({feature})"]
        return "\n".join(lines + [f"note      {note}" for note in self.notes])


def own_tasks(
    rows: Rows,
    *,
    encoder: str | None = None,
    ways: int = 5,
    shots: int = 1,
    queries: int | None = None,
    seed: int = 0,
    columns: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Own:
    """Tasks of a user's rows.

    Where rows belong to tasks these are the tasks, and whole tasks are kept aside; otherwise tasks are put together
    from classes, and whole classes are. What is scaled is scaled by rows of the training side alone.

    Args:
        rows: what was read.
        encoder: by name; the best that is ready for their modality when None.
        ways: classes a task, where tasks are drawn from classes.
        shots: support examples of each class, or support rows of a regression task.
        queries: asked of each class (or of each task, in a regression); as many as nearly all have room for when
            None: at most 10 where tasks are drawn, and 50 where they exist.
        seed: of the split and of the episodes.
        columns: what the columns of the user's table are called, kept for what reads such tables again.
        progress: told how far the encoding is.
        options: of the encoder.

    Raises:
        NotEnoughExamples: no such task can be made; the message says what would fit.
        OverlappingSplits: too few tasks or classes for three sides.
        UnknownName: an encoder that does not read these rows.
    """
    split = split_rows(rows, seed=seed)
    made = encoder_for(rows, encoder, train=split.of(rows) == "train", **options)
    rows, x = encode(rows, made, progress)
    source: Tasks
    if rows.tasks is None:
        source, notes = _drawn(rows, x, split, ways, shots, queries, seed)
    else:
        source, notes = _existing(rows, x, split, shots, queries, seed)
    return Own(rows, split, made, x, source, dict(columns or {}), notes)


def _existing(
    rows: Rows, x: Tensor, split: Split, shots: int, queries: int | None, seed: int
) -> tuple[ClassGroups | Groups, tuple[str, ...]]:
    """The tasks that rows belong to, and what their classes were taken for."""
    names, home = rows.task_numbers
    sides, group = [split.sides[name] for name in names], torch.from_numpy(home)
    if rows.kind == "regression":
        y = torch.from_numpy(rows.labels.astype(np.float32)).unsqueeze(1)
        asked = queries or _queries(np.bincount(home) - shots, ASKED)
        tasks = Groups(rows.name, x, y, group, sides, shots=shots, queries=asked, seed=seed)
        return tasks, _too_small(tasks)
    classes, of = rows.classes
    pairs, sizes = np.unique(home * len(classes) + of, return_counts=True)
    # A class means the same in every task where its name stands in half of the tasks, on average.
    shared = len(pairs) >= 0.5 * len(names) * len(classes)
    source = ClassGroups(
        rows.name,
        x,
        torch.from_numpy(of),
        group,
        sides,
        classes=classes,
        labels="shared" if shared else "local",
        shots=shots,
        queries=queries or _queries(sizes - shots, ASKED),
        seed=seed,
    )
    means = "mean the same in every task" if shared else "are those of their task alone: few names recur"
    return source, (f"classes {means}", *_too_small(source))


def _too_small(source: ClassGroups | Groups) -> tuple[str, ...]:
    """What to say of tasks that have too few rows to be met."""
    out = sum(source.of(side).left_out for side in SPLITS)
    each = f"{source.shots} + {source.queries} rows" + " of a class" * isinstance(source, ClassGroups)
    few = f"{out:,} of the tasks, with fewer than {each},"
    return (f"{few} {'is' if out == 1 else 'are'} left out",) if out else ()


def _drawn(
    rows: Rows, x: Tensor, split: Split, ways: int, shots: int, queries: int | None, seed: int
) -> tuple[Episodes, tuple[str, ...]]:
    """Episodes of the classes that have rows enough, and what to say about the others."""
    classes, of = rows.classes
    sizes = np.bincount(of, minlength=len(classes))
    asked = queries or _queries(sizes - shots)
    poor = sizes < shots + asked
    sides = tuple("" if few else split.sides[name] for name, few in zip(classes, poor, strict=True))
    for side in SPLITS:
        if sides.count(side) < 2:
            raise NotEnoughExamples(
                f"A task needs 2 classes with {shots} support + {asked} query examples, but of the"
                f" {len(split.names(side))} classes for {side} {sides.count(side)} have as many. Lower shots or"
                " queries, or bring more examples."
            )
    pool = Pool(rows.name, x, torch.from_numpy(of), classes, classes, sides)
    least = min(sides.count(side) for side in SPLITS)
    notes = []
    if poor.any():
        notes.append(f"{int(poor.sum()):,} classes have fewer than {shots} + {asked} examples, and are not drawn")
    if least < ways:
        notes.append(f"tasks have {least} classes, not {ways}, as one side of the split has no more")
    return Episodes(pool, ways=min(ways, least), shots=shots, queries=asked, seed=seed), tuple(notes)


def _queries(room: np.ndarray, counts: tuple[int, ...] = QUERIES) -> int:
    """The largest number of queries that most have room for beside their support examples, of those that have any."""
    return next((q for q in counts if (room >= q).sum() >= ROOM * (room >= 1).sum()), counts[-1])
