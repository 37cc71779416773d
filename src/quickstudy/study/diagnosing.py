"""What a study asks about the learner that it chose, on validation tasks alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..errors import UserError
from ..learner import Learner
from .diagnosis import Diagnosis, against_pooling, overfitting, similar_tasks, variety, wrong_labels
from .entries import Tasks
from .findings import Row
from .judging import once

POOLED = ("baseline++", "linear on baseline++", "pooled", "pooled, fine-tuned")  # learned from all tasks at once
PARTS = (0.25, 0.5, 1.0)  # of the training tasks


def diagnoses(
    chosen: Row,
    rows: Sequence[Row],
    source: Tasks,
    fit: Callable[[Tasks], Learner] | None,
    *,
    tasks: int,
    names: Sequence[str] = (),
) -> Iterator[Diagnosis]:
    """One after another; what these tasks have too few examples for is left out.

    Args:
        chosen: the meta-trained learner.
        rows: of all that took part.
        source: of the tasks.
        fit: trains the chosen learner anew for a while, to see what more past tasks would give; None: not asked.
        tasks: validation episodes for each.
        names: of the tasks that exist, where they have any.
    """
    others = {row.entry.name: row.validation for row in rows if row.entry.name in POOLED}
    drawn = once(source)
    asked: list[Callable[[], Diagnosis]] = [
        lambda: against_pooling(chosen.validation, others, name=chosen.entry.name),
        lambda: overfitting(chosen.learner, drawn, tasks),
        lambda: wrong_labels(chosen.learner, drawn, tasks=tasks),
    ]
    if fit is not None:
        asked.append(lambda: variety(fit, drawn, PARTS, tasks=tasks))
    if names or source is drawn:  # tasks without names say nothing
        asked.append(lambda: similar_tasks(chosen.learner, source, names=names or None))
    for ask in asked:
        try:
            yield ask()
        except UserError:  # too few tasks, classes or rows for this one
            continue
