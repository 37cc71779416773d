"""Regression trees as tensors: whatever grew them, they answer without it, and are saved as weights are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Forest(NamedTuple):
    """Trees laid out one after the other. A leaf is its own child on both sides, so that going on stays there.

    Args:
        column: (nodes,) int64, which number of an input a node looks at.
        threshold: (nodes,) it goes left up to this number.
        left, right: (nodes,) int64 children.
        value: (nodes, k) what a node answers.
        roots: (trees,) int64.
        depth: () int64, steps from a root to its farthest leaf.
    """

    column: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    roots: Tensor
    depth: Tensor


def tree_answers(forest: Forest, x: Float[Tensor, "q d"]) -> Float[Tensor, "q trees k"]:
    """What each tree answers; inputs are rounded to float32 first, as those were that the trees grew on.

    >>> zero, left, right = torch.tensor([0, 0, 0]), torch.tensor([1, 1, 2]), torch.tensor([2, 1, 2])
    >>> value, depth = torch.tensor([[0.0], [-1.0], [1.0]]), torch.tensor(1)
    >>> stump = Forest(zero, torch.tensor([0.5, 0.0, 0.0]), left, right, value, zero[:1], depth)
    >>> tree_answers(stump, torch.tensor([[0.2], [0.7]])).flatten().tolist()
    [-1.0, 1.0]
    """
    x = x.float().to(forest.threshold.dtype)
    node = forest.roots.expand(len(x), -1)
    for _ in range(int(forest.depth)):
        goes_left = x.gather(1, forest.column[node]) <= forest.threshold[node]
        node = torch.where(goes_left, forest.left[node], forest.right[node])
    return forest.value[node]
