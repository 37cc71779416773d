"""A classifier of scikit-learn that adapts a learner, knows when it does not know, and can answer with sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..bundle import Bundle
from ..errors import BadExamples, UserError
from ..learner import Learner
from ..task import Examples
from .adapting import FewShot, Learned, Unseen
from .calibration import Calibration
from .conformal import label_sets


class FewShotClassifier(ClassifierMixin, FewShot):
    """`fit` adapts a learner to a few examples; nothing is trained that the bundle has not been trained for.

    Args:
        bundle: the folder of a bundle, a `Bundle`, or a `Learner`; None is logistic regression on the inputs as they
            are, for any number of features (`StandardScaler` in front evens out their units). Of a learner, inputs are
            shaped as `X` is given.
        threshold: the confidence, between 0 and 1, below which `predict` answers `unknown`; None never does. With it
            `predict_proba` is calibrated (`Calibration`): on what is given to `calibrate`, else on the support set,
            each example being answered by a state that was made without it (`folds` more adaptations). Answers above
            the threshold are right at least so often, on average over tasks, if the learner's errors are of the form
            that `Calibration` assumes; that is no proof, as one stands behind `predict_set`. After n examples answered
            rightly no confidence is above about (n + 1) / (n + 2), so a threshold of 0.9 needs 8 or more; with one
            example a class nothing can be found out from the support set, and a threshold above (1 + 1 / classes) / 2
            is hardly ever reached.
        unknown: that answer; None is 'unknown' where the labels are texts and -1 where they are numbers.
        folds: in how many parts support examples are left out, for `threshold` and `predict_set`; one by one where
            there are no more of them.

    Attributes:
        classes_: (classes,) the labels, sorted; columns of `predict_proba` and `predict_set`.
        state_: what was learned.

    Inputs are (n, *feature), as the bundle takes them or flat; uint8 is scaled from 0..255 to 0..1, other numbers are
    taken as they are.

    >>> X, y = [[0.0, 0.1], [0.2, 0.0], [3.0, 3.1], [2.9, 3.0]], ["owl", "owl", "lynx", "lynx"]
    >>> model = FewShotClassifier().fit(X, y)
    >>> model.predict([[0.1, 0.1]])
    array(['owl'], dtype='<U4')
    >>> model.partial_fit([[9.0, -9.0], [9.1, -9.0]], ["crow", "crow"]).predict([[9.0, -8.0]])
    array(['crow'], dtype='<U4')
    >>> model.predict_set([[0.1, 0.1]], level=0.9)  # six examples prove nothing at 0.9
    array([[ True,  True,  True]])
    """

    kind = "classification"
    classes_: np.ndarray
    _calibration: Calibration | None

    def __init__(
        self,
        bundle: str | Path | Bundle | Learner | None = None,
        *,
        threshold: float | None = None,
        unknown: Any = None,
        folds: int = 50,
    ):
        self.bundle, self.threshold, self.unknown, self.folds = bundle, threshold, unknown, folds

    def fit(self, X: Any, y: Any) -> FewShotClassifier:
        """Adapt to examples, forgetting those before.

        Args:
            X: (n, *feature) or (n, d).
            y: (n,) labels: texts or whole numbers.
        """
        return self._learn(X, y, None, first=True)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> FewShotClassifier:
        """Learn more examples, of old classes and of new ones.

        Where the learner can go on from a state (`Learner.update`) and no class is new, it sees the new examples alone;
        otherwise it adapts again to all examples seen so far.

        Args:
            X, y: as for `fit`.
            classes: labels that may come later, which have no example and probability 0 until then.
        """
        return self._learn(X, y, classes, first=not self.__sklearn_is_fitted__())

    def calibrate(self, X: Any, y: Any) -> FewShotClassifier:
        """Let examples that are not learned say how far answers can be believed, until more is learned.

        They take the place of support examples left out: no more adaptations, and `predict_set` is proved at `level`
        itself.

        Args:
            X, y: as for `fit`, of classes that have been learned; a few of them at least, drawn as the queries will be.
        """
        check_is_fitted(self)
        x, y = self._support(X, y, first=False)
        strange = np.setdiff1d(_joined(self.classes_, y), self.classes_)
        if len(strange):
            raise BadExamples(f"There are examples of '{strange[0]}', a class that was never learned; leave them out.")
        self._held = [Unseen(x, np.searchsorted(self.classes_, y), self._learned)]
        self._calibration = None
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(q,) labels, or `unknown` where the confidence is below the threshold."""
        p = self.predict_proba(X)
        if self.threshold is None:
            return self.classes_[p.argmax(1)]
        return self._answers_of(self.classes_)[np.where(p.max(1) >= self.threshold, p.argmax(1), -1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """(q, classes) probabilities: the learner's own, or calibrated ones where there is a threshold."""
        x = self._queries(X)
        p = self._probabilities(self._learned, x)
        return p if self.threshold is None else self._calibrated()(p, self._met(self._learned))

    def predict_set(self, X: Any, level: float = 0.9) -> np.ndarray:
        """(q, classes) bool: sets of classes that hold the right one with probability `level`, by conformal prediction.

        That is proved after `calibrate`; by the support set alone 2 level - 1 is proved and `level` usual (see
        `conformal`, also for more examples than `folds`). The likeliest class is always in the set. With fewer than
        level / (1 - level) examples every class is. Where all classes have equally many support examples, as in N-way
        K-shot tasks, one that is left out has fewer of its own class beside it than a query has, so without
        `calibrate` sets rather come out too large.

        Raises:
            UserError: a level that is not between 0 and 1, or a transductive learner.
        """
        x = self._queries(X)
        parts = []
        for some in self._unseen(np.searchsorted(self.classes_, self._y)):
            own = self._probabilities(some.learned, some.x)[np.arange(len(some.y)), some.y]
            parts.append((-own, -self._probabilities(some.learned, x)))
        sets = label_sets(parts, level, (len(x), len(self.classes_)))
        sets[np.arange(len(x)), self._probabilities(self._learned, x).argmax(1)] = True
        return sets

    def _learn(self, X: Any, y: Any, classes: Any, *, first: bool) -> FewShotClassifier:
        x, y = self._support(X, y, first=first)
        check_classification_targets(y)
        labels = y if first else _joined(self._y, y)
        found = np.unique(labels if first else _joined(self.classes_, y))
        found = found if classes is None else np.unique(_joined(found, np.asarray(classes)))
        if self.threshold is not None:
            self._answers_of(found)  # says now what is wrong with threshold or unknown
        learned = None
        if not first and np.array_equal(found, self.classes_):
            learned = self._gone_on(x, y)
        x = x if first else torch.cat([self._x, x])
        self._keep(x, labels, learned or self.bundle_.adapt(x, labels))
        self.classes_, self._calibration = found, None
        if self.threshold is not None:
            self._calibrated()
        return self

    def _gone_on(self, x: Tensor, labels: np.ndarray) -> Learned | None:
        """What was learned, and then these too; None if a class is met for the first time, or the learner cannot."""
        place = {name: i for i, name in enumerate(self._learned[1].classes)}
        if not all(str(label) in place for label in labels.tolist()):
            return None
        y = torch.tensor([place[str(label)] for label in labels.tolist()])
        return self._updated(Examples(x, y, ways=len(place)))

    def _given(self, labels: np.ndarray) -> np.ndarray:
        given: np.ndarray = self.classes_[labels]
        return given

    def _met(self, learned: Learned) -> np.ndarray:
        """(classes,) whether a state knows a class."""
        return np.array([str(label) in learned[1].classes for label in self.classes_.tolist()], dtype=bool)

    def _probabilities(self, learned: Learned, x: Tensor) -> np.ndarray:
        """(q, classes) float64; zero for a class that the state has had no example of."""
        parts = [part.probabilities for part in self._answers(learned, x) if part.probabilities is not None]
        p = np.zeros((len(x), len(self.classes_)))
        place = {name: i for i, name in enumerate(learned[1].classes)}
        met = self._met(learned)
        p[:, met] = torch.cat(parts).numpy()[:, [place[str(label)] for label in self.classes_[met].tolist()]]
        return p / p.sum(1, keepdims=True)

    def _calibrated(self) -> Calibration:
        if self._calibration is None:
            ways = len(self.classes_)
            p, present, codes = np.zeros((0, ways)), np.zeros((0, ways), dtype=bool), np.zeros(0, dtype=np.int64)
            for some in self._unseen(np.searchsorted(self.classes_, self._y)):
                p = np.concatenate([p, self._probabilities(some.learned, some.x)])
                present = np.concatenate([present, np.tile(self._met(some.learned), (len(some.y), 1))])
                codes = np.concatenate([codes, some.y])
            self._calibration = Calibration.of(p, present, codes)
        return self._calibration

    def _answers_of(self, classes: np.ndarray) -> np.ndarray:
        """The labels, and `unknown` at the end."""
        if not isinstance(self.threshold, float | int | np.floating) or not 0 <= self.threshold <= 1:
            raise UserError(f"threshold is {self.threshold!r}; a confidence is between 0 and 1, None is for never.")
        unknown = self.unknown
        if unknown is None:
            unknown = "unknown" if _text(classes) else -1
        if unknown in classes.tolist():
            raise UserError(f"unknown is {unknown!r}, which is a class too; choose another word for it.")
        mixed = _text(classes) != isinstance(unknown, str)
        return np.append(classes.astype(object) if mixed else classes, np.asarray([unknown], object if mixed else None))


def _text(labels: np.ndarray) -> bool:
    return labels.dtype.kind in "OUST"


def _joined(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Labels and then more of them; numpy would make texts of numbers where they meet."""
    if _text(old) != _text(new):
        kinds = ["texts" if _text(labels) else "numbers" for labels in (old, new)]
        raise BadExamples(f"The labels were {kinds[0]} until now, but these are {kinds[1]}; give them all alike.")
    return np.concatenate([old, new])
