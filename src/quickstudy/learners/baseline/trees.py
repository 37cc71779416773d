"""Gradient-boosted trees (Friedman 2001, doi:10.1214/aos/1013203451), grown on the support set by scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...extras import brought_in
from ...learner import Learner
from ...rng import Rng
from ...task import Examples
from .frozen import features
from .nearest import Neighbours

LEAF = 20  # examples that a leaf holds in scikit-learn, which of twenty examples makes no tree at all


class Trees(Learner):
    """What an expert would run on a table, from scratch on every task.

    The state is the support set, as of nearest neighbours, since trees are no tensors. Unlike all other learners it is
    not differentiable, grows anew at each call of `predict`, and runs one task after
    another. Needs scikit-learn (the extra 'sklearn').

    Args:
        rounds: of boosting, a tree for each class (or target) in each.
        lr: of boosting.
        leaf: examples that a leaf holds at least; None: 20, or a tenth of the support set if that is less.

    Raises:
        UserError: no rounds; or scikit-learn is not there.

    >>> learner = Trees()
    >>> state = learner.adapt(Examples(torch.arange(8.0).unsqueeze(1), torch.arange(8) // 4, ways=2))
    >>> learner.predict(state, torch.tensor([[1.0], [6.0]])).argmax(1)
    tensor([0, 1])
    """

    State = Neighbours
    kinds = ("classification", "regression")
    class_equivariant = True
    meta_gradient = "none"
    one_by_one = "trees are grown by scikit-learn"

    def __init__(self, *, rounds: int = 100, lr: float = 0.1, leaf: int | None = None):
        super().__init__()
        if rounds < 1 or (leaf is not None and leaf < 1):
            raise UserError(f"Trees need a round and an example a leaf at least; got rounds={rounds}, leaf={leaf}.")
        self.rounds, self.lr, self.leaf = rounds, lr, leaf
        brought_in("sklearn", "A learner of boosted trees", "sklearn")  # said now, and not after a long training

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Neighbours:
        del description, rng
        return Neighbours.of(features(None, support.x), support)

    @torch.no_grad()
    def predict(self, state: Neighbours, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q answers"]:
        real = state.real.cpu().numpy()
        taught, asked = (part.double().cpu().numpy() for part in (state.z, features(None, x)))
        y = state.y.cpu().numpy()[real]
        if state.ways is None:
            return torch.from_numpy(self._targets(taught[real], y, asked)).to(x)
        return torch.from_numpy(self._classes(taught[real], y, asked, state.ways)).to(x)

    def _classes(self, taught: np.ndarray, y: np.ndarray, asked: np.ndarray, ways: int) -> np.ndarray:
        """(q, ways) logarithms of probabilities; -inf for a class without examples."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        made = np.full((len(asked), ways), -np.inf)
        seen = np.unique(y)
        if len(seen) == 1:
            made[:, seen[0]] = 0.0
            return made
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few examples a class, which is what these tasks are about
            model = HistGradientBoostingClassifier(**self._options(len(y))).fit(taught, y)
        made[:, model.classes_] = np.log(np.maximum(model.predict_proba(asked), np.finfo(np.float32).tiny))
        return made

    def _targets(self, taught: np.ndarray, y: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """(q, k) predictions, each target by trees of its own."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        options = self._options(len(y))
        return np.stack([HistGradientBoostingRegressor(**options).fit(taught, one).predict(asked) for one in y.T], 1)

    def _options(self, n: int) -> dict[str, Any]:
        leaf = max(1, min(LEAF, n // 10)) if self.leaf is None else self.leaf
        return {
            "max_iter": self.rounds,
            "learning_rate": self.lr,
            "min_samples_leaf": leaf,
            "early_stopping": False,
            "random_state": 0,
        }

    def update(self, state: Neighbours, examples: Examples) -> Neighbours:
        return state.and_also(self.adapt(examples))
