"""Siamese networks (Koch et al. 2015, ICML Deep Learning Workshop): a learned similarity of pairs."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UnknownName, UserError
from ...functional.attention import best_of_class, members
from ...learner import masked_mean, metric
from ...rng import Rng
from ...task import Examples, Task
from ..baseline.nearest import Neighbours
from ..embeds import Embeds, feature_length, joined, kept

OBJECTIVES = ("logistic", "contrastive")
TINY = 1e-12  # under the root of a distance, whose slope at zero is infinite


class Siamese(Embeds):
    """Both of a pair go through one net, which says how alike they are; a query is as its most similar example.

    Unlike all its neighbours it is trained on pairs, not on choices among classes, so its `similarity` has one scale
    for all tasks and can verify: same class or not. In training every query of a task is compared with every support
    example; the pairs of one class, 1/ways of them, weigh as much together as the others.

    Args:
        encoder: (n, *feature) -> (n, d).
        objective: 'logistic' learns the odds that two embeddings are of one class from their weighted L1 distance, as
            in the paper; 'contrastive' pulls pairs of one class together and pushes others `margin` apart in Euclidean
            distance (Hadsell, Chopra and LeCun 2006, doi:10.1109/CVPR.2006.100).
        margin: of 'contrastive'. One far below the distances that embeddings begin with, some 6 between characters in
            Conv-4, first draws all of them together.
        features: d, which 'logistic' needs; that of `encoder.features` when None.

    Raises:
        UserError: an unknown objective, a margin that is not above 0, or features of unknown length.

    >>> learner = Siamese(nn.Flatten(), objective="contrastive")
    >>> learner.similarity(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([-5.])
    """

    State = Neighbours

    def __init__(
        self, encoder: nn.Module, *, objective: str = "logistic", margin: float = 8.0, features: int | None = None
    ):
        super().__init__()
        if objective not in OBJECTIVES:
            raise UnknownName.among("objective of Siamese", objective, OBJECTIVES)
        if margin <= 0:
            raise UserError(f"margin is {margin}, but pairs must be pushed apart by more than 0; use margin=8.0.")
        self.encoder, self.objective, self.margin, self.features = encoder, objective, margin, features
        if objective == "logistic":
            length = feature_length(encoder, features)
            # The nearer is the more similar from the first step on, and the odds are even at the mean distance of unit
            # normal features that are rectified, 1/sqrt(pi) each: rates of 1e-3 take long to find that offset.
            self.weight = nn.Parameter(torch.full((length,), -(length**-0.5)))
            self.bias = nn.Parameter(torch.tensor((length / math.pi) ** 0.5))

    def compare(self, a: Float[Tensor, "*many d"], b: Float[Tensor, "*other d"]) -> Float[Tensor, ...]:
        """The similarity of embeddings, broadcast: log-odds of one class, or minus the distance."""
        if self.objective == "logistic":
            return (a - b).abs() @ self.weight + self.bias
        return -((a - b).square().sum(-1) + TINY).sqrt()

    def similarity(self, a: Float[Tensor, "n ..."], b: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """How alike the two inputs of each pair are, for verification: log-odds of one class, or minus the distance."""
        return self.compare(self.embed(a), self.embed(b))

    def remember(self, z: Float[Tensor, "n d"], support: Examples) -> Neighbours:
        return kept(z, support)

    def answer(self, state: Neighbours, z: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        assert state.ways is not None
        return best_of_class(self.compare(z.unsqueeze(1), state.z), members(state.y, state.ways, state.real))

    def update(self, state: Neighbours, examples: Examples) -> Neighbours:
        return joined(state, self.adapt(examples))

    def embedded_loss(self, task: Task, rng: Rng | None = None) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        del rng
        support, query = task.support, task.query
        same = query.y.unsqueeze(1) == support.y
        alike = self.compare(query.x.unsqueeze(1), support.x)
        if self.objective == "logistic":
            lost = F.softplus(torch.where(same, -alike, alike))
        else:
            lost = 0.5 * torch.where(same, alike, (self.margin + alike).relu()).square()
        objective = (masked_mean(lost.flatten(), same.flatten()) + masked_mean(lost.flatten(), ~same.flatten())) / 2
        return objective, metric(self.answer(kept(support.x, support), query.x), query).detach()
