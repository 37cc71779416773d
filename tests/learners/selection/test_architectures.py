"""Architectures: what a cell looks like, predictions for cells that nobody trained, and the evolution to beat."""

from __future__ import annotations

import itertools
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from quickstudy.contract import check_learner
from quickstudy.errors import BadExamples, UserError
from quickstudy.learners.selection.architectures.cells import encoded_cells, paths
from quickstudy.learners.selection.architectures.evolution import evolve
from quickstudy.learners.selection.architectures.predictor import ArchitecturePredictor
from quickstudy.rng import Rng
from quickstudy.task import Examples
from quickstudy.tasks.scores.candidates import Candidates
from quickstudy.tasks.scores.table import ScoreTable

EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
CELLS = torch.tensor(list(itertools.product(range(3), repeat=6)))  # 729 of them; 0 is no edge


def table(seed: int = 0) -> ScoreTable:
    """Four data sets: good are cells with many of operation 2 on their living paths; each has a scale of its own."""
    generator = torch.Generator().manual_seed(seed)
    encoding = encoded_cells(CELLS, EDGES, kinds=3, absent=0)
    alive = encoding[:, 18:].reshape(729, -1, 4)[:, :4]
    quality = alive[..., 3].sum(1) + 0.5 * alive[..., 2].amax(1)
    noise = 0.3 * torch.randn(4, 729, generator=generator, dtype=torch.float64)
    scale, shift = torch.tensor([[1.0], [2.0], [0.5], [1.5]]), torch.tensor([[90.0], [70.0], [45.0], [60.0]])
    scores = shift + scale * (quality + noise)
    candidates = Candidates(tuple("".join(map(str, cell)) for cell in CELLS.tolist()), encoding)
    return ScoreTable(("a", "b", "c", "d"), candidates, scores.unsqueeze(-1))


def fitted() -> tuple[ArchitecturePredictor, ScoreTable, Tensor]:
    """A predictor that saw a fifth of the cells on three data sets, the whole table, and the hidden cells."""
    whole = table()
    seen, hidden = torch.randperm(729, generator=torch.Generator().manual_seed(1)).split([145, 584])
    learner = ArchitecturePredictor(trees=20)
    learner.meta_fit(whole.without(3).select(candidates=seen))
    return learner, whole, hidden


def test_paths_are_all_ways_through() -> None:
    assert paths(EDGES) == [[3], [0, 4], [1, 5], [0, 2, 5]]
    with pytest.raises(BadExamples, match="No path"):
        paths([(0, 1), (2, 3)])


def test_cells_that_compute_the_same_agree_in_what_the_numbering_does_not_change() -> None:
    """Nodes 1 and 2 swapped, where no edge joins them; and operations on edges that lead nowhere."""
    pair = torch.tensor([[1, 2, 0, 0, 2, 1], [2, 1, 0, 0, 1, 2]])
    one, other = encoded_cells(pair, EDGES, kinds=3, absent=0)
    assert torch.equal(one[-8:], other[-8:])
    dead = torch.tensor([[1, 0, 0, 1, 0, 0], [2, 0, 0, 1, 0, 0]])
    one, other = encoded_cells(dead, EDGES, kinds=3, absent=0)
    assert torch.equal(one[18:], other[18:])


def test_odd_cells_are_refused() -> None:
    with pytest.raises(BadExamples, match=r"operations 0\.\.2"):
        encoded_cells(torch.tensor([[3, 0, 0, 0, 0, 0]]), EDGES, kinds=3, absent=0)


def test_hidden_cells_are_ranked_before_any_was_tried() -> None:
    learner, whole, hidden = fitted()
    x, scores = whole.candidates.x[hidden], whole.final[3, hidden]
    worth = learner.acquire(learner.adapt(Examples(x[:0], x[:0, :1])), x)
    rank = [values.argsort().argsort().double().numpy() for values in (worth, scores)]
    assert np.corrcoef(*rank)[0, 1] > 0.8
    assert scores[worth.topk(10).indices].max() > scores.quantile(0.98)


def test_trials_set_the_scale_and_move_what_looks_alike() -> None:
    learner, whole, hidden = fitted()
    x, scores = whole.candidates.x[hidden], whole.final[3, hidden].unsqueeze(1)
    tried, rest = torch.arange(10), torch.arange(10, 584)
    none = learner.adapt(Examples(x[:0], x[:0, :1]))
    some = learner.adapt(Examples(x[tried], scores[tried]))
    errors = [(learner.predict(state, x[rest]).mean - scores[rest]).square().mean() for state in (none, some)]
    assert errors[1] < 0.5 * errors[0]
    torch.testing.assert_close(learner.predict(some, x[tried]).mean, scores[tried], atol=0.05, rtol=0)
    answer = learner.predict(some, x[rest])
    inside = (answer.mean - scores[rest]).abs() < 1.645 * answer.variance.sqrt()
    assert 0.75 < inside.double().mean() <= 1


def test_it_keeps_the_contract() -> None:
    learner, whole, hidden = fitted()
    check_learner(learner, [whole.select(candidates=hidden[:30]).task(i, range(6)) for i in range(3)])


def test_expected_improvement_is_that_of_a_gaussian() -> None:
    learner, whole, hidden = fitted()
    x = whole.candidates.x[hidden[:40]]
    state = learner.adapt(Examples(x[:3], whole.final[3, hidden[:3]].unsqueeze(1)))
    answer = learner.predict(state, x[3:])
    draws = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sampled = answer.mean[:, 0] + draws * answer.variance[:, 0].sqrt()
    by_hand = (sampled - state.y.max()).clamp(min=0).mean(0)
    torch.testing.assert_close(learner.acquire(state, x[3:]), by_hand, atol=0.05, rtol=0.05)


def test_what_cannot_be_is_said() -> None:
    bare = ScoreTable(("a",), Candidates.named(("x", "y")), torch.zeros(1, 2, 1))
    with pytest.raises(UserError, match="names alone"):
        ArchitecturePredictor().meta_fit(bare)
    with pytest.raises(UserError, match="meta_fit"):
        ArchitecturePredictor().adapt(Examples(torch.zeros(0, 3), torch.zeros(0, 1)))
    with pytest.raises(UserError, match="tournament of 6"):
        next(evolve(float, lambda g: 0, lambda a, g: a, rng=Rng(0), population=5, tournament=6))


def test_evolution_climbs_and_forgets_the_old() -> None:
    def draw(generator: torch.Generator) -> int:
        return int(torch.randint(10, (), generator=generator))

    def mutate(number: int, generator: torch.Generator) -> int:
        return number + int(torch.randint(-1, 2, (), generator=generator))

    steps = list(islice(evolve(float, draw, mutate, rng=Rng(0), population=8, tournament=4), 200))
    assert max(score for _, score in steps[:8]) < 10
    assert min(score for _, score in steps[-20:]) > 20
    assert steps == list(islice(evolve(float, draw, mutate, rng=Rng(0), population=8, tournament=4), 200))
