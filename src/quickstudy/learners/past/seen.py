"""What the past says of candidates that are asked about, whether it had them or not."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from ...functional.solvers import gp
from .prior import Prior, Setting, kernel
from .scores import placed

ANCHORS = 512  # candidates that one which the past never had is compared with


@dataclasses.dataclass(frozen=True)
class Seen:
    """Candidates with what the prior says of them.

    Args:
        x: (q, 1 + e).
        known: (q,) which of them the table had.
        centre, root: (D, q).
        amplitude: (q,).
    """

    x: Tensor
    known: Tensor
    centre: Tensor
    root: Tensor
    amplitude: Tensor


@dataclasses.dataclass(frozen=True)
class Known:
    """A prior over the candidates of the past, and what it takes to extend it to others.

    Args:
        prior: over C candidates.
        setting: that it was made with.
        encoding: (C, e) of the candidates.
        columns: which of the C each number stands for, see `Past`.
        anchor: (A,) those of the C that others are compared with.
        inverse: (A, A) of their kernel.
    """

    prior: Prior
    setting: Setting
    encoding: Tensor
    columns: Tensor
    anchor: Tensor
    inverse: Tensor

    def seen(self, x: Float[Tensor, "q numbers"]) -> Seen:
        """What the past says of candidates; of one that it never had, what it says of those with like encodings."""
        prior, (column, known) = self.prior, placed(x, self.columns)
        centre, root, amplitude = prior.centre[:, column], prior.root[:, column], prior.amplitude[column]
        if not bool(known.all()):
            setting, new = self.setting, ~known
            share = x.new_zeros(int(new.sum()), len(self.anchor))
            told = share.sum(1)
            if setting.smoothness:
                near = kernel(x[new, 1:], self.encoding[self.anchor], setting)
                share = near @ self.inverse
                told = (share * near).sum(1).clamp(0, 1)
            level = prior.centre.mean(1, keepdim=True)
            centre[:, new] = level + (prior.centre[:, self.anchor] - level) @ share.T
            root[:, new] = prior.root[:, self.anchor] @ share.T
            # What encodings do not tell of the past is as unknown as it differs between candidates.
            untold = prior.root.square().sum(0).mean() + prior.centre.mean(0).var(correction=0)
            amplitude[new] = (prior.amplitude.square().mean() + (1 - told) * untold).sqrt()
        return Seen(x, known, centre, root, amplitude)

    def covariance(self, a: Seen, b: Seen) -> Float[Tensor, "n m"]:
        """Of the standardised scores but for their location, for a spread of 1."""
        setting = self.setting
        same = (a.x[:, :1] == b.x[:, 0]) & a.known.unsqueeze(1)
        if a.x.shape[1] > 1 and not bool(b.known.all()):
            twins = (a.x[:, None, 1:] == b.x[None, :, 1:]).all(2)
            same = same | (twins & ~a.known.unsqueeze(1) & ~b.known)
        shared = (1 - setting.smoothness) * same
        if setting.smoothness:
            shared = shared + kernel(a.x[:, 1:], b.x[:, 1:], setting)
        return a.root.T @ b.root + a.amplitude.unsqueeze(1) * shared * b.amplitude


def anchored(encoding: Float[Tensor, "c e"], setting: Setting) -> tuple[Tensor, Float[Tensor, "a a"]]:
    """Evenly chosen candidates, and the inverse of their kernel."""
    anchor = torch.linspace(0, len(encoding) - 1, min(ANCHORS, len(encoding))).round().long()
    own = (1 - setting.smoothness + 1e-8) * torch.eye(len(anchor), dtype=torch.float64)
    if setting.smoothness:
        own = own + kernel(encoding[anchor], encoding[anchor], setting)
    return anchor, torch.cholesky_inverse(gp.cholesky(own))
