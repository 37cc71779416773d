"""Which detectors of anomalies to trust on a table without labels, learned from past tables that had them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...errors import BadExamples, UserError
from ...learner import Learner
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples

FARTHEST = 4.0  # deviations beyond which a score is not odder
TEMPERATURES = (0.01, 0.02, 0.04, 0.08, torch.inf)  # in AUROC: from the best detector alone to a plain mean
PENALTIES = (0.1, 1.0)  # for each past table
DESCRIPTORS = 3  # numbers that `described` tells of a detector


@pytree
class Trusted:
    """How much each of K detectors counts on one table.

    Args:
        centre, spread: (K,) of their scores there.
        weights: (K,) not below zero, with the sum one.
    """

    centre: Tensor
    spread: Tensor
    weights: Tensor


class AnomalyStack(Learner):
    """Adds up what detectors say, each by how well it can be expected to do on this very table.

    Unlike a supervised stack it sees no label of the new table: the support set is the scores that K detectors gave to
    its rows (`detect`), and its labels are not read. What is expected of a detector is a ridge regression, over past
    tables with labels, of how much better than the others it told anomalies apart (AUROC), on which detector it is and
    on how its scores are distributed and agree with the others'. How far to trust that, from the best detector alone to
    a plain mean, is chosen by leaving past tables out. Answers are logits of (usual, anomalous).

    Args:
        detectors: how many scores a row has.

    Raises:
        BadExamples: (in meta_fit) fewer than three past tables, or one without both usual and anomalous rows.

    Source: learned over data sets as in MetaOD (Zhao et al. 2021, arXiv:2009.10606), which picks one detector.
    """

    State = Trusted
    meta_gradient = "none"
    coefficients: Tensor
    centre: Tensor
    spread: Tensor
    temperature: Tensor

    def __init__(self, detectors: int):
        super().__init__()
        if detectors < 2:
            raise UserError(f"detectors is {detectors}; there is nothing to combine below two.")
        self.detectors = detectors
        shape = (detectors + DESCRIPTORS,)
        for name in ("coefficients", "centre"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("temperature", torch.tensor(torch.inf, dtype=torch.float64))

    @torch.no_grad()
    def meta_fit(self, past: Sequence[tuple[Float[Tensor, "n k"], Int[Tensor, " n"]]]) -> None:
        """Learn from past tables: the scores of their rows, and 1 for rows that were anomalous, 0 for others."""
        if len(past) < 3:
            raise BadExamples(f"There are {len(past)} past tables; three are needed at least.")
        scaled = [_scaled(scores.double(), *_moments(scores.double())) for scores, _ in past]
        labels = [y for _, y in past]
        seen = torch.stack([self._inputs(z) for z in scaled])  # (T, K, inputs)
        worth = torch.stack([torch.stack([auroc(s, y) for s in z.T]) for z, y in zip(scaled, labels, strict=True)])
        gains = worth - worth.mean(1, keepdim=True)
        best = -torch.inf
        for penalty in PENALTIES:
            alone = [_ridge(seen, gains, penalty, without=t) for t in range(len(past))]
            for temperature in TEMPERATURES:
                weights = [_weights(_expected(seen[t], *fit), temperature) for t, fit in enumerate(alone)]
                found = [auroc(z @ w, y) for z, w, y in zip(scaled, weights, labels, strict=True)]
                if (mean := float(torch.stack(found).mean())) > best:
                    best, self.temperature = mean, torch.tensor(temperature, dtype=torch.float64)
                    self.coefficients, self.centre, self.spread = _ridge(seen, gains, penalty)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Trusted:
        del description, rng
        scores = support.x.flatten(1).to(self.coefficients.dtype)
        centre, spread = _moments(scores)
        expected = _expected(self._inputs(_scaled(scores, centre, spread)), self.coefficients, self.centre, self.spread)
        return Trusted(centre, spread, _weights(expected, self.temperature))

    def predict(self, state: Trusted, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q 2"]:
        odd = _scaled(x.flatten(1).to(state.centre.dtype), state.centre, state.spread) @ state.weights
        return torch.stack([torch.zeros_like(odd), odd], 1)

    def _inputs(self, z: Float[Tensor, "n k"]) -> Float[Tensor, "k inputs"]:
        return torch.cat([torch.eye(self.detectors, dtype=z.dtype, device=z.device), described(z)], 1)


def described(z: Float[Tensor, "n k"]) -> Float[Tensor, "k 3"]:
    """Of each detector, relative to the others: agreement with their mean, skew and tails of its scores."""
    others = (z.sum(1, keepdim=True) - z) / max(1, z.shape[1] - 1)
    apart, around = z - z.mean(0), others - others.mean(0)
    size = (apart.square().mean(0) * around.square().mean(0)).sqrt().clamp(min=1e-12)
    agreement = (apart * around).mean(0) / size
    deviation = apart.square().mean(0).sqrt().clamp(min=1e-12)
    skew, tails = ((apart / deviation).pow(power).mean(0) for power in (3, 4))
    skew = skew.sign() * skew.abs().log1p()
    found = torch.stack([agreement, skew, tails.log1p()], 1)
    return found - found.mean(0)


def auroc(scores: Float[Tensor, " n"], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """The chance that an anomalous row (1) has a higher score than a usual one (0); ties count half.

    Raises:
        BadExamples: there are not both.

    >>> auroc(torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([0, 0, 1, 1]))
    tensor(0.8750, dtype=torch.float64)
    """
    odd = scores[y == 1]
    usual = scores[y == 0].sort().values
    if not len(odd) or not len(usual):
        raise BadExamples(f"AUROC needs anomalous and usual rows; there are {len(odd)} and {len(usual)}.")
    below, up_to = (torch.searchsorted(usual, odd.contiguous(), side=side) for side in ("left", "right"))
    return (below + up_to).double().mean() / (2 * len(usual))


def _moments(scores: Float[Tensor, "n k"]) -> tuple[Tensor, Tensor]:
    spread = scores.std(0, correction=0)
    return scores.mean(0), torch.where(spread > 0, spread, 1.0)


def _scaled(scores: Float[Tensor, "q k"], centre: Tensor, spread: Tensor) -> Float[Tensor, "q k"]:
    return ((scores - centre) / spread).clamp(-FARTHEST, FARTHEST)


def _ridge(
    seen: Float[Tensor, "t k inputs"], gains: Float[Tensor, "t k"], penalty: float, *, without: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients, centre and spread of the inputs; of all tables but one."""
    kept = torch.arange(len(seen)) != (-1 if without is None else without)
    x, y = seen[kept].flatten(0, 1), gains[kept].flatten()
    centre, spread = _moments(x)
    z = (x - centre) / spread
    left = z.T @ z + penalty * float(kept.sum()) * torch.eye(z.shape[1], dtype=z.dtype)
    return torch.linalg.solve(left, z.T @ y), centre, spread


def _expected(x: Float[Tensor, "k inputs"], coefficients: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    return ((x - centre) / spread) @ coefficients


def _weights(expected: Float[Tensor, " k"], temperature: float | Tensor) -> Float[Tensor, " k"]:
    return (expected / temperature).softmax(0)
