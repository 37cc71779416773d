"""In-context learning (Müller et al. 2022, arXiv:2112.10510; Nguyen and Grover 2022, arXiv:2207.04179): a transformer
reads the support set as its context, and a query in the same pass."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.padding import closed_up, on_real
from ...nets.attention import blocks
from ...nets.mlp import MLP
from ...pytree import pytree, static
from ...task import Examples, Task
from .reading import ReadsSet


@pytree
class Context:
    """What each layer lets a query read of each example, so that an answer costs the query alone.

    Args:
        keys: (layers, n, width).
        values: (layers, n, width).
        mask: (n,) True for real examples; None when all are real.
        ways: classes of the task; None for a regression.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None = None
    ways: int | None = static(None)


class InContext(ReadsSet):
    """A transformer over examples, without positions: they attend to each other, a query to them in every layer.

    Unlike an attentive process a query reads many times, each time knowing more of what it looks for. The same net is
    the prior-fitted network of the first paper, where its tasks are drawn from a prior, and TNP-D of the second. Class
    names are embedded one by one, so it has to meet classes under random names, as all episodes here deal them.

    Args:
        encoder: (n, *feature) -> (n, inputs); none for vectors.
        inputs: length of an embedding, or of a vector.
        outputs: classes, or length of a target.
        width: of a token.
        layers: of the transformer.
        heads: of each attention.
        hidden: width inside each layer, and before the answer.
        depth: linear layers that make a token of an example.
        least: smallest standard deviation of an answer, in units of the target.

    Raises:
        UserError: numbers that make no sense, or a task with more classes than outputs.

    >>> learner = InContext(inputs=2, outputs=3)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 2]), ways=3))
    >>> state.keys.shape, learner.predict(state, torch.eye(2)).shape
    (torch.Size([6, 2, 64]), torch.Size([2, 3]))
    """

    State = Context

    def __init__(
        self,
        encoder: nn.Module | None = None,
        *,
        inputs: int,
        outputs: int,
        width: int = 64,
        layers: int = 6,
        heads: int = 4,
        hidden: int = 128,
        depth: int = 4,
        least: float = 0.01,
    ):
        super().__init__(encoder, inputs, outputs, least)
        if layers < 1:
            raise UserError(f"layers is {layers}; without a layer no query reads the support set: give at least 1.")
        self.width, self.layers, self.heads, self.hidden, self.depth = width, layers, heads, hidden, depth
        # One number more than inputs and label: whether there is a label.
        self.token = MLP(inputs + outputs + 1, width, hidden=(width,) * (depth - 1))
        self.blocks = blocks(layers, width, heads=heads, hidden=hidden)
        self.norm = nn.LayerNorm(width)
        self.head = MLP(width, 2 * outputs, hidden=(hidden,))

    def write(self, support: Examples) -> Context:
        tokens, memories = self._of_support(support), []
        for block in self.blocks:
            memories.append(block.offer(tokens))
            tokens = block(tokens, memories[-1], support.mask)
        keys, values = (torch.stack(part) for part in zip(*memories, strict=True))
        return Context(keys, values, support.mask, support.ways)

    def answer(self, state: Context, query: Examples) -> Float[Tensor, "*tasks q numbers"]:
        tokens = self._of_query(query)
        for block, keys, values in zip(self.blocks, state.keys, state.values, strict=True):
            tokens = block(tokens, (keys, values), state.mask)
        return self._head(tokens, query.mask)

    def read(self, tasks: Task) -> Float[Tensor, "tasks q numbers"]:
        # Support and queries of a task in one row, closed up: half the tokens, where tasks differ in size.
        support, query = tasks.support, tasks.query
        assert support.mask is not None and query.mask is not None
        order, real = closed_up(torch.cat([support.mask, query.mask], 1))
        rows = torch.cat([self._of_support(support), self._of_query(query)], 1)
        place = order.unsqueeze(-1).expand(-1, -1, self.width)
        tokens, context = rows.gather(1, place), real & (order < support.mask.shape[1])
        for block in self.blocks:
            tokens = block(tokens, block.offer(tokens), context)
        return self._head(torch.zeros_like(rows).scatter(1, place, tokens)[:, support.mask.shape[1] :], query.mask)

    def _of_support(self, support: Examples) -> Float[Tensor, "*tasks n width"]:
        labelled = self.labelled(support)
        return on_real(self.token, torch.cat([labelled, torch.ones_like(labelled[..., :1])], -1), support.mask)

    def _of_query(self, query: Examples) -> Float[Tensor, "*tasks q width"]:
        unlabelled = query.x.new_zeros(*query.x.shape[:-1], self.outputs + 1)
        return on_real(self.token, torch.cat([query.x, unlabelled], -1), query.mask)

    def _head(
        self, tokens: Float[Tensor, "*tasks q width"], mask: Bool[Tensor, "*tasks q"] | None
    ) -> Float[Tensor, "*tasks q numbers"]:
        return on_real(self.head, self.norm(tokens), mask)
