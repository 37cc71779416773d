"""Two learners on the same tasks: a paired comparison."""

from __future__ import annotations

import dataclasses
import math

from ..errors import UserError
from .intervals import mean_ci, t_tail
from .result import Result


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How the first result differs from the second on the same tasks.

    Attributes:
        metric: what was compared; `difference` is positive where the first is better.
        difference: mean over tasks, in the metric's unit.
        ci95: half width of its 95 % interval (paired t).
        p: two-sided p-value of the paired t test.
        tasks: in both.
        more_tasks: about how many more would settle it if the difference stays what it is; 0 when it is settled, None
            when there is no difference to settle.
        sentence: all of it in words.
    """

    metric: str
    difference: float
    ci95: float
    p: float
    tasks: int
    more_tasks: int | None
    sentence: str

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return abs(self.difference) > self.ci95

    def __str__(self) -> str:
        return self.sentence


def compare(a: Result, b: Result, *, names: tuple[str, str] | None = None) -> Comparison:
    """Compare two results task by task, which takes the difficulty of the tasks out of the difference.

    Raises:
        UserError: they did not meet the same tasks, or were left with different ones.
    """
    if a.metric != b.metric:
        raise UserError(f"One result is {a.metric}, the other {b.metric}; compare results of one metric.")
    if a.manifest != b.manifest or a.tasks != b.tasks:
        differ = sorted(k for k in {*a.protocol, *b.protocol} if a.protocol.get(k) != b.protocol.get(k))
        how = ", ".join(f"{k}: {a.protocol.get(k)} and {b.protocol.get(k)}" for k in differ if k not in ("transductive", "statistics"))
        raise UserError(
            f"These results are of different tasks ({how or f'{a.tasks} and {b.tasks} tasks, or other data'}); evaluate both"
            " with the same source, split, seed and number of tasks."
        )
    first, second = names or (a.learner, b.learner)
    sign = 1 if a.metric == "accuracy" else -1
    paired = [sign * (x - y) for x, y in zip(a.values, b.values, strict=True)]
    difference, ci95 = mean_ci(paired)
    more = _more_tasks(difference, ci95, len(paired))
    unit = "points" if a.metric == "accuracy" else "of squared error"
    where = f"on the same {len(paired):,} tasks"
    if abs(difference) > ci95:
        better, worse = (first, second) if difference > 0 else (second, first)
        sentence = f"{better} is better than {worse} by {abs(difference):.3g} {unit} ± {ci95:.2g} {where} (95%, paired)."
    elif more is None:
        sentence = f"{first} and {second} give the same answers {where}."
    else:
        sentence = (
            f"{first} and {second} cannot be told apart {where}: the difference is {difference:+.3g} {unit} ± {ci95:.2g}."
            f" About {more:,} more tasks would settle it if it stays what it is."
        )
    return Comparison(a.metric, difference, ci95, _p_value(difference, paired), len(paired), more, sentence)


def _p_value(difference: float, paired: list[float]) -> float:
    n = len(paired)
    error = math.sqrt(math.fsum((d - difference) ** 2 for d in paired) / max(n - 1, 1) / n)
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return t_tail(abs(difference) / error, max(n - 1, 1))


def _more_tasks(difference: float, ci95: float, tasks: int) -> int | None:
    """The interval narrows with the root of the number of tasks."""
    if abs(difference) > ci95:
        return 0
    if difference == 0 or not math.isfinite(ci95):
        return None
    return max(1, math.ceil(tasks * (ci95 / difference) ** 2) - tasks)
