"""Max pooling where tasks are vectorised."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .layout import fold, unfold

aten = torch.ops.aten


class Window(NamedTuple):
    """What is pooled, as `F.max_pool2d` takes it."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil: bool


class MaxPool(torch.autograd.Function):
    """(n, c, h, w) -> the largest of each window, and where it stood."""

    @staticmethod
    def forward(x: Tensor, window: Window) -> tuple[Tensor, Tensor]:
        return aten.max_pool2d_with_indices(x, *window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, ctx.window = inputs
        ctx.save_for_backward(x, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, slope: Tensor, _: Tensor) -> tuple[Tensor, None]:
        return _MaxPoolSlope.apply(slope, *ctx.saved_tensors, ctx.window), None

    @staticmethod
    def vmap(
        info: Any, dims: tuple[Any, ...], x: Tensor, window: Window
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        n = info.batch_size
        made, where = aten.max_pool2d_with_indices(fold(x, dims[0], n), *window)
        return (unfold(made, n), unfold(where, n)), (1, 1)


class _MaxPoolSlope(torch.autograd.Function):
    """The gradient of max pooling with respect to its input: each slope goes to where its largest stood."""

    @staticmethod
    def forward(slope: Tensor, x: Tensor, where: Tensor, window: Window) -> Tensor:
        return aten.max_pool2d_with_indices_backward(slope, x, *window, where)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        (where,) = ctx.saved_tensors
        return cotangent.flatten(2).gather(2, where.flatten(2)).view(where.shape), None, None, None

    @staticmethod
    def vmap(
        info: Any, dims: tuple[Any, ...], slope: Tensor, x: Tensor, where: Tensor, window: Window
    ) -> tuple[Tensor, int]:
        n = info.batch_size
        folded = [fold(t, dim, n) for t, dim in zip((slope, x, where), dims[:3], strict=True)]
        made = aten.max_pool2d_with_indices_backward(folded[0], folded[1], *window, folded[2])
        return unfold(made, n), 1
