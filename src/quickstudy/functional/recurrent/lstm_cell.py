"""One step of an LSTM (Hochreiter and Schmidhuber 1997) in plain linear algebra, so that it can be mapped over tasks.

`nn.LSTM` and `nn.LSTMCell` call fused kernels that `torch.func.vmap` cannot map and that have no second derivative.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def lstm_cell(
    x: Float[Tensor, "n inputs"],
    h: Float[Tensor, "n hidden"],
    c: Float[Tensor, "n width"],
    w_ih: Float[Tensor, "gates inputs"],
    w_hh: Float[Tensor, "gates hidden"],
    b: Float[Tensor, " gates"],
) -> tuple[Float[Tensor, "n width"], Float[Tensor, "n width"]]:
    """New hidden and cell states; gates in torch's order: input, forget, candidate, output.

    Args:
        x: inputs of n independent sequences.
        h: hidden states, which may be wider than the cell (matching networks append a read vector).
        c: cell states; `gates` is four times their width.
        w_ih: weights of the inputs.
        w_hh: weights of the hidden states.
        b: biases, the sum of the two that `nn.LSTM` keeps.

    >>> import torch
    >>> weights = torch.zeros(16, 3), torch.zeros(16, 4), torch.zeros(16)
    >>> h, c = lstm_cell(torch.ones(2, 3), torch.zeros(2, 4), torch.ones(2, 4), *weights)
    >>> c[0]
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    i, f, g, o = (x @ w_ih.mT + h @ w_hh.mT + b).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c
