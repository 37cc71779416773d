"""Prototypical networks (Snell et al. 2017, arXiv:1703.05175): classify by the nearest class mean."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...functional.batch_norm import call
from ...functional.distances import squared_euclidean
from ...functional.prototypes import class_sums
from ...learner import Learner, Loss, criterion, metric
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task, batch_size, take

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


class Prototypical(Learner):
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
    class_equivariant = True
    joint = True

    def __init__(self, encoder: nn.Module, *, distance: Distance = squared_euclidean):
        super().__init__()
        self.encoder, self.distance = encoder, distance

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        del description, rng
        return self.prototypes(call(self.encoder, {}, support.x, policy="running"), support)

    def prototypes(self, embedded: Float[Tensor, "n d"], support: Examples) -> Prototypes:
        """The state for a support set that is embedded already."""
        assert support.ways is not None
        return Prototypes(*class_sums(embedded, support.y, support.ways, support.mask))

    def predict(self, state: Prototypes, x: Float[Tensor, q * feature]) -> Float[Tensor, "q ways"]:
        return self.answer(state, call(self.encoder, {}, x, policy="running"))

    def answer(self, state: Prototypes, embedded: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        """Logits for queries that are embedded already; a class without examples is never the answer."""
        return torch.where(state.counts > 0, -self.distance(embedded, state.means), -torch.inf)

    def update(self, state: Prototypes, examples: Examples) -> Prototypes:
        more = self.adapt(examples)
        return Prototypes(state.sums + more.sums, state.counts + more.counts)

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        del rng
        count, shots = batch_size(tasks), tasks.support.y.shape[1]
        x = torch.cat([tasks.support.x, tasks.query.x], 1)
        embedded = self._embed_real(x.flatten(0, 1), tasks).unflatten(0, (count, -1))
        rows = []
        for i in range(count):
            task = take(tasks, i)
            output = self.answer(self.prototypes(embedded[i, :shots], task.support), embedded[i, shots:])
            rows.append((criterion(output, task.query), metric(output, task.query).detach()))
        return Loss(*(torch.stack(column) for column in zip(*rows, strict=True)))

    def _embed_real(self, x: Tensor, tasks: Task) -> Tensor:
        """Embed all examples at once, leaving out padding, which would enter the statistics of batch norm."""
        if tasks.support.mask is None or tasks.query.mask is None:
            return self.encoder(x)
        real = torch.cat([tasks.support.mask, tasks.query.mask], 1).flatten()
        embedded = self.encoder(x[real])
        return embedded.new_zeros(len(x), embedded.shape[1]).index_put((real,), embedded)
