"""What meta-training tells of each step, and asks of validation."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol


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
