"""ALPaCA (Harrison et al. 2018, arXiv:1807.08912): Bayesian linear regression on features, both learned."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.solvers import gp
from ...outputs import Gaussian
from ...pytree import pytree
from ...task import Examples
from ..embeds import Embeds, feature_length

LEAST_NOISE = 1e-6  # variance


@pytree
class Coefficients:
    """A normal distribution of the weights of a last layer, by numbers that examples are added to.

    Args:
        precision: (d, d), in units of the precision of the noise.
        product: (d, k) precision times mean.
    """

    precision: Tensor
    product: Tensor


class BayesianLastLayer(Embeds):
    """The exact posterior of a linear last layer, beginning at a learned normal prior of its weights.

    Unlike a deep kernel its state and its cost do not grow with the examples, it may begin at a mean that is not zero,
    and it is trained to answer the queries: minus their log density, as in the paper. An update adds two sums, so a
    stream of examples gives what all of them at once would.

    Args:
        encoder: (n, *feature) -> (n, d); a constant is added to the features.
        outputs: length k of a target.
        features: d; when None, what the encoder says.
        precision: where the prior precision of a weight begins, in units of the precision of the noise.
        noise: where the standard deviation of targets around the line begins; one for each of the k, learned (the paper
            takes it as known).

    Raises:
        UserError: an encoder that does not say how long its features are; outputs, precision or noise not above zero.

    >>> learner = BayesianLastLayer(nn.Flatten(), outputs=1, features=1, noise=0.1)
    >>> state = learner.adapt(Examples(torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]])))
    >>> round(learner.predict(state, torch.tensor([[3.0]])).mean.item(), 2)
    4.67
    """

    State = Coefficients
    kinds = ("regression",)

    def __init__(
        self,
        encoder: nn.Module,
        *,
        outputs: int,
        features: int | None = None,
        precision: float = 1.0,
        noise: float = 0.1,
    ):
        super().__init__()
        for name, value in (("outputs", outputs), ("precision", precision), ("noise", noise)):
            if not 0 < value < math.inf:
                raise UserError(f"{name} is {value}; it must be above zero.")
        self.encoder, self.outputs, self.features = encoder, outputs, features
        self.precision, self.noise = precision, noise
        d = feature_length(encoder, features) + 1
        self.prior_mean = nn.Parameter(torch.zeros(d, outputs))
        # The Cholesky factor of the prior precision, with the logarithm of its diagonal, so that any numbers are legal.
        self.prior_root = nn.Parameter(torch.eye(d) * math.log(precision) / 2)
        self.log_noise = nn.Parameter(torch.full((outputs,), math.log(noise)))

    def prior(self) -> Coefficients:
        """What is known of the weights before any example."""
        root = gp.widened(self.prior_root)
        factor = root.tril(-1) + torch.diag_embed(root.diagonal().exp())
        precision = factor @ factor.T
        return Coefficients(precision, precision @ gp.widened(self.prior_mean))

    def remember(self, z: Float[Tensor, "n d"], support: Examples) -> Coefficients:
        return added(self.prior(), z, support)

    def update(self, state: Coefficients, examples: Examples) -> Coefficients:
        return added(state, self.embed(examples.x), examples)

    def answer(self, state: Coefficients, z: Float[Tensor, "q d"]) -> Gaussian:
        factor = gp.cholesky(state.precision)
        across = gp.whiten(factor, with_constant(z).transpose(-1, -2))
        mean = across.transpose(-1, -2) @ gp.whiten(factor, state.product)
        noise = gp.widened((2 * self.log_noise).exp()) + LEAST_NOISE
        variance = noise * (1 + across.square().sum(-2).unsqueeze(-1))
        return Gaussian(mean.to(z.dtype), variance.to(z.dtype))


def with_constant(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d1"]:
    """The features in float64, and a one beside them."""
    return F.pad(gp.widened(features), (0, 1), value=1.0)


def added(state: Coefficients, features: Float[Tensor, "n d"], examples: Examples) -> Coefficients:
    """The state that has also seen examples, given their features."""
    z = with_constant(features)
    if examples.mask is not None:
        z = z * examples.mask.unsqueeze(-1)
    return Coefficients(
        state.precision + z.transpose(-1, -2) @ z, state.product + z.transpose(-1, -2) @ gp.widened(examples.y)
    )
