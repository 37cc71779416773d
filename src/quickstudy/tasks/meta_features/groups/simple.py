"""Sizes and shares: what a look at the table tells."""

from __future__ import annotations

import math

import numpy as np

from ..sample import Sample, largest, mean, spread


def log_rows(sample: Sample) -> float:
    """The natural logarithm of the number of rows.

    More rows carry more flexible models and cost more time; a logarithm, since the step from 100 to 1,000 rows matters
    as much as that from 1,000 to 10,000.
    """
    return math.log(sample.rows)


def log_columns(sample: Sample) -> float:
    """The natural logarithm of the number of columns.

    Methods by distance suffer from many columns, regularised linear ones and trees less.
    """
    return math.log(sample.columns)


def log_rows_per_column(sample: Sample) -> float:
    """The natural logarithm of rows divided by columns.

    How well the table is filled: below zero there are more columns than rows, and whatever is not regularised overfits.
    """
    return math.log(sample.rows / sample.columns)


def share_categorical(sample: Sample) -> float:
    """The share of columns that hold categories, 0 to 1.

    Trees take categories as they are, while linear models and distances need an encoding.
    """
    return sample.codes.shape[1] / (sample.codes.shape[1] + sample.numbers.shape[1])


def share_binary(sample: Sample) -> float:
    """The share of columns with exactly two values, numbers or categories, 0 to 1.

    A table of yes and no is one of counts and rules: naive Bayes for binary data and linear models do well.
    """
    columns = [*sample.numbers.T, *np.where(sample.codes < 0, np.nan, sample.codes).T]
    return mean(np.array([len(np.unique(column[np.isfinite(column)])) == 2 for column in columns], dtype=float))


def share_missing(sample: Sample) -> float:
    """The share of cells that are missing, infinite ones included, 0 to 1.

    With many the way of filling them matters more than the model.
    """
    gone = np.isnan(sample.numbers).sum() + (sample.codes < 0).sum()
    return float(gone / (sample.numbers.size + sample.codes.size))


def share_rows_missing(sample: Sample) -> float:
    """The share of rows with a missing cell, 0 to 1.

    Beside the share of cells it tells whether a few rows are poor or nearly all lack something.
    """
    return float((np.isnan(sample.numbers).any(1) | (sample.codes < 0).any(1)).mean())


def categories_mean(sample: Sample) -> float:
    """The mean number of categories of the columns that hold categories; NaN without any.

    Many make one-hot codes long and their levels rare.
    """
    return mean([len(np.unique(column[column >= 0])) for column in sample.codes.T])


def categories_most(sample: Sample) -> float:
    """The largest number of categories of a column; NaN without any.

    One column of addresses or names in a table is enough to spoil a one-hot code.
    """
    return largest([len(np.unique(column[column >= 0])) for column in sample.codes.T])


def classes(sample: Sample) -> float:
    """The number of classes; NaN for a regression.

    With many a method that fits one model for each (boosting, one against the rest) gets slow, and each class scarce.
    """
    return math.nan if sample.ways is None else float(sample.ways)


def class_share_least(sample: Sample) -> float:
    """The share of the rarest class, 0 to 1; NaN for a regression.

    Where it is small, accuracy says little, and weights or thresholds matter.
    """
    return float(sample.shares.min()) if len(sample.shares) else math.nan


def class_share_most(sample: Sample) -> float:
    """The share of the most frequent class, 0 to 1; NaN for a regression.

    It is the accuracy of always giving the same answer, so other accuracies are read against it.
    """
    return largest(sample.shares)


def class_share_sd(sample: Sample) -> float:
    """The standard deviation of the shares of the classes; NaN for a regression.

    Zero where all are equally frequent.
    """
    return spread(sample.shares)


FEATURES = (
    log_rows,
    log_columns,
    log_rows_per_column,
    share_categorical,
    share_binary,
    share_missing,
    share_rows_missing,
    categories_mean,
    categories_most,
    classes,
    class_share_least,
    class_share_most,
    class_share_sd,
)
