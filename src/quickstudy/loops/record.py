"""What meta-training tells of each step, and asks of validation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Protocol

from ..storage import write_atomically


class Scored(Protocol):
    """What validation gives back."""

    @property
    def score(self) -> float:
        """Higher is better."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One step of meta-training.

    Attributes:
        step: steps done, this one included.
        loss: mean objective over the tasks of the step.
        metric: mean query metric over them: share of right answers, or mean squared error in raw units.
        tasks: tasks seen so far.
        seconds: spent so far, earlier sessions included, validation included.
        rate: tasks a second in this step.
        validation: what `validate` gave back, on steps where it was asked.
        best: whether that is the best so far.
    """

    step: int
    loss: float
    metric: float
    tasks: int
    seconds: float
    rate: float
    validation: Any = None
    best: bool = False

    def __str__(self) -> str:
        judged = "" if self.validation is None else f", validation {self.validation}{' (best)' if self.best else ''}"
        return f"step {self.step}: loss {self.loss:.4g}, {self.rate:,.0f} tasks/s{judged}"


def kept(records: Generator[Record, None, None], path: Path, *, every: int = 100) -> Generator[Record, None, None]:
    """Pass records on, and keep a curve of them: a JSON line every so many steps, which the page of runs draws.

    A line holds means since the line before. A resumed run goes on after the lines that it has not done again; a fresh
    one begins a new curve.

    Args:
        records: of a run; closed when this is.
        path: curve.jsonl in the folder of the run.
        every: steps between two lines; there is one where a validation was, too.
    """
    since: list[Record] = []
    last: Record | None = None
    try:
        for row in records:
            if last is None:
                write_atomically(path, "".join(_lines_before(path, row.step)).encode())
            since.append(row)
            last = row
            if row.validation is not None or row.step % every == 0:
                _add_line(path, since)
            yield row
    finally:
        records.close()
        if since:
            _add_line(path, since)


def _lines_before(path: Path, step: int) -> list[str]:
    """Lines of an earlier part of this run."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]


def _add_line(path: Path, since: list[Record]) -> None:
    """One line of means, and begin anew."""
    row, judged = since[-1], since[-1].validation
    point = {
        "step": row.step,
        "loss": sum(r.loss for r in since) / len(since),
        "metric": sum(r.metric for r in since) / len(since),
        "seconds": row.seconds,
        "val": getattr(judged, "value", None),
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(point) + "\n")
    since.clear()
