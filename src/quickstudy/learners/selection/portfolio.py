"""A portfolio: the order of candidates that would have served past data sets best (Feurer et al. 2022,
arXiv:2007.04074)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.table import ScoreTable
from ..past.scores import Past, placed
from ..search.mixture import Mixture
from ..search.surrogate import Surrogate, trials


@pytree
class Tried:
    """The trials; nothing else moves.

    Args:
        x: (n, 1 + e) candidates.
        y: (n,) their scores.
    """

    x: Tensor
    y: Tensor


class Portfolio(Surrogate):
    """Greedy: next comes the candidate that lowers the mean regret of the best so far the most, over past data sets.

    Which trials went well does not change the order; a candidate that the past never had comes last. What it expects of
    a candidate is the mean over past data sets.

    Args:
        per_second: lowers it the most for the seconds that it takes, on average over past data sets; for tables that
            say what a trial cost.

    Raises:
        UserError: (in meta_fit) seconds are asked for, and the table has none.

    >>> from quickstudy.tasks.scores.candidates import Candidates
    >>> scores = torch.tensor([[0.9, 0.8, 0.0], [0.8, 0.9, 0.0], [0.0, 0.7, 0.9]]).double().unsqueeze(2)
    >>> candidates = Candidates.named(["deep", "wide", "odd"])
    >>> learner = Portfolio()
    >>> learner.meta_fit(ScoreTable(("iris", "wine", "rings"), candidates, scores))
    >>> learner.rank.tolist()
    [2, 0, 1]
    """

    State = Tried
    rank: Tensor
    columns: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, *, per_second: bool = False):
        super().__init__()
        self.per_second = per_second
        for name in ("rank", "columns"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64))
        for name in ("mean", "variance"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    @torch.no_grad()
    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Put the candidates in order."""
        del rng
        past = Past.of(table)
        seconds = torch.ones(past.scores.shape[1], dtype=torch.float64)
        if self.per_second:
            if table.cost is None:
                raise UserError(
                    "per_second needs the seconds that trials took, and the table has no cost; leave it out."
                )
            seconds = table.cost[past.rows, :, -1].nanmean(0)[past.columns >= 0]
            seconds = torch.where(seconds > 0, seconds, seconds[seconds > 0].mean())
        order = greedy(-past.scores, seconds)
        self.set_buffer("columns", past.columns)
        self.set_buffer("rank", order.argsort())
        self.set_buffer("mean", past.raw.mean(0))
        self.set_buffer("variance", past.raw.var(0, correction=0).clamp(min=1e-10))

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Tried:
        del description, rng
        return Tried(*trials(support))

    def update(self, state: Tried, examples: Examples) -> Tried:
        x, y = trials(examples)
        return Tried(torch.cat([state.x, x]), torch.cat([state.y, y]))

    def tried(self, state: Tried) -> Examples:
        return Examples(state.x, state.y.unsqueeze(1))

    def mixture(self, state: Tried, x: Float[Tensor, "q numbers"]) -> Mixture:
        number, known = placed(x, self.columns)
        spread = self.variance.mean() + self.mean.var(correction=0)
        mean = torch.where(known, self.mean[number], self.mean.mean()).unsqueeze(0)
        noise = torch.where(known, self.variance[number], spread).unsqueeze(0)
        return Mixture(mean.new_zeros(1), mean, 0 * noise, noise)

    def acquire(self, state: Tried, x: Float[Tensor, "q numbers"], *, kind: str = "regression") -> Float[Tensor, " q"]:
        del state, kind
        number, known = placed(x, self.columns)
        return torch.where(known, -self.rank[number], -len(self.rank)).double()


def greedy(regret: Float[Tensor, "d c"], seconds: Float[Tensor, " c"]) -> Tensor:
    """(C,) candidates, each lowering the mean of the best regret so far the most for its seconds; then by their mean.

    >>> greedy(torch.tensor([[0.0, 0.1, 1.0], [1.0, 0.1, 0.0]]), torch.ones(3)).tolist()
    [1, 0, 2]
    """
    best, left = torch.ones_like(regret[:, 0]), torch.ones(len(seconds), dtype=torch.bool)
    order: list[int] = []
    while bool(left.any()):
        gain = (best.unsqueeze(1) - regret).clamp(min=0).mean(0) / seconds
        gain[~left] = -1.0
        if float(gain.max()) <= 0:
            break
        order.append(int(gain.argmax()))
        left[order[-1]] = False
        best = torch.minimum(best, regret[:, order[-1]])
    rest = left.nonzero().flatten()
    return torch.cat([torch.tensor(order, dtype=torch.int64), rest[regret.mean(0)[rest].argsort(dim=0, stable=True)]])
