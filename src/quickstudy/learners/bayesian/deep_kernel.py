"""Deep kernel transfer (Patacchiola et al. 2020, arXiv:1910.05199): a Gaussian process on learned features."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UnknownName, UserError
from ...functional.solvers import gp
from ...learner import metric
from ...outputs import Gaussian, Output
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task
from ..embeds import Embeds, feature_length

KERNELS = ("rbf", "linear", "cosine", "tanimoto", "spectral")
LEAST_NOISE = 1e-6  # variance; below it a covariance of neighbours would have no Cholesky factor in float64 either


@pytree
class Posterior:
    """A Gaussian process that has seen n examples.

    Args:
        features: (n, d) of the examples.
        factor: (n, n) lower Cholesky factor of the covariance of their targets.
        whitened: (n, k) the targets multiplied by its inverse, so that more examples are only appended.
        seen: (ways,) whether a class had an example; None for a regression.
    """

    features: Tensor
    factor: Tensor
    whitened: Tensor
    seen: Tensor | None = None


class DeepKernel(Embeds):
    """Exact Gaussian-process regression on the features of a net; net and kernel are trained by marginal likelihood.

    Unlike MAML nothing is adapted but the posterior, in closed form, and an answer says how sure it is. The objective
    is the published one, that of the authors' code: minus the log marginal likelihood of support and query together,
    divided by their number; so queries have no part of their own in training. The process has mean zero, and several
    targets are independent functions that share the kernel.

    Classes are regressed on, +1 for an example's own class and -1 for the others. The logit 2 mean / variance of a
    class is the difference of the predictive log densities of +1 and -1, so the softmax is the exact probability of
    each class under the model, given that one class is right. The paper takes the largest mean: the same class.

    Covariances are float64 whatever the net is. In training the examples of all tasks of a meta-batch go through the
    encoder together; in evaluation batch norm uses running statistics.

    Args:
        encoder: (n, *feature) -> (n, d).
        kernel: 'rbf', 'linear', 'cosine' (linear on features of length one, the paper's best on images), 'tanimoto'
            (common bits, for fingerprints of molecules: with `nn.Flatten()` for an encoder) or 'spectral' (a mixture
            in the frequencies, for functions that go on repeating themselves).
        lengthscale: where that of 'rbf' begins, in units of the features. The frequencies of 'spectral' begin as random
            draws from the spectral density of this 'rbf'.
        scale: where the standard deviation of the functions begins.
        noise: where the standard deviation of targets around the function begins.
        mixtures: Gaussians of 'spectral'.
        features: d, for 'spectral'; when None, what the encoder says.

    Raises:
        UnknownName: no such kernel.
        UserError: a lengthscale, scale, noise or number of mixtures that is not above zero; 'spectral' with an encoder
            that does not say how long its features are.

    >>> learner = DeepKernel(nn.Flatten(), noise=0.1)
    >>> state = learner.adapt(Examples(torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])))
    >>> answer = learner.predict(state, torch.tensor([[0.5], [9.0]]))
    >>> [round(mean, 2) for mean in answer.mean.flatten().tolist()]
    [1.64, 0.0]
    >>> [round(variance, 2) for variance in answer.variance.flatten().tolist()]
    [0.05, 1.01]
    """

    State = Posterior
    kinds = ("classification", "regression")

    def __init__(
        self,
        encoder: nn.Module,
        *,
        kernel: str = "rbf",
        lengthscale: float = 1.0,
        scale: float = 1.0,
        noise: float = 0.1,
        mixtures: int = 4,
        features: int | None = None,
    ):
        super().__init__()
        if kernel not in KERNELS:
            raise UnknownName.among("kernel", kernel, KERNELS)
        for name, value in (("lengthscale", lengthscale), ("scale", scale), ("noise", noise), ("mixtures", mixtures)):
            if not 0 < value < math.inf:
                raise UserError(f"{name} is {value}; it must be above zero.")
        self.encoder, self.kernel, self.lengthscale, self.scale = encoder, kernel, lengthscale, scale
        self.noise, self.mixtures, self.features = noise, mixtures, features
        self.log_noise = nn.Parameter(torch.tensor(math.log(noise)))
        if kernel == "spectral":
            d, frequency = feature_length(encoder, features), 1 / (2 * math.pi * lengthscale)
            self.log_weights = nn.Parameter(torch.full((mixtures,), math.log(scale**2 / mixtures)))
            self.means = nn.Parameter(frequency * torch.randn(mixtures, d))
            self.log_deviations = nn.Parameter(torch.full((mixtures, d), math.log(frequency)))
        else:
            self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        if kernel == "rbf":
            self.log_lengthscale = nn.Parameter(torch.tensor(math.log(lengthscale)))

    def covariance(self, a: Float[Tensor, "... n d"], b: Float[Tensor, "... m d"]) -> Float[Tensor, "... n m"]:
        """Prior covariance of the function at two lists of features."""
        if self.kernel == "spectral":
            return gp.spectral(a, b, self.log_weights.exp(), self.means, self.log_deviations.exp())
        variance = gp.widened((2 * self.log_scale).exp())
        if self.kernel == "rbf":
            return variance * gp.rbf(a, b, self.log_lengthscale.exp())
        if self.kernel == "tanimoto":
            return variance * gp.tanimoto(a, b)
        if self.kernel == "cosine":
            a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
        return variance * gp.linear(a, b)

    @property
    def variance_of_noise(self) -> Float[Tensor, ""]:
        """Variance of targets around the function."""
        return gp.widened((2 * self.log_noise).exp()) + LEAST_NOISE

    def remember(self, z: Float[Tensor, "n d"], support: Examples) -> Posterior:
        factor = gp.cholesky(gp.noisy(self.covariance(z, z), self._noise_of(support)))
        return Posterior(z, factor, gp.whiten(factor, targets(support)), seen(support))

    def answer(self, state: Posterior, z: Float[Tensor, "q d"]) -> Output:
        alone = z.unsqueeze(-2)
        prior = self.covariance(alone, alone).flatten()
        across = self.covariance(state.features, z)
        mean, variance = gp.conditional(state.factor, state.whitened, across, prior)
        variance = (variance + self.variance_of_noise).unsqueeze(-1).expand_as(mean)
        if state.seen is None:
            return Gaussian(mean.to(z.dtype), variance.to(z.dtype))
        return torch.where(state.seen, 2 * mean / variance, -torch.inf).to(z.dtype)

    def update(self, state: Posterior, examples: Examples) -> Posterior:
        n, more = len(state.features), self.embed(examples.x)
        own = gp.noisy(self.covariance(more, more), self._noise_of(examples))
        factor = gp.extended(state.factor, self.covariance(state.features, more), own)
        whitened = gp.whiten(factor[n:, n:], targets(examples) - factor[n:, :n] @ state.whitened)
        classes = seen(examples)
        if state.seen is not None and classes is not None:
            classes = state.seen | classes
        return Posterior(torch.cat([state.features, more]), factor, torch.cat([state.whitened, whitened]), classes)

    def _noise_of(self, examples: Examples) -> Tensor:
        """Variance of noise of each example; so large that it says nothing for padding."""
        if examples.mask is None:
            return self.variance_of_noise
        return torch.where(examples.mask, self.variance_of_noise, 1e30)

    def embedded_loss(self, task: Task, rng: Rng | None = None) -> tuple[Tensor, Tensor]:
        del rng
        every = task.support.followed_by(task.query)
        evidence = gp.log_marginal(self.covariance(every.x, every.x), targets(every), self.variance_of_noise)
        with torch.no_grad():
            output = self.answer(self.remember(task.support.x, task.support), task.query.x)
        return -evidence / len(every), metric(output, task.query).detach()


def targets(examples: Examples) -> Float[Tensor, "n k"]:
    """What the process is to run through, in float64: the targets, or +1 for the own class and -1 for the others."""
    if examples.ways is None:
        return gp.widened(examples.y)
    return gp.widened(2.0 * F.one_hot(examples.y, examples.ways) - 1)


def seen(examples: Examples) -> Tensor | None:
    """(ways,) whether a class has an example; None for a regression."""
    if examples.ways is None:
        return None
    member = F.one_hot(examples.y, examples.ways) > 0
    return (member if examples.mask is None else member & examples.mask.unsqueeze(-1)).any(0)
