"""Conditional neural processes (Garnelo et al. 2018, arXiv:1807.01613): answer from the mean code of the examples."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...functional.padding import on_real
from ...nets.mlp import MLP
from ...pytree import pytree, static
from ...task import Examples
from .reading import ReadsSet


@pytree
class Code:
    """Sum and count of the codes of examples, not their mean, so that more can be added.

    Args:
        total: (width,).
        count: ().
        ways: classes of the task; None for a regression.
    """

    total: Tensor
    count: Tensor
    ways: int | None = static(None)


class ConditionalProcess(ReadsSet):
    """Encode each example with its label, take the mean, and decode a query beside it.

    Unlike attentive processes the support set becomes one vector, whatever the query: adapting and answering cost the
    least, more examples are added exactly, and what is seen is not quite remembered. The likelihood of the queries
    alone is trained; the paper adds that of the support set.

    Args:
        encoder: (n, *feature) -> (n, inputs); none for vectors.
        inputs: length of an embedding, or of a vector.
        outputs: classes, or length of a target.
        width: of the code and of all layers.
        depth: linear layers of the net before the mean, and of the one after it.
        least: smallest standard deviation of an answer, in units of the target. Published ones use 0.1, which costs
            likelihood wherever the noise is smaller.

    Raises:
        UserError: numbers that make no sense, or a task with more classes than outputs.

    >>> learner = ConditionalProcess(inputs=1, outputs=1)
    >>> state = learner.adapt(Examples(torch.zeros(3, 1), torch.ones(3, 1)))
    >>> state.count, learner.predict(state, torch.zeros(5, 1)).variance.shape
    (tensor(3.), torch.Size([5, 1]))
    """

    State = Code

    def __init__(
        self,
        encoder: nn.Module | None = None,
        *,
        inputs: int,
        outputs: int,
        width: int = 128,
        depth: int = 4,
        least: float = 0.01,
    ):
        super().__init__(encoder, inputs, outputs, least)
        self.width, self.depth = width, depth
        layers = (width,) * (depth - 1)
        self.coder = MLP(inputs + outputs, width, hidden=layers)
        self.decoder = MLP(width + inputs, 2 * outputs, hidden=layers)

    def write(self, support: Examples) -> Code:
        codes = on_real(self.coder, self.labelled(support), support.mask)
        if support.mask is None:
            count = codes.new_ones(codes.shape[-2]).sum()
        else:
            count = support.mask.sum(-1).to(codes.dtype)
        return Code(codes.sum(-2), count, support.ways)

    def answer(self, state: Code, query: Examples) -> Float[Tensor, "*tasks q numbers"]:
        mean = (state.total / state.count.clamp(min=1).unsqueeze(-1)).unsqueeze(-2)
        beside = torch.cat([mean.expand(*query.x.shape[:-1], -1), query.x], -1)
        return on_real(self.decoder, beside, query.mask)

    def update(self, state: Code, examples: Examples) -> Code:
        more = self.adapt(examples)
        return Code(state.total + more.total, state.count + more.count, state.ways)
