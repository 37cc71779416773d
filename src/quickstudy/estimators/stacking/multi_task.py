"""Several targets of the same rows, each learned with the help of what is predicted of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ...errors import NotEnoughExamples
from .crossfit import out_of_fold, r2
from .folds import splits_of
from .weights import cross_fitted_weights


class MultiTaskStack(RegressorMixin, BaseEstimator):
    """Regressors of several targets in two layers: the second sees the held-out predictions of all targets.

    Unlike scikit-learn's `MultiOutputRegressor` one target can help another, and unlike its `RegressorChain` no order
    has to be chosen, targets may have gaps, and what is handed on was predicted by models that had not seen the row
    (Spyromitros-Xioufis et al. 2016, arXiv:1211.6581). Where that does not help a target, its first layer keeps the
    weight.

    Args:
        estimator: a regressor; a clone for each target and layer.
        folds: in how many parts examples are held out.
        seed: of the folds.

    Attributes:
        weights_: (targets, 2) how much of each answer is the first layer's and the second's.
        scores_: (targets, 3) R2 on held-out rows of the first layer, the second, and both together.

    >>> from sklearn.linear_model import Ridge
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> MultiTaskStack(Ridge()).fit(X, np.stack([X[:, 0], X[:, 0] + X[:, 1]], 1)).predict(X).shape
    (50, 2)
    """

    def __init__(self, estimator: Any, *, folds: int = 5, seed: int = 0):
        self.estimator, self.folds, self.seed = estimator, folds, seed

    def fit(self, X: Any, Y: Any, groups: Any = None, time: Any = None) -> MultiTaskStack:
        """Cross-fit both layers, learn their weights, and refit.

        Args:
            X: (n, d) numbers.
            Y: (n, targets) numbers, NaN where one was not measured.
            groups, time: see `splits_of`.
        """
        X = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64)
        Y = check_array(Y, ensure_all_finite="allow-nan", ensure_2d=False, dtype=np.float64).reshape(len(X), -1)
        known = np.isfinite(Y)
        if known.sum(0).min() < 2 * self.folds:
            raise NotEnoughExamples(
                f"Target {int(known.sum(0).argmin())} has {known.sum(0).min()} values; {self.folds} folds need"
                f" {2 * self.folds} of each target."
            )
        splits = splits_of(Y[:, 0], self.folds, classes=False, groups=groups, time=time, seed=self.seed)
        first = np.concatenate([self._held_out(X, Y[:, t], splits) for t in range(Y.shape[1])], 1)
        # Rows without predictions (the first block in time) teach the second layer nothing.
        reached = np.isfinite(first).all(1)
        wide = np.concatenate([X, first], 1)
        self.layers_: tuple[list[Any], list[Any]] = ([], [])
        self.weights_, self.scores_ = np.zeros((Y.shape[1], 2)), np.zeros((Y.shape[1], 3))
        for t in range(Y.shape[1]):
            target = np.where(reached, Y[:, t], np.nan)
            second = self._held_out(wide, target, splits)
            self._weigh(t, np.stack([first[:, [t]], second]), Y[:, t], splits)
            rows = known[:, t] & reached
            self.layers_[0].append(clone(self.estimator).fit(X[known[:, t]], Y[known[:, t], t]))
            self.layers_[1].append(clone(self.estimator).fit(wide[rows], Y[rows, t]))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(q, targets) numbers."""
        check_is_fitted(self, "weights_")
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan", dtype=np.float64)
        first = np.stack([model.predict(X) for model in self.layers_[0]], 1)
        wide = np.concatenate([X, first], 1)
        second = np.stack([model.predict(wide) for model in self.layers_[1]], 1)
        return self.weights_[:, 0] * first + self.weights_[:, 1] * second

    def _held_out(self, x: np.ndarray, target: np.ndarray, splits: list[Any]) -> np.ndarray:
        """(n, 1) predictions of rows by models that have not seen them, learned where the target is known."""
        there = np.isfinite(target)
        ours = [(learned[there[learned]], held) for learned, held in splits]
        return out_of_fold(self.estimator, x, target, [s for s in ours if len(s[0]) > 1])

    def _weigh(self, t: int, answers: np.ndarray, target: np.ndarray, splits: list[Any]) -> None:
        judged = np.isfinite(target) & np.isfinite(answers).all((0, 2))
        number = np.cumsum(judged) - 1  # of a row among those that judge
        inside = [(learned, number[held[judged[held]]]) for learned, held in splits]
        answers, target = answers[:, judged], target[judged]
        self.weights_[t], combined = cross_fitted_weights(answers, target, [s for s in inside if len(s[1])])
        self.scores_[t] = [r2(target, answer) for answer in (*answers, combined)]
