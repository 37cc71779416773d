"""Derivatives that ONNX has no operation for, as operations that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def convolution_backward(
    slope: Tensor,
    x: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """As `aten.convolution_backward`: the slopes of input, weight and bias are convolutions too."""
    del bias_sizes, output_padding
    if transposed:
        raise NotImplementedError("the derivative of a transposed convolution is not written out")
    how = list(stride), list(padding), list(dilation)
    of_x = _input_slope(slope, x, weight, *how, groups) if output_mask[0] else None
    of_weight = _weight_slope(slope, x, weight, *how, groups) if output_mask[1] else None
    of_bias = slope.sum([0, *range(2, slope.dim())]) if output_mask[2] else None
    return of_x, of_weight, of_bias


def _input_slope(
    slope: Tensor, x: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Tensor:
    space = zip(x.shape[2:], slope.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    # Pixels at the border that a stride stepped over.
    left = [size - ((out - 1) * s - 2 * p + d * (kernel - 1) + 1) for size, out, kernel, s, p, d in space]
    return aten.convolution(slope, weight, None, stride, padding, dilation, True, left, groups)


def _weight_slope(
    slope: Tensor, x: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Tensor:
    """The slope moved over the input, with examples where channels are, and strides and dilations exchanged."""
    n, each = x.shape[0], x.shape[1] // groups
    inputs = (
        x.unflatten(1, (groups, each)).permute(2, 1, 0, *range(3, x.dim() + 1)).reshape(each, groups * n, *x.shape[2:])
    )
    kernel = slope.transpose(0, 1)
    none = [0] * len(stride)
    made = aten.convolution(inputs, kernel, None, dilation, padding, stride, False, none, groups)
    for axis, length in enumerate(weight.shape[2:], 2):
        made = made.narrow(axis, 0, length)
    return made.transpose(0, 1)


def max_pool2d_with_indices_backward(
    slope: Tensor,
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """As `aten.max_pool2d_with_indices_backward`: each slope goes to where its largest stood."""
    del kernel_size, stride, padding, dilation, ceil_mode
    flat = torch.zeros_like(x).flatten(-2)
    return flat.scatter_add(-1, indices.flatten(-2), slope.flatten(-2)).view_as(x)


def _unchecked(*_: object, **__: object) -> None:
    """A graph cannot raise an error over values: what cannot be solved is answered with NaN."""


WRITTEN_OUT: dict[Any, Callable[..., Any]] = {
    aten.convolution_backward.default: convolution_backward,
    aten.max_pool2d_with_indices_backward.default: max_pool2d_with_indices_backward,
    aten._linalg_check_errors.default: _unchecked,
}
