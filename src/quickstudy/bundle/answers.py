"""What a bundle says to some queries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a bundle says to some queries; iterating gives (answer, confidence) pairs.

    Args:
        names: one a query; empty for regression.
        probabilities: (q, ways) in the order of the envelope's classes; None for regression.
        values: (q, d) predictions of a regression; None for classification.
        deviations: (q, d) standard deviations of them, where the learner answers with a distribution.
    """

    names: tuple[str, ...] = ()
    probabilities: Tensor | None = None
    values: Tensor | None = None
    deviations: Tensor | None = None

    def __len__(self) -> int:
        return len(self.names) if self.values is None else len(self.values)

    def __iter__(self) -> Iterator[tuple[Any, float]]:
        if self.probabilities is None:
            assert self.values is not None
            return iter([(value, float("nan")) for value in self.values.tolist()])
        return iter(list(zip(self.names, self.probabilities.amax(1).tolist(), strict=True)))
