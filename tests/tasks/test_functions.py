"""Tasks that are functions: the curves are what they are said to be, and an episode is the same in every batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quickstudy.errors import UnknownName, UserError
from quickstudy.pytree import tree_leaves
from quickstudy.task import Task, check_task, take, trim
from quickstudy.tasks.functions import Functions, Sinusoids
from quickstudy.tasks.gp_draws import GPDraws

SOURCES: list[Functions] = [Sinusoids(noise=0.1), GPDraws("rbf"), GPDraws("matern52"), GPDraws("periodic")]
# As in TNP-pytorch, regression/data/gp.py, where the upper ends 47 and 50 - shots are excluded.
TNP: dict[str, Any] = {"shots": (3, 46), "queries": (3, 46), "points": 49}


def same(a: Task, b: Task) -> bool:
    return all(torch.equal(x, y) for x, y in zip(tree_leaves(a), tree_leaves(b), strict=True))


@pytest.mark.parametrize("source", SOURCES)
def test_tasks_are_regressions(source: Functions) -> None:
    tasks = source.replaced(shots=5, queries=100).sample(3, 4)
    for side, n in ((tasks.support, 5), (tasks.query, 100)):
        assert side.x.shape == side.y.shape == (4, n, 1)
        assert side.x.dtype == side.y.dtype == torch.float32
        assert side.x.min() >= source.x[0]
        assert side.x.max() <= source.x[1]
    assert tasks.ways is None
    assert tasks.origin is None
    assert tasks.kind == source.kind == "regression"
    check_task(take(tasks, 0))


@pytest.mark.parametrize("source", SOURCES)
@settings(deadline=None, max_examples=25)
@given(first=st.integers(0, 2**30), count=st.integers(1, 9), which=st.integers(0, 8), shots=st.integers(1, 40))
def test_an_episode_is_the_same_in_every_batch(
    source: Functions, first: int, count: int, which: int, shots: int
) -> None:
    source, which = source.replaced(shots=shots), which % count
    alone = source.sample(first + which, 1)
    assert same(take(source.sample(first, count), which), take(alone, 0))


@pytest.mark.parametrize("source", SOURCES)
def test_seeds_splits_and_episodes_differ(source: Functions) -> None:
    ys = [s.sample(0, 2).query.y for s in (source, source.replaced(seed=1), source.validation, source.test)]
    rows = torch.cat(ys).flatten(1)
    assert len(torch.unique(rows, dim=0)) == len(rows) == 8


@pytest.mark.parametrize("source", SOURCES)
def test_other_queries_leave_the_support_as_it_is(source: Functions) -> None:
    few, many = source.sample(0, 3), source.replaced(queries=200).sample(0, 3)
    assert torch.equal(few.support.x, many.support.x)
    # The covariance is larger, and so its factor is rounded otherwise.
    torch.testing.assert_close(few.support.y, many.support.y, atol=1e-5, rtol=0)


def test_manifests_know_functions_by_content() -> None:
    source = GPDraws(shots=2, queries=2)
    assert source.manifest(7, batch=3) == source.manifest(7, batch=7)
    assert source.manifest(7) != source.replaced(noise=0.03).manifest(7)


@pytest.mark.parametrize("source", [Sinusoids(noise=0.1, **TNP), GPDraws("matern52", **TNP)])
@settings(deadline=None, max_examples=15)
@given(first=st.integers(0, 2**30), count=st.integers(1, 9), which=st.integers(0, 8))
def test_a_ragged_episode_is_the_same_in_every_batch(source: Functions, first: int, count: int, which: int) -> None:
    which = which % count
    assert same(take(source.sample(first, count), which), take(source.sample(first + which, 1), 0))
    assert source.manifest(3, first=first, batch=1) == source.manifest(3, first=first, batch=3)


def test_sizes_are_those_of_the_protocol() -> None:
    tasks = Sinusoids(**TNP).sample(0, 5_000)
    assert tasks.support.x.shape == tasks.query.y.shape == (5_000, 46, 1)
    shots, queries = tasks.support.mask.sum(1), tasks.query.mask.sum(1)
    counts = torch.bincount(shots, minlength=47)[3:].double()
    assert len(counts) == 44
    assert (counts - 5_000 / 44).abs().max() < 5 * math.sqrt(5_000 / 44)
    assert (queries >= 3).all()
    assert (queries <= 49 - shots).all()
    middle = queries[(shots >= 20) & (shots <= 24)]
    assert middle.double().mean() == pytest.approx((3 + 27) / 2, abs=1.5)
    for side in (tasks.support, tasks.query):
        assert torch.equal(side.mask, side.mask.sort(1, descending=True).values)
        assert not side.x[~side.mask].any()
        assert not side.y[~side.mask].any()


def test_ragged_points_lie_on_one_function() -> None:
    source = Sinusoids(shots=(1, 9), queries=(2, 30))
    tasks, truth = source.sample(5, 200), source.truth(5, 200)
    assert torch.equal(truth["noise"], torch.zeros(200, dtype=torch.float64))
    for side in (tasks.support, tasks.query):
        curve = truth["amplitude"][:, None, None] * torch.sin(side.x.double() - truth["phase"][:, None, None])
        torch.testing.assert_close(side.y.double()[side.mask], curve[side.mask], atol=1e-5, rtol=0)
        assert len(torch.unique(side.x[side.mask])) == int(side.mask.sum())


def test_one_range_makes_the_other_side_no_shorter() -> None:
    tasks = GPDraws(shots=5, queries=(1, 4)).sample(0, 50)
    assert tasks.support.mask.all()
    assert set(tasks.query.mask.sum(1).tolist()) == {1, 2, 3, 4}
    check_task(trim(take(tasks, 0)))


@pytest.mark.parametrize("kernel", ["rbf", "matern52", "periodic"])
def test_draws_of_known_numbers_are_white_under_them(kernel: Any) -> None:
    source = GPDraws(kernel, period=(0.8, 1.6), noise=0.1, **TNP)
    truth = source.truth(0, 300)
    squares, points = 0.0, 0
    for i in range(300):
        task = trim(take(source.sample(i, 1), 0))
        x = torch.cat([task.support.x, task.query.x]).double()[:, 0].numpy()
        y = torch.cat([task.support.y, task.query.y]).double().numpy()
        own = {name: float(value[i]) for name, value in truth.items()}
        k = covariance(kernel, np.abs(x[:, None] - x), **own)
        squares += float((y * np.linalg.solve(k + 0.1**2 * np.eye(len(x)), y)).sum())
        points += len(x)
    assert squares / points == pytest.approx(1, abs=5 * math.sqrt(2 / points))


def test_a_sinusoid_with_fixed_options_is_that_sine() -> None:
    side = Sinusoids(amplitude=2, phase=0.5, x=(0, 1)).sample(0, 5).query
    torch.testing.assert_close(side.y, 2 * torch.sin(side.x - 0.5))


def test_amplitudes_and_phases_are_uniform() -> None:
    query = Sinusoids(queries=30).sample(0, 4000).query
    x, y = query.x[..., 0].double(), query.y.double()
    weights = torch.linalg.lstsq(torch.stack([x.sin(), x.cos()], -1), y).solution[..., 0]
    amplitude, phase = weights.norm(dim=1), torch.atan2(-weights[:, 1], weights[:, 0])
    for found, low, high in ((amplitude, 0.1, 5.0), (phase, 0.0, math.pi)):
        part = (found - low) / (high - low)
        assert part.min() > -1e-4
        assert part.max() < 1 + 1e-4
        deciles = torch.histc(part.float(), 10, 0, 1)
        assert (deciles - 400).abs().max() < 5 * math.sqrt(400 * 0.9)


def test_noise_has_the_deviation_it_is_given() -> None:
    source = Sinusoids(queries=50)
    difference = source.replaced(noise=0.3).sample(0, 400).query.y - source.sample(0, 400).query.y
    assert difference.std() == pytest.approx(0.3, rel=0.02)
    assert abs(difference.mean()) < 0.01


def covariance(
    kernel: str, d: np.ndarray, lengthscale: float = 0.5, scale: float = 0.8, period: float = 1.5, noise: float = 0.0
) -> np.ndarray:
    """Written down anew, without the noise."""
    if kernel == "rbf":
        k = np.exp(-(d**2) / (2 * lengthscale**2))
    elif kernel == "matern52":
        k = (1 + math.sqrt(5) * d / lengthscale + 5 * d**2 / (3 * lengthscale**2)) * np.exp(
            -math.sqrt(5) * d / lengthscale
        )
    else:
        k = np.exp(-2 * np.sin(math.pi * d / period) ** 2 / lengthscale**2)
    return scale**2 * k


@pytest.mark.parametrize("kernel", ["rbf", "matern52", "periodic"])
def test_draws_have_the_covariance_of_their_kernel(kernel: Any) -> None:
    tasks = GPDraws(kernel, lengthscale=0.5, scale=0.8, period=1.5, noise=0.1, shots=4, queries=6).sample(0, 3000)
    x = torch.cat([tasks.support.x, tasks.query.x], 1)[..., 0].double().numpy()
    y = torch.cat([tasks.support.y, tasks.query.y], 1).double().numpy()
    k = covariance(kernel, np.abs(x[:, :, None] - x[:, None, :])) + 0.1**2 * np.eye(10)
    white = np.linalg.solve(np.linalg.cholesky(k), y)[..., 0]  # independent and standard normal, if it is so
    np.testing.assert_allclose(np.cov(white.T), np.eye(10), atol=0.13)
    np.testing.assert_allclose(white.mean(0), 0, atol=0.09)


def test_many_close_points_can_be_drawn() -> None:
    tasks = GPDraws(lengthscale=50.0, x=(0, 0.001), shots=100, queries=300, noise=0).sample(0, 2)
    assert torch.isfinite(tasks.query.y).all()


def test_lengthscales_and_scales_are_drawn_anew_in_every_episode() -> None:
    deviations = GPDraws("periodic", lengthscale=0.2, scale=(0.1, 2.0), queries=300).sample(0, 50).query.y.std(1)
    assert deviations.max() > 1.5
    assert deviations.min() < 0.4


def test_a_result_says_what_differs_from_the_default() -> None:
    assert Sinusoids(seed=3, split="test").protocol == {"source": "sinusoids", "shots": 10, "queries": 10}
    told = GPDraws("periodic", shots=5, period=(1.0, 2.0)).protocol
    assert told == {"source": "gp-draws", "shots": 5, "queries": 10, "kernel": "periodic", "period": (1.0, 2.0)}


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (Sinusoids, {"shots": 0}, "shots is 0"),
        (Sinusoids, {"queries": 2.5}, "queries is 2.5"),
        (Sinusoids, {"shots": (5, 3)}, r"shots is \(5, 3\)"),
        (Sinusoids, {"queries": (1, 2, 3)}, "a pair"),
        (Sinusoids, {"shots": (1, 20), "queries": (5, 10), "points": 24}, "points is 24; .* at least 25"),
        (Sinusoids, {"noise": -1.0}, "noise is -1.0"),
        (Sinusoids, {"x": (1.0, 1.0)}, "all functions look alike"),
        (Sinusoids, {"amplitude": (5.0, 0.1)}, r"amplitude is \(5.0, 0.1\)"),
        (Sinusoids, {"phase": math.nan}, "phase is nan"),
        (GPDraws, {"scale": 0.0}, "scale is 0.0; it must be above 0"),
        (GPDraws, {"lengthscale": (0.1, 0.2, 0.3)}, "a pair"),
    ],
)
def test_options_that_make_no_sense(source: type[Functions], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        source(**options)


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'matern52'"):
        GPDraws("matern32")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="split 'val'"):
        Sinusoids().of("val")
    with pytest.raises(UnknownName, match="Did you mean 'amplitude'"):
        Sinusoids().replaced(amplitudes=1.0)
