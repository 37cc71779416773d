"""What a study found, and how it is said."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..evaluation.audit import Audit
from ..evaluation.compare import Comparison
from ..evaluation.result import Result, rounded
from ..learner import Learner
from .diagnosis import Diagnosis
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
    diagnoses: list[Diagnosis] = dataclasses.field(default_factory=list)

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
            "diagnoses": [dataclasses.asdict(one) for one in self.diagnoses],
        }


def sentence(chosen: Row, baseline: Row, tests: dict[str, Result], comparison: Comparison) -> str:
    """The outcome in one sentence that a layman understands; it says so when a baseline wins."""
    mine, other = tests[chosen.entry.name], tests[baseline.entry.name]
    accuracy = mine.metric == "accuracy"
    number, half = rounded(abs(comparison.difference), _at_most(comparison.ci95) if accuracy else comparison.ci95)
    gap = f"{number} ± {half} points" if accuracy else f"{number} ± {half} of that error"
    if not comparison.significant:
        verdict = f"that is no clear difference ({gap} on {mine.tasks} tasks): take the baseline, which is simpler"
    elif comparison.difference > 0:
        verdict = f"meta-learning is better by {gap} on the same {mine.tasks} tasks"
    else:
        verdict = f"the simple baseline WINS by {gap} on the same {mine.tasks} tasks: use it"
    does = "names the right class in" if accuracy else "is off by"
    level, rival = (_level(result) for result in (mine, other))
    return (
        f"After seeing {_seen(mine)}, '{chosen.entry.name}' ({chosen.entry.says}) {does} {level}; the best simple"
        f" baseline, '{baseline.entry.name}' ({baseline.entry.says}), {'in' if accuracy else 'by'} {rival}: {verdict}."
    )


def _seen(result: Result) -> str:
    """What was shown of a new task."""
    shots, ways = result.protocol["shots"], result.protocol.get("ways")
    count = "one example" if shots == 1 else f"{shots} examples"
    if ways is None:
        return f"{count} of a task it had never met"
    if "groups" in result.protocol:
        return f"{count} of each class of a task it had never met"
    return f"{count} of each of {ways if isinstance(ways, int) else f'{ways[0]} to {ways[1]}'} classes it had never met"


def _level(result: Result) -> str:
    if result.metric == "accuracy":
        return f"{result.value:.1f}% ± {_at_most(result.ci95):.1f} of cases"
    return "a mean squared error of " + " ± ".join(rounded(result.value, result.ci95))


def _at_most(half: float) -> float:
    """Half an interval of percent: of two or three tasks Student's would reach beyond all that there is."""
    return min(half, 100.0)
