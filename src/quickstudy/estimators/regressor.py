"""A regressor of scikit-learn that adapts a learner, and can answer with deviations and with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..bundle import Bundle
from ..errors import BadExamples, UserError
from ..learner import Learner
from ..task import Examples
from .adapting import FewShot, Learned, Unseen
from .conformal import interval


class FewShotRegressor(RegressorMixin, FewShot):
    """`fit` adapts a learner to a few examples; nothing is trained that the bundle has not been trained for.

    Args:
        bundle: the folder of a bundle, a `Bundle`, or a `Learner`; None is ridge regression on the inputs as they are,
            for any number of features (`StandardScaler` in front evens out their units). Of a learner, inputs are
            shaped as `X` is given.
        folds: in how many parts support examples are left out, for `predict_interval`; one by one where there are no
            more of them.

    Attributes:
        state_: what was learned.

    Inputs are (n, *feature), as the bundle takes them or flat; uint8 is scaled from 0..255 to 0..1, other numbers are
    taken as they are. Targets are (n,) or (n, d).

    >>> X = np.arange(12.0).reshape(-1, 1)
    >>> model = FewShotRegressor().fit(X, 2 * X[:, 0] + np.tile([1, -1, 0, 0], 3))
    >>> model.predict_interval([[5.0]], level=0.9).round()
    array([[ 9., 12.]])
    """

    kind = "regression"

    def __init__(self, bundle: str | Path | Bundle | Learner | None = None, *, folds: int = 50):
        self.bundle, self.folds = bundle, folds

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> FewShotRegressor:
        """Adapt to examples (n, *feature) or (n, d) with targets (n,) or (n, k), forgetting those before."""
        return self._learn(X, y, first=True)

    def partial_fit(self, X: Any, y: Any) -> FewShotRegressor:
        """Learn more examples.

        Where the learner can go on from a state (`Learner.update`) it sees them alone; otherwise it adapts again to all
        examples seen so far.
        """
        return self._learn(X, y, first=not self.__sklearn_is_fitted__())

    def calibrate(self, X: Any, y: Any) -> FewShotRegressor:
        """Let examples that are not learned say how wide intervals have to be, until more is learned.

        They take the place of support examples left out: no more adaptations, and `predict_interval` is proved at
        `level` itself.

        Args:
            X, y: as for `fit`; a few examples at least, drawn as the queries will be.
        """
        check_is_fitted(self)
        x, y = self._examples(X, y, first=False)
        self._held = [Unseen(x, _columns(y), self._learned)]
        return self

    def predict(self, X: Any, return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predictions shaped as the targets were; with `return_std` their standard deviations too, noise included.

        Raises:
            UserError: deviations are asked for, but the learner answers without them.
        """
        x = self._queries(X)
        mean, deviation = self._moments(self._learned, x)
        if not return_std:
            return self._like_targets(mean)
        if deviation is None:
            raise UserError(
                f"{type(self.bundle_.learner).__name__} answers without deviations; choose a learner that answers with"
                " a Gaussian (DeepKernel, a neural process), or ask for predict_interval."
            )
        return self._like_targets(mean), self._like_targets(deviation)

    def predict_interval(self, X: Any, level: float = 0.9) -> np.ndarray:
        """(q, 2) ends of intervals that hold the target with probability `level`, by conformal prediction.

        That is proved after `calibrate`; by the support set alone 2 level - 1 is proved and `level` usual (see
        `conformal`, also for more examples than `folds`). With fewer than level / (1 - level) examples an interval is
        the whole line. Where the learner answers with deviations, an interval is the wider the less it knows. Of
        several targets, (q, k, 2), each holds for itself.

        Raises:
            UserError: a level that is not between 0 and 1, or a transductive learner.
        """
        x = self._queries(X)
        labels = _columns(self._y)
        empty = np.zeros((0, len(x), labels.shape[1]))
        centres, radii = [empty], [empty]
        for some in self._unseen(labels):
            own, scale = self._moments(some.learned, some.x)
            asked, wide = self._moments(some.learned, x)
            wrong = np.abs(some.y - own)[:, None]
            centres.append(np.broadcast_to(asked, (len(wrong), *asked.shape)))
            radii.append(np.broadcast_to(wrong if scale is None else wrong / scale[:, None] * wide, centres[-1].shape))
        ends = interval(np.concatenate(centres), np.concatenate(radii), level)
        return np.stack([self._like_targets(end) for end in ends], -1)

    def _learn(self, X: Any, y: Any, *, first: bool) -> FewShotRegressor:
        x, y = self._examples(X, y, first=first)
        learned = None
        if not first:
            learned = self._updated(Examples(x, torch.as_tensor(_columns(y)).to(x.dtype)))
            x, y = torch.cat([self._x, x]), np.concatenate([self._y, y])
        self._keep(x, y, learned or self.bundle_.adapt(x, y))
        return self

    def _examples(self, X: Any, y: Any, *, first: bool) -> tuple[Tensor, np.ndarray]:
        """Examples (n, *feature) and targets shaped as those before."""
        x, y = self._support(X, y, first=first, multi_output=True, y_numeric=True)
        if not first and y.shape[1:] != self._y.shape[1:]:
            raise BadExamples(f"Targets were shaped {self._y.shape[1:]} until now, but these are {y.shape[1:]}.")
        return x, np.array(y, dtype=np.float64)

    def _like_targets(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0] if self._y.ndim == 1 else values

    def _moments(self, learned: Learned, x: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """(q, d) means, and deviations where the learner gives them."""
        answers = self._answers(learned, x)
        mean = torch.cat([part.values for part in answers if part.values is not None])
        spread = [part.deviations for part in answers if part.deviations is not None]
        return mean.double().numpy(), torch.cat(spread).double().numpy() if spread else None


def _columns(y: np.ndarray) -> np.ndarray:
    """Targets as (n, d), whether they were given so or as (n,)."""
    return y.reshape(len(y), -1)
