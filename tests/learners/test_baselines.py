"""Baselines keep the promises of every learner, and their closed forms and solvers are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.engine.mapping import map_tasks
from quickstudy.engine.plan import Plan
from quickstudy.errors import BadExamples, UnknownName, UserError
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.functional.batch_norm import call
from quickstudy.functional.distances import squared_euclidean
from quickstudy.functional.solvers.logistic import logistic
from quickstudy.functional.solvers.ridge import ridge
from quickstudy.learner import Learner
from quickstudy.learners.baseline.finetuned import FineTuned
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.baseline.majority import Majority
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.baseline.pooled import Pooled
from quickstudy.learners.baseline.scratch import FromScratch
from quickstudy.learners.baseline.trees import Trees
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.standardised import Standardised
from quickstudy.loops.meta_train import meta_train
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, pad, stack
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.functions import Sinusoids
from quickstudy.tasks.pool import Pool
from quickstudy.tasks.source import TaskSource


def net(outputs: int = 3, *, inputs: int = 8, norm: bool = False) -> nn.Module:
    layers = [nn.Linear(inputs, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.ReLU(), nn.Linear(6, outputs)]
    return nn.Sequential(*layers)


BOTH = ["classification", "regression"]
LEARNERS: dict[str, tuple[Callable[[], Learner], list[str]]] = {
    "nearest": (lambda: NearestNeighbour(), BOTH),
    "nearest, encoder, k": (lambda: NearestNeighbour(net(4, norm=True), k=3, distance=squared_euclidean), BOTH),
    "linear": (lambda: LinearProbe(), BOTH),
    "linear, encoder": (lambda: LinearProbe(net(4, norm=True), normalise=False), BOTH),
    "scratch": (lambda: FromScratch(net(), steps=5), BOTH),
    "scratch, norm": (lambda: FromScratch(net(norm=True), steps=3, rule="sgd"), BOTH),
    "scratch, transductive": (lambda: FromScratch(net(norm=True), steps=3, statistics="batch"), BOTH),
    "baseline++": (lambda: FineTuned(net(4, norm=True), 12, features=4, steps=5), ["classification"]),
    "pooled": (lambda: Pooled(net(norm=True)), BOTH),
    "pooled, fine-tuned": (lambda: Pooled(net(), steps=3), BOTH),
    "trees": (lambda: Trees(rounds=5, leaf=1), BOTH),
    "majority": (lambda: Majority(), BOTH),
    "standardised": (lambda: Standardised(MAML(net(), steps=2), outputs=3), ["regression"]),
    "standardised majority": (lambda: Standardised(Majority(), outputs=3), ["regression"]),
}


def made(name: str) -> Learner:
    with forked(Rng(0)):
        return LEARNERS[name][0]()


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n, (_, kinds) in LEARNERS.items() for k in kinds])
def test_contract(name: str, kind: str) -> None:
    # Baseline++ has to know which classes of the pool a task has.
    tasks = clouds(shots=4, queries=2) if name == "baseline++" else None
    found = check_learner(made(name), tasks, kind=kind)
    assert all(f.passed is not False for f in found)


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n, (_, kinds) in LEARNERS.items() for k in kinds])
def test_vectorised_equals_looped_and_padding_changes_nothing(name: str, kind: str) -> None:
    learner = made(name).double().eval()
    each = [
        Task(*(Examples(s.x.double(), s.y if s.ways else s.y.double(), ways=s.ways) for s in (t.support, t.query)))
        for t in made_up_tasks(kind)
    ]
    tasks = stack(each)

    def ask(task: Task, rng: Rng | None) -> Tensor:
        return learner.predict(learner.adapt(task.support), task.query.x)

    looped = map_tasks(ask, tasks, Plan("loop", 1, ""))
    if not learner.one_by_one:
        assert torch.allclose(torch.func.vmap(lambda t: ask(t, None))(tasks), looped, rtol=1e-10, atol=1e-10)
    padded = pad([each[0], Task(each[1].support.followed_by(each[1].query), each[1].query)])
    assert torch.allclose(map_tasks(ask, padded, Plan("loop", 1, ""))[0], looped[0], atol=1e-12)


# Solvers.


def cloud(n: int, d: int, ways: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % ways
    return torch.randn(n, d, dtype=torch.float64, generator=generator) + F.one_hot(y, d), y


def slopes(x: Tensor, y: Tensor, ways: int, penalty: float, weights: Tensor, intercept: Tensor) -> float:
    wrong = (x @ weights + intercept).softmax(1) - F.one_hot(y, ways)
    return float(torch.cat([x.T @ wrong + penalty * weights, wrong.sum(0, keepdim=True)]).abs().max())


@pytest.mark.parametrize("penalty", [1.0, 1e-3])
@pytest.mark.parametrize(
    ("n", "d", "ways"), [(5, 784, 5), (25, 200, 5), (40, 60, 20), (60, 6, 3), (1, 9, 1), (6, 9, 2)]
)
def test_logistic_ends_where_the_gradient_is_zero(n: int, d: int, ways: int, penalty: float) -> None:
    x, y = cloud(n, d, ways)
    weights, intercept = logistic(x, y, ways, penalty)
    assert slopes(x, y, ways, penalty, weights, intercept) < 1e-9
    assert abs(float(intercept.sum())) < 1e-8
    # A number in single precision comes as near as single precision can.
    single = logistic(x.float(), y, ways, penalty)[0].double()
    assert single.dtype == torch.float64 and float((single - weights).abs().max()) < 1e-4 * float(
        1 + weights.abs().max()
    )


@pytest.mark.parametrize(("n", "d"), [(12, 20), (30, 4)])
def test_logistic_agrees_with_scipy(n: int, d: int) -> None:
    ways, penalty = 3, 0.3
    x, y = cloud(n, d, ways)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = torch.tensor(flat).view(d + 1, ways).requires_grad_()
        loss = F.cross_entropy(x @ w[:-1] + w[-1], y, reduction="sum") + penalty / 2 * w[:-1].square().sum()
        (gradient,) = torch.autograd.grad(loss, w)
        return loss.item(), gradient.flatten().numpy()

    # Tolerances that can't be met, so that it goes on to the end.
    best = minimize(
        objective, np.zeros((d + 1) * ways), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}
    )
    expected = torch.tensor(best.x).view(d + 1, ways)
    weights, intercept = logistic(x, y, ways, penalty)
    assert torch.allclose(weights, expected[:-1], atol=1e-6)
    assert torch.allclose(intercept, expected[-1] - expected[-1].mean(), atol=1e-6)


def test_logistic_masks_and_missing_classes() -> None:
    x, y = cloud(12, 30, 3)
    mask = torch.arange(12) < 7
    mixed = torch.where(mask.unsqueeze(1), x, 1e6), torch.where(mask, y, 2)
    for got, want in zip(logistic(*mixed, 3, 0.5, mask), logistic(x[:7], y[:7], 3, 0.5), strict=True):
        assert torch.allclose(got, want, atol=1e-9)
    weights, intercept = logistic(x[y < 2], y[y < 2], 4, 0.5)
    assert intercept.isinf().tolist() == [False, False, True, True] and not bool(weights[:, 2:].any())
    few, _ = logistic(x[y < 2], y[y < 2], 2, 0.5)
    assert torch.allclose(weights[:, :2], few, atol=1e-10)


@pytest.mark.parametrize(("n", "d"), [(6, 20), (30, 4)])
def test_ridge_is_the_minimum(n: int, d: int) -> None:
    x, _ = cloud(n, d, 2)
    y = x[:, :2].sin() + 3
    weights, intercept = ridge(x, y, 0.7)
    wrong = x @ weights + intercept - y
    assert float((x.T @ wrong + 0.7 * weights).abs().max()) < 1e-10
    assert float(wrong.sum(0).abs().max()) < 1e-10
    mask = torch.arange(n) < n - 2
    spoiled = torch.where(mask.unsqueeze(1), x, 9.0), torch.where(mask.unsqueeze(1), y, 9.0)
    for got, want in zip(ridge(*spoiled, 0.7, mask), ridge(x[:-2], y[:-2], 0.7), strict=True):
        assert torch.allclose(got, want, atol=1e-10)


# Nearest neighbours.


def test_nearest_logits_are_distances_to_the_nearest_of_each_class() -> None:
    x, y = cloud(9, 3, 3)
    support = Examples(x, y, torch.arange(9) < 8, ways=4)
    learner = NearestNeighbour(distance=squared_euclidean)
    query, _ = cloud(5, 3, 3, seed=1)
    far = torch.cdist(query, x[:8]).square()
    expected = torch.stack([-far[:, y[:8] == c].amin(1) for c in range(3)] + [torch.full((5,), -torch.inf)], 1)
    assert torch.allclose(learner.predict(learner.adapt(support), query), expected)


@pytest.mark.parametrize("k", [2, 5, 50])
def test_k_neighbours_vote(k: int) -> None:
    x, y = cloud(30, 3, 3)
    query, _ = cloud(40, 3, 3, seed=1)
    far = torch.cdist(query, x).square()
    learner = NearestNeighbour(distance=squared_euclidean, k=k)
    state = learner.adapt(Examples(x, y, ways=3))
    for row, answer in zip(far, learner.predict(state, query).argmax(1).tolist(), strict=True):
        near = row.argsort()[:k]
        votes = torch.bincount(y[near], minlength=3)
        tied = (votes == votes.max()).nonzero().flatten().tolist()
        assert answer == min(tied, key=lambda c: float(row[y == c].min()))
    targets = Examples(x, x[:, :1].exp())
    got = learner.predict(learner.adapt(targets), query)
    expected = torch.stack([x[row.argsort()[:k], :1].exp().mean(0) for row in far])
    assert torch.allclose(got, expected)


def test_nearest_votes_do_not_depend_on_order_where_distances_tie() -> None:
    x = torch.tensor([[1.0], [-1.0], [1.0], [5.0]])
    y = torch.tensor([0, 1, 2, 1])
    learner = NearestNeighbour(distance=squared_euclidean, k=2)
    answers = [
        learner.predict(learner.adapt(Examples(x[p], y[p], ways=3)), torch.zeros(1, 1))
        for p in (torch.arange(4), torch.tensor([2, 3, 1, 0]))
    ]
    assert torch.equal(*answers)


# Frozen encoders.


@pytest.mark.parametrize("cls", [NearestNeighbour, LinearProbe])
def test_frozen_encoders_use_running_statistics_and_no_gradient(cls: Any) -> None:
    encoder = net(4, norm=True)
    encoder(torch.randn(50, 8) * 3)  # moves the running statistics
    learner = cls(encoder).train()
    task = made_up_tasks("classification")[0]
    state = learner.adapt(task.support)
    together = learner.predict(state, task.query.x)
    apart = torch.cat([learner.predict(state, x[None]) for x in task.query.x])
    assert torch.allclose(together, apart, atol=1e-5)
    assert not together.requires_grad
    with pytest.raises(UserError, match="nothing to meta-train"):
        next(meta_train(learner, clouds(), steps=1))


def test_running_statistics_in_training_mode() -> None:
    encoder = net(4, norm=True)
    encoder(torch.randn(50, 8) * 3)
    x = torch.randn(5, 8)
    training = call(encoder.train(), {}, x, policy="running")
    assert torch.allclose(training, encoder.eval()(x), atol=1e-6)


# Training from scratch.


def test_scratch_begins_anew_and_leaves_the_net_alone() -> None:
    given = net(norm=True)
    with torch.no_grad():
        for p in given.parameters():
            p.fill_(7.0)
    before = torch.random.get_rng_state()
    one, same, other = FromScratch(given), FromScratch(given), FromScratch(given, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(bool((p == 7).all()) for p in given.parameters())
    weights = [next(learner.net.parameters()) for learner in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert float(weights[0].detach().abs().max()) < 1


def test_scratch_learns_and_its_steps_can_be_set() -> None:
    learner = FromScratch(net(), steps=60, lr=0.05).eval()
    result = evaluate(learner, clouds(), tasks=10, steps=[0, 60])
    assert result.value > 80
    assert result.by_steps[60][0] == pytest.approx(result.value)
    assert result.by_steps[0][0] < 70
    assert learner.steps == 60


def test_scratch_refuses_what_cannot_begin_anew() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    with pytest.raises(UserError, match=r"Own \(1\) has parameters but no reset_parameters"):
        FromScratch(nn.Sequential(nn.Linear(2, 2), Own()))
    FromScratch(
        nn.Sequential(nn.MultiheadAttention(4, 2), nn.LayerNorm(4), nn.GRU(2, 2), nn.PReLU(), nn.Embedding(2, 2))
    )
    with pytest.raises(UnknownName, match="Did you mean 'adam'"):
        FromScratch(net(), rule="adm")


# Baseline++.


def clouds(**options: Any) -> TaskSource:
    """Episodes from 12 clouds of points, 8 of them for training."""
    generator = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(12, 8, generator=generator)
    y = torch.arange(12).repeat(20)
    x = centres[y] + 0.7 * torch.randn(240, 8, generator=generator)
    split = {c: "train" if c < 8 else "test" for c in range(12)}
    pool = Pool.of(x, y, split=split)
    return Episodes(pool, **{"ways": 3, "shots": 2, "queries": 5, **options})


def test_finetuned_trains_on_the_classes_of_the_pool() -> None:
    with forked(Rng(0)):
        learner = FineTuned(nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16)), 12, features=16)
    records = list(
        meta_train(learner, clouds(ways=6), steps=60, tasks=2, optimizer=lambda p: torch.optim.Adam(p, 0.01))
    )
    assert records[-1].loss < 0.5 * records[0].loss
    assert records[-1].metric > 0.8
    # Classes that were never trained on stay as they were drawn, so the numbers are those of the pool.
    moved = (learner.head - FineTuned(nn.Flatten(), 12, features=16).head).detach()
    assert moved.shape == (12, 16)
    assert evaluate(learner, clouds().test, tasks=20).value > 80


def test_finetuned_loss_by_hand() -> None:
    learner = FineTuned(nn.Flatten(), 12, features=8)
    tasks = clouds().sample(0, 2)
    expected = []
    for t in range(2):
        x = torch.cat([tasks.support.x[t], tasks.query.x[t]])
        y = tasks.origin.classes[t][torch.cat([tasks.support.y[t], tasks.query.y[t]])]
        expected.append(F.cross_entropy(10 * F.normalize(x) @ F.normalize(learner.head).T, y))
    assert torch.allclose(learner.loss(tasks).objective, torch.stack(expected))
    ragged = clouds(ways=(2, 4), shots=(1, 3)).sample(0, 4)
    assert bool(torch.isfinite(learner.loss(ragged).objective).all())


def test_finetuned_says_what_is_wrong() -> None:
    with pytest.raises(BadExamples, match=r"classes 0\.\.2"):
        FineTuned(nn.Flatten(), 3, features=8).loss(clouds().sample(0, 1))
    with pytest.raises(BadExamples, match="do not say which"):
        FineTuned(nn.Flatten(), 3, features=8).loss(stack(made_up_tasks("classification")))
    with pytest.raises(UserError, match="how long its features are"):
        FineTuned(nn.Flatten(), 3)


def test_finetuned_never_names_a_class_without_examples() -> None:
    x, y = cloud(6, 8, 2)
    learner = FineTuned(nn.Flatten(), 3, features=8, steps=5)
    output = learner.predict(learner.adapt(Examples(x.float(), y, ways=3)), x.float())
    assert bool(output[:, 2].isinf().all()) and bool(output[:, :2].isfinite().all())


# Pooled, majority, standardised.


def test_pooled_learns_the_average_function() -> None:
    source = Sinusoids(shots=5, queries=5, phase=0.0, amplitude=(1.0, 3.0), x=(0.0, 3.0))
    with forked(Rng(0)):
        learner = Pooled(net(1, inputs=1))
    for _ in meta_train(learner, source, steps=300, tasks=16, optimizer=lambda p: torch.optim.Adam(p, 0.02)):
        pass
    x = torch.linspace(0.3, 2.7, 9).unsqueeze(1)
    assert torch.allclose(learner.eval().predict(learner.adapt(Examples(x, x)), x), 2 * x.sin(), atol=0.35)
    assert learner.adapt(Examples(x, x)).weights == {}
    learner.steps = 20
    assert evaluate(learner, source, tasks=20).value < evaluate(learner, source, tasks=20, steps=[0]).by_steps[0][0]


def test_majority() -> None:
    learner = Majority()
    y = torch.tensor([2, 0, 2, 1, 2])
    state = learner.adapt(Examples(torch.zeros(5, 2), y, torch.tensor([True] * 4 + [False]), ways=4))
    shares = learner.predict(state, torch.zeros(3, 2)).softmax(1)
    assert torch.allclose(shares, torch.tensor([0.25, 0.25, 0.5, 0.0]).expand(3, 4))
    more = learner.update(state, Examples(torch.zeros(3, 2), torch.tensor([3, 3, 3]), ways=4))
    assert learner.predict(more, torch.zeros(1, 2)).argmax().item() == 3
    value = learner.adapt(Examples(torch.zeros(3, 2), torch.tensor([[1.0], [2.0], [6.0]])))
    assert learner.predict(value, torch.zeros(2, 2)).tolist() == [[3.0], [3.0]]


class Far(Sinusoids):
    """Sine curves measured in thousandths, far from zero."""

    def _values(self, x: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        return 5000 + 1000 * super()._values(x, episodes)


def test_standardised_answers_in_raw_units() -> None:
    source = Far(shots=5, queries=5)
    with forked(Rng(0)):
        inner = MAML(net(1, inputs=1), steps=2, lr=0.05)
    learner = Standardised(inner)
    learner.fit_scale(source)
    assert learner.mean.item() == pytest.approx(5000, abs=500) and 500 < learner.scale.item() < 4000
    plain, tasks = Standardised(inner), source.sample(0, 3)
    loss = learner.loss(tasks)
    answers = torch.stack(
        [learner.predict(learner.adapt(learnt), x) for learnt, x in [_one(tasks, i) for i in range(3)]]
    )
    raw = (answers - tasks.query.y).square().mean((1, 2))
    assert torch.allclose(loss.metric, raw, rtol=1e-4)
    with torch.no_grad():
        assert float(learner.loss(tasks).objective.max()) < 20 < float(plain.loss(tasks).objective.max())
    assert (learner.iterative, learner.meta_gradient, learner.State) == (True, "exact", inner.State)
    assert evaluate(learner, source, tasks=3, steps=[1]).by_steps[1][0] > 1000
    assert inner.test_steps is None
    list(meta_train(learner, source, steps=2))
    assert learner.mean.item() == pytest.approx(5000, abs=500)


def _one(tasks: Task, i: int) -> tuple[Examples, Tensor]:
    return Examples(tasks.support.x[i], tasks.support.y[i]), tasks.query.x[i]


def test_standardised_with_several_outputs_and_its_errors() -> None:
    tasks = stack(made_up_tasks("regression", outputs=2))
    learner = Standardised(Majority(), outputs=2)
    learner.mean.copy_(torch.tensor([1.0, -1.0]))
    learner.scale.copy_(torch.tensor([10.0, 0.1]))
    plain = Majority().loss(tasks)
    assert torch.allclose(learner.loss(tasks).metric, plain.metric, atol=1e-5)
    assert not torch.allclose(learner.loss(tasks).objective, plain.objective)
    with pytest.raises(UserError, match="set outputs"):
        learner.fit_scale(Sinusoids())
    with pytest.raises(UserError, match="set outputs"):
        learner.fit_scale(clouds())
    with pytest.raises(UserError, match="classification only"):
        Standardised(FineTuned(nn.Flatten(), 3, features=8))
