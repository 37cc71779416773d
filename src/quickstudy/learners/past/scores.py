"""Past data sets side by side: their scores on one scale, and what was never measured filled in."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...errors import UserError
from ...functional.solvers.gp import widened
from ...tasks.scores.table import ScoreTable

RANK = 10  # of the model that fills missing cells in
ROUNDS = 30


@dataclasses.dataclass(frozen=True)
class Past:
    """What was measured on D data sets of those C candidates that were ever tried.

    Args:
        scores: (D, C) from 0 for the best known candidate of each data set to -1 for its worst; cells that are not
            known hold what is expected of them.
        known: (D, C) which were measured.
        best: (D,) raw score that 0 stands for.
        width: (D,) raw distance to the worst, above zero.
        encoding: (C, e) of the candidates.
        rows: (D,) numbers of the data sets in the table.
        columns: (all,) which of the C each candidate of the table is; -1 for those never tried.
        features: (D, m) meta-features; None where there are none.
    """

    scores: Float[Tensor, "d c"]
    known: Bool[Tensor, "d c"]
    best: Float[Tensor, " d"]
    width: Float[Tensor, " d"]
    encoding: Float[Tensor, "c e"]
    rows: Tensor
    columns: Tensor
    features: Tensor | None = None

    @classmethod
    def of(cls, table: ScoreTable) -> Past:
        """The data sets of a table that tell candidates apart: two known scores at least, not all equal.

        Raises:
            UserError: there is no such data set.
        """
        raw = table.final.double()
        known = torch.isfinite(raw)
        best = torch.where(known, raw, -torch.inf).amax(1)
        width = best - torch.where(known, raw, torch.inf).amin(1)
        told = torch.isfinite(width) & (width > 1e-12 * best.abs())
        if not bool(told.any()):
            raise UserError(
                f"None of the {len(table)} past data sets has two different scores, so there is nothing to learn from"
                " them; bring data sets on which at least two candidates were tried."
            )
        tried = known[told].any(0)
        raw, known, best, width = raw[told][:, tried], known[told][:, tried], best[told], width[told]
        scores = torch.where(known, (raw - best.unsqueeze(1)) / width.unsqueeze(1), 0.0)
        features = None if table.features is None else table.features.double()[told]
        columns = torch.where(tried, tried.cumsum(0) - 1, -1)
        encoding = table.candidates.encoding.double()[tried]
        return cls(filled(scores, known), known, best, width, encoding, told.nonzero().flatten(), columns, features)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def raw(self) -> Float[Tensor, "d c"]:
        """(D, C) scores in the units in which they came."""
        return self.best.unsqueeze(1) + self.width.unsqueeze(1) * self.scores


def filled(scores: Float[Tensor, "d c"], known: Bool[Tensor, "d c"]) -> Float[Tensor, "d c"]:
    """Missing cells by what probabilistic principal components expect of them (Tipping and Bishop 1999), by EM.

    >>> table = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 0.0], [4.0, 8.0, 12.0]]).double()
    >>> known = torch.ones(4, 3, dtype=torch.bool)
    >>> known[2, 2] = False
    >>> round(filled(table, known)[2, 2].item())
    9
    """
    if bool(known.all()):
        return scores
    d, c = scores.shape
    count = known.sum(0)
    mean = torch.where(known, scores, 0).sum(0) / count
    rank = max(1, min(RANK, d - 1, c - 1))
    made = torch.where(known, scores, mean)
    loading = torch.linalg.svd(made - mean, full_matrices=False)[2][:rank].T.contiguous()  # (c, rank)
    noise = (made - mean).square().mean().clamp(min=1e-10)
    loading = loading * noise.sqrt()
    weight, eye = known.double(), torch.eye(rank, dtype=torch.float64)
    for _ in range(ROUNDS):
        apart = weight * (scores - mean)
        inner = torch.linalg.inv(torch.einsum("dc,ci,cj->dij", weight, loading, loading) + noise * eye)
        z = torch.einsum("dij,cj,dc->di", inner, loading, apart)
        second = noise * inner + z.unsqueeze(2) * z.unsqueeze(1)  # (d, rank, rank)
        # A little of the identity keeps candidates that were tried less often than there are factors solvable.
        moments = torch.einsum("dc,dij->cij", weight, second) + noise * eye
        loading = torch.linalg.solve(moments, torch.einsum("dc,di->ci", apart, z).unsqueeze(2)).squeeze(2)
        guess = z @ loading.T
        spread = torch.einsum("ci,dij,cj->dc", loading, second, loading)
        noise = ((weight * (apart.square() - 2 * apart * guess + spread)).sum() / weight.sum()).clamp(min=1e-10)
        mean = (weight * (scores - guess)).sum(0) / count
    return torch.where(known, scores, mean + z @ loading.T)


def placed(x: Float[Tensor, "q numbers"], columns: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the candidates of `Past` each input is, 0 for others, and whether it is one."""
    number = widened(x[:, 0]).round().long()
    inside = (number >= 0) & (number < len(columns))
    column = columns[torch.where(inside, number, 0)] if len(columns) else number
    known = inside & (column >= 0)
    return torch.where(known, column, 0), known
