"""Copies of an input on the other side of a split: matrix products over small pictures, a block at a time."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

NEAR = 0.999  # cosine of two normalised pictures that are taken for one
MOST = 30_000  # inputs of a side that are looked at
BYTES = 2**28  # that a side may take
ASKED = 2_000  # inputs of the second side, each compared with all of the first
BLOCK = 4_096
SIDE = 14  # pixels to which pictures are shrunk
LENGTH = 256  # to which longer vectors are projected
LEAST = 16  # shorter vectors are near each other by chance, so only exact copies count


@dataclasses.dataclass(frozen=True)
class Copies:
    """Which rows of the second side have a copy in the first.

    Args:
        rows: (k,) in the second side, most alike first.
        partners: (k,) the nearest in the first side.
        similarity: the largest cosine found; 1 for an exact copy.
        looked_at: rows of the second side that were compared.
    """

    rows: Tensor
    partners: Tensor
    similarity: float
    looked_at: int


def room(x: Tensor) -> int:
    """How many rows of `x` are looked at."""
    return min(MOST, BYTES // max(1, x[:1].nbytes)) if len(x) else MOST


def thinned(rows: Tensor, most: int = MOST) -> Tensor:
    """At most so many of the rows, evenly spread."""
    return rows if len(rows) <= most else rows[torch.linspace(0, len(rows) - 1, most).long()]


def near_duplicates(a: Tensor, b: Tensor) -> Copies | None:
    """The rows of `b` that are equal to a row of `a`, or nearly; None where they are not of one shape.

    >>> a = torch.rand(50, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    >>> b = torch.rand(9, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    >>> b[4] = a[7] + 0.001
    >>> found = near_duplicates(a, b)
    >>> found.rows.tolist(), found.partners.tolist()
    ([4], [7])
    """
    if a.shape[1:] != b.shape[1:] or not len(a) or not len(b):
        return None
    places = thinned(torch.arange(len(b)), ASKED)
    asked = b[places]
    exact = _equal(a, asked)
    best, partner = exact.ge(0).double() * 2 - 1, exact.clamp(min=0)
    if a[0].numel() >= LEAST:
        centre = _small(thinned(a, BLOCK)).mean(0)
        wanted = F.normalize(_small(asked) - centre, dim=1)
        for start in range(0, len(a), BLOCK):
            cosine, nearest = (wanted @ F.normalize(_small(a[start : start + BLOCK]) - centre, dim=1).T).double().max(1)
            # Below 1: a copy of the small picture need not be one of the whole.
            cosine = cosine.clamp(max=1 - 1e-6)
            partner = torch.where(cosine > best, nearest + start, partner)
            best = torch.maximum(best, cosine)
    order = best.argsort(descending=True, stable=True)
    order = order[best[order] > NEAR]
    return Copies(places[order], partner[order], best.max().item(), len(asked))


def _equal(a: Tensor, b: Tensor) -> Tensor:
    """For each row of `b` the number of a row of `a` that is equal bit for bit, or -1."""
    known = {row.tobytes(): i for i, row in enumerate(a.flatten(1).contiguous().numpy())}
    return torch.tensor([known.get(row.tobytes(), -1) for row in b.flatten(1).contiguous().numpy()])


def _small(x: Tensor) -> Tensor:
    """(n, d) float32: pictures shrunk and grey, other inputs projected if they are long."""
    x = x.to(torch.float32)
    if x.dim() == 4 and min(x.shape[-2:]) > SIDE:
        small = F.adaptive_avg_pool2d(x.mean(1, keepdim=True), SIDE).flatten(1)
        # Brightness and contrast make no other picture.
        return F.normalize(small - small.mean(1, keepdim=True), dim=1)
    flat = x.flatten(1)
    if flat.shape[1] <= LENGTH:
        return flat
    # The same projection for every block, since it is drawn from the same key.
    generator = torch.Generator().manual_seed(0)
    return flat @ torch.randn(flat.shape[1], LENGTH, generator=generator) / flat.shape[1] ** 0.5
