"""Whether a stack knows more about its training rows than it can know about others."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from ...errors import UserError
from .crossfit import answers_of, metric_of
from .folds import splits_of


@dataclasses.dataclass(frozen=True)
class Leakage:
    """What the test found.

    Args:
        inside: (folds,) what the stack says of itself, `score_`.
        outside: (folds,) how good it was on rows that were kept from it.
        metric: of both.
        low: the end of a one-sided 95 % interval of inside - outside, over folds (t distribution).
    """

    inside: tuple[float, ...]
    outside: tuple[float, ...]
    metric: str
    low: float

    @property
    def leaks(self) -> bool:
        """Whether it thinks too well of itself, beyond chance."""
        return self.low > 0

    def __str__(self) -> str:
        gap = float(np.mean(self.inside) - np.mean(self.outside))
        found = "Leak: " if self.leaks else "No leak found: "
        return (
            f"{found}{self.metric} {np.mean(self.inside):.3f} by its own account, {np.mean(self.outside):.3f} on rows"
            f" kept from it; the difference of {gap:.3f} is above {self.low:.3f} (95%, {len(self.inside)} folds)."
        )


def leak_test(
    stack: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    time: Any = None,
    folds: int = 5,
    tell: bool = False,
    seed: int = 0,
) -> Leakage:
    """Compare what a stack says of itself with how good it is on rows that were kept from all of it.

    A stack that judges itself by rows its parts have seen (models fitted beforehand, folds that tear groups apart or
    mix past and future) scores better inside than outside. Give the groups or times that rows truly have: the rows
    kept away are chosen by them.

    Args:
        stack: an estimator that leaves its own held-out score as `score_`, such as `StackedClassifier`; it is cloned.
        X, y: rows and targets.
        groups, time: (n,) how rows belong together, see `splits_of`.
        folds: in how many parts rows are kept away.
        tell: whether the stack itself is told of groups and times, as it should be.
        seed: of the parts.

    Raises:
        UserError: the estimator has no `score_`.
    """
    y = np.asarray(y)
    classification = stack.__sklearn_tags__().estimator_type == "classifier"
    codes = np.unique(y, return_inverse=True)[1] if classification else y
    inside, outside = [], []
    name, metric = metric_of(None, classes=classification)
    for learned, kept in splits_of(codes, folds, classes=classification, groups=groups, time=time, seed=seed):
        about = {"groups": groups, "time": time} if tell else {}
        told = {key: np.asarray(value)[learned] for key, value in about.items() if value is not None}
        model = clone(stack).fit(_safe_indexing(X, learned), y[learned], **told)
        if not hasattr(model, "score_"):
            raise UserError(
                f"{type(stack).__name__} leaves no score_ of held-out rows, so there is nothing to compare."
            )
        classes: np.ndarray | None = model.classes_ if classification else None
        truth = y[kept] if classes is None else np.asarray(np.searchsorted(classes, y[kept]))
        inside.append(float(model.score_))
        outside.append(metric(truth, answers_of(model, _safe_indexing(X, kept), classes)))
    gap = np.array(inside) - np.array(outside)
    spread = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else np.inf
    low = float(gap.mean() - stats.t.ppf(0.95, max(len(gap) - 1, 1)) * spread)
    return Leakage(tuple(inside), tuple(outside), name, low)
