"""Ridge and logistic regression as last layers: the contract, and the mathematics against independent computations."""

from __future__ import annotations

import pytest
import scipy.optimize
import torch
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import UserError
from quickstudy.functional.solvers.newton import one_against_all
from quickstudy.learner import Learner
from quickstudy.learners.closed_form.linear_head import LinearHead
from quickstudy.learners.closed_form.logistic_head import LogisticHead
from quickstudy.learners.closed_form.ridge_head import RidgeHead
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, stack
from quickstudy.tasks.functions import Sinusoids


def encoder(features: int = 4, *, norm: bool = False) -> nn.Module:
    with forked(Rng(0)):
        return nn.Sequential(nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.Tanh(), nn.Linear(6, features))


LEARNERS = {
    "ridge": (lambda: RidgeHead(encoder()), ["classification", "regression"]),
    "ridge, norm": (lambda: RidgeHead(encoder(norm=True)), ["classification", "regression"]),
    "ridge, fewer examples than features": (lambda: RidgeHead(encoder(16)), ["classification", "regression"]),
    "logistic": (lambda: LogisticHead(encoder()), ["classification"]),
    "logistic, norm": (lambda: LogisticHead(encoder(norm=True), test_steps=8), ["classification"]),
    "logistic, fewer examples than features": (lambda: LogisticHead(encoder(16)), ["classification"]),
}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, (_, kinds) in LEARNERS.items() for kind in kinds])
def test_a_head_keeps_its_promises(name: str, kind: str) -> None:
    found = {f.name: f for f in check_learner(LEARNERS[name][0](), kind=kind)}
    assert all(f.passed in (True, None) for f in found.values())
    assert found["meta-gradient"].passed
    if kind == "classification":
        assert found["classes renamed"].passed


def problem(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (n,), generator=generator)
    return x, nn.functional.one_hot(labels, 3).double()


@pytest.mark.parametrize(("n", "d"), [(30, 4), (6, 12)])
def test_newton_steps_end_where_an_independent_minimiser_ends(n: int, d: int) -> None:
    x, y = problem(n, d)
    weights, intercept = one_against_all(x, y, 0.7, steps=10)
    z = torch.cat([x, torch.ones(n, 1)], 1)
    for k in range(3):

        def objective(w: object, k: int = k) -> float:
            v = torch.as_tensor(w)
            logits = nn.functional.binary_cross_entropy_with_logits(z @ v, y[:, k], reduction="sum")
            return float(logits + 0.35 * v.square().sum())

        best = scipy.optimize.minimize(objective, [0.0] * (d + 1), method="BFGS", options={"gtol": 1e-9})
        found = torch.cat([weights[:, k], intercept[k : k + 1]])
        assert torch.allclose(found, torch.as_tensor(best.x), atol=1e-5)


@pytest.mark.parametrize(("n", "d"), [(30, 4), (6, 12)])
def test_one_newton_step_is_newtons(n: int, d: int) -> None:
    x, y = problem(n, d)
    z = torch.cat([x, torch.ones(n, 1)], 1)
    w = torch.zeros(d + 1, dtype=torch.float64)

    def objective(w: Tensor) -> Tensor:
        entropy = nn.functional.binary_cross_entropy_with_logits(z @ w, y[:, 0], reduction="sum")
        return entropy + 0.5 * w.square().sum()

    for steps in (1, 2, 3):
        hessian = torch.func.jacrev(torch.func.grad(objective))(w)
        w = w - torch.linalg.solve(hessian, torch.func.grad(objective)(w))
        weights, intercept = one_against_all(x, y, 1.0, steps=steps)
        assert torch.allclose(torch.cat([weights[:, 0], intercept[:1]]), w, atol=1e-10)


@pytest.mark.parametrize("d", [4, 40])
def test_newton_steps_take_no_notice_of_padding(d: int) -> None:
    x, y = problem(12, d)
    mask = torch.arange(12) < 9
    alone, padded = one_against_all(x[:9], y[:9], 1.0, steps=4), one_against_all(x, y, 1.0, mask, steps=4)
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(alone, padded, strict=True))


@pytest.mark.parametrize("d", [4, 40])
def test_newton_steps_have_the_right_derivative(d: int) -> None:
    x, y = problem(8, d)
    penalty = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def logits(x: Tensor, penalty: Tensor) -> Tensor:
        weights, intercept = one_against_all(x, y, penalty, steps=3)
        return x @ weights + intercept

    assert torch.autograd.gradcheck(logits, (x.requires_grad_(), penalty))


def test_far_points_do_not_overflow() -> None:
    weights, intercept = one_against_all(torch.tensor([[-1e4], [1e4]]), torch.eye(2), 1e-3, steps=30)
    assert weights.isfinite().all()
    assert intercept.isfinite().all()
    assert weights[0, 1] > 0 > weights[0, 0]


@pytest.mark.parametrize("features", [4, 40])
def test_a_ridge_head_solves_the_normal_equations(features: int) -> None:
    learner = RidgeHead(encoder(features), penalty=2.0, scale=3.0).double()
    task = made_up_tasks("classification")[0]
    x = task.support.x.double()
    z = torch.cat([learner.encoder(x), torch.ones(len(x), 1)], 1)
    penalties = torch.diag(torch.tensor([2.0] * features + [0.0], dtype=torch.float64))
    one_hot = nn.functional.one_hot(task.support.y, 3).double()
    expected = torch.linalg.solve(z.T @ z + penalties, z.T @ one_hot)
    state = learner.adapt(Examples(x, task.support.y, ways=3))
    found = torch.cat([state.weights, state.intercept.unsqueeze(0)])
    assert torch.allclose(found, 3 * expected, rtol=1e-6)


def test_answers_of_a_regression_are_not_scaled() -> None:
    x = torch.linspace(-1, 1, 9).unsqueeze(1)
    learner = RidgeHead(nn.Flatten(), penalty=1e-6, scale=50.0)
    state = learner.adapt(Examples(x, 2 * x + 1))
    assert torch.allclose(learner.predict(state, x), 2 * x + 1, atol=1e-4)


@pytest.mark.parametrize("head", [RidgeHead, LogisticHead])
def test_penalty_and_scale_are_learned_and_a_missing_class_is_never_the_answer(head: type[LinearHead]) -> None:
    learner = head(encoder())
    learner.loss(stack(made_up_tasks("classification"))).objective.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in learner.parameters())
    task = made_up_tasks("classification")[0]
    support = task.support.select(task.support.y != 1)
    logits = learner.eval().predict(learner.adapt(support), task.query.x)
    assert (logits[:, 1] == -torch.inf).all()
    assert logits[:, [0, 2]].isfinite().all()


def test_logistic_steps_of_evaluation_are_their_own() -> None:
    task = made_up_tasks("classification")[0]
    one, other = LogisticHead(encoder(), steps=2), LogisticHead(encoder(), steps=7, test_steps=2)
    assert torch.equal(one.adapt(task.support).weights, other.eval().adapt(task.support).weights)
    assert not torch.equal(one.adapt(task.support).weights, other.train().adapt(task.support).weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RidgeHead(nn.Flatten(), penalty=0.0), "penalty is 0.0; it is learned as a logarithm"),
        (lambda: LogisticHead(nn.Flatten(), penalty=float("nan")), "penalty is nan"),
        (lambda: RidgeHead(nn.Flatten(), scale=-1.0), "scale is -1.0"),
        (lambda: LogisticHead(nn.Flatten(), steps=0), "steps is 0; before the first all classes"),
    ],
)
def test_what_makes_no_sense_is_refused(make: type[Learner], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_ridge_head_learns_sinusoids() -> None:
    with forked(Rng(0)):
        learner = RidgeHead(MLP(1, 40))
    records = list(meta_train(learner, Sinusoids(shots=10).train, steps=150, tasks=10, rng=Rng(0)))
    first, last = (sum(r.metric for r in some) / 10 for some in (records[:10], records[-10:]))
    assert last < 0.3 * first
