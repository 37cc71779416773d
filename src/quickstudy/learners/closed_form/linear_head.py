"""What learners share that solve, in a learned embedding, for a linear model, and learn through the solution."""

from __future__ import annotations

import abc
import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...errors import UserError
from ...task import Examples
from ..baseline.linear import Linear
from ..embeds import Embeds


class LinearHead(Embeds):
    """An embedding whose last layer is the solution, for each task, of a regularised linear problem.

    Args:
        encoder: (n, *feature) -> (n, d).
        penalty: where the learned penalty begins.
        scale: where the learned factor on the logits of a classification begins.

    Raises:
        UserError: a penalty or scale that is not above zero.
    """

    State = Linear

    def __init__(self, encoder: nn.Module, penalty: float, scale: float):
        super().__init__()
        for name, value in (("penalty", penalty), ("scale", scale)):
            if not 0 < value < math.inf:
                raise UserError(f"{name} is {value}; it is learned as a logarithm, so it has to begin above zero.")
        self.encoder, self.penalty, self.scale = encoder, penalty, scale
        self.log_penalty = nn.Parameter(torch.tensor(math.log(penalty)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @abc.abstractmethod
    def solve(
        self, embedded: Float[Tensor, "n d"], y: Float[Tensor, "n k"], mask: Bool[Tensor, " n"] | None
    ) -> tuple[Float[Tensor, "d k"], Float[Tensor, " k"]]:
        """Weights and intercept for targets, or for the 0 and 1 of classes."""

    def remember(self, z: Float[Tensor, "n d"], support: Examples) -> Linear:
        if support.ways is None:
            return Linear(*self.solve(z, support.y, support.mask))
        member = F.one_hot(support.y, support.ways).to(z.dtype)
        if support.mask is not None:
            member = member * support.mask.to(z.dtype).unsqueeze(-1)
        weights, intercept = self.solve(z, member, support.mask)
        scale = self.log_scale.exp()
        return Linear(scale * weights, torch.where(member.sum(0) > 0, scale * intercept, -torch.inf))

    def answer(self, state: Linear, z: Float[Tensor, "q d"]) -> Float[Tensor, "q answers"]:
        return z @ state.weights + state.intercept
