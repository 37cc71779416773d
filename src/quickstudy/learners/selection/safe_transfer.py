"""Safe transfer: the past and a search without it, each believed as far as the trials bear it out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.table import ScoreTable
from ..past.scores import Past
from ..search.cold_gp import ColdGP
from ..search.mixture import Mixture, joined
from ..search.surrogate import Surrogate
from .candidate_gaussian import CandidateGaussian


@pytree
class Both:
    """What two learners made of the same trials.

    Args:
        transferred: the tensors of the state of the learner with a past; none where its past had other candidates.
        cold: those of the learner without one.
        transfer_weight: () probability that the past applies, 0..1.
        evidence: (2,) log density of the trials, each given those before it: transferred, cold.
    """

    transferred: tuple[Tensor, ...]
    cold: tuple[Tensor, ...]
    transfer_weight: Tensor
    evidence: Tensor


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why a search believes what it does.

    Args:
        transfer_weight: how far the past is trusted, 0..1.
        evidence: how many times likelier the trials are with the past than without, as a natural logarithm.
        nearest: past data sets by how much they count, most first: number or name, and share.
    """

    transfer_weight: float
    evidence: float
    nearest: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        if not self.nearest:
            return "The past says nothing of these candidates; the search goes on without it."
        past = ", ".join(f"{name} ({share:.0%})" for name, share in self.nearest)
        side = "bear the past out" if self.evidence > 0 else "speak against the past"
        return (
            f"Transfer trusted {self.transfer_weight:.2f}; the trials {side} by {abs(self.evidence):.1f} nats."
            f" Most like this data set: {past}."
        )


class SafeTransfer(Surrogate):
    """A Bayesian mixture of a search with a past and a cold one; where the past misleads, the cold one takes over.

    The weight of each is its prior weight times the probability density that it gave to every trial before it was made.
    Unlike a learner that always transfers it cannot lose to the cold search for long; unlike a switch it never has to
    be right. It answers with `transfer_weight` in its state, and `explain` says why. Where candidates are described by
    other settings than those of the past, only the cold search is asked.

    Args:
        transferred: a search that learns from past data sets.
        cold: one that does not.
        trust: prior probability that the past applies.

    Raises:
        UserError: trust that is no probability between 0 and 1.
    """

    State = Both

    def __init__(self, transferred: Surrogate | None = None, cold: ColdGP | None = None, *, trust: float = 0.9):
        super().__init__()
        if not 0 < trust < 1:
            raise UserError(f"trust is {trust}; it is a probability above 0 and below 1.")
        self.transferred = CandidateGaussian() if transferred is None else transferred
        self.cold, self.trust = ColdGP(starts=0) if cold is None else cold, trust

    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Learn from past data sets; the cold search learns of them where scores lie, and how far apart."""
        self.transferred.meta_fit(table, rng=rng)
        past = Past.of(table)
        self.cold.expect(past.raw.mean(1), past.raw.std(1))

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Both:
        transferred = None
        if self.transferred.knows(support.x):
            transferred = self.transferred.adapt(support, description, rng=rng)
        return self._weighed(transferred, self.cold.adapt(support, description, rng=rng))

    def update(self, state: Both, examples: Examples) -> Both:
        transferred, cold = self._states(state)
        if transferred is not None:
            transferred = self.transferred.update(transferred, examples)
        return self._weighed(transferred, self.cold.update(cold, examples))

    def tried(self, state: Both) -> Examples:
        return self.cold.tried(self._states(state)[1])

    def _states(self, state: Both) -> tuple[Any, Any]:
        """The states of the two, as they know them."""
        transferred = self.transferred.State(*state.transferred) if state.transferred else None
        return transferred, self.cold.State(*state.cold)

    def _weighed(self, transferred: Any, cold: Any) -> Both:
        nothing = self.cold.tried(cold).x[:0]
        without = self.cold.mixture(cold, nothing).evidence
        if transferred is None:
            evidence = torch.stack([without.new_tensor(-math.inf), without])
            return Both((), _tensors(cold), without.new_zeros(()), evidence)
        evidence = torch.stack([self.transferred.mixture(transferred, nothing).evidence, without])
        weight = (evidence + self._prior).softmax(0)[0]
        return Both(_tensors(transferred), _tensors(cold), weight, evidence)

    @property
    def _prior(self) -> Float[Tensor, " 2"]:
        return torch.tensor([self.trust, 1 - self.trust], dtype=torch.float64).log()

    def mixture(self, state: Both, x: Float[Tensor, "q numbers"]) -> Mixture:
        transferred, cold = self._states(state)
        without = self.cold.mixture(cold, x)
        if transferred is None:
            return without
        both = (self.transferred.mixture(transferred, x), without)
        parts = zip(both, self._prior, strict=True)
        return joined(*(dataclasses.replace(m, log_weight=m.log_weight + prior) for m, prior in parts))

    def widening(self, state: Both) -> float | Tensor:
        transferred, cold = self._states(state)
        if transferred is None:
            return self.cold.widening(cold)
        ours, without = self.transferred.widening(transferred), self.cold.widening(cold)
        return state.transfer_weight * ours + (1 - state.transfer_weight) * without

    def explain(self, state: Both, table: ScoreTable | None = None, *, most: int = 3) -> Explanation:
        """How far the past is trusted, and which of its data sets count most.

        Args:
            state: of the search.
            table: that was learned from, for the names of its data sets.
            most: how many of them.
        """
        weight, evidence = float(state.transfer_weight), float(state.evidence[0] - state.evidence[1])
        transferred = self._states(state)[0]
        if transferred is None or not isinstance(self.transferred, CandidateGaussian):
            return Explanation(weight, evidence, ())
        alike = self.transferred.alike(transferred)
        top = alike.topk(min(most, len(alike)))
        rows = self.transferred.rows[top.indices].tolist()
        names = [f"data set {row}" if table is None else table.datasets[row] for row in rows]
        return Explanation(weight, evidence, tuple(zip(names, top.values.tolist(), strict=True)))


def _tensors(state: Any) -> tuple[Tensor, ...]:
    return tuple(getattr(state, field.name) for field in dataclasses.fields(state))
