"""Collaborative filtering for data sets that nobody has tried anything on: their factors come from meta-features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ....errors import UserError
from .nearest import distances
from .selector import Selector

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)


class CollaborativeFiltering(Selector):
    """Scores as products of a few factors of the data set and of the candidate, the former regressed on meta-features.

    The factors are those of a singular value decomposition; the regression is a kernel ridge on ranks, as wide as the
    median distance, its penalty chosen by the error for past data sets left out. Unlike `PerAlgorithm` it is smooth,
    and never learns what only one candidate does.

    Args:
        factors: of each data set.
        folds: see `Selector`.

    Source: ALORS (Misir and Sebag 2017, doi:10.1016/j.artint.2016.12.001).
    """

    features: Tensor
    width: Tensor
    weights: Tensor
    centre: Tensor

    def __init__(self, *, factors: int = 5, folds: int = 5):
        super().__init__(folds=folds)
        if factors < 1:
            raise UserError(f"factors is {factors}; one is needed at least.")
        self.factors = factors
        for name, shape in (("features", (0, 0)), ("width", ()), ("weights", (0, 0)), ("centre", (0,))):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def fit(self, features: Float[Tensor, "D m"], scores: Float[Tensor, "D C"]) -> None:
        self.features, self.centre = features, scores.mean(0)
        left, sizes, candidates = torch.linalg.svd(scores - self.centre, full_matrices=False)
        kept = slice(0, self.factors)
        found = left[:, kept] * sizes[kept]
        apart = distances(features, features)
        self.width = apart.median().clamp(min=1e-6)
        values, vectors = torch.linalg.eigh(torch.exp(-apart / self.width))
        error = torch.inf
        for penalty in PENALTIES:
            inverse = vectors / (values.clamp(min=0) + penalty) @ vectors.T
            weights = inverse @ found
            left_out = weights / inverse.diagonal().unsqueeze(1)  # the errors: Rasmussen and Williams, equation 5.12
            if (now := float(left_out.square().mean())) < error:
                error, self.weights = now, weights @ candidates[kept]

    def expected(self, features: Float[Tensor, "q m"]) -> Float[Tensor, "q C"]:
        return self.centre + torch.exp(-distances(features, self.features) / self.width) @ self.weights
