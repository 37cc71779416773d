"""Trials on score tables, and what is measured of them."""

from __future__ import annotations

import pytest
import torch

from quickstudy.errors import UserError
from quickstudy.evaluation.search.left_out import leave_out
from quickstudy.evaluation.search.trials import search
from quickstudy.learners.search.unordered import Unordered
from quickstudy.learners.selection.portfolio import Portfolio
from quickstudy.rng import Rng
from quickstudy.tasks.scores.candidates import Candidates
from quickstudy.tasks.scores.table import ScoreTable

SCORES = torch.tensor([[0.1, 0.5, 0.9, float("nan")], [0.3, 0.2, 0.1, 0.0], [0.0, 1.0, 0.5, 0.2]], dtype=torch.float64)
TABLE = ScoreTable(("a", "b", "c"), Candidates.named(("p", "q", "r", "s")), SCORES.unsqueeze(2))


def test_regret_is_of_the_best_so_far() -> None:
    found = search(Unordered(order="grid"), TABLE, 0, trials=9, rng=Rng(0))
    assert found.tried.tolist() == [0, 1, 2]  # the fourth has no score
    assert found.regret.tolist() == pytest.approx([1.0, 1.0, 0.5, 0.0])


def test_random_searches_differ_by_seed_and_repeat() -> None:
    runs = [search(Unordered(), TABLE, 2, trials=4, rng=Rng(seed)).tried.tolist() for seed in (0, 0, 1, 2, 3)]
    assert runs[0] == runs[1] and len({tuple(run) for run in runs}) > 1


def test_what_is_left_out_is_not_learned_from() -> None:
    seen: list[tuple[str, ...]] = []

    class Watching(Portfolio):
        def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
            seen.append(table.datasets)
            super().meta_fit(table, rng=rng)

    result = leave_out(Watching, TABLE, trials=3)
    assert seen == [("b", "c"), ("a", "c"), ("a", "b")]
    assert result.regret.shape == (3, 4) and (result.regret[:, 1:].diff(dim=1) <= 0).all()
    grouped = ScoreTable(TABLE.datasets, TABLE.candidates, TABLE.scores, groups=("x", "x", "y"))
    seen.clear()
    leave_out(Watching, grouped, trials=1, datasets=[0])
    assert seen == [("c",)]


def test_seeds_are_averaged_and_pairs_compared() -> None:
    result = leave_out(Unordered, TABLE, trials=3, seeds=4)
    assert torch.allclose(result.by_seed.mean(0), result.regret.mean(0))
    assert result.above(result, 2) == (0.0, 0.0)
    with pytest.raises(UserError, match="different data sets"):
        result.above(leave_out(Unordered, TABLE, trials=3, datasets=[1]), 2)
