"""Attentive conditional processes (Kim et al. 2019, arXiv:1901.05761): a query reads the examples that matter to it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...functional.padding import on_real
from ...nets.attention import attend, blocks, check_heads
from ...nets.mlp import MLP
from ...pytree import pytree, static
from ...task import Examples
from .reading import ReadsSet, real_rows


@pytree
class Notes:
    """What is kept of each example.

    Args:
        keys: (n, width) by which it is found.
        values: (n, width) what is read.
        mask: (n,) True for real examples.
        ways: classes of the task; None for a regression.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    ways: int | None = static(None)


class AttentiveProcess(ReadsSet):
    """Encode each example with its label, and decode a query beside what it reads of them by attention.

    Unlike a conditional process the state keeps every example, so what is seen is remembered; unlike `InContext` a
    query reads once, at the end. The deterministic path of the paper: the mean of all values stands where the latent
    variable would, as in the CANP of Nguyen and Grover 2022 (arXiv:2207.04179), and there is one answer, not samples.

    Args:
        encoder: (n, *feature) -> (n, inputs); none for vectors.
        inputs: length of an embedding, or of a vector.
        outputs: classes, or length of a target.
        width: of keys, values and all layers.
        depth: linear layers of the net of an example, and of the one that decodes; keys have half as many.
        heads: of the attention.
        layers: of attention of the examples to each other, before they are read; with any, `update` is not possible.
        least: smallest standard deviation of an answer, in units of the target.

    Raises:
        UserError: numbers that make no sense, or a task with more classes than outputs.

    >>> learner = AttentiveProcess(inputs=1, outputs=1)
    >>> state = learner.adapt(Examples(torch.zeros(3, 1), torch.ones(3, 1)))
    >>> state.keys.shape, learner.predict(state, torch.zeros(5, 1)).mean.shape
    (torch.Size([3, 128]), torch.Size([5, 1]))
    """

    State = Notes

    def __init__(
        self,
        encoder: nn.Module | None = None,
        *,
        inputs: int,
        outputs: int,
        width: int = 128,
        depth: int = 4,
        heads: int = 8,
        layers: int = 1,
        least: float = 0.01,
    ):
        super().__init__(encoder, inputs, outputs, least)
        check_heads(width, heads)
        self.width, self.depth, self.heads, self.layers = width, depth, heads, layers
        hidden = (width,) * (depth - 1)
        self.coder = MLP(inputs + outputs, width, hidden=hidden)
        self.blocks = blocks(layers, width, heads=heads, hidden=width)
        self.place = MLP(inputs, width, hidden=hidden[: depth // 2])
        self.decoder = MLP(2 * width + inputs, 2 * outputs, hidden=hidden)

    def write(self, support: Examples) -> Notes:
        values = on_real(self.coder, self.labelled(support), support.mask)
        for block in self.blocks:
            values = block(values, block.offer(values), support.mask)
        keys = on_real(self.place, support.x, support.mask)
        return Notes(keys, values, real_rows(support), support.ways)

    def answer(self, state: Notes, query: Examples) -> Float[Tensor, "*tasks q numbers"]:
        asked = on_real(self.place, query.x, query.mask)
        read = attend(asked, state.keys, state.values, heads=self.heads, mask=state.mask)
        real = state.mask.unsqueeze(-1)
        mean = torch.where(real, state.values, 0).sum(-2, keepdim=True) / real.sum(-2, keepdim=True).clamp(min=1)
        beside = torch.cat([read, mean.expand(*read.shape[:-1], -1), query.x], -1)
        return on_real(self.decoder, beside, query.mask)

    def update(self, state: Notes, examples: Examples) -> Notes:
        if self.layers:
            raise NotImplementedError("The examples attend to each other, so all of them are needed; adapt again.")
        more = self.adapt(examples)
        parts = zip((state.keys, state.values, state.mask), (more.keys, more.values, more.mask), strict=True)
        keys, values, mask = (torch.cat(part) for part in parts)
        return Notes(keys, values, mask, state.ways)
