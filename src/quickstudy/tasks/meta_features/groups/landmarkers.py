"""How well quick models do: accuracy over three stratified folds of at most 500 rows, R squared for a regression.

The columns are standardised, what is missing being the mean, and categories one-hot.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....extras import brought_in
from ....rng import Rng
from ..sample import Sample

ROWS, FOLDS = 500, 3


def nearest_neighbour(sample: Sample) -> float:
    """The score of the nearest neighbour, by Euclidean distance.

    High where like rows have like answers in the table as it stands.
    """
    return _score(sample, "neighbors:KNeighbors", n_neighbors=1)


def naive_bayes(sample: Sample) -> float:
    """The accuracy of Gaussian naive Bayes; NaN for a regression.

    High where columns add up independently.
    """
    return _score(sample, "naive_bayes:GaussianNB")


def linear(sample: Sample) -> float:
    """The score of ridge regression, on the classes as numbers of 0 and 1.

    Beside the tree it tells how far a straight boundary goes.
    """
    return _score(sample, "linear_model:Ridge")


def stump(sample: Sample) -> float:
    """The score of a decision tree with a single split.

    Near that of the whole tree where one column decides.
    """
    return _score(sample, "tree:DecisionTree", max_depth=1, random_state=0)


def tree(sample: Sample) -> float:
    """The score of a decision tree grown to the end.

    Its distance from the stump tells how much columns work together.
    """
    return _score(sample, "tree:DecisionTree", random_state=0)


FEATURES = (nearest_neighbour, naive_bayes, linear, stump, tree)


def _score(sample: Sample, named: str, **options: Any) -> float:
    """Of a model of scikit-learn, called 'module:Class' without what its name ends in for either kind of target."""
    module, name = named.split(":")
    regression = sample.ways is None
    if regression and name == "GaussianNB":
        return math.nan
    models = brought_in(f"sklearn.{module}", "The group 'landmarkers' of meta-features", "sklearn")
    ending = {"GaussianNB": "", "Ridge": "" if regression else "Classifier"}
    kind = getattr(models, name + ending.get(name, "Regressor" if regression else "Classifier"))
    x, y, fold = _dealt(sample)
    if len(y) < 2 * FOLDS or not x.shape[1] or len(np.unique(y)) < 2:
        return math.nan
    answers = np.empty(len(y))
    for held in range(FOLDS):
        rest = fold != held
        if not regression and len(np.unique(y[rest])) < 2:
            return math.nan
        answers[~rest] = kind(**options).fit(x[rest], y[rest]).predict(x[~rest])
    if not regression:
        return float((answers == y).mean())
    return float(max(1 - ((answers - y) ** 2).sum() / ((y - y.mean()) ** 2).sum(), -1.0))


def _dealt(sample: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, answers and the fold of each row; neighbours in the order of the answers are in different folds."""
    shuffled = np.argsort(Rng(0, ("landmarkers",)).uniform(np.arange(len(sample.y)), 1)[:, 0])[:ROWS]
    rows = shuffled[np.argsort(sample.y[shuffled], kind="stable")]
    return sample.encoded[rows], sample.y[rows], np.arange(len(rows)) % FOLDS
