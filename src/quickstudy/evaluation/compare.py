"""Compare two learners on the same tasks, task by task."""

from __future__ import annotations

import dataclasses
import math
import statistics

from ..errors import UserError
from ..functional.student import t_quantile, t_tail
from .intervals import mean_interval
from .result import Result, rounded


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How much better the first is than the second, over the same tasks.

    Attributes:
        difference: mean over tasks, in points of accuracy or raw units of the error; above 0 the first is better.
        ci95: half the width of its 95% interval, Student's t over tasks.
        p: two-sided, of a paired t test.
        tasks: compared; those without an answer from both are left out.
        better: name of the better one, None when they cannot be told apart.
        more: further tasks that would settle it if the difference stays what it is; None when settled or never.
        sentence: all this in words.
    """

    difference: float
    ci95: float
    p: float
    tasks: int
    better: str | None
    more: int | None
    sentence: str

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.better is not None

    def __str__(self) -> str:
        return self.sentence


def compare(a: Result, b: Result, *, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Paired differences between two results on one manifest.

    Since both met the same tasks, what makes a task hard falls out of the difference, and far fewer tasks settle a
    question than two intervals side by side would need.

    Raises:
        UserError: other tasks, another metric, or fewer than two tasks to compare.
    """
    _check_same_tasks(a, b)
    sign = 1.0 if a.metric == "accuracy" else -1.0
    pairs = zip(a.values, b.values, strict=True)
    differences = [sign * (x - y) for x, y in pairs if x is not None and y is not None]
    if len(differences) < 2:
        raise UserError(f"Only {len(differences)} task has an answer from both; compare over at least two.")
    mean, half = mean_interval(differences)
    n, spread = len(differences), statistics.stdev(differences)
    p = t_tail(mean / (spread / math.sqrt(n)), n - 1) if spread else float(mean == 0)
    better = None if abs(mean) <= half else names[0] if mean > 0 else names[1]
    more = None if better or mean == 0 else _tasks_needed(abs(mean), spread, n) - n
    sentence = _sentence(a, names, (mean, half, n), better, more)
    return Comparison(mean, half, p, n, better, more, sentence)


def _check_same_tasks(a: Result, b: Result) -> None:
    if a.metric != b.metric:
        raise UserError(f"One result is in {a.metric}, the other in {b.metric}; compare results of one kind of task.")
    # A manifest numbers rows of a pool, so it says everything only within one source.
    if a.manifest == b.manifest and a.protocol.get("source") == b.protocol.get("source"):
        return
    keys = sorted(k for k in a.protocol.keys() | b.protocol.keys() if k not in {"transductive", "batch_statistics"})
    unlike = [
        f"{k} {a.protocol.get(k)} and {b.protocol.get(k)}" for k in keys if a.protocol.get(k) != b.protocol.get(k)
    ]
    differing = [i for i, (x, y) in enumerate(zip(a.episodes, b.episodes, strict=False)) if x != y]
    which = f"{len(a.episodes):,} tasks against {len(b.episodes):,}"
    if differing:
        first, least = differing[0] + int(a.protocol.get("first", 0)), min(len(a.episodes), len(b.episodes))
        which += f", and {len(differing):,} of the first {least:,} differ, beginning with number {first}"
    cause = (
        f" Their protocols differ in {'; '.join(unlike)}." if unlike else " Their protocols agree, so the data differ."
    )
    raise UserError(
        f"The two results are not over the same tasks: {which}.{cause}"
        " Evaluate both on one source, seed and number of tasks."
    )


def _tasks_needed(difference: float, spread: float, n: int) -> int:
    """The least number of tasks whose 95% interval would leave out 0."""
    count = max(n + 1, math.ceil((1.96 * spread / difference) ** 2))
    while t_quantile(0.95, count - 1) * spread / math.sqrt(count) >= difference:
        count += max(1, count // 1000)
    return count


def _sentence(
    a: Result, names: tuple[str, str], numbers: tuple[float, float, int], better: str | None, more: int | None
) -> str:
    mean, half, n = numbers
    number, width = rounded(abs(mean) if better else mean, half)
    amount = f"{number} points ± {width}" if a.metric == "accuracy" else f"{number} ± {width} in mse"
    over = f"the same {n:,} tasks"
    lost = len(a.values) - n
    tail = f"; {lost:,} left out, where one had no finite answer" if lost else ""
    setting = f"95%, paired{tail}"
    if better:
        other = names[1] if better == names[0] else names[0]
        return f"{better} is better than {other} by {amount} on {over} ({setting})"
    if more is None:
        return f"{names[0]} and {names[1]} do equally well on {over}: the mean difference is {amount} ({setting})"
    return (
        f"{names[0]} and {names[1]} cannot be told apart on {over}: the difference is {amount} ({setting});"
        f" about {more:,} more tasks would settle it if the difference stays what it is"
    )
