"""Cells as numbers: directed graphs whose edges carry operations, told by their edges and by the paths through them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ....errors import BadExamples

Edge = tuple[int, int]


def encoded_cells(
    operations: Int[Tensor, "n edges"], edges: Sequence[Edge], *, kinds: int, absent: int
) -> Float[Tensor, "n e"]:
    """What a predictor can see of each cell: (n, edges x kinds + (paths + 2) x (kinds + 1)), float64.

    One-hot operations of every edge; for every path from the first node to the last, whether all its edges are there
    and, if so, how often it has each operation; and the sums and maxima of these over the paths, which do not change
    with the numbering of the nodes.

    Args:
        operations: the kind of operation on every edge.
        edges: (from, to) of each, nodes numbered in the order of computation.
        kinds: of operations.
        absent: the kind that means that there is no edge.

    Raises:
        BadExamples: an operation that there is not, or edges by which nothing gets from the first node to the last.

    Source: path encoding, BANANAS (White et al. 2021, arXiv:1910.11858), with counts in the place of whole paths.

    >>> encoded_cells(torch.tensor([[1, 1, 0]]), [(0, 1), (1, 2), (0, 2)], kinds=2, absent=0)[0, 6:].tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 1.0, 0.0, 2.0, 1.0, 0.0, 2.0]
    """
    if operations.shape[1] != len(edges) or not bool(((operations >= 0) & (operations < kinds)).all()):
        raise BadExamples(f"Cells of {len(edges)} edges have operations 0..{kinds - 1} on each of them.")
    member = F.one_hot(operations, kinds).double()
    found = []
    for path in paths(edges):
        alive = (operations[:, path] != absent).all(1, keepdim=True).double()
        found.append(torch.cat([alive, alive * member[:, path].sum(1)], 1))
    told = torch.stack(found, 1)  # (n, paths, 1 + kinds)
    return torch.cat([member.flatten(1), told.flatten(1), told.sum(1), told.amax(1)], 1)


def paths(edges: Sequence[Edge]) -> list[list[int]]:
    """The numbers of the edges of every path from the first node to the last.

    >>> paths([(0, 1), (0, 2), (1, 2)])
    [[1], [0, 2]]
    """
    last = max(max(edge) for edge in edges)
    found: list[list[int]] = []

    def follow(node: int, path: list[int]) -> None:
        if node == last:
            found.append(path)
        for number, (start, end) in enumerate(edges):
            if start == node and end > start:
                follow(end, [*path, number])

    follow(0, [])
    if not found:
        raise BadExamples(f"No path of {list(edges)} leads from node 0 to node {last}.")
    return sorted(found, key=lambda path: (len(path), path))
