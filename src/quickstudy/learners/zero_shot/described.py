"""Prototypes from descriptions and examples alike: from zero to many shots in one learner.

With descriptions alone this is the zero-shot form of prototypical networks (Snell et al. 2017, arXiv:1703.05175,
section 2.7); with examples as well, the posterior mean of a prototype whose prior is what its description says.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...engine.joint import TOGETHER, embed_together
from ...engine.mapping import map_tasks
from ...errors import UserError
from ...functional.batch_norm import call
from ...functional.distances import squared_euclidean
from ...functional.prototypes import class_sums
from ...learner import Learner, Loss, criterion, metric
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task


@pytree
class DescribedPrototypes:
    """What descriptions and examples say of each class, kept apart so that more of either can come.

    Args:
        sums: (ways, d) of the embeddings of examples.
        counts: (ways,) how many there are.
        prior: (ways, d) embedded descriptions.
        described: (ways,) bool, whether a class has one.
    """

    sums: Tensor
    counts: Tensor
    prior: Tensor
    described: Tensor


class Described(Learner):
    """Nearest prototype, where a description counts as much as a learned number of examples.

    Unlike `Prototypical` it needs no example of a class whose description it has, and every example that does come
    moves the prototype from what the description says towards the class mean:
    (strength * prior + sum of embeddings) / (strength + number of examples).

    Args:
        encoder: (n, *feature) -> (n, d), of examples.
        describer: (ways, *description) -> (ways, d), of descriptions; `encoder` itself when None, for descriptions that
            look like examples.
        strength: the number of examples that a description is worth, where training begins.

    Raises:
        UserError: strength is not above zero, or (in adapt) there is neither a description nor an example.

    >>> learner = Described(nn.Flatten())
    >>> state = learner.adapt(Examples(torch.empty(0, 2), torch.empty(0, dtype=torch.int64), ways=2), torch.eye(2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([0, 1])
    """

    State = DescribedPrototypes
    class_equivariant = True
    joint = True
    zero_shot = True

    def __init__(self, encoder: nn.Module, *, describer: nn.Module | None = None, strength: float = 1.0):
        super().__init__()
        if strength <= 0:
            raise UserError(f"strength is {strength}; a description must be worth more than no example at all.")
        self.encoder, self.describer, self.strength = encoder, describer, strength
        self.log_strength = nn.Parameter(torch.tensor(math.log(strength)))

    def adapt(
        self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None
    ) -> DescribedPrototypes:
        del rng
        if description is None and not len(support):
            raise UserError("There is neither an example nor a description of any class; give one of them.")
        embedded = None if description is None else self._embed(description, described=True)
        return self.prototypes(self._embed(support.x), support, embedded)

    def _embed(self, x: Tensor, *, described: bool = False) -> Tensor:
        net = self.describer if described and self.describer is not None else self.encoder
        return call(net, {}, x, policy="running")

    def prototypes(
        self, embedded: Float[Tensor, "n d"], support: Examples, prior: Float[Tensor, "ways d"] | None
    ) -> DescribedPrototypes:
        """The state for examples and descriptions that are embedded already."""
        assert support.ways is not None
        sums, counts = class_sums(embedded, support.y, support.ways, support.mask)
        known = torch.full_like(counts, prior is not None, dtype=torch.bool)
        return DescribedPrototypes(sums, counts, torch.zeros_like(sums) if prior is None else prior, known)

    def means(self, state: DescribedPrototypes) -> Float[Tensor, "ways d"]:
        """The prototypes; zero for a class of which nothing is known."""
        weight = torch.where(state.described, self.log_strength.exp(), 0).unsqueeze(-1)
        total = weight + state.counts.unsqueeze(-1)
        return (weight * state.prior + state.sums) / torch.where(total > 0, total, 1)

    def predict(self, state: DescribedPrototypes, x: Float[Tensor, q * feature]) -> Float[Tensor, "q ways"]:
        return self.answer(state, self._embed(x))

    def answer(self, state: DescribedPrototypes, embedded: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        """Logits for queries that are embedded already; a class of which nothing is known is never the answer."""
        known = state.described | (state.counts > 0)
        return torch.where(known, -squared_euclidean(embedded, self.means(state)), -torch.inf)

    def update(self, state: DescribedPrototypes, examples: Examples) -> DescribedPrototypes:
        assert examples.ways is not None
        sums, counts = class_sums(self._embed(examples.x), examples.y, examples.ways, examples.mask)
        return DescribedPrototypes(state.sums + sums, state.counts + counts, state.prior, state.described)

    def add_class(
        self, state: DescribedPrototypes, *, description: Tensor | None = None, examples: Tensor | None = None
    ) -> DescribedPrototypes:
        """The state with one class more, numbered last, from its description (*description), examples (n, *feature),
        or both; the other classes stay as they are.

        Raises:
            UserError: neither is given.
        """
        if description is None and examples is None:
            raise UserError("A new class needs a description, examples, or both.")
        empty = state.sums.new_zeros(1, state.sums.shape[1])
        prior = empty if description is None else self._embed(description.unsqueeze(0), described=True)
        sums = empty if examples is None else self._embed(examples).sum(0, keepdim=True)
        count = state.counts.new_full((1,), 0 if examples is None else len(examples))
        return DescribedPrototypes(
            torch.cat([state.sums, sums]),
            torch.cat([state.counts, count]),
            torch.cat([state.prior, prior]),
            torch.cat([state.described, state.described.new_full((1,), description is not None)]),
        )

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        embedded = embed_together(self.encoder, tasks, describer=self.describer or self.encoder)
        return Loss(*map_tasks(self._embedded_loss, embedded, TOGETHER, rng=rng))

    def _embedded_loss(self, task: Task, rng: Rng | None) -> tuple[Tensor, Tensor]:
        del rng
        output = self.answer(self.prototypes(task.support.x, task.support, task.description), task.query.x)
        return criterion(output, task.query), metric(output, task.query).detach()
