"""Every pair of candidates told apart by a forest of its own, to which costly mistakes matter most."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from ....errors import UserError
from ....functional.solvers.forest import tree_answers
from .forest import Forested, grown, joined


class Pairwise(Forested):
    """Which of two candidates is better, for all pairs: a past data set counts as much as their scores differ on it.

    A candidate is as good as the best one is on average, and as much better as it wins over its rivals. Rivals are the
    few candidates that together would have done best on the past, since pairs grow as a square; all others are expected
    to score as they did on average.

    Args:
        rivals: candidates that are compared.
        trees: in the forest of each pair.
        leaf: data sets that a leaf holds at least.
        share: of the features that a split looks at.
        folds: see `Selector`.

    Raises:
        UserError: fewer than two rivals, no trees, or scikit-learn is not there.

    Source: cost-sensitive pairs, SATzilla 2011 (Xu et al. 2012, doi:10.1007/978-3-642-31612-8_18).
    """

    usual: Tensor
    compared: Tensor
    stakes: Tensor

    def __init__(self, *, rivals: int = 5, trees: int = 20, leaf: int = 1, share: float = 0.4, folds: int = 5):
        super().__init__(trees=trees, leaf=leaf, share=share, folds=folds)
        if rivals < 2:
            raise UserError(f"rivals is {rivals}; two are needed at least.")
        self.rivals = rivals
        self.register_buffer("usual", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("compared", torch.zeros(0, 2, dtype=torch.int64))
        self.register_buffer("stakes", torch.zeros(0, dtype=torch.float64))

    def fit(self, features: Float[Tensor, "D m"], scores: Float[Tensor, "D C"]) -> None:
        self.usual = scores.mean(0)
        pairs = list(itertools.combinations(together_best(scores, self.rivals), 2))
        self.compared = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
        gains = scores[:, self.compared[:, 0]] - scores[:, self.compared[:, 1]]  # (D, pairs)
        self.stakes = gains.abs().mean(0)
        options = (self.trees, self.leaf, self.share)
        made = [grown(features, gain.sign().unsqueeze(1), *options, weight=gain.abs()) for gain in gains.T]
        self.keep(joined(made))

    def expected(self, features: Float[Tensor, "q m"]) -> Float[Tensor, "q C"]:
        votes = tree_answers(self.forest, features).reshape(len(features), len(self.stakes), self.trees).mean(2)
        gains = votes * self.stakes / max(1, len(self.compared.unique()))
        wins = torch.zeros(len(features), len(self.usual), dtype=gains.dtype)
        wins = wins.index_add(1, self.compared[:, 0], gains).index_add(1, self.compared[:, 1], -gains)
        rival = torch.zeros_like(self.usual, dtype=torch.bool)
        rival[self.compared.flatten()] = True
        return torch.where(rival, self.usual.max() + wins, self.usual)


def together_best(scores: Float[Tensor, "D C"], count: int) -> list[int]:
    """Candidates that add most to the best score of every data set, one after the other, the best on average first.

    >>> together_best(torch.tensor([[3.0, 2.0, 0.0], [0.0, 2.0, 1.0], [3.0, 2.0, 9.0]]), 2)
    [2, 0]
    """
    best = torch.full_like(scores[:, 0], -torch.inf)
    chosen: list[int] = []
    for _ in range(min(count, scores.shape[1])):
        worth = torch.maximum(best.unsqueeze(1), scores).mean(0)
        worth[chosen] = -torch.inf
        chosen.append(int(worth.argmax()))
        best = torch.maximum(best, scores[:, chosen[-1]])
    return chosen
