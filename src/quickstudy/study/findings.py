"""What a study found, and how it is said."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..evaluation.audit import Audit
from ..evaluation.compare import Comparison
from ..evaluation.result import Result
from ..learner import Learner
from .entries import Entry


@dataclasses.dataclass
class Row:
    """One line of the leaderboard."""

    entry: Entry
    learner: Learner
    validation: Result
    seconds: float
    steps: int = 0


@dataclasses.dataclass
class Findings:
    """What a study found; `report.page` shows it, `as_table` is what results.json holds."""

    rows: list[Row]
    chosen: Row
    baseline: Row
    tests: dict[str, Result]
    comparison: Comparison
    audit: Audit
    sentence: str
    seconds: dict[str, float]
    dropped: dict[str, str]

    def as_table(self) -> dict[str, Any]:
        """Everything but the learners, ready for JSON."""
        return {
            "sentence": self.sentence,
            "chosen": self.chosen.entry.name,
            "baseline": self.baseline.entry.name,
            "comparison": dataclasses.asdict(self.comparison),
            "audit": self.audit.to_json(),
            "test": {name: result.to_json() for name, result in self.tests.items()},
            "leaderboard": [
                {
                    "name": row.entry.name,
                    "role": row.entry.role,
                    "validation": row.validation.to_json(),
                    "training_seconds": row.seconds,
                    "steps": row.steps,
                }
                for row in self.rows
            ],
            "seconds": self.seconds,
            "dropped": self.dropped,
        }


def sentence(chosen: Row, baseline: Row, tests: dict[str, Result], comparison: Comparison) -> str:
    """The outcome in one sentence that a layman understands; it says so when a baseline wins."""
    mine, other = tests[chosen.entry.name], tests[baseline.entry.name]
    shots, ways = mine.protocol["shots"], mine.protocol["ways"]
    seen = "one example" if shots == 1 else f"{shots} examples"
    gap = f"{abs(comparison.difference):.1f} ± {comparison.ci95:.1f} points"
    if not comparison.significant:
        verdict = f"that is no clear difference ({gap}): take the baseline, which is simpler"
    elif comparison.difference > 0:
        verdict = f"meta-learning is better by {gap} on the same {mine.tasks} tasks"
    else:
        verdict = f"the simple baseline WINS by {gap} on the same {mine.tasks} tasks: use it"
    return (
        f"After seeing {seen} of each of {ways} classes it had never met, '{chosen.entry.name}'"
        f" ({chosen.entry.says}) names the right class in {mine.value:.1f}% ± {mine.ci95:.1f} of cases; the best"
        f" simple baseline, '{baseline.entry.name}' ({baseline.entry.says}), in {other.value:.1f}% ± {other.ci95:.1f}:"
        f" {verdict}."
    )
