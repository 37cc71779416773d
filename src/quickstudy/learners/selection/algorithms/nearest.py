"""The past data sets with the most similar meta-features say what to expect."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ....errors import UserError
from .selector import Selector

ROWS = 64  # at a time: each is held against all of the past
NEAR = 0.03  # difference of ranks within which neighbours count alike


class NearestInstances(Selector):
    """The scores of the nearest past data sets, averaged: the nearer, the more one counts.

    Features are compared by their ranks among the past, so that no unit and no outlier decides what is near.

    Args:
        neighbours: how many are averaged.
        folds: see `Selector`.

    Source: ISAC and 3S (Kadioglu et al. 2011, doi:10.1007/978-3-642-23786-7_35).
    """

    features: Tensor
    scores: Tensor

    def __init__(self, *, neighbours: int = 12, folds: int = 5):
        super().__init__(folds=folds)
        if neighbours < 1:
            raise UserError(f"neighbours is {neighbours}; one is needed at least.")
        self.neighbours = neighbours
        self.register_buffer("features", torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("scores", torch.zeros(0, 0, dtype=torch.float64))

    def fit(self, features: Float[Tensor, "D m"], scores: Float[Tensor, "D C"]) -> None:
        self.features, self.scores = features, scores

    def expected(self, features: Float[Tensor, "q m"]) -> Float[Tensor, "q C"]:
        apart = distances(features, self.features)
        near, which = apart.topk(min(self.neighbours, len(self.scores)), largest=False)
        weight = 1 / (near.square() + NEAR**2)
        return (weight.unsqueeze(-1) * self.scores[which]).sum(1) / weight.sum(1, keepdim=True)


def ranks(features: Float[Tensor, "q m"], past: Float[Tensor, "D m"]) -> Float[Tensor, "q m"]:
    """The share of the past below each feature, ties counted half: 0..1.

    >>> ranks(torch.tensor([[2.0], [9.0]]), torch.tensor([[1.0], [2.0], [2.0], [3.0]])).flatten().tolist()
    [0.5, 1.0]
    """
    each = [(part.unsqueeze(1) - past).sign().mean(1) for part in features.split(ROWS)]
    return (1 + torch.cat(each)) / 2


def distances(features: Float[Tensor, "q m"], past: Float[Tensor, "D m"]) -> Float[Tensor, "q D"]:
    """Root mean square differences of ranks, over the features that vary."""
    varies = (past != past[0]).any(0)
    asked, known = (ranks(part[:, varies], past[:, varies]) for part in (features, past))
    return torch.cdist(asked, known) / max(1, int(varies.sum())) ** 0.5
