"""A Gaussian process over encodings that knows no past: the usual Bayesian optimisation (Jones et al. 1998)."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...functional.solvers import gp
from .process import ProcessSearch

LENGTHS = (0.1, 0.2, 0.4, 0.8)  # of the diagonal of the space
NOISES = (1e-4, 1e-2, 1e-1, 1.0)  # variance, as a share of that of the function


class ColdGP(ProcessSearch):
    """Matern 5/2 over encodings, averaged over a grid of lengthscales and noises.

    Candidates that are names alone share nothing: what one scores says nothing of the others.

    Args:
        starts: how many first trials are drawn at random; the first always is.

    Raises:
        UserError: fewer starts than 0.

    >>> import torch
    >>> from quickstudy.task import Examples
    >>> learner = ColdGP()
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.5], [2.0, 1.0]])
    >>> state = learner.adapt(Examples(x[:2], torch.tensor([[1.0], [3.0]])))
    >>> [round(v, 1) for v in learner.predict(state, x).mean.flatten().tolist()]
    [1.2, 2.8, 2.3]
    """

    def __init__(self, *, starts: int = 5):
        super().__init__()
        if starts < 0:
            raise UserError(f"starts is {starts}; the number of trials at random is 0 or more.")
        self.starts = starts

    def covariance(self, a: Float[Tensor, "n numbers"], b: Float[Tensor, "m numbers"]) -> Float[Tensor, "k n m"]:
        if a.shape[1] == 1:
            return ((a == b.T) & (a >= 0)).to(a.dtype).expand(len(LENGTHS), -1, -1)
        lengths = a.new_tensor(LENGTHS) * math.sqrt(a.shape[1] - 1)
        return gp.matern52(a[None, :, 1:], b[None, :, 1:], lengths[:, None, None])

    @property
    def noises(self) -> Float[Tensor, " v"]:
        return self.scale.new_tensor(NOISES)
