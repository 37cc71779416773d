"""The best candidates of the most similar past data sets (Feurer et al. 2015, auto-sklearn's warm start)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...functional.solvers.gp import widened
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.table import ScoreTable
from ..past.prior import scaled, standard
from ..past.scores import Past, placed
from ..search.mixture import Mixture
from ..search.surrogate import Surrogate, trials


@pytree
class Near:
    """The trials, and how far the past data sets are.

    Args:
        x: (n, 1 + e) candidates.
        y: (n,) their scores.
        distance: (D,) of the meta-features, in deviations.
    """

    x: Tensor
    y: Tensor
    distance: Tensor


class NearestDatasets(Surrogate):
    """Try the best candidate of the nearest data set, then that of the next nearest, and so on.

    Near is a small sum of absolute differences of standardised meta-features, as in the paper. When the best of all
    data sets have been tried come the second best, in the same order. The trials change nothing; a candidate is
    expected to score as on the `neighbours` nearest. auto-sklearn goes on with SMAC after 25 trials; this does not.

    Args:
        neighbours: data sets whose mean it expects.

    Raises:
        UserError: fewer neighbours than 1; (in meta_fit or adapt) there are no meta-features.
    """

    State = Near
    order: Tensor
    columns: Tensor
    raw: Tensor
    features: Tensor
    scale: Tensor

    def __init__(self, *, neighbours: int = 5):
        super().__init__()
        if neighbours < 1:
            raise UserError(f"neighbours is {neighbours}; give at least 1.")
        self.neighbours = neighbours
        for name in ("order", "columns"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64))
        for name in ("raw", "features", "scale"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    @torch.no_grad()
    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Keep the past."""
        del rng
        past = Past.of(table)
        if past.features is None:
            raise UserError(
                "nearest-datasets compares meta-features, and the table has none; add them with ScoreTable.described,"
                " or use 'portfolio'."
            )
        features, scale = standard(past.features, len(past))
        order = past.scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        for name, value in (("order", order), ("columns", past.columns), ("raw", past.raw)):
            self.set_buffer(name, value)
        self.set_buffer("features", features)
        self.set_buffer("scale", scale)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Near:
        del rng
        if description is None:
            raise UserError("nearest-datasets compares meta-features, and this data set has none; use 'portfolio'.")
        new = scaled(widened(description).unsqueeze(0), self.scale)
        return Near(*trials(support), (new - self.features).abs().sum(1))

    def update(self, state: Near, examples: Examples) -> Near:
        x, y = trials(examples)
        return Near(torch.cat([state.x, x]), torch.cat([state.y, y]), state.distance)

    def tried(self, state: Near) -> Examples:
        return Examples(state.x, state.y.unsqueeze(1))

    def mixture(self, state: Near, x: Float[Tensor, "q numbers"]) -> Mixture:
        column, known = placed(x, self.columns)
        nearest = state.distance.topk(min(self.neighbours, len(self.raw)), largest=False).indices
        scores = torch.where(known, self.raw[nearest][:, column], self.raw[nearest].mean(1, keepdim=True))
        mean = scores.mean(0, keepdim=True)
        noise = scores.var(0, correction=0, keepdim=True) + self.raw.var(0, correction=0).mean() / len(nearest)
        return Mixture(mean.new_zeros(1), mean, 0 * noise, noise.clamp(min=1e-10))

    def acquire(self, state: Near, x: Float[Tensor, "q numbers"], *, kind: str = "regression") -> Float[Tensor, " q"]:
        del kind
        column, known = placed(x, self.columns)
        turn = state.distance.argsort(dim=0, stable=True).argsort()
        # In which round, and there in whose turn, a candidate comes first.
        place = (self.order[:, column] * len(turn) + turn.unsqueeze(1)).amin(0)
        return torch.where(known, -place, -self.order.numel()).double()
