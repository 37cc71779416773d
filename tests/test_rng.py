"""Keyed randomness: independent of the batch, uniform, and never the global generator."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from quickstudy.rng import Rng, distinct, forked


@given(st.integers(0, 2**40 - 40), st.integers(1, 30))
def test_an_episodes_numbers_depend_on_its_number_alone(first: int, count: int) -> None:
    episodes = np.arange(first, first + count)
    together = Rng(3, ("a",)).uniform(episodes, 5)
    alone = np.concatenate([Rng(3, ("a",)).uniform(episodes[i : i + 1], 5) for i in range(count)])
    assert np.array_equal(together, alone)
    assert not np.array_equal(together, Rng(3, ("b",)).uniform(episodes, 5))
    assert together.min() >= 0 and together.max() < 1


def test_uniforms_are_uniform_and_uncorrelated() -> None:
    u = Rng(0).uniform(np.arange(20_000), 10)
    assert np.abs(u.mean(0) - 0.5).max() < 0.011 and np.abs(u.var(0) - 1 / 12).max() < 0.003
    assert np.abs(np.corrcoef(u.T) - np.eye(10)).max() < 0.035
    assert np.abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.035
    z = Rng(0).normal(np.arange(20_000), 4)
    assert np.abs(z.mean(0)).max() < 0.035 and np.abs(z.std(0) - 1).max() < 0.025


@given(st.integers(1, 8), st.integers(0, 20), st.integers(0, 10**6))
def test_distinct_numbers_are_distinct_and_in_range(k: int, more: int, seed: int) -> None:
    chosen = distinct(np.random.default_rng(seed).random((50, 2 * k)), np.full(50, k + more))
    assert chosen.min() >= 0 and chosen.max() < k + more
    assert all(len(set(row)) == k for row in chosen.tolist())


def test_every_ordered_choice_is_equally_likely() -> None:
    chosen = distinct(Rng(1).uniform(np.arange(60_000), 4), np.full(60_000, 4))
    counts = np.bincount(chosen[:, 0] * 4 + chosen[:, 1], minlength=16).reshape(4, 4)
    assert np.trace(counts) == 0
    expected = 60_000 / 12
    assert np.abs(counts[~np.eye(4, dtype=bool)] - expected).max() < 5 * expected**0.5


def test_the_global_generator_is_left_as_it_was() -> None:
    before = torch.random.get_rng_state()
    with forked(Rng(5)):
        first = torch.rand(3)
    with forked(Rng(5)):
        assert torch.equal(first, torch.rand(3))
    assert torch.equal(before, torch.random.get_rng_state())
    assert Rng(5).generator().initial_seed() == Rng(5).number
