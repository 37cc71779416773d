"""Multinomial logistic regression, solved to convergence by Newton's method in pure tensor code."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

LENGTHS = tuple(2.0**-k for k in range(-2, 9))  # that a Newton step may be scaled by


def logistic(
    x: Float[Tensor, "n d"],
    y: Int[Tensor, " n"],
    ways: int,
    penalty: float | Tensor,
    mask: Bool[Tensor, " n"] | None = None,
    *,
    steps: int = 16,
    solves: int = 40,
) -> tuple[Float[Tensor, "d ways"], Float[Tensor, " ways"]]:
    """Weights and intercept with the least sum of cross-entropies + penalty / 2 |W|^2; the intercept is free.

    Unlike `ridge` it has no closed form. With fewer examples than features the problem is turned, exactly, into the
    span of the examples, so that 100 examples of 10,000 numbers cost as much as 100 of 100. The number of iterations is
    fixed, so it is fit for `vmap`; it is not meant to be differentiated through. The penalty is 1 / C of scikit-learn.

    Args:
        x: inputs.
        y: classes 0..ways-1; a class without examples gets the intercept -inf.
        ways: how many classes.
        penalty: above zero.
        mask: False for padding.
        steps: Newton steps; 8 are enough for a penalty of 1.
        solves: conjugate-gradient iterations in each; they stop by themselves where n * ways is smaller.

    Source: Newton's method with conjugate gradients for this problem: Lin et al. 2008 (jmlr.org/papers/v9/lin08b.html).

    >>> weights, intercept = logistic(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, 0.1)
    >>> bool((weights[0, 1] > 0.5) & (intercept.abs().max() < 1e-5))
    True
    """
    n, d = x.shape
    real = x.new_ones(n) if mask is None else mask.to(x.dtype)
    basis = None
    if n < d:
        # x = z basis^T with orthonormal columns: weights outside their span would only add to the penalty.
        basis, lower = torch.linalg.qr(x.transpose(-1, -2))
        x = lower.transpose(-1, -2)
    given = x.dtype
    if x.device.type != "mps":
        # Where examples can be told apart without error the weights rest on tiny differences; what is left is small.
        x, real = x.double(), real.double()
    one_hot = F.one_hot(y, ways).to(x.dtype) * real.unsqueeze(-1)
    seen = one_hot.sum(0) > 0
    z = torch.cat([x, x.new_ones(n, 1)], 1) * real.unsqueeze(-1)
    penalties = torch.cat([x.new_ones(x.shape[1]), x.new_zeros(1)]).unsqueeze(-1) * penalty
    problem = _Problem(z, one_hot, seen, penalties, real)
    found = z.new_zeros(z.shape[1], ways)
    for _ in range(steps):
        found = problem.newton(found, solves)
    found = found.to(given)
    weights = found[:-1] if basis is None else basis @ found[:-1]
    return weights, torch.where(seen, found[-1], -torch.inf)


class _Problem:
    """The objective in the weights w (r, ways), of which the last row is the intercept."""

    def __init__(self, z: Tensor, one_hot: Tensor, seen: Tensor, penalties: Tensor, real: Tensor):
        self.z, self.one_hot, self.seen, self.penalties, self.real = z, one_hot, seen, penalties, real.unsqueeze(-1)
        # What rounding leaves of a gradient that should be zero.
        self.floor = ((z.T @ one_hot).square().sum() + one_hot.sum()) * (4 * torch.finfo(z.dtype).eps) ** 2

    def shares(self, logits: Tensor) -> Tensor:
        """Probabilities of the classes that have examples; zero for all others, and for padding."""
        return torch.where(self.seen, logits, -torch.inf).softmax(-1) * self.real

    def newton(self, w: Tensor, solves: int) -> Tensor:
        """One step, as far along the Newton direction as the slope asks for."""
        logits = self.z @ w
        p = self.shares(logits)
        gradient = self._even(self.z.T @ (p - self.one_hot) + self.penalties * w)

        def curvature(v: Tensor) -> Tensor:
            moved = p * (self.z @ v)
            return self._even(self.z.T @ (moved - p * moved.sum(-1, keepdim=True)) + self.penalties * v)

        way = _solve(curvature, -gradient, solves, self.floor)
        # Slopes, not values: near the optimum values agree to all digits long before the gradient is zero.
        along, lengths = self.z @ way, w.new_tensor(LENGTHS)
        residual = self.shares(logits + lengths[:, None, None] * along) - self.one_hot
        slopes = (residual * along).sum((-1, -2)) + (self.penalties * w * way).sum()
        slopes = slopes + lengths * (self.penalties * way * way).sum()
        best = F.one_hot(slopes.abs().argmin(), len(LENGTHS)).to(w.dtype) @ lengths
        return w + best * way

    def _even(self, gradient: Tensor) -> Tensor:
        """Without what rounding adds along the one flat direction: all intercepts moved alike."""
        mean = (gradient[-1] * self.seen).sum() / self.seen.sum().clamp(min=1)
        return torch.cat([gradient[:-1], ((gradient[-1] - mean) * self.seen).unsqueeze(0)])


def _solve(curvature: Callable[[Tensor], Tensor], right: Tensor, iterations: int, floor: Tensor) -> Tensor:
    """Conjugate gradients from zero; once the residual is down to rounding, further iterations are idle."""
    answer, residual, direction = torch.zeros_like(right), right, right
    size = (right * right).sum()
    floor = torch.maximum(floor, size * torch.finfo(right.dtype).eps ** 2)
    for _ in range(min(iterations, right.numel())):
        turned = curvature(direction)
        bend = (direction * turned).sum()
        going = (size > floor) & (bend > 0)
        length = torch.where(going, size / torch.where(going, bend, 1), 0)
        answer, residual = answer + length * direction, residual - length * turned
        smaller = (residual * residual).sum()
        share = torch.where(going, smaller / torch.where(going, size, 1), 0)
        direction, size = residual + share * direction, smaller
    return answer
