"""Moments, correlations and outliers of the columns that hold numbers."""

from __future__ import annotations

import math

import numpy as np

from ..sample import Sample, largest, mean, spread

MOST_CLASSES = 50
FENCE = 1.5  # quartile ranges beyond a quartile, from where on a number is an outlier (Tukey 1977)


def skewness_mean(sample: Sample) -> float:
    """The mean skewness of the columns that vary, their third standardised moment.

    Far from zero, logarithms or ranks help whatever works with distances or sums.
    """
    return mean(sample.moments[0])


def skewness_sd(sample: Sample) -> float:
    """The standard deviation of the skewness over columns.

    Whether all columns are of one kind, as pixels are, or each has its own.
    """
    return spread(sample.moments[0])


def kurtosis_mean(sample: Sample) -> float:
    """The mean excess kurtosis of the columns that vary, 0 for normal ones.

    High where few rows hold extreme numbers.
    """
    return mean(sample.moments[1])


def kurtosis_sd(sample: Sample) -> float:
    """The standard deviation of the excess kurtosis over columns.

    Large where heavy tails are a matter of some columns only.
    """
    return spread(sample.moments[1])


def correlation_mean(sample: Sample) -> float:
    """The mean absolute correlation of two columns, 0 to 1; NaN with fewer than two that vary.

    Redundant columns harm naive Bayes and plain least squares, and do nothing to trees.
    """
    return mean(sample.correlations)


def correlation_most(sample: Sample) -> float:
    """The largest absolute correlation of two columns, 0 to 1.

    Near one where a column is there twice, in other units.
    """
    return largest(sample.correlations)


def share_correlated(sample: Sample) -> float:
    """The share of pairs of columns with an absolute correlation of a half or more.

    It tells a few twins from a table that is redundant throughout.
    """
    return mean((sample.correlations >= 0.5).astype(float))


def share_zero(sample: Sample) -> float:
    """The share of numbers that are exactly zero.

    High for counts of words and other sparse tables, which linear models suit.
    """
    known = np.isfinite(sample.numbers)
    return mean((sample.numbers[known] == 0).astype(float))


def share_outliers(sample: Sample) -> float:
    """The share of numbers farther than 1.5 quartile ranges from their column's quartiles (Tukey's fences).

    About 0.7 % where columns are normal; with many, squared errors and scaling by the range suffer.
    """
    known = sample.numbers[:, np.isfinite(sample.numbers).any(0)]
    if not known.size:
        return math.nan
    low, high = np.nanquantile(known, [0.25, 0.75], axis=0)
    room = FENCE * (high - low)
    beyond = (known < low - room) | (known > high + room)
    return float(beyond.sum() / np.isfinite(known).sum())


def component_first(sample: Sample) -> float:
    """The share of the variance of the standardised numbers that the first principal component has.

    Near one where all columns measure one thing.
    """
    return float(sample.components[0]) if len(sample.components) else math.nan


def components_most(sample: Sample) -> float:
    """How many principal components hold 95 % of the variance, as a share of the columns of numbers that vary.

    The lower, the more a projection saves.
    """
    if not len(sample.components):
        return math.nan
    return float(np.searchsorted(sample.components.cumsum(), 0.95) + 1) / sample.standard.shape[1]


def component_skewness(sample: Sample) -> float:
    """The absolute skewness of the rows on the first principal component.

    High where the main direction is one of a few extreme rows.
    """
    if not len(sample.components):
        return math.nan
    direction = np.linalg.eigh(sample.standard.T @ sample.standard)[1][:, -1]
    scores = sample.standard @ direction
    return float(abs((scores**3).mean()) / max(float((scores**2).mean()) ** 1.5, 1e-300))


def explained_mean(sample: Sample) -> float:
    """The mean share of the target's variance that a column of numbers explains on its own, linearly.

    For classes it is the variance between class means over all variance (eta squared), the mean over columns.
    """
    return mean(_explained(sample))


def explained_most(sample: Sample) -> float:
    """The share of the target's variance that the best column explains on its own.

    Near one where the answer stands in the table, be it by a leak.
    """
    return largest(_explained(sample))


def canonical_correlation(sample: Sample) -> float:
    """The largest correlation of a linear combination of the columns with one of the classes, or with the target.

    High where a linear model will do. Of more than 50 classes the most frequent count.
    """
    frequent = np.argsort(-sample.shares, kind="stable")[:MOST_CLASSES]
    answers = sample.y[:, None] if sample.ways is None else (sample.y[:, None] == frequent).astype(np.float64)
    bases = []
    for side in (sample.standard, answers - answers.mean(0)):
        u, values, _ = np.linalg.svd(side, full_matrices=False) if side.size else (side, np.zeros(0), None)
        bases.append(u[:, values > 1e-9 * max(values, default=0.0)])
    if not bases[0].shape[1] or not bases[1].shape[1]:
        return math.nan
    return float(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)[0].clip(0.0, 1.0))


def target_skewness(sample: Sample) -> float:
    """The skewness of the target of a regression; NaN for classes.

    Prices and durations are skewed, and their logarithm is easier to predict.
    """
    return _moment(sample, 3)


def target_kurtosis(sample: Sample) -> float:
    """The excess kurtosis of the target of a regression; NaN for classes.

    High where a few targets dominate a squared error.
    """
    return _moment(sample, 4) - 3


def _explained(sample: Sample) -> np.ndarray:
    """(p',) shares for the columns that vary."""
    x, n = sample.standard, len(sample.y)
    if sample.ways is None:
        centred = sample.y - sample.y.mean()
        return (x.T @ centred / n) ** 2 / max(float((centred**2).mean()), 1e-300)
    sums = np.zeros((sample.ways, x.shape[1]))
    np.add.at(sums, sample.y, x)
    counts = np.bincount(sample.y, minlength=sample.ways)[:, None]
    return (sums**2 / np.maximum(counts, 1)).sum(0) / n


def _moment(sample: Sample, power: int) -> float:
    if sample.ways is not None:
        return math.nan
    centred = sample.y - sample.y.mean()
    scale = math.sqrt((centred**2).mean())
    return float(((centred / scale) ** power).mean()) if scale > 0 else math.nan


FEATURES = (
    skewness_mean,
    skewness_sd,
    kurtosis_mean,
    kurtosis_sd,
    correlation_mean,
    correlation_most,
    share_correlated,
    share_zero,
    share_outliers,
    component_first,
    components_most,
    component_skewness,
    explained_mean,
    explained_most,
    canonical_correlation,
    target_skewness,
    target_kurtosis,
)
