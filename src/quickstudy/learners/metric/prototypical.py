"""Prototypical networks (Snell et al. 2017, arXiv:1703.05175): classify by the nearest class mean."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...functional.distances import squared_euclidean
from ...functional.prototypes import class_sums
from ...pytree import pytree
from ...task import Examples
from ..embeds import Embeds

Distance = Callable[[Tensor, Tensor], Tensor]


@pytree
class Prototypes:
    """Sums and counts of embeddings, not means, so that more examples can be added.

    Args:
        sums: (ways, d).
        counts: (ways,).
    """

    sums: Tensor
    counts: Tensor

    @property
    def means(self) -> Tensor:
        """(ways, d) class means; zero for a class without examples."""
        return self.sums / self.counts.clamp(min=1).unsqueeze(-1)


class Prototypical(Embeds):
    """Nearest class mean in a learned embedding.

    Unlike matching networks it keeps one vector a class, so its state does not grow with the shots. In training, the
    support and query examples of all tasks of a meta-batch are embedded together (the paper's protocol: one task a
    meta-batch), in evaluation batch norm uses running statistics, so it is inductive.

    Args:
        encoder: (n, *feature) -> (n, d).
        distance: (q, d), (ways, d) -> (q, ways); squared Euclidean as in the paper.

    >>> learner = Prototypical(nn.Flatten())
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 1]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([0, 1])
    """

    State = Prototypes

    def __init__(self, encoder: nn.Module, *, distance: Distance = squared_euclidean):
        super().__init__()
        self.encoder, self.distance = encoder, distance

    def remember(self, z: Float[Tensor, "n d"], support: Examples) -> Prototypes:
        assert support.ways is not None
        return Prototypes(*class_sums(z, support.y, support.ways, support.mask))

    def answer(self, state: Prototypes, z: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        return torch.where(state.counts > 0, -self.distance(z, state.means), -torch.inf)

    def update(self, state: Prototypes, examples: Examples) -> Prototypes:
        more = self.adapt(examples)
        return Prototypes(state.sums + more.sums, state.counts + more.counts)
