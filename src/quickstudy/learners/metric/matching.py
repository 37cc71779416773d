"""Matching networks (Vinyals et al. 2016, arXiv:1606.04080): attention over the support set, by cosine."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.attention import class_attention, members, read
from ...functional.distances import cosine_distance
from ...functional.recurrent.lstm_cell import lstm_cell
from ...task import Examples
from ..baseline.nearest import Neighbours
from ..embeds import Embeds, feature_length, joined, kept


class Matching(Embeds):
    """A query has each class with the share of attention that the examples of the class get.

    Unlike prototypical networks it keeps every example, so a class may have several centres. The logits are log
    probabilities. With `full_context=True` examples are embedded in the light of each other, by an LSTM that reads the
    support set to and fro, and a query in the light of the support set, by an LSTM that attends to it `steps` times
    (full context embeddings, the paper's appendix): the order of the support set then is part of the algorithm, and
    more examples mean to adapt again.

    Args:
        encoder: (n, *feature) -> (n, d).
        scale: what cosines are multiplied by before the softmax. The paper's is 1, with which no answer can be sure:
            among 5 classes of one example each, the most attention that a class can get is 65 %.
        full_context: embed fully in context.
        steps: of attention, with full context.
        features: d, which the LSTMs need; that of `encoder.features` when None.

    Raises:
        UserError: a scale that is not above 0, less than one step, or features of unknown length.

    >>> learner = Matching(nn.Flatten(), scale=1.0)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 1]), ways=3))
    >>> learner.predict(state, torch.eye(2)).exp()
    tensor([[0.7311, 0.2689, 0.0000],
            [0.2689, 0.7311, 0.0000]])
    """

    State = Neighbours

    def __init__(
        self,
        encoder: nn.Module,
        *,
        scale: float = 10.0,
        full_context: bool = False,
        steps: int = 5,
        features: int | None = None,
    ):
        super().__init__()
        if scale <= 0:
            raise UserError(f"scale is {scale}, but a cosine must count for something; use scale=1.0 or more.")
        if steps < 1:
            raise UserError(f"steps is {steps}, but a query must attend to its support set once or more; use steps=5.")
        self.encoder, self.scale, self.full_context, self.steps = encoder, scale, full_context, steps
        self.features = features
        setattr(self, "order_sensitive", full_context)  # noqa: B010  (others declare it for their class)
        if full_context:
            length = feature_length(encoder, features)
            self.forth, self.back = Cell(length, length), Cell(length, length)
            self.attending = Cell(length, 2 * length)

    def remember(self, z: Float[Tensor, "n d"], support: Examples) -> Neighbours:
        state = kept(z, support)
        if not self.full_context:
            return state
        # Each embedding with what an LSTM has read up to it, from either end.
        context = _scan(self.forth, z, state.real) + _scan(self.back, z.flip(0), state.real.flip(0)).flip(0)
        return Neighbours(z + context, state.y, state.real, state.ways)

    def answer(self, state: Neighbours, z: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        assert state.ways is not None
        if self.full_context:
            z = self._in_context(state, z)
        return class_attention(-self.scale * cosine_distance(z, state.z), members(state.y, state.ways, state.real))

    def _in_context(self, state: Neighbours, z: Float[Tensor, "q d"]) -> Float[Tensor, "q d"]:
        """Each query after it has attended to the support set by itself; it begins as its embedding."""
        hidden, cell = z, torch.zeros_like(z)
        for _ in range(self.steps):
            out, cell = self.attending(z, torch.cat([hidden, read(hidden, state.z, state.real)], -1), cell)
            hidden = out + z
        return hidden

    def update(self, state: Neighbours, examples: Examples) -> Neighbours:
        if self.full_context:
            raise NotImplementedError(
                "With full context every example changes all others; adapt again with all of them."
            )
        return joined(state, self.adapt(examples))


class Cell(nn.Module):
    """The weights of an LSTM whose input and cell are equally long.

    Args:
        length: of inputs and cell.
        hidden: length of the hidden state that comes back in.
    """

    def __init__(self, length: int, hidden: int):
        super().__init__()
        reach = length**-0.5  # as torch's own LSTM begins
        self.w_ih = nn.Parameter(torch.empty(4 * length, length).uniform_(-reach, reach))
        self.w_hh = nn.Parameter(torch.empty(4 * length, hidden).uniform_(-reach, reach))
        self.b = nn.Parameter(torch.zeros(4 * length))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return lstm_cell(x, h, c, self.w_ih, self.w_hh, self.b)


def _scan(cell: Cell, z: Float[Tensor, "n d"], real: Tensor) -> Float[Tensor, "n d"]:
    """The hidden states of one LSTM along a sequence, for which padding is not there."""
    h = c = torch.zeros_like(z[:1])
    outputs = []
    for x, there in zip(z.split(1), real.split(1), strict=True):
        after = cell(x, h, c)
        h, c = (torch.where(there, new, old) for new, old in zip(after, (h, c), strict=True))
        outputs.append(h)
    return torch.cat(outputs)
