"""The result of an evaluation: a number with its uncertainty, its protocol, and what is needed to compare it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Self

from ..errors import BadFile

FORMAT = 1
Curve = dict[int, tuple[float, float]]  # shots or steps -> (value, half width of its 95% interval)


@dataclasses.dataclass(frozen=True)
class Result:
    """What `evaluate` found. Accuracies are in percent, errors in raw units; NaN where nothing can be said.

    Attributes:
        tasks: asked for.
        metric: 'accuracy' or 'mse'.
        value: mean over tasks.
        ci95: half the width of its 95% interval, Student's t over tasks.
        median: over tasks.
        values: one a task, None for a task that was left out.
        episodes: one short content hash a task.
        diverged: share of tasks whose answers were not finite or, in regression, worse than the mean support target.
        left_out: tasks whose answers were not finite; in no mean here.
        ece: expected calibration error in points of percent; None for regression.
        nll: mean negative log-likelihood of a query in nats; None where answers are no distribution, or it is infinite.
        protocol: the source's, and split, seed, first, tasks, queries_per_task, interval, transductive and, where the
            learner says so, batch_statistics.
        manifest: SHA-256 of the tasks, as `source.manifest` gives it.
        learner: name of its class.
        fingerprint: hash of its weights.
        seconds: drawing, adapting and answering, without the curves.
        by_shots: the value for other numbers of support examples a class.
        by_steps: the value after other numbers of steps; 0 is before adaptation.
        coverage: percent of targets inside their central 90 % intervals, for regressions answered with a distribution.
        audit: verdict of `audit`, where there was one.
    """

    tasks: int
    metric: str
    value: float
    ci95: float
    median: float
    values: tuple[float | None, ...]
    episodes: tuple[str, ...]
    diverged: float
    left_out: int
    ece: float | None
    nll: float | None
    protocol: dict[str, Any]
    manifest: str
    learner: str
    fingerprint: str
    seconds: float
    by_shots: Curve = dataclasses.field(default_factory=dict)
    by_steps: Curve = dataclasses.field(default_factory=dict)
    coverage: float | None = None
    audit: dict[str, Any] | None = None

    @property
    def score(self) -> float:
        """Higher is better: the accuracy, or minus the error; minus infinity when no task had an answer."""
        if math.isnan(self.value):
            return -math.inf
        return self.value if self.metric == "accuracy" else -self.value

    def __str__(self) -> str:
        value, half = rounded(self.value, self.ci95)
        if self.metric == "accuracy":
            number = f"{value}% ± {half}"
        else:
            number = f"mse {value} ± {half}, median {self.median:.2g}"
        told = self.tasks - self.left_out
        notes = f"{told:,} task{'' if told == 1 else 's'}; {', '.join(self._setting())}"
        if self.left_out:
            notes += f"; {self.left_out:,} of {self.tasks:,} tasks left out, their answers were not finite"
        return f"{number} (95% over {notes})"

    def _setting(self) -> list[str]:
        """The protocol in words."""
        sizes = [f"{_span(self.protocol[k])}-{k[:-1]}" for k in ("ways", "shots") if self.protocol.get(k) is not None]
        words = [" ".join(sizes)] if sizes else [str(self.protocol.get("source", "tasks of one kind"))]
        if self.metric == "accuracy" or self.protocol["transductive"]:
            words.append("transductive" if self.protocol["transductive"] else "inductive")
        if self.metric != "accuracy":
            words.append(f"{100 * self.diverged:.1f}% diverged")
        if self.coverage is not None and self.nll is not None:
            words.append(f"log-likelihood {-self.nll:.3g} a target, {self.coverage:.0f}% inside the 90% intervals")
        return words

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it; numbers that are not finite become None."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return plain({"quickstudy": "result", "format": FORMAT} | fields)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Self:
        """The result that `to_json` wrote.

        Raises:
            BadFile: not a result, or of a newer format.
        """
        try:
            fields = dict(table)
            if fields.pop("quickstudy") != "result" or fields.pop("format") > FORMAT:
                raise BadFile(f"This is not a result of format {FORMAT} or older; update quickstudy.")
            for name in ("value", "ci95", "median"):
                fields[name] = _number(fields[name])
            for name in ("by_shots", "by_steps"):
                fields[name] = {int(k): (_number(v), _number(half)) for k, (v, half) in fields[name].items()}
            return cls(**fields | {"values": tuple(fields["values"]), "episodes": tuple(fields["episodes"])})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise error if isinstance(error, BadFile) else BadFile(f"This is not a result: {error}.") from error


def rounded(value: float, half: float) -> tuple[str, str]:
    """A number and the half width of its interval, to the digits that the interval leaves meaning to.

    >>> rounded(98.1234, 0.2345), rounded(0.4321, 0.0412), rounded(97.0, 0.0), rounded(1.5, float("nan"))
    (('98.1', '0.2'), ('0.43', '0.04'), ('97.0', '0.0'), ('1.5', 'unknown'))
    """
    if math.isnan(half):
        return f"{value:.3g}", "unknown"
    digits = 1 if half == 0 else max(0, -math.floor(math.log10(half)))
    digits = min(max(digits, 1 if abs(value) >= 1 else 2), 6)
    return f"{value:.{digits}f}", f"{half:.{digits}f}"


def plain(value: Any) -> Any:
    """The same as JSON knows it: lists for tuples, text for keys, None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _span(count: Any) -> str:
    return "–".join(str(n) for n in count) if isinstance(count, list | tuple) else str(count)
