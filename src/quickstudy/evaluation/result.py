"""What an evaluation found: never a number without its uncertainty and its protocol."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping
from typing import Any

from ..errors import BadFile


@dataclasses.dataclass(frozen=True)
class Result:
    """A learner, judged on some tasks.

    Attributes:
        metric: 'accuracy' (percent) or 'mse' (raw units).
        value: mean over tasks.
        ci95: half width of its 95 % interval (t, over tasks).
        values: one number a task, in the order of the episodes.
        protocol: source, split, ways, shots, queries, seed, first episode, kind of interval, transductive or not.
        manifest: SHA-256 of the episodes; results with one manifest met the same tasks.
        learner: class name.
        weights: SHA-256 of the learner's weights.
        left_out: tasks whose answers were not finite.
        diverged: share of tasks, in percent, that failed: regression worse than answering with the mean of the support
            targets, or answers that are not finite.
        ece: expected calibration error in percent; None for regression.
        nll: mean negative log-likelihood of the right class in nats; None for regression.
        by_shots: shots -> (value, ci95).
        by_steps: adaptation steps -> (value, ci95).
        seconds: that judging took.
        audit: verdict of `audit`, where it was made.
    """

    metric: str
    value: float
    ci95: float
    values: tuple[float, ...]
    protocol: Mapping[str, Any]
    manifest: str
    learner: str
    weights: str
    left_out: int = 0
    diverged: float = 0.0
    ece: float | None = None
    nll: float | None = None
    by_shots: Mapping[int, tuple[float, float]] = dataclasses.field(default_factory=dict)
    by_steps: Mapping[int, tuple[float, float]] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    audit: Mapping[str, Any] | None = None

    @property
    def tasks(self) -> int:
        """Tasks that count."""
        return len(self.values)

    @property
    def median(self) -> float:
        """Median over tasks."""
        return statistics.median(self.values)

    @property
    def score(self) -> float:
        """Higher is better."""
        return self.value if self.metric == "accuracy" else -self.value

    def __str__(self) -> str:
        p = self.protocol
        shape = f"{_count(p.get('ways'))}-way {_count(p.get('shots'))}-shot" if p.get("ways") else f"{_count(p.get('shots'))}-shot"
        mode = "transductive" if p.get("transductive") else "inductive"
        lost = f", {self.left_out} tasks left out: answers not finite" if self.left_out else ""
        if self.metric == "accuracy":
            return f"{self.value:.1f}% ± {self.ci95:.1f} (95% over {self.tasks:,} tasks; {shape}, {mode}{lost})"
        failed = f", {self.diverged:.1f}% diverged" if self.diverged else ""
        return (
            f"mse {self.value:.4g} ± {self.ci95:.2g}, median {self.median:.3g}"
            f" (95% over {self.tasks:,} tasks; {shape}, {mode}{failed}{lost})"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back."""
        plain = dataclasses.asdict(self) | {"median": self.median if self.values else math.nan, "tasks": self.tasks}
        plain["values"] = [round(v, 6) for v in self.values]
        for curve in ("by_shots", "by_steps"):
            plain[curve] = {str(k): list(v) for k, v in getattr(self, curve).items()}
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Result:
        """The result that `to_json` wrote.

        Raises:
            BadFile: something is missing.
        """
        try:
            kept = {f.name: plain[f.name] for f in dataclasses.fields(cls)}
            for curve in ("by_shots", "by_steps"):
                kept[curve] = {int(k): (float(v[0]), float(v[1])) for k, v in plain[curve].items()}
            return cls(**{**kept, "values": tuple(plain["values"])})
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(f"This is not a result of an evaluation: {error!r} is missing or odd.") from error


def _count(count: Any) -> str:
    return f"{count[0]}..{count[1]}" if isinstance(count, tuple | list) else str(count)
