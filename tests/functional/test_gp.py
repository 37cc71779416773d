"""Gaussian processes against scipy, closed forms and finite differences."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from quickstudy.functional.solvers import gp
from quickstudy.rng import Rng


def normal(*shape: int, key: str = "x") -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=Rng(0).at(key).generator())


KERNELS = {
    "rbf": partial(gp.rbf, lengthscale=0.7),
    "matern52": partial(gp.matern52, lengthscale=0.7),
    "periodic": partial(gp.periodic, lengthscale=0.7, period=1.3),
    "linear": gp.linear,
    "spectral": partial(
        gp.spectral,
        weights=torch.tensor([0.5, 2.0]),
        means=0.3 * normal(2, 3, key="m"),
        deviations=0.2 * normal(2, 3, key="d").abs(),
    ),
}


def by_hand(name: str, x: Tensor, z: Tensor) -> float:
    """One covariance, written out with numbers."""
    t = (x - z).numpy()
    r = float(np.sqrt((t**2).sum()))
    if name == "rbf":
        return math.exp(-(r**2) / (2 * 0.7**2))
    if name == "matern52":
        s = math.sqrt(5) * r / 0.7
        return (1 + s + s * s / 3) * math.exp(-s)
    if name == "periodic":
        return math.exp(-2 * sum(math.sin(math.pi * c / 1.3) ** 2 for c in t) / 0.7**2)
    if name == "linear":
        return float(x @ z)
    found = 0.0
    for w, m, s in zip(
        *(KERNELS["spectral"].keywords[k].numpy() for k in ("weights", "means", "deviations")), strict=True
    ):
        found += float(w) * math.exp(-2 * math.pi**2 * ((t * s) ** 2).sum()) * math.cos(2 * math.pi * (t @ m))
    return float(found)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_what_its_formula_says(name: str) -> None:
    x, z = normal(5, 3), normal(4, 3, key="z")
    k = KERNELS[name](x, z)
    assert k.dtype == torch.float64
    for i in range(5):
        for j in range(4):
            assert k[i, j].item() == pytest.approx(by_hand(name, x[i], z[j]), abs=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_a_covariance_over_any_leading_dimensions_and_under_vmap(name: str) -> None:
    x = normal(2, 6, 3)
    k = KERNELS[name](x, x)
    torch.testing.assert_close(k, k.mT)
    assert bool((torch.linalg.eigvalsh(k) > -1e-12).all())
    torch.testing.assert_close(k, torch.stack([KERNELS[name](one, one) for one in x]))
    torch.testing.assert_close(k, torch.func.vmap(KERNELS[name])(x, x))


@pytest.mark.parametrize("name", KERNELS)
def test_the_gradient_of_a_kernel_is_right_and_finite_where_points_coincide(name: str) -> None:
    x, z = normal(3, 3).requires_grad_(), normal(2, 3, key="z").requires_grad_()
    assert torch.autograd.gradcheck(KERNELS[name], (x, z))
    KERNELS[name](x, x).sum().backward()
    assert bool(torch.isfinite(x.grad).all())


def test_scales_may_differ_within_a_batch() -> None:
    x, scales = normal(2, 4, 3), torch.tensor([0.5, 2.0]).reshape(2, 1, 1)
    for kernel in (gp.rbf, gp.matern52, partial(gp.periodic, period=scales)):
        found = kernel(x, x, scales)
        for i, scale in enumerate((0.5, 2.0)):
            other = partial(gp.periodic, period=scale) if isinstance(kernel, partial) else kernel
            torch.testing.assert_close(found[i], other(x[i], x[i], scale))


def test_a_spectral_density_without_width_is_a_wave() -> None:
    x = torch.linspace(0, 3, 7).unsqueeze(1)
    k = gp.spectral(x, x, torch.ones(1), torch.ones(1, 1), torch.zeros(1, 1))
    torch.testing.assert_close(k, torch.cos(2 * math.pi * (x - x.T)).double(), atol=1e-6, rtol=0)


def test_the_marginal_likelihood_is_scipys() -> None:
    x, y, noise = normal(6, 2), normal(6, 3, key="y"), torch.rand(6, generator=Rng(0).generator()) + 0.1
    k = gp.rbf(x, x, 0.8)
    for variance in (0.3, noise):
        covariance = k.numpy() + np.diag(np.broadcast_to(np.asarray(variance, dtype=float), 6))
        truth = sum(multivariate_normal(np.zeros(6), covariance).logpdf(y[:, i].numpy()) for i in range(3))
        assert gp.log_marginal(k, y, variance).item() == pytest.approx(truth, abs=1e-10)


def test_the_posterior_is_the_conditional_of_the_joint_normal() -> None:
    x, z, y, noise = normal(5, 2), normal(4, 2, key="z"), normal(5, 3, key="y"), 0.2
    k_ss, k_sq, k_qq = gp.matern52(x, x, 1.1), gp.matern52(x, z, 1.1), gp.matern52(z, z, 1.1)
    mean, variance = gp.posterior(k_ss, k_sq, k_qq.diagonal(), y, noise)
    inverse = torch.linalg.inv(k_ss + noise * torch.eye(5))
    torch.testing.assert_close(mean, k_sq.T @ inverse @ y)
    torch.testing.assert_close(variance, (k_qq - k_sq.T @ inverse @ k_sq).diagonal())
    # The chain rule of probability ties the two functions together: p(y, y*) = p(y) p(y* | y).
    both, more = torch.cat([x, z[:1]]), normal(1, 3, key="more")
    joint = gp.log_marginal(gp.matern52(both, both, 1.1), torch.cat([y, more]), noise)
    density = torch.distributions.Normal(mean[0], (variance[0] + noise).sqrt()).log_prob(more[0]).sum()
    torch.testing.assert_close(joint, gp.log_marginal(k_ss, y, noise) + density)


def test_batches_and_vmap_give_what_single_ones_give() -> None:
    x, z, y, noise = normal(3, 5, 2), normal(3, 4, 2, key="z"), normal(3, 5, 1, key="y"), normal(3, 5, key="n").abs()
    given = gp.rbf(x, x, 1.0), gp.rbf(x, z, 1.0), torch.ones(3, 4), y, noise
    single = [gp.posterior(*(part[i] for part in given)) for i in range(3)]
    for found in (gp.posterior(*given), torch.func.vmap(gp.posterior)(*given)):
        for part, ones in zip(found, zip(*single, strict=True), strict=True):
            torch.testing.assert_close(part, torch.stack(ones))
    evidence = torch.stack([gp.log_marginal(given[0][i], y[i], noise[i]) for i in range(3)])
    torch.testing.assert_close(gp.log_marginal(given[0], y, noise), evidence)
    torch.testing.assert_close(torch.func.vmap(gp.log_marginal)(given[0], y, noise), evidence)


def test_the_gradient_of_the_marginal_likelihood_is_right() -> None:
    x, y = normal(4, 2).requires_grad_(), normal(4, 2, key="y").requires_grad_()
    noise = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, y, noise: gp.log_marginal(gp.rbf(x, x, 1.0), y, noise), (x, y, noise))


def test_float32_is_widened_and_many_points_in_one_place_have_a_factor() -> None:
    x = torch.zeros(50, 1)
    k = gp.rbf(x, x, 1.0)
    evidence = gp.log_marginal(k, torch.zeros(50, 1), 1e-6)
    assert evidence.dtype == torch.float64
    # Closed form: one eigenvalue is 50 + noise, the others are noise.
    truth = -0.5 * (math.log(50 + 1e-6) + 49 * math.log(1e-6) + 50 * math.log(2 * math.pi))
    assert evidence.item() == pytest.approx(truth, rel=1e-7)


def test_jitter_is_added_only_where_it_is_needed_and_no_more_than_needed() -> None:
    fine = gp.rbf(normal(6, 2), normal(6, 2), 1.0) + 0.1 * torch.eye(6)
    singular = torch.ones(6, 6, dtype=torch.float64) - 1e-9 * torch.eye(6)
    factors = gp.cholesky(torch.stack([fine, singular]))
    torch.testing.assert_close(factors[0], torch.linalg.cholesky(fine), atol=0, rtol=0)
    added = (factors[1] @ factors[1].T - singular).diagonal()
    assert bool(torch.isfinite(factors[1]).all())
    assert bool(((added > 5e-8) & (added < 2e-7)).all())
    torch.testing.assert_close(torch.func.vmap(gp.cholesky)(torch.stack([fine, singular])), factors)
    gradient = torch.func.vmap(torch.func.grad(lambda k: gp.cholesky(k).diagonal().log().sum()))
    assert bool(torch.isfinite(gradient(torch.stack([fine, singular]))).all())


def test_a_factor_that_grows_is_the_factor_of_all() -> None:
    x = normal(7, 2)
    k = gp.noisy(gp.rbf(x, x, 1.0), 0.1)
    grown = gp.extended(gp.cholesky(k[:4, :4]), k[:4, 4:], k[4:, 4:])
    torch.testing.assert_close(grown, gp.cholesky(k))
    torch.testing.assert_close(gp.extended(grown[:4, :4], k[:4, 4:], k[4:, 4:]), grown)
