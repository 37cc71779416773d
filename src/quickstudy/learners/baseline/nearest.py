"""Nearest neighbours (Fix and Hodges 1951; Cover and Hart 1967, doi:10.1109/TIT.1967.1053964)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.distances import cosine_distance
from ...learner import Learner
from ...pytree import pytree, static
from ...rng import Rng
from ...task import Examples
from .frozen import features

Distance = Callable[[Tensor, Tensor], Tensor]


@pytree
class Neighbours:
    """The support set, embedded.

    Args:
        z: (n, d) features.
        y: (n,) classes, or (n, k) targets.
        real: (n,) bool, False for padding.
        ways: the number of classes; None for regression.
    """

    z: Tensor
    y: Tensor
    real: Tensor
    ways: int | None = static(None)

    @classmethod
    def of(cls, z: Tensor, support: Examples) -> Neighbours:
        """The support set whose features are `z`."""
        real = torch.ones_like(support.y if support.ways else support.y[:, 0], dtype=torch.bool)
        return cls(z, support.y, real if support.mask is None else support.mask, support.ways)

    def and_also(self, more: Neighbours) -> Neighbours:
        """Both together, as examples of one task."""
        z, y, real = (torch.cat(p) for p in ((self.z, more.z), (self.y, more.y), (self.real, more.real)))
        return Neighbours(z, y, real, self.ways)


class NearestNeighbour(Learner):
    """Answers as the most similar support example does, on raw inputs or on a frozen encoder.

    Unlike prototypical networks it keeps every example, and nothing is trained.

    Args:
        encoder: (n, *feature) -> (n, d); None compares the inputs themselves.
        distance: (q, d), (n, d) -> (q, n).
        k: neighbours that vote. With k = 1 a logit is minus the distance to the nearest example of the class; with more
            it is the number of votes, ties going to the class with the nearer example. For a regression their targets
            are averaged. Where several are equally far, all of them vote.

    Raises:
        UserError: k below 1.

    >>> learner = NearestNeighbour()
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=3))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([1, 0])
    """

    State = Neighbours
    kinds = ("classification", "regression")
    class_equivariant = True
    meta_gradient = "none"

    def __init__(self, encoder: nn.Module | None = None, *, distance: Distance = cosine_distance, k: int = 1):
        super().__init__()
        if k < 1:
            raise UserError(f"k is {k}, but at least one neighbour must be asked; use k=1 or more.")
        self.encoder, self.distance, self.k = encoder, distance, k

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Neighbours:
        del description, rng
        return Neighbours.of(features(self.encoder, support.x), support)

    def predict(self, state: Neighbours, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q answers"]:
        far = torch.where(state.real, self.distance(features(self.encoder, x), state.z), torch.inf)
        voting = self._voting(far, state.real)
        if state.ways is None:
            share = voting.to(state.y.dtype)
            return share @ torch.where(state.real.unsqueeze(-1), state.y, 0) / share.sum(1, keepdim=True)
        member = F.one_hot(state.y, state.ways).to(torch.bool) & state.real.unsqueeze(-1)
        nearest = torch.where(member, far.unsqueeze(-1), torch.inf).amin(1)
        if self.k == 1:
            return -nearest
        votes = voting.to(far.dtype) @ member.to(far.dtype)
        # Less than a vote, and less the farther: it decides between equal votes and nothing else.
        return torch.where(nearest < torch.inf, votes + 1 / (2 + nearest), -torch.inf)

    def _voting(self, far: Tensor, real: Tensor) -> Tensor:
        """(q, n) whether an example is among the k nearest."""
        last = far.sort(1).values[:, min(self.k, far.shape[1]) - 1 :][:, :1]
        return (far <= last) & real

    def update(self, state: Neighbours, examples: Examples) -> Neighbours:
        return state.and_also(self.adapt(examples))
