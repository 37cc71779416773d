"""What one probe found."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """One probe's verdict.

    Attributes:
        name: of the probe.
        passed: None when the probe does not apply; the sentence says why.
        sentence: what was found, with its numbers.
        value: what was measured.
        limit: the most that passes.
    """

    name: str
    passed: bool | None
    sentence: str
    value: float | None = None
    limit: float | None = None

    def __str__(self) -> str:
        mark = {True: "ok", False: "LEAK", None: "-"}[self.passed]
        return f"{mark:<5}{self.name}: {self.sentence}"


def inapplicable(name: str, why: str) -> Finding:
    """The finding of a probe that has nothing to look at."""
    return Finding(name, None, why)
