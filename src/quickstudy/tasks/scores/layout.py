"""Where the cells of a table belong in a tensor, by the names of its axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def axes_of(*columns: Sequence[Any]) -> tuple[list[list[Any]], Tensor]:
    """The different values of each column, as they come but numbers rising, and the cell (n,) of each row among them.

    >>> axes_of(["b", "a", "b"], [2.0, 1.0, 1.0])
    ([['b', 'a'], [1.0, 2.0]], tensor([1, 2, 0]))
    """
    axes, place = [], torch.zeros(len(columns[0]), dtype=torch.int64)
    for column in columns:
        axis = list(dict.fromkeys(column))
        axis = axis if isinstance(axis[0], str) else sorted(axis)
        number = {value: i for i, value in enumerate(axis)}
        place = place * len(axis) + torch.tensor([number[value] for value in column])
        axes.append(axis)
    return axes, place


def mean_at(place: Tensor, values: Sequence[float], shape: tuple[int, ...]) -> Tensor:
    """The mean of the values that fall on each cell, NaN where none does.

    >>> mean_at(torch.tensor([0, 0, 2]), [1.0, 3.0, math.nan], (3,))
    tensor([2., nan, nan], dtype=torch.float64)
    """
    numbers = torch.as_tensor(values, dtype=torch.float64)
    known = torch.isfinite(numbers)
    total, count = torch.zeros(2, math.prod(shape), dtype=torch.float64)
    total.index_add_(0, place[known], numbers[known])
    count.index_add_(0, place[known], torch.ones_like(numbers[known]))
    return (total / count).view(shape)


def laid(parts: Sequence[tuple[Sequence[Sequence[Any]], Tensor]], axes: Sequence[Sequence[Any]]) -> Tensor:
    """Tensors laid over each other by the names of their axes, NaN where none knows.

    >>> laid([((["a"],), torch.tensor([1.0])), ((["b", "a"],), torch.tensor([2.0, math.nan]))], (["a", "b", "c"],))
    tensor([1., 2., nan], dtype=torch.float64)
    """
    whole = np.full([len(axis) for axis in axes], np.nan)
    numbers = [{name: i for i, name in enumerate(axis)} for axis in axes]
    for names, values in parts:
        place = np.ix_(*([number[name] for name in part] for part, number in zip(names, numbers, strict=True)))
        whole[place] = np.where(torch.isfinite(values), values, whole[place])
    return torch.from_numpy(whole)
