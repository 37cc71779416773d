"""Answers to examples by models that have not seen them, and how good they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import d2_absolute_error_score, d2_log_loss_score, r2_score
from sklearn.utils import _safe_indexing

from ...errors import UnknownName, UserError
from .folds import Split

Metric = Callable[[np.ndarray, np.ndarray], float]


def accuracy(y: np.ndarray, p: np.ndarray) -> float:
    """The share of rows whose likeliest class is right."""
    return float((y == p.argmax(1)).mean())


def balanced_accuracy(y: np.ndarray, p: np.ndarray) -> float:
    """The mean over classes of the share of their rows that is right."""
    return float(np.mean([(p[y == c].argmax(1) == c).mean() for c in np.unique(y)]))


def d2_log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """How much of the log loss of the shares of classes is gone."""
    # Clipped, since one sure and wrong answer would decide it all.
    p = p.clip(1e-6)
    return float(d2_log_loss_score(y, p / p.sum(1, keepdims=True), labels=np.arange(p.shape[1])))


def r2(y: np.ndarray, p: np.ndarray) -> float:
    """How much of the squared error of the mean is gone."""
    return float(r2_score(y, p[:, 0]))


def d2_absolute_error(y: np.ndarray, p: np.ndarray) -> float:
    """How much of the absolute error of the median is gone."""
    return float(d2_absolute_error_score(y, p[:, 0]))


CLASSIFICATION: dict[str, Metric] = {f.__name__: f for f in (accuracy, balanced_accuracy, d2_log_loss)}
REGRESSION: dict[str, Metric] = {f.__name__: f for f in (r2, d2_absolute_error)}


def metric_of(name: str | None, *, classes: bool) -> tuple[str, Metric]:
    """A metric of predictions by name, all of them higher is better and 1 at most; the first where none is named.

    Each takes y, (n,) targets or numbers of classes, and (n, outputs) predictions.

    Raises:
        UnknownName: there is none of that name for this kind of task.
    """
    known = CLASSIFICATION if classes else REGRESSION
    name = name or next(iter(known))
    if name not in known:
        raise UnknownName.among(f"scoring of {'classes' if classes else 'numbers'} called", name, known)
    return name, known[name]


def answers_of(model: Any, x: Any, classes: np.ndarray | None) -> np.ndarray:
    """What a fitted model answers: (n, classes) probabilities, 0 for classes it never met, or (n, 1) numbers."""
    if classes is None:
        return np.asarray(model.predict(x), dtype=np.float64).reshape(-1, 1)
    if not hasattr(model, "predict_proba"):
        raise UserError(
            f"{type(model).__name__} answers without probabilities, which stacking weighs; wrap it in scikit-learn's"
            " CalibratedClassifierCV."
        )
    answers = np.zeros((len(x) if hasattr(x, "__len__") else x.shape[0], len(classes)))
    answers[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(x)
    return answers


def out_of_fold(
    estimator: Any, x: Any, y: np.ndarray, splits: Sequence[Split], classes: np.ndarray | None = None
) -> np.ndarray:
    """(n, outputs) answers to every row that is held out, by a clone fitted without it; NaN for rows that never are.

    Unlike scikit-learn's `cross_val_predict` the folds need not hold out every row (in time they cannot), and a class
    that a fold has no example of is no error.

    Args:
        estimator: of scikit-learn; left unfitted.
        x: rows, in anything that scikit-learn can index.
        y: (n,) targets or labels.
        splits: see `splits_of`.
        classes: sorted labels; None for regression.
    """
    found = np.full((len(y), 1 if classes is None else len(classes)), np.nan)
    for learned, held in splits:
        model = clone(estimator).fit(_safe_indexing(x, learned), y[learned])
        found[held] = answers_of(model, _safe_indexing(x, held), classes)
    return found
