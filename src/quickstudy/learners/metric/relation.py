"""Relation networks (Sung et al. 2018, arXiv:1711.06025): a learned comparison of class and query."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...engine.joint import embed_together
from ...engine.mapping import map_tasks
from ...engine.plan import Plan
from ...functional.batch_norm import call
from ...functional.precision import run
from ...functional.prototypes import class_sums
from ...learner import Loss, metric
from ...rng import Rng
from ...task import Examples, Task
from ..embeds import Embeds
from .prototypical import Prototypes

ONE_BY_ONE = Plan("loop", 1, "in training the relation module takes statistics over the pairs of one task")


class Relation(Embeds):
    """A second network scores how well a query goes with each class, 0 to 1.

    Unlike prototypical networks it learns the distance too. A class is the sum of its examples' feature maps, as in the
    paper, so train it with the shots that it will meet. The objective is the mean squared error of the scores against
    1 for the class of the query and 0 for the others; the logits are those of the scores, so each class is judged by
    itself, not against the others. Only one pair in `ways` is to score 1, so tasks of many ways are slow to train on;
    begin with 5. Batch norm uses running statistics in evaluation, in the relation module too: the published figures
    come from code that normalised the queries of a test task together.

    Args:
        encoder: (n, *feature) -> (n, c, ...): maps, or vectors.
        relation: (pairs, 2c, ...) -> (pairs, 1), the logit of a score for a class followed by a query;
            `nets.RelationModule` for the maps of `nets.ConvMaps`, an MLP for vectors.

    >>> from quickstudy.nets.mlp import MLP
    >>> learner = Relation(nn.Flatten(), MLP(4, 1))
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 1]), ways=2))
    >>> learner.predict(state, torch.eye(2)).shape
    torch.Size([2, 2])
    """

    State = Prototypes

    def __init__(self, encoder: nn.Module, relation: nn.Module):
        super().__init__()
        self.encoder, self.relation = encoder, relation

    def remember(self, z: Float[Tensor, "n ..."], support: Examples) -> Prototypes:
        assert support.ways is not None
        return Prototypes(*class_sums(z.flatten(1), support.y, support.ways, support.mask))

    def answer(self, state: Prototypes, z: Float[Tensor, "q ..."]) -> Float[Tensor, "q ways"]:
        logits = call(self.relation, {}, _pairs(state, z), policy="running").view(z.shape[0], -1)
        return torch.where(state.counts > 0, logits, -torch.inf)

    def update(self, state: Prototypes, examples: Examples) -> Prototypes:
        more = self.adapt(examples)
        return Prototypes(state.sums + more.sums, state.counts + more.counts)

    def embedded_loss(self, task: Task, rng: Rng | None = None) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        del rng
        state, query = self.remember(task.support.x, task.support), task.query
        logits = run(self.relation, _pairs(state, query.x)).view(len(query), -1)
        logits = torch.where(state.counts > 0, logits, -torch.inf)
        wanted = F.one_hot(query.y, logits.shape[1]).to(logits.dtype)
        return (logits.sigmoid() - wanted).square().mean(), metric(logits, query).detach()

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        return Loss(*map_tasks(self.embedded_loss, embed_together(self.encoder, tasks), ONE_BY_ONE, rng=rng))


def _pairs(state: Prototypes, z: Float[Tensor, "q c ..."]) -> Float[Tensor, "pairs cc ..."]:
    """Every query with every class, one after the other along the channels; a query's pairs stand together."""
    classes = state.sums.unflatten(1, z.shape[1:])
    shape = (z.shape[0], classes.shape[0], *z.shape[1:])
    return torch.cat([classes.unsqueeze(0).expand(shape), z.unsqueeze(1).expand(shape)], 2).flatten(0, 1)
