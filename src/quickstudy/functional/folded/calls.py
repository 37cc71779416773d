"""Which calls of torch are answered with folded operations while tasks are vectorised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..instead import Instead
from .convolution import Convolution, Geometry
from .pooling import MaxPool, Window

Count = int | tuple[int, ...]


def folding() -> Instead:
    """While active, convolutions and max pooling of any net are the folded ones; the numbers are the same.

    Torch's own way with a kernel for each task copies all activations before and after each layer; these leave them
    where the next layer looks for them.
    """
    return Instead(_FOLDED)


def _convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Count = 1,
    padding: Count | str = 0,
    dilation: Count = 1,
    groups: int = 1,
) -> Tensor | None:
    space = weight.dim() - 2
    if isinstance(padding, str) or input.dim() != weight.dim():
        return None
    how = Geometry(_each(stride, space), _each(padding, space), _each(dilation, space), groups)
    made = Convolution.apply(input, weight, how)
    return made if bias is None else made + bias.view(1, -1, *(1,) * space)


def _pool(
    input: Tensor,
    kernel_size: Count,
    stride: Count | None = None,
    padding: Count = 0,
    dilation: Count = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    if return_indices or input.dim() != 4:
        return None
    size = _each(kernel_size, 2)
    window = Window(
        size, size if stride is None else _each(stride, 2), _each(padding, 2), _each(dilation, 2), ceil_mode
    )
    return MaxPool.apply(input, window)[0]


def _each(count: Count, dimensions: int) -> tuple[int, ...]:
    """One number a dimension of space, from one for all or from one each."""
    if isinstance(count, int):
        return (count,) * dimensions
    return tuple(count) * dimensions if len(count) == 1 else tuple(count)


_FOLDED: dict[Any, Callable[..., Tensor | None]] = {
    F.conv1d: _convolve,
    F.conv2d: _convolve,
    F.conv3d: _convolve,
    F.max_pool2d: _pool,
}
