"""How much each of several models counts: weights that are not negative and sum to 1, learned from held-out answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from .crossfit import Metric
from .folds import Split

TINY = 1e-12  # below which a probability counts as this, so that one sure and wrong model does not decide it all
EVENLY = 5  # models; this and the half: best of a few on the data sets of benchmarks/experience.py
STEPS, ENOUGH = 500, 1e-8  # of expectation maximisation; gain in nats an example at which it ends
HEAVY = 1e3  # how much more the sum of the weights counts than all residuals, in a row of least squares


def combination_weights(answers: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(m,) the weights with which m models are best together.

    Of classes those with the highest likelihood, which is concave: models as the parts of a mixture, by expectation
    maximisation from equal weights. Of numbers those with the least squared error (Breiman 1996, Stacked regressions).

    Args:
        answers: (m, n, outputs) answers to examples that no model had seen: probabilities, or one number each.
        y: (n,) numbers of classes (integers), or targets.

    >>> sure, unsure = [[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.5, 0.5]]
    >>> combination_weights(np.array([sure, unsure]), np.array([0, 1])).round(2).tolist()
    [1.0, 0.0]
    """
    if y.dtype.kind == "i":
        return _mixture(np.maximum(answers[:, np.arange(len(y)), y], TINY))
    # Distances from the target, since with weights that sum to 1 these are what is mixed.
    errors = (answers[:, :, 0] - y).T / max(float(np.abs(answers[:, :, 0] - y).max()), TINY)
    heavy = HEAVY * np.sqrt(len(y))
    weights, _ = nnls(np.vstack([errors, np.full((1, len(answers)), heavy)]), np.append(np.zeros(len(y)), heavy))
    return weights / weights.sum()


def _mixture(likelihood: np.ndarray) -> np.ndarray:
    """The weights of a mixture whose parts give the examples these (m, n) likelihoods."""
    weights = np.full(len(likelihood), 1 / len(likelihood))
    before = -np.inf
    for _ in range(STEPS):
        together = weights @ likelihood
        now = float(np.log(together).mean())
        if now - before < ENOUGH:
            break
        before = now
        weights = weights * (likelihood / together).mean(1)
    return weights / weights.sum()


def cross_fitted_weights(
    answers: np.ndarray, y: np.ndarray, splits: Sequence[Split], metric: Metric | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights as the mean of those learned without each fold, and the answers of the combination to the held-out rows.

    The answer to a fold is combined by weights that were learned without it, so it tells honestly how good the
    combination is; and the mean of the weights hangs less on single examples than weights learned from all at once.

    Args:
        answers: (m, n, outputs) held-out answers, NaN for rows that were never held out.
        y: (n,) as for `combination_weights`.
        splits: the folds that the answers were made by.
        metric: for many models that were chosen by it: half of the weight is shared evenly by the five that are best by
            it, since weights learned from few examples trust single models too much.

    Returns:
        (m,) weights, and (n, outputs) answers, NaN where no model has one.
    """
    combined = np.full(answers.shape[1:], np.nan)
    known = np.isfinite(answers).all((0, 2))
    found = []
    for _, held in splits:
        others = known.copy()
        others[held] = False
        if not others.any():  # the only fold there is
            others = known
        weights = combination_weights(answers[:, others], y[others])
        if metric is not None:
            best = np.argsort([-metric(y[others], answer[others]) for answer in answers], kind="stable")[:EVENLY]
            weights *= 0.5
            weights[best] += 0.5 / len(best)
        combined[held] = np.tensordot(weights, answers[:, held], 1)
        found.append(weights)
    return np.mean(found, 0), combined
