"""Several models, perhaps in layers, weighed by what they answered to examples that they had not seen."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ...errors import UserError
from .crossfit import answers_of, metric_of, out_of_fold
from .folds import Split, splits_of
from .weights import cross_fitted_weights


class Stack(BaseEstimator):
    """What both stacks do; abstract."""

    classification: ClassVar[bool]

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        layers: int = 1,
        folds: int = 5,
        passthrough: bool = False,
        seed: int = 0,
    ):
        self.estimators, self.layers, self.folds = estimators, layers, folds
        self.passthrough, self.seed = passthrough, seed

    def fit(self, X: Any, y: Any, groups: Any = None, time: Any = None) -> Any:
        """Fit every model once a fold, learn weights from its answers to what was held out, and refit.

        Args:
            X: rows, as the models take them.
            y: (n,) labels or targets.
            groups: (n,) what is held out as a whole; see `splits_of`.
            time: (n,) when each row was measured: models answer what came after all that they learned from.
        """
        if not self.estimators or self.layers < 1:
            raise UserError(f"{len(self.estimators)} estimators in {self.layers} layers; give one of each at least.")
        y = column_or_1d(y, warn=True)
        codes = self._codes(y) if self.classification else y.astype(np.float64)
        splits = splits_of(codes, self.folds, classes=self.classification, groups=groups, time=time, seed=self.seed)
        inputs, known, answers = X, np.arange(len(y)), []
        self.layers_: list[list[Any]] = []
        for _ in range(self.layers):
            # In time, rows that no model has answered teach the next layer nothing.
            ours = [(np.intersect1d(learned, known), held) for learned, held in splits]
            ours = [(learned, held) for learned, held in ours if len(learned)]
            made = [out_of_fold(e, inputs, y, ours, self._classes) for _, e in self.estimators]
            rows = _safe_indexing(inputs, known)
            self.layers_.append([clone(e).fit(rows, y[known]) for _, e in self.estimators])
            answers += made
            known = np.flatnonzero(np.isfinite(np.stack(made)).all((0, 2)))
            inputs = self._next(X, made)
        self._weigh(np.stack(answers), codes, splits)
        return self

    @property
    def _classes(self) -> np.ndarray | None:
        return self.classes_ if self.classification else None

    def _weigh(self, answers: np.ndarray, codes: np.ndarray, splits: list[Split]) -> None:
        self.weights_, combined = cross_fitted_weights(answers, codes, splits)
        judged = np.isfinite(combined).all(1)
        _, metric = metric_of(None, classes=self.classification)
        names = [f"{name}/{layer + 1}" for layer in range(self.layers) for name, _ in self.estimators]
        self.scores_ = {name: metric(codes[judged], a[judged]) for name, a in zip(names, answers, strict=True)}
        self.score_ = metric(codes[judged], combined[judged])

    classes_: np.ndarray

    def _codes(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UserError(f"All {len(y)} examples are of the class '{self.classes_[0]}'; a classifier needs two.")
        return codes.astype(np.int64)

    def _next(self, X: Any, made: list[np.ndarray]) -> np.ndarray:
        """The inputs of the next layer: (n, models * outputs) answers, after the inputs themselves if they pass."""
        together = np.concatenate(made, 1)
        return np.concatenate([np.asarray(X, dtype=np.float64), together], 1) if self.passthrough else together

    def _combined(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "weights_")
        inputs, answers = X, []
        for layer in self.layers_:
            made = [answers_of(model, inputs, self._classes) for model in layer]
            answers += made
            inputs = self._next(X, made)
        return np.tensordot(self.weights_, np.stack(answers), 1)


class StackedClassifier(ClassifierMixin, Stack):
    """A mixture of classifiers, weighed by likelihood on examples that they had not seen.

    Unlike scikit-learn's `StackingClassifier` the folds may go by group or by time and classes may be missing from
    them, there may be several layers, and nothing is combined but by weights, which cannot overfit much.

    Args:
        estimators: (name, classifier with probabilities) each.
        layers: how many times the classifiers are stacked: those of the second layer learn from the held-out answers of
            the first, and so on. All layers take part in the mixture, so one that does not help gets no weight.
        folds: in how many parts examples are held out.
        passthrough: whether the inputs, which must then be numbers, go to every layer beside the answers.
        seed: of the folds.

    Attributes:
        classes_: (classes,) sorted labels.
        weights_: (layers * estimators,) shares of the mixture, layer by layer.
        score_: accuracy of the mixture on held-out examples, with weights learned without them.
        scores_: the same of each model by itself, as NAME/LAYER.

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    >>> stack = StackedClassifier([("line", LogisticRegression()), ("bayes", GaussianNB())]).fit(X + 3 * y[:, None], y)
    >>> stack.predict([[0.0, 0.0], [3.0, 3.0]]).tolist(), round(float(stack.weights_.sum()), 6)
    ([0, 1], 1.0)
    """

    classification = True

    def predict_proba(self, X: Any) -> np.ndarray:
        """(q, classes) probabilities."""
        return self._combined(X)

    def predict(self, X: Any) -> np.ndarray:
        """(q,) labels."""
        return self.classes_[self._combined(X).argmax(1)]


class StackedRegressor(RegressorMixin, Stack):
    """A weighted mean of regressors, by squared error on examples that they had not seen (Breiman 1996).

    Args:
        estimators, layers, folds, passthrough, seed: as of `StackedClassifier`.

    Attributes:
        weights_: (layers * estimators,) not negative, their sum 1.
        score_: R2 of the mean on held-out examples, with weights learned without them.
        scores_: the same of each model by itself, as NAME/LAYER.
    """

    classification = False

    def predict(self, X: Any) -> np.ndarray:
        """(q,) numbers."""
        return self._combined(X)[:, 0]
