"""Several clusterings made one: two rows belong together as often as the clusterings put them together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...errors import BadExamples, UserError
from ...extras import brought_in


def co_association(clusterings: Int[Tensor, "m n"], weights: Sequence[float] | None = None) -> Float[Tensor, "n n"]:
    """The weighted share of clusterings in which two rows are in one cluster; rows marked -1 (noise) are with no one.

    Args:
        clusterings: the cluster of every row, in each.
        weights: how much each counts; all alike by default.

    Source: evidence accumulation (Fred and Jain 2005, doi:10.1109/TPAMI.2005.113).

    >>> co_association(torch.tensor([[0, 0, 1], [5, 7, 7]])).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]]
    """
    share = torch.ones(len(clusterings)) if weights is None else torch.tensor(weights, dtype=torch.float32)
    if not len(clusterings) or len(share) != len(clusterings) or bool((share < 0).any()) or not float(share.sum()):
        raise BadExamples(f"{len(clusterings)} clusterings need as many weights, not below zero; got {share.tolist()}.")
    together = torch.zeros(clusterings.shape[1], clusterings.shape[1])
    for weight, labels in zip(share / share.sum(), clusterings, strict=True):
        together += weight * ((labels.unsqueeze(1) == labels) & (labels >= 0))
    return together.fill_diagonal_(1.0)


def consensus(
    clusterings: Int[Tensor, "m n"], clusters: int, *, weights: Sequence[float] | None = None
) -> Int[Tensor, " n"]:
    """One clustering that agrees with many: average linkage of the rows by how often they are apart.

    Needs scikit-learn (the extra 'sklearn'). Memory grows with the square of the rows.

    Args:
        clusterings: the cluster of every row, in each; they may differ in number and names of clusters.
        clusters: how many to make.
        weights: how much each clustering counts.

    Raises:
        UserError: more clusters than rows, or scikit-learn is not there.

    >>> consensus(torch.tensor([[0, 0, 1, 1], [3, 3, 2, 2], [0, 1, 1, 1]]), 2).tolist()
    [0, 0, 1, 1]
    """
    if not 1 <= clusters <= clusterings.shape[1]:
        raise UserError(f"{clusterings.shape[1]} rows cannot make {clusters} clusters.")
    linkage = brought_in("sklearn.cluster", "Consensus clustering", "sklearn").AgglomerativeClustering
    apart = 1 - co_association(clusterings, weights).double().numpy()
    linked = linkage(clusters, metric="precomputed", linkage="average").fit(apart)
    return torch.from_numpy(np.asarray(linked.labels_, dtype=np.int64))
