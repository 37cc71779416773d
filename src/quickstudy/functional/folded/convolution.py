"""Convolution as three functions, each linear in two tensors, whose derivatives are one another.

So second order costs the arithmetic it needs and no more (torch's own double backward transposes and copies), and any
order is exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .layout import fold, images, unfold

aten = torch.ops.aten


class Geometry(NamedTuple):
    """How a convolution moves over an image; one number a dimension of space."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def of(self, tasks: int) -> Geometry:
        """That of so many tasks side by side."""
        return self._replace(groups=self.groups * tasks)


class Convolution(torch.autograd.Function):
    """(n, c, *space), (d, c / groups, *kernel) -> (n, d, *space)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, how: Geometry) -> Tensor:
        flat = [0] * len(how.stride)
        return aten.convolution(x, weight, None, how.stride, how.padding, how.dilation, False, flat, how.groups)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, ctx.how = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, _ = ctx.needs_input_grad
        return (
            _InputSlope.apply(slope, weight, x.shape, ctx.how) if of_x else None,
            _WeightSlope.apply(x, slope, weight.shape, ctx.how) if of_weight else None,
            None,
        )

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, weight: Tensor, how: Geometry) -> tuple[Tensor, int]:
        n = info.batch_size
        made = Convolution.apply(images(x, dims[0], n), fold(weight, dims[1], n, 0), how.of(n))
        return unfold(made, n), 1


class _InputSlope(torch.autograd.Function):
    """The gradient of a convolution with respect to its input, linear in the slope and in the weight."""

    @staticmethod
    def forward(slope: Tensor, weight: Tensor, shape: tuple[int, ...], how: Geometry) -> Tensor:
        return _slopes(slope, slope.new_empty(1).expand(shape), weight, how, [True, False, False])[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        slope, weight, _, ctx.how = inputs
        ctx.save_for_backward(slope, weight)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        slope, weight = ctx.saved_tensors
        of_slope, of_weight, *_ = ctx.needs_input_grad
        return (
            Convolution.apply(cotangent, weight, ctx.how) if of_slope else None,
            _WeightSlope.apply(cotangent, slope, weight.shape, ctx.how) if of_weight else None,
            None,
            None,
        )

    @staticmethod
    def vmap(
        info: Any, dims: tuple[Any, ...], slope: Tensor, weight: Tensor, shape: tuple[int, ...], how: Geometry
    ) -> tuple[Tensor, int]:
        n = info.batch_size
        shape = (shape[0], shape[1] * n, *shape[2:])
        made = _InputSlope.apply(images(slope, dims[0], n), fold(weight, dims[1], n, 0), shape, how.of(n))
        return unfold(made, n), 1


class _WeightSlope(torch.autograd.Function):
    """The gradient of a convolution with respect to its weight, linear in the input and in the slope."""

    @staticmethod
    def forward(x: Tensor, slope: Tensor, shape: tuple[int, ...], how: Geometry) -> Tensor:
        return _slopes(slope, x, slope.new_empty(1).expand(shape), how, [False, True, False])[1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, slope, _, ctx.how = inputs
        ctx.save_for_backward(x, slope)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        x, slope = ctx.saved_tensors
        of_x, of_slope, *_ = ctx.needs_input_grad
        return (
            _InputSlope.apply(slope, cotangent, x.shape, ctx.how) if of_x else None,
            Convolution.apply(x, cotangent, ctx.how) if of_slope else None,
            None,
            None,
        )

    @staticmethod
    def vmap(
        info: Any, dims: tuple[Any, ...], x: Tensor, slope: Tensor, shape: tuple[int, ...], how: Geometry
    ) -> tuple[Tensor, int]:
        n = info.batch_size
        shape = (shape[0] * n, *shape[1:])
        made = _WeightSlope.apply(images(x, dims[0], n), images(slope, dims[1], n), shape, how.of(n))
        return unfold(made, n, 0), 0


def _slopes(slope: Tensor, x: Tensor, weight: Tensor, how: Geometry, wanted: list[bool]) -> Any:
    """What torch has for the backward pass; it looks at the shape alone of what the wanted slope does not need."""
    flat = [0] * len(how.stride)
    return aten.convolution_backward(
        slope, x, weight, None, how.stride, how.padding, how.dilation, False, flat, how.groups, wanted
    )
