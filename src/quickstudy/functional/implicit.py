"""The gradient of a minimum without the path to it (iMAML, Rajeswaran et al. 2019, arXiv:1909.04630)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Vector = Float[Tensor, " n"]


def implicit(
    objective: Callable[[dict[str, Tensor]], Tensor], found: dict[str, Tensor], *, solver_steps: int
) -> dict[str, Tensor]:
    """Weights where `objective` is least, differentiable with respect to all that it depends on.

    At a minimum w the slope g(w, s) is zero whatever s is, so dw/ds = -H^-1 dg/ds with the Hessian H = dg/dw. The
    result is w - H^-1 (g - g.detach()): w in value, with that derivative. H^-1 is applied in the backward pass, by
    conjugate gradients, which need nothing of H but its products with vectors. With s the first weights of a proximal
    objective, loss + p/2 |w - s|^2, it is the paper's (I + H_loss / p)^-1.

    Unlike an unrolled gradient it does not see how w was found: with too few steps it is that of another point.

    Args:
        objective: weights -> ().
        found: its minimum, as far as the steps got.
        solver_steps: of conjugate gradients in the backward pass (5 in the paper).

    >>> start = torch.tensor([3.0], requires_grad=True)
    >>> pull = lambda w: w["a"].square().sum() + (w["a"] - start).square().sum()
    >>> made = implicit(pull, {"a": torch.tensor([1.5])}, solver_steps=2)
    >>> torch.autograd.grad(made["a"].sum(), start)
    (tensor([0.5000]),)
    """
    names, shapes = list(found), [w.shape for w in found.values()]
    sizes = [w.numel() for w in found.values()]

    def parted(vector: Tensor) -> dict[str, Tensor]:
        return {n: v.view(s) for n, v, s in zip(names, vector.split(sizes), shapes, strict=True)}

    slope = torch.func.grad(lambda vector: objective(parted(vector)))
    point = torch.cat([w.detach().flatten() for w in found.values()])
    return parted(_NewtonStep.apply(slope, solver_steps, point, slope(point)))


class _NewtonStep(torch.autograd.Function):
    """point - H^-1 (slope - slope.detach()): the point itself, and in the backward pass -H^-1."""

    @staticmethod
    def forward(ctx: Any, slope: Callable[[Tensor], Tensor], solver_steps: int, point: Tensor, at: Tensor) -> Tensor:
        del at
        ctx.slope, ctx.solver_steps, ctx.point = slope, solver_steps, point
        return point.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[None, None, None, Tensor]:
        product = torch.func.vjp(ctx.slope, ctx.point)[1]  # H is symmetric, so either side will do
        return None, None, None, -conjugate_gradients(lambda v: product(v)[0], incoming, steps=ctx.solver_steps)


def conjugate_gradients(product: Callable[[Tensor], Tensor], b: Vector, *, steps: int) -> Vector:
    """x with A x = b, for a symmetric positive definite A that is known by its products with vectors.

    It is exact after as many steps as A has distinct eigenvalues. Along a direction in which A does not curve upwards
    it stops where it is, as there is no minimum that way; so it does once there is nothing left to solve.

    Args:
        product: v -> A v.
        b: the right side.
        steps: how many.

    >>> matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> conjugate_gradients(lambda v: matrix @ v, torch.tensor([3.0, 4.0]), steps=2)
    tensor([1.0000, 1.0000])
    """
    x, residual, way = torch.zeros_like(b), b, b
    left = residual @ residual
    going = left > 0
    for _ in range(steps):
        bent = product(way)
        curvature = way @ bent
        going = going & (curvature > 0)
        length = torch.where(going, left / torch.where(going, curvature, 1), 0)
        x, residual = x + length * way, residual - length * bent
        before, left = left, residual @ residual
        going = going & (left > 0)
        way = residual + torch.where(going, left / torch.where(going, before, 1), 0) * way
    return x
