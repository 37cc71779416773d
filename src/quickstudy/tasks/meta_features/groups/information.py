"""Entropies in bits: of the target, of the columns, and what they have in common.

Numbers are put into 10 bins of equally many rows, those of few values each into its own; what is missing is a category.
"""

from __future__ import annotations

import math

from ..sample import Sample, entropy, largest, mean, spread


def target_entropy(sample: Sample) -> float:
    """The entropy of the classes, or of the binned target of a regression, in bits.

    What has to be learned: 1 for two equally frequent classes.
    """
    return entropy(sample.classes)


def entropy_mean(sample: Sample) -> float:
    """The mean entropy of a column, in bits.

    Low where most columns nearly always hold the same.
    """
    return mean(sample.informations[0])


def entropy_sd(sample: Sample) -> float:
    """The standard deviation of the entropy over columns, in bits.

    Large where flags stand beside measurements.
    """
    return spread(sample.informations[0])


def information_mean(sample: Sample) -> float:
    """The mean mutual information of a column and the target, in bits.

    Unlike a correlation it sees every relation of one column and the target, but none of several columns together. It
    is too high by about (bins - 1)(classes - 1) / (1.4 rows).
    """
    return mean(sample.informations[1])


def information_most(sample: Sample) -> float:
    """The largest mutual information of a column and the target, in bits.

    Near the entropy of the target where one column gives the answer.
    """
    return largest(sample.informations[1])


def information_sd(sample: Sample) -> float:
    """The standard deviation over columns of the mutual information with the target, in bits.

    High where some columns matter and most do not, so that selecting them helps.
    """
    return spread(sample.informations[1])


def joint_entropy_mean(sample: Sample) -> float:
    """The mean entropy of a column and the target together, in bits.

    As large as both entropies added where a column says nothing about the target.
    """
    entropies, informations = sample.informations
    return mean(entropies + target_entropy(sample) - informations)


def columns_needed(sample: Sample) -> float:
    """The entropy of the target over the mean mutual information: how many average columns would give the answer.

    It is the equivalent number of attributes of Michie et al. 1994. NaN where no column says anything.
    """
    information = information_mean(sample)
    return target_entropy(sample) / information if information > 1e-12 else math.nan


def noise_to_signal(sample: Sample) -> float:
    """What columns say that is not about the target, over what is: mean entropy less mean information, over that.

    High in tables that could be compressed a lot without loss for the answer. NaN where no column says anything.
    """
    information = information_mean(sample)
    return (entropy_mean(sample) - information) / information if information > 1e-12 else math.nan


FEATURES = (
    target_entropy,
    entropy_mean,
    entropy_sd,
    information_mean,
    information_most,
    information_sd,
    joint_entropy_mean,
    columns_needed,
    noise_to_signal,
)
