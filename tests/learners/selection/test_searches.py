"""Searches on score tables: the contract, and each against what can be computed another way."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from scipy import stats

from quickstudy.contract import check_learner
from quickstudy.errors import UserError
from quickstudy.evaluation.search.trials import search
from quickstudy.learner import Learner
from quickstudy.learners.past.scores import Past, filled
from quickstudy.learners.search.cold_gp import ColdGP
from quickstudy.learners.search.mixture import Mixture
from quickstudy.learners.search.tpe import TPE
from quickstudy.learners.search.unordered import Unordered
from quickstudy.learners.selection.candidate_gaussian import CandidateGaussian
from quickstudy.learners.selection.deep_kernel_surrogate import DeepKernelSurrogate
from quickstudy.learners.selection.in_context_surrogate import InContextSurrogate
from quickstudy.learners.selection.nearest_datasets import NearestDatasets
from quickstudy.learners.selection.portfolio import Portfolio
from quickstudy.learners.selection.rgpe import RGPE
from quickstudy.learners.selection.safe_transfer import SafeTransfer
from quickstudy.rng import Rng
from quickstudy.task import Examples
from quickstudy.tasks.scores.candidates import Candidates
from quickstudy.tasks.scores.table import ScoreTable

SEARCHES = {
    "random": Unordered,
    "grid": lambda: Unordered(order="grid"),
    "quasi-random": lambda: Unordered(order="quasi-random"),
    "cold-gp": ColdGP,
    "tpe": lambda: TPE(starts=3),
    "portfolio": Portfolio,
    "nearest-datasets": NearestDatasets,
    "rgpe": RGPE,
    "candidate-gaussian": CandidateGaussian,
    "deep-kernel-surrogate": lambda: DeepKernelSurrogate(inputs=2, steps=20),
    "in-context-surrogate": lambda: InContextSurrogate(inputs=2, layers=1, width=16, steps=20),
    "safe-transfer": SafeTransfer,
}


def made_up(datasets: int = 12, candidates: int = 30, *, seed: int = 0) -> ScoreTable:
    """Each data set has its own best place in a square, near that of the others; scores fall with the distance."""
    generator = torch.Generator().manual_seed(seed)
    encoding = torch.rand(candidates, 2, generator=generator, dtype=torch.float64)
    place = 0.6 + 0.1 * torch.randn(datasets, 2, generator=generator, dtype=torch.float64)
    width = 0.1 + 0.3 * torch.rand(datasets, 1, generator=generator, dtype=torch.float64)
    distance = torch.cdist(place, encoding)
    noise = 0.01 * torch.randn(datasets, candidates, generator=generator, dtype=torch.float64)
    scores = 0.9 - width * (distance + noise)
    names = tuple(f"candidate {i}" for i in range(candidates))
    return ScoreTable(
        tuple(f"set {i}" for i in range(datasets)),
        Candidates(names, encoding),
        scores.unsqueeze(2),
        features=place + 0.02,
        feature_names=("across", "up"),
    )


TABLE = made_up()


def fitted(name: str, table: ScoreTable = TABLE) -> Learner:
    learner = SEARCHES[name]()
    learner.meta_fit(table)
    return learner.eval()


@pytest.mark.parametrize("name", SEARCHES)
def test_contract(name: str) -> None:
    tasks = [TABLE.task(i, torch.arange(4) + i) for i in range(3)]
    check_learner(fitted(name, TABLE.without(0).without(0).without(0)), tasks)


@pytest.mark.parametrize("name", SEARCHES)
def test_without_trials_with_one_and_for_unknown_candidates(name: str) -> None:
    learner, x = fitted(name), TABLE.candidates.x
    unknown = x.clone()
    unknown[:, 0] = -1
    assert TABLE.features is not None
    for count in (0, 1):
        state = learner.adapt(Examples(x[:count], TABLE.final[0, :count].unsqueeze(1)), TABLE.features[0], rng=Rng(0))
        for asked in (x, unknown):
            answer = learner.predict(state, asked)
            assert answer.mean.shape == answer.variance.shape == (30, 1)
            assert torch.isfinite(answer.mean).all() and (answer.variance > 0).all()
            assert torch.isfinite(learner.acquire(state, asked, kind="regression")).all()


@pytest.mark.parametrize("name", SEARCHES)
def test_weights_are_saved_and_filled_in(name: str) -> None:
    learner, other = fitted(name), SEARCHES[name]()
    other.load_state_dict(learner.state_dict())
    task = TABLE.task(2, [1, 5, 9])
    answers = [
        one.predict(one.adapt(task.support, task.description, rng=Rng(3)), task.query.x).mean
        for one in (learner, other)
    ]
    assert torch.allclose(*answers, atol=1e-10)  # tensors stored by columns come back by rows


@pytest.mark.parametrize("name", ["portfolio", "candidate-gaussian", "safe-transfer", "rgpe", "nearest-datasets"])
def test_the_past_helps(name: str) -> None:
    regret = []
    for dataset in range(4):
        learner = fitted(name, TABLE.without(dataset))
        regret.append(float(search(learner, TABLE, dataset, trials=4, rng=Rng(0)).regret[-1]))
    assert sum(regret) / 4 < 0.08  # four at random reach about 0.25


def test_improvement_is_that_of_samples() -> None:
    mixture = Mixture(
        torch.tensor([0.3, 0.7]).log(), torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.25]]), torch.zeros(2, 1)
    )
    generator = torch.Generator().manual_seed(0)
    which = (torch.rand(400_000, generator=generator) < 0.7).long()
    drawn = mixture.mean[which, 0] + mixture.variance[which, 0].sqrt() * torch.randn(400_000, generator=generator)
    assert mixture.improvement(torch.tensor(0.5)).item() == pytest.approx(
        (drawn - 0.5).clamp(min=0).mean().item(), abs=3e-3
    )
    mean, variance = mixture.moments()
    assert mean.item() == pytest.approx(drawn.mean().item(), abs=5e-3)
    assert variance.item() == pytest.approx(drawn.var().item(), abs=1e-2)


def test_evidence_is_the_density_of_the_trials_in_any_order() -> None:
    learner = fitted("candidate-gaussian")
    task = TABLE.task(0, [3, 8, 20])
    x, y = task.support.x, task.support.y
    empty = learner.adapt(Examples(x[:0], y[:0]), task.description)
    chained, state = 0.0, empty
    for i in range(3):
        m = learner.mixture(state, x[i : i + 1])
        parts = stats.norm.logpdf(float(y[i]), m.mean[:, 0], (m.variance + m.noise)[:, 0].sqrt())
        chained += math.log((m.log_weight.softmax(0).numpy() * [math.exp(p) for p in parts]).sum())
        state = learner.update(state, Examples(x[i : i + 1], y[i : i + 1]))
    assert float(learner.mixture(state, x[:0]).evidence) == pytest.approx(chained, abs=0.02)


def test_conditioning_is_that_of_a_joint_gaussian() -> None:
    """With one component, against numpy's own linear algebra."""
    learner = fitted("candidate-gaussian")
    learner.set_buffer("log_width", learner.log_width[3:4])
    learner.set_buffer("centre", learner.centre.mean(0, keepdim=True))
    learner.set_buffer("root", learner.root)
    learner.set_buffer("features", learner.features[:0].new_zeros(1, 2))
    x, tried = TABLE.candidates.x, torch.tensor([2, 11])
    known = learner._known
    seen = known.seen(x)
    width, best = float(learner.log_width.exp()), float(learner.best)
    joint = width**2 * (known.covariance(seen, seen) + learner.location + float(learner.noise) * torch.eye(30))
    mean = best + width * learner.centre[0]
    y = TABLE.final[0, tried]
    inner = torch.linalg.inv(joint[tried][:, tried])
    wanted = mean + joint[:, tried] @ inner @ (y - mean[tried])
    state = learner.adapt(Examples(x[tried], y.unsqueeze(1)), None)
    mixture = learner.mixture(state, x)
    first = mixture.mean[int((mixture.variance[:, 0]).argmin())]  # the spread of 1 is the narrowest
    rest = torch.ones(30, dtype=torch.bool)
    rest[tried] = False
    assert torch.allclose(first[rest], wanted[rest], atol=1e-8)


def test_missing_cells_are_filled_by_what_is_like_them() -> None:
    scores = Past.of(TABLE).scores
    known = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1)) > 0.2
    error = (filled(torch.where(known, scores, 0), known) - scores)[~known].square().mean()
    mean = torch.where(known, scores, 0).sum(0) / known.sum(0)
    assert error < 0.25 * (mean - scores)[~known].square().mean()
    learner = CandidateGaussian()
    learner.meta_fit(dataclasses.replace(TABLE, scores=TABLE.scores.masked_fill(~known.unsqueeze(2), torch.nan)))
    assert torch.isfinite(learner.centre).all()


def test_never_tried_candidates_are_told_by_their_encoding() -> None:
    hidden = torch.arange(30) % 3 > 0
    learner = fitted(
        "candidate-gaussian", dataclasses.replace(TABLE, scores=TABLE.scores.masked_fill(hidden[:, None], torch.nan))
    )
    state = learner.adapt(Examples(TABLE.candidates.x[:0], TABLE.final[:1, :0].T), None)
    said = learner.predict(state, TABLE.candidates.x).mean[:, 0]
    assert stats.spearmanr(said[hidden], TABLE.final.mean(0)[hidden]).statistic > 0.8


def test_a_misleading_past_is_dropped() -> None:
    low, high = TABLE.scores.amin(1, keepdim=True), TABLE.scores.amax(1, keepdim=True)
    misled, led = (
        fitted("safe-transfer", dataclasses.replace(TABLE, scores=low + high - TABLE.scores)),
        fitted("safe-transfer"),
    )
    task = TABLE.task(0, torch.arange(10))
    weights = [float(one.adapt(task.support, task.description).transfer_weight) for one in (misled, led)]
    assert weights[0] < 0.2 and weights[1] > 0.8
    state = led.adapt(task.support, task.description)
    told = led.explain(state, TABLE)
    assert "set 0" in {name for name, _ in told.nearest} and "Transfer trusted" in str(told)


def test_another_search_space_falls_back_to_the_cold_search() -> None:
    learner, cold = fitted("safe-transfer"), None
    x = torch.cat([torch.full((6, 1), -1.0), torch.rand(6, 5, generator=torch.Generator().manual_seed(0))], 1).double()
    state = learner.adapt(Examples(x[:3], x[:3, 1:2]), None)
    assert float(state.transfer_weight) == 0 and "goes on without it" in str(learner.explain(state))
    cold = learner.cold.predict(learner.cold.adapt(Examples(x[:3], x[:3, 1:2])), x)
    assert torch.equal(learner.predict(state, x).mean, cold.mean)


def test_what_cannot_be_learned_from_is_refused() -> None:
    flat = dataclasses.replace(TABLE, scores=torch.ones_like(TABLE.scores))
    with pytest.raises(UserError, match="two different scores"):
        CandidateGaussian().meta_fit(flat)
    one = TABLE.select(datasets=[0])
    learner = CandidateGaussian()
    learner.meta_fit(one)  # one past data set is little, but something
    with pytest.raises(UserError, match="meta_fit"):
        CandidateGaussian().adapt(TABLE.task(0, [1]).support)
    with pytest.raises(UserError, match="meta-features"):
        NearestDatasets().meta_fit(dataclasses.replace(TABLE, features=None, feature_names=()))
    with pytest.raises(UserError, match="seconds"):
        Portfolio(per_second=True).meta_fit(TABLE)


def test_seconds_count_in_a_portfolio() -> None:
    cost = torch.ones_like(TABLE.scores)
    plain = fitted("portfolio")
    cost[:, int((plain.rank == 0).nonzero()[0])] = 1e4
    learner = Portfolio(per_second=True)
    learner.meta_fit(dataclasses.replace(TABLE, cost=cost))
    assert int(learner.rank[plain.rank == 0]) > 0
