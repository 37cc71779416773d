"""Soft k-means on prototypes (Ren et al. 2018, arXiv:1803.00676, section 3.1.1): the queries move the class means."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.distances import squared_euclidean
from ...functional.prototypes import class_sums
from ...task import Examples
from ..embeds import Embeds
from .prototypical import Prototypes


class SoftPrototypes(Embeds):
    """Prototypical networks that look at all queries of a task before they answer one.

    Unlike them it is transductive: each query is given to the classes in shares, a softmax of minus the squared
    distance to the class means, and the means are taken again with them, each query counting as much as its share.
    The paper's unlabelled examples here are the queries themselves; the state holds the labelled ones alone.

    Args:
        encoder: (n, *feature) -> (n, d).
        steps: refinements in training; 1 in the paper, 0 leaves prototypical networks.
        test_steps: refinements in evaluation; as in training when None.

    Raises:
        UserError: steps below 0.

    >>> learner = SoftPrototypes(nn.Flatten())
    >>> state = learner.adapt(Examples(torch.tensor([[0.0], [4.0]]), torch.tensor([0, 1]), ways=2))
    >>> learner.predict(state, torch.tensor([[1.9], [4.0], [4.0]])).argmax(1)
    tensor([0, 1, 1])
    """

    State = Prototypes
    iterative = True

    def __init__(self, encoder: nn.Module, *, steps: int = 1, test_steps: int | None = None):
        super().__init__()
        if steps < 0:
            raise UserError(f"steps is {steps}, but prototypes are refined 0 times or more; use steps=1.")
        self.encoder, self.steps, self.test_steps = encoder, steps, test_steps

    @property
    def transductive(self) -> bool:
        return True

    def remember(self, z: Float[Tensor, "n d"], support: Examples) -> Prototypes:
        assert support.ways is not None
        return Prototypes(*class_sums(z, support.y, support.ways, support.mask))

    def answer(self, state: Prototypes, z: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        steps = self.steps if self.training or self.test_steps is None else self.test_steps
        refined = state
        for _ in range(steps):
            share = self._nearness(refined, z).softmax(-1)
            refined = Prototypes(state.sums + share.mT @ z, state.counts + share.sum(0))
        return self._nearness(refined, z)

    def _nearness(self, state: Prototypes, z: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        return torch.where(state.counts > 0, -squared_euclidean(z, state.means), -torch.inf)

    def update(self, state: Prototypes, examples: Examples) -> Prototypes:
        more = self.adapt(examples)
        return Prototypes(state.sums + more.sums, state.counts + more.counts)
