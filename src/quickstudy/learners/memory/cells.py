"""Recurrent cells whose memory is a value: an LSTM, fast weights (arXiv:1610.06258), the delta rule (arXiv:2102.11174).

Each is one step in plain linear algebra, so that it can be mapped over tasks and differentiated twice, and each keeps a
memory whose size does not depend on how much was read.
"""

from __future__ import annotations

import abc

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.recurrent.lstm_cell import lstm_cell
from ...pytree import pytree


@pytree
class Memory:
    """What a cell knows of n streams that it has read.

    Args:
        hidden: (n, width), which the answer is read from.
        store: what else it keeps: (n, width) cell states, or (n, width, keys) a matrix of associations.
    """

    hidden: Tensor
    store: Tensor


class Cell(nn.Module, abc.ABC):
    """One step of a recurrent network.

    Args:
        inputs: length of a token.
        width: length of the hidden state.
    """

    def __init__(self, inputs: int, width: int):
        super().__init__()
        for name, size in (("inputs", inputs), ("width", width)):
            if size < 1:
                raise UserError(f"{name} is {size}; a {type(self).__name__} needs at least 1.")
        self.inputs, self.width = inputs, width

    @abc.abstractmethod
    def start(self) -> Memory:
        """The memory of one stream that nothing was read of yet."""

    @abc.abstractmethod
    def forward(self, memory: Memory, token: Float[Tensor, "n inputs"]) -> Memory:
        """The memory after one more token of each stream."""


class LSTMCell(Cell):
    """Long short-term memory: gates decide what `width` numbers keep.

    Unlike the other two it has no matrix to associate things in, so what it can bind is limited by its width. The
    forget gate begins at one, so that what is read is kept.

    Source: Hochreiter and Schmidhuber 1997; the bias of Jozefowicz et al. 2015.

    >>> cell = LSTMCell(inputs=3, width=4)
    >>> cell(cell.start(), torch.ones(1, 3)).hidden.shape
    torch.Size([1, 4])
    """

    def __init__(self, inputs: int = 100, width: int = 20):
        super().__init__(inputs, width)
        self.read, self.recur = nn.Linear(inputs, 4 * width), nn.Linear(width, 4 * width, bias=False)
        with torch.no_grad():
            self.read.bias[width : 2 * width] = 1.0

    def start(self) -> Memory:
        zero = self.recur.weight.new_zeros(1, self.width)
        return Memory(zero, zero)

    def forward(self, memory: Memory, token: Float[Tensor, "n inputs"]) -> Memory:
        weights = self.read.weight, self.recur.weight, self.read.bias
        return Memory(*lstm_cell(token, memory.hidden, memory.store, *weights))


class FastWeightsCell(Cell):
    """A recurrent network that attends to its recent past through a matrix of decaying Hebbian weights.

    Unlike the delta rule it stores hidden states under themselves and forgets at a fixed pace. Before each token the
    matrix takes in the last hidden state, A = decay * A + rate * h h^T; then the new one settles: `inner` times
    h = relu(norm(W h_last + C x + A h)). With `rate=0` it is a layer-normalised network with rectified units.

    Args:
        inputs: length of a token.
        width: length of the hidden state.
        decay: of the fast weights, a token.
        rate: at which they are written.
        inner: steps of settling.

    Raises:
        UserError: a decay outside 0..1, or no inner step.

    Source: Ba et al. 2016 (arXiv:1610.06258), equations 1 and 2 with layer normalisation; W begins at 0.05 I.

    >>> cell = FastWeightsCell(inputs=3, width=4)
    >>> cell(cell.start(), torch.ones(1, 3)).store.shape
    torch.Size([1, 4, 4])
    """

    def __init__(self, inputs: int = 100, width: int = 20, *, decay: float = 0.95, rate: float = 0.5, inner: int = 1):
        super().__init__(inputs, width)
        if not 0 <= decay <= 1 or inner < 1:
            raise UserError(
                f"decay is {decay} and inner {inner}; a decay is 0 to 1, and there is 1 inner step or more."
            )
        self.decay, self.rate, self.inner = decay, rate, inner
        self.read, self.recur = nn.Linear(inputs, width), nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)
        # Before the norm a recalled past is large, so what is read must not be small: tokens of unit size stay so.
        nn.init.normal_(self.read.weight, std=inputs**-0.5)
        with torch.no_grad():
            self.recur.weight.copy_(0.05 * torch.eye(width))

    def start(self) -> Memory:
        zero = self.recur.weight.new_zeros(1, self.width)
        return Memory(zero, zero.unsqueeze(-1) * zero)

    def forward(self, memory: Memory, token: Float[Tensor, "n inputs"]) -> Memory:
        last = memory.hidden
        store = self.decay * memory.store + self.rate * last.unsqueeze(-1) * last.unsqueeze(-2)
        sustained = self.read(token) + self.recur(last)
        hidden = F.relu(self.norm(sustained))
        for _ in range(self.inner):
            hidden = F.relu(self.norm(sustained + recall(store, hidden)))
        return Memory(hidden, store)


class DeltaCell(Cell):
    """A linear transformer's memory that corrects what it holds under a key instead of adding to it.

    Unlike Hebbian fast weights it writes a value under a learned key at a learned strength, and takes the old value
    away first, so a key can be written anew. Keys, values and queries also see the last hidden state, as in the
    recurrent delta network: a single layer could not bind a digit to the letter before it otherwise. Keys and queries
    are softmax-normalised as there (Schlag et al. use another feature map), and what is read is layer-normalised.

    Args:
        inputs: length of a token.
        width: length of the hidden state, which is what is read from the matrix.
        keys: length of a key.

    Raises:
        UserError: a length below 1.

    Source: Schlag et al. 2021 (arXiv:2102.11174), equations 21 and 24; its recurrence: Irie et al. 2021
    (arXiv:2106.06295).

    >>> cell = DeltaCell(inputs=3, width=4, keys=6)
    >>> cell(cell.start(), torch.ones(1, 3)).store.shape
    torch.Size([1, 4, 6])
    """

    def __init__(self, inputs: int = 100, width: int = 20, *, keys: int = 20):
        super().__init__(inputs, width)
        if keys < 1:
            raise UserError(f"keys is {keys}; a DeltaCell needs at least 1.")
        self.keys = keys
        self.read = nn.Linear(inputs, 2 * keys + width + 1)
        self.recur = nn.Linear(width, 2 * keys + width + 1, bias=False)
        self.norm = nn.LayerNorm(width)

    def start(self) -> Memory:
        zero = self.recur.weight.new_zeros(1, self.width)
        return Memory(zero, zero.unsqueeze(-1) * zero.new_zeros(self.keys))

    def forward(self, memory: Memory, token: Float[Tensor, "n inputs"]) -> Memory:
        made = self.read(token) + self.recur(memory.hidden)
        key, query, value, strength = made.split((self.keys, self.keys, self.width, 1), -1)
        store = corrected(memory.store, key.softmax(-1), value, strength.sigmoid())
        return Memory(self.norm(recall(store, query.softmax(-1))), store)


def recall(store: Float[Tensor, "n width keys"], key: Float[Tensor, "n keys"]) -> Float[Tensor, "n width"]:
    """What a matrix of associations holds under a key."""
    return (store @ key.unsqueeze(-1)).squeeze(-1)


def corrected(
    store: Float[Tensor, "n width keys"],
    key: Float[Tensor, "n keys"],
    value: Float[Tensor, "n width"],
    strength: Float[Tensor, "n 1"],
) -> Float[Tensor, "n width keys"]:
    """The delta rule: move what is held under a key towards a value; wholly, for a unit key and a strength of one."""
    missing = strength * (value - recall(store, key))
    return store + missing.unsqueeze(-1) * key.unsqueeze(-2)
