"""The inner loop: each way to differentiate through it, each rule and each option of MAML, computed independently."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy import registry
from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.engine.plan import Plan, choose
from quickstudy.errors import UnknownName, UserError
from quickstudy.functional.batch_norm import call
from quickstudy.functional.implicit import conjugate_gradients
from quickstudy.functional.inner_loop import Rule, Weights, inner_loop, trajectory
from quickstudy.learners.gradient.learned_rules import LSTM, RULES, LearnedRates, rule_named
from quickstudy.learners.gradient.maml import MAML, importance
from quickstudy.learners.gradient.rules import SGD, Adam
from quickstudy.pytree import tree_map
from quickstudy.rng import Rng, forked
from quickstudy.task import Task, stack


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, Y = normal(6, 3, seed=1), normal(6, 2, seed=2)


def start() -> tuple[Weights, Tensor]:
    """Weights that move, and a tensor that the loss captures."""
    weights = {"a": normal(3, 2, seed=3).requires_grad_(), "b": normal(2, seed=4).requires_grad_()}
    return weights, normal(3, seed=5).requires_grad_()


def bowl(captured: Tensor) -> Callable[[Weights, int], Tensor]:
    return lambda w, step: (torch.tanh((X * captured) @ w["a"] + w["b"]) - Y).square().mean()


def outer(weights: Weights) -> Tensor:
    return sum((w.sin() * w).sum() for w in weights.values())


def parameters(rule: Rule) -> list[Tensor]:
    return list(rule.parameters()) if isinstance(rule, nn.Module) else []


def made(name: str, weights: Weights, steps: int = 4) -> Rule:
    with forked(Rng(0)):
        rule = rule_named(name, 0.3, weights, steps)
    return rule.double() if isinstance(rule, nn.Module) else rule


def gradients(rule_name: str, **options: Any) -> list[Tensor]:
    """Of a function of the adapted weights: by the first weights, what the loss captures, and the rule's parameters."""
    weights, captured = start()
    rule = made(rule_name, weights)
    value = outer(inner_loop(bowl(captured), weights, rule, **options))
    inputs = [*weights.values(), captured, *parameters(rule)]
    return [g.detach() for g in torch.autograd.grad(value, inputs, materialize_grads=True, allow_unused=True)]


def apart(a: list[Tensor], b: list[Tensor]) -> float:
    a, b = [t.detach() for t in a], [t.detach() for t in b]
    top = max(float(t.abs().max()) for t in b)
    return max(float((s - t).abs().max()) for s, t in zip(a, b, strict=True)) / top


@pytest.mark.parametrize("gradient", ["exact", "checkpointed"])
@pytest.mark.parametrize("name", RULES)
def test_the_exact_gradient_is_that_of_finite_differences(name: str, gradient: str) -> None:
    weights, captured = start()
    rule = made(name, weights)
    inputs = [*weights.values(), captured, *parameters(rule)]
    found = gradients(name, steps=3, gradient=gradient, proximal=0.1)
    way = [normal(*t.shape, seed=9 + i) for i, t in enumerate(inputs)]
    claimed = sum(float((g * v).sum()) for g, v in zip(found, way, strict=True))

    @torch.no_grad()
    def value(step: float) -> float:
        for t, v in zip(inputs, way, strict=True):
            t.add_(step * v)
        try:
            return float(outer(inner_loop(bowl(captured), weights, rule, steps=3, proximal=0.1)))
        finally:
            for t, v in zip(inputs, way, strict=True):
                t.sub_(step * v)

    slope = (8 * (value(1e-4) - value(-1e-4)) - (value(2e-4) - value(-2e-4))) / 12e-4
    assert abs(slope - claimed) < 1e-7 * abs(slope)


@pytest.mark.parametrize("steps", [0, 1, 7, 9])
@pytest.mark.parametrize("name", ["sgd", "adam", "step-rates", "lstm"])
def test_checkpointed_equals_exact(name: str, steps: int) -> None:
    exact = gradients(name, steps=steps)
    assert apart(gradients(name, steps=steps, gradient="checkpointed"), exact) < 1e-12


def test_checkpointed_can_be_differentiated_twice() -> None:
    found = []
    for gradient in ("exact", "checkpointed"):
        weights, captured = start()
        value = outer(inner_loop(bowl(captured), weights, SGD(0.3), steps=5, gradient=gradient))
        slopes = torch.autograd.grad(value, [*weights.values(), captured], create_graph=True)
        found.append(torch.autograd.grad(sum(s.square().sum() for s in slopes), [*weights.values(), captured]))
    assert apart(list(found[1]), list(found[0])) < 1e-12


def peak(steps: int, gradient: str, **options: Any) -> int:
    """Most bytes that were allocated at once in a forward and backward pass."""
    weights = {"a": normal(8, 8, seed=3).requires_grad_()}
    x = normal(64, 8)

    def loss(w: Weights, step: int) -> Tensor:
        return torch.tanh(torch.tanh(x @ w["a"]) @ w["a"]).square().mean()

    now = top = 0
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        outer(inner_loop(loss, weights, SGD(0.1), steps=steps, gradient=gradient, **options)).backward()
    for event in profile.kineto_results.events():
        now += event.nbytes() if event.name() == "[memory]" else 0
        top = max(top, now)
    return top


def test_memory_of_each_way() -> None:
    exact = [peak(steps, "exact") for steps in (4, 36)]
    checkpointed = [peak(steps, "checkpointed") for steps in (4, 36)]
    assert exact[1] > 6 * exact[0]
    assert checkpointed[1] < 4 * checkpointed[0]  # nine times the steps, three times the root
    assert checkpointed[1] < exact[1] / 3
    assert peak(36, "truncated", horizon=4) < 1.2 * exact[0]
    assert peak(36, "first-order") < exact[0] / 2
    assert peak(36, "implicit", proximal=1.0) < 1.2 * peak(4, "implicit", proximal=1.0)


@pytest.mark.parametrize("gradient", ["exact", "checkpointed", "truncated", "first-order", "implicit"])
def test_without_gradients_there_is_no_graph_and_the_same_weights(gradient: str) -> None:
    weights, captured = start()
    with torch.no_grad():
        found = inner_loop(bowl(captured), weights, Adam(0.1), steps=4, gradient=gradient, proximal=0.5)
    assert not any(w.requires_grad for w in found.values())
    expected = inner_loop(bowl(captured), weights, Adam(0.1), steps=4, gradient=gradient, proximal=0.5)
    assert all(torch.allclose(found[n], expected[n], rtol=1e-13, atol=0) for n in found)
    assert all(w.requires_grad for w in expected.values())


@pytest.mark.parametrize("name", ["sgd", "adam", "lstm"])
def test_truncated_lies_between_first_order_and_exact(name: str) -> None:
    exact, first = gradients(name, steps=5), gradients(name, steps=5, gradient="first-order")
    for horizon in (5, 6):
        assert apart(gradients(name, steps=5, gradient="truncated", horizon=horizon), exact) == 0
    assert apart(gradients(name, steps=5, gradient="truncated", horizon=0), first) == 0
    between = gradients(name, steps=5, gradient="truncated", horizon=2)
    assert apart(between, exact) > 1e-3 and apart(between, first) > 1e-3


def test_truncated_is_first_order_steps_and_then_exact_ones() -> None:
    weights, captured = start()
    middle = inner_loop(bowl(captured), weights, SGD(0.3), steps=3, gradient="first-order")
    value = outer(inner_loop(bowl(captured), middle, SGD(0.3), steps=2))
    expected = list(torch.autograd.grad(value, [*weights.values(), captured]))
    assert apart(gradients("sgd", steps=5, gradient="truncated", horizon=2), expected) < 1e-14


def test_implicit_is_exact_unrolled_to_the_minimum() -> None:
    """Logistic regression with a pull is strongly convex."""
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    found = []
    for options in ({"gradient": "exact"}, {"gradient": "implicit", "solver_steps": 8}):
        weights, captured = start()

        def loss(w: Weights, step: int, captured: Tensor = captured) -> Tensor:
            return F.cross_entropy((X * captured) @ w["a"] + w["b"], labels)

        value = outer(inner_loop(loss, weights, SGD(0.5), steps=80, proximal=0.5, **options))
        found.append(list(torch.autograd.grad(value, [*weights.values(), captured])))
    assert apart(found[1], found[0]) < 1e-6


def test_implicit_on_a_quadratic_is_its_closed_form() -> None:
    root, b, pull = normal(4, 4), normal(4, seed=1), 0.7
    matrix = root @ root.T
    first = normal(4, seed=2).requires_grad_()
    system = matrix + pull * torch.eye(4, dtype=torch.float64)
    lr = 1 / float(torch.linalg.eigvalsh(system).max())
    w = inner_loop(
        lambda w, step: w["w"] @ matrix @ w["w"] / 2 - b @ w["w"],
        {"w": first},
        SGD(lr),
        steps=600,
        gradient="implicit",
        proximal=pull,
        solver_steps=4,
    )["w"]
    assert torch.allclose(w, torch.linalg.solve(system, b + pull * first), atol=1e-9)
    (found,) = torch.autograd.grad(w.sin().sum(), first)
    assert torch.allclose(found, pull * torch.linalg.solve(system, w.detach().cos()), atol=1e-9)


def test_conjugate_gradients() -> None:
    root, b = normal(5, 5), normal(5, seed=1)
    matrix = root @ root.T + torch.eye(5)
    solved = conjugate_gradients(lambda v: matrix @ v, b, steps=5)
    assert torch.allclose(solved, torch.linalg.solve(matrix, b))
    assert torch.equal(conjugate_gradients(lambda v: v, b, steps=50), b)  # solved at once, then it stops
    assert torch.equal(conjugate_gradients(lambda v: matrix @ v, 0 * b, steps=3), 0 * b)
    assert torch.equal(conjugate_gradients(lambda v: -v, b, steps=3), 0 * b)  # no minimum that way


def test_the_path_ends_where_the_inner_loop_does() -> None:
    weights, captured = start()
    path = list(trajectory(bowl(captured), weights, Adam(0.1), steps=4, proximal=0.2))
    end = inner_loop(bowl(captured), weights, Adam(0.1), steps=4, proximal=0.2)
    assert len(path) == 4 and all(torch.equal(path[-1][n], end[n]) for n in end)


def slopes(weights: Weights, captured: Tensor) -> tuple[Weights, Tensor]:
    """Gradients and loss as constants, by autograd."""
    fresh = {n: w.detach().requires_grad_() for n, w in weights.items()}
    value = bowl(captured.detach())(fresh, 0)
    return dict(zip(fresh, torch.autograd.grad(value, list(fresh.values())), strict=True)), value.detach()


@pytest.mark.parametrize("each", ["layer", "step", "weight"])
def test_learned_rates_are_those_of_their_layer_step_or_weight(each: str) -> None:
    weights, captured = start()
    rule = LearnedRates(weights, 0.1, each=each, steps=2).double()
    with torch.no_grad():
        for i, rate in enumerate(rule.rates.values()):
            rate.copy_(normal(*rate.shape, seed=i).abs())
    found = inner_loop(bowl(captured), weights, rule, steps=3)
    expected = dict(weights)
    for step in (0, 1, 1):  # the third step takes the rate of the second
        g, _ = slopes(expected, captured)
        rates = {n: r[step] if each == "step" else r for n, r in rule.rates.items()}
        expected = {n: w - rates[n] * g[n] for n, w in expected.items()}
    assert apart(list(found.values()), list(expected.values())) < 1e-14


def test_the_lstm_rule_is_the_one_of_its_paper() -> None:
    """Every coordinate with cells of its own, inputs detached, against torch's LSTM and gates written out."""
    weights, captured = start()
    rule = made("lstm", weights)
    assert isinstance(rule, LSTM)
    found = inner_loop(bowl(captured), weights, rule, steps=3, gradient="first-order")
    cell = nn.LSTMCell(4, rule.hidden).double()
    mine = [rule.w_ih, rule.w_hh, rule.b, rule.gates, rule.biases]
    theirs = [p.detach().clone().requires_grad_() for p in mine]
    twins = {n: w.detach().clone().requires_grad_() for n, w in weights.items()}
    coordinates = [(n, i) for n, w in twins.items() for i in range(w.numel())]
    value = {(n, i): twins[n].flatten()[i] for n, i in coordinates}
    h = {k: torch.zeros(1, rule.hidden, dtype=torch.float64) for k in coordinates}
    c, forget, keep = dict(h), dict.fromkeys(coordinates, 1.0), dict.fromkeys(coordinates, 0.0)
    names = {"weight_ih": theirs[0], "weight_hh": theirs[1], "bias_ih": theirs[2], "bias_hh": 0 * theirs[2]}

    def seen(v: float) -> list[float]:
        return [math.log(abs(v)) / 10, math.copysign(1, v)] if abs(v) >= math.exp(-10) else [-1, math.exp(10) * v]

    for _ in range(3):
        now = {n: torch.stack([value[n, i] for i in range(w.numel())]).view(w.shape) for n, w in twins.items()}
        g, loss = slopes(now, captured)
        for k in coordinates:
            slope = float(g[k[0]].flatten()[k[1]])
            x = torch.tensor([[*seen(slope), *seen(float(loss))]], dtype=torch.float64)
            h[k], c[k] = torch.func.functional_call(cell, names, (x, (h[k], c[k])))
            features = [torch.cat([h[k][0], torch.stack([value[k], torch.as_tensor(s)])]) for s in (forget[k], keep[k])]
            forget[k] = torch.sigmoid(features[0] @ theirs[3][:, 0] + theirs[4][0])
            keep[k] = torch.sigmoid(features[1] @ theirs[3][:, 1] + theirs[4][1])
            value[k] = forget[k] * value[k] - keep[k] * slope
    expected = {n: torch.stack([value[n, i] for i in range(w.numel())]).view(w.shape) for n, w in twins.items()}
    assert apart(list(found.values()), list(expected.values())) < 1e-12
    a = torch.autograd.grad(outer(found), [*weights.values(), *mine])
    b = torch.autograd.grad(outer(expected), [*twins.values(), *theirs])
    assert apart(list(a), list(b)) < 1e-12


def test_the_lstm_begins_as_slow_gradient_descent() -> None:
    weights, captured = start()
    found = inner_loop(bowl(captured), weights, made("lstm", weights), steps=1)
    g, _ = slopes(weights, captured)
    for name, w in weights.items():
        assert torch.allclose(found[name], w / (1 + math.exp(-5)) - 0.3 * g[name], atol=0.02)


# MAML's options.


def net(outputs: int = 3, *, norm: bool = False) -> nn.Module:
    layers = [nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.Tanh(), nn.Linear(6, outputs)]
    return nn.Sequential(*layers)


def tasks(kind: str = "classification") -> Task:
    found = made_up_tasks(kind)
    return stack([tree_map(lambda t: t.double() if t.is_floating_point() else t, task) for task in found])


def maml(*, norm: bool = False, **options: Any) -> MAML:
    with forked(Rng(0)):
        return MAML(net(norm=norm), **{"steps": 3, "lr": 0.3, **options}).double()


VARIANTS: dict[str, dict[str, Any]] = {
    "adam": {"rule": "adam", "lr": 0.05},
    "meta-sgd": {"rule": "meta-sgd"},
    "step rates": {"rule": "step-rates", "test_steps": 5},
    "lstm": {"rule": "lstm", "gradient": "first-order"},
    "lstm, differentiated": {"rule": "lstm", "moves": "head"},
    "checkpointed": {"gradient": "checkpointed"},
    "truncated": {"gradient": "truncated", "horizon": 1},
    "implicit": {"gradient": "implicit", "proximal": 1.0},
    "proximal": {"proximal": 1.0},
    "multi-step": {"multi_step": True, "norm": True},
    "maml++": {"rule": "step-rates", "multi_step": True, "statistics": "per-step", "norm": True},
}


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_keeps_its_promises(name: str, kind: str) -> None:
    learner = maml(**VARIANTS[name]).float()
    found = {f.name: f for f in check_learner(learner, kind=kind)}
    assert all(f.passed is not False for f in found.values())
    surrogate = VARIANTS[name].get("gradient", "exact") in ("truncated", "implicit", "first-order")
    assert found["meta-gradient"].passed is (None if surrogate else True)
    assert found["queries one by one"].passed


def test_plans_loop_where_torch_cannot_map() -> None:
    batch = tasks()
    for gradient, options in (("checkpointed", {}), ("implicit", {"proximal": 1.0})):
        learner = maml(gradient=gradient, **options)
        assert choose(learner, batch).how == "loop"
        with torch.no_grad():
            assert choose(learner, batch).how == "vmap"


def their_importance(steps: int, epoch: int, epochs: int) -> np.ndarray:
    """As written in HowToTrainYourMAMLPytorch, get_per_step_loss_importance_vector."""
    weights = np.ones(steps) / steps
    decay, least = 1.0 / steps / epochs, 0.03 / steps
    for i in range(steps - 1):
        weights[i] = max(weights[i] - epoch * decay, least)
    weights[-1] = min(weights[-1] + epoch * (steps - 1) * decay, 1.0 - (steps - 1) * least)
    return weights


@pytest.mark.parametrize("epoch", range(10))
def test_importance_is_that_of_the_authors(epoch: int) -> None:
    mine = importance(5, epoch / 10)
    assert np.allclose(list(mine.values()), their_importance(5, epoch, 10))
    assert list(mine) == [1, 2, 3, 4, 5] and sum(mine.values()) == pytest.approx(1)


def test_importance_ends_at_the_last_step() -> None:
    shares = [importance(3, progress)[3] for progress in (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert importance(3, 1.0) == importance(3, 7.0) == {3: 1.0}
    assert importance(1, 0.0) == {1: 1.0}


def test_multi_step_weighs_the_query_losses_and_fades_into_maml() -> None:
    batch = tasks()
    after = [maml(steps=k).train().loss(batch).objective for k in (1, 2, 3)]
    learner = maml(multi_step=True, multi_step_until=100).train()
    for outer_step in (0, 40, 99):
        learner.outer_step = outer_step
        shares = their_importance(3, outer_step, 100)
        expected = sum(share * loss for share, loss in zip(shares, after, strict=True))
        assert torch.allclose(learner.loss(batch).objective, expected)
    learner.outer_step = 100
    found = learner.loss(batch)
    assert torch.allclose(found.objective, after[-1], rtol=1e-12)
    assert torch.equal(found.metric, maml().train().loss(batch).metric)
    learner.outer_step = 0
    learner.eval()
    assert torch.allclose(learner.loss(batch).objective, after[-1], rtol=1e-12)


def per_step(**options: Any) -> MAML:
    return maml(norm=True, statistics="per-step", **options)


def test_running_statistics_follow_each_step() -> None:
    learner, batch = per_step(), tasks()
    learner.train()
    path = []
    for i in range(4):
        x, y, w = batch.support.x[i], batch.support.y[i], dict(learner.net.named_parameters())
        rows = []
        for step in range(4):
            hidden = F.linear(x if step < 3 else batch.query.x[i], w["0.weight"], w["0.bias"])
            rows.append(torch.stack([hidden.mean(0), hidden.var(0, correction=0)]))
            loss = F.cross_entropy(call(learner.net, w, x), y)
            w = {
                n: (p - 0.3 * g).detach().requires_grad_()
                for (n, p), g in zip(w.items(), torch.autograd.grad(loss, list(w.values())), strict=True)
            }
        path.append(torch.stack(rows))
    expected = learner.norms.running.clone()
    for rows in path:
        expected = 0.9 * expected + 0.1 * rows
    learner.loss(batch)
    assert torch.allclose(learner.norms.running, expected)


def test_running_statistics_are_the_same_in_any_chunks() -> None:
    found = []
    for plan in (Plan("vmap", 64, "test"), Plan("vmap", 3, "test"), Plan("loop", 1, "test")):
        learner = per_step()
        learner.plan = plan
        learner.train()
        learner.loss(tasks())
        found.append(learner.norms.running)
    assert all(torch.allclose(found[0], other, rtol=1e-12) for other in found[1:])


def test_running_statistics_serve_in_evaluation_and_are_left_alone_there() -> None:
    learner, batch = per_step(test_steps=5), tasks()
    learner.train()
    for _ in range(3):
        learner.loss(batch)
    learner.eval()
    before = learner.norms.running.clone()
    task = made_up_tasks("classification")[0]
    x, y = task.support.x.double(), task.support.y
    state = learner.adapt(tree_map(lambda t: t.double() if t.is_floating_point() else t, task.support))
    w = dict(learner.net.named_parameters())
    for step in (0, 1, 2, 3, 3):
        mean, variance = learner.norms.running[step]
        loss = F.cross_entropy(call(learner.net, w, x, statistics=((mean, variance),)), y)
        w = {
            n: (p - 0.3 * g).detach().requires_grad_()
            for (n, p), g in zip(w.items(), torch.autograd.grad(loss, list(w.values())), strict=True)
        }
    assert all(torch.allclose(state.weights[n], w[n]) for n in w)
    assert torch.equal(torch.stack(state.statistics[0]), before[3])
    learner.loss(batch)
    assert torch.equal(learner.norms.running, before)
    learner.norms.running.zero_()
    assert torch.equal(torch.stack(state.statistics[0]), before[3])  # a state does not change with its learner


def test_a_loss_that_is_not_finite_leaves_the_running_statistics() -> None:
    learner, batch = per_step(), tasks()
    batch.support.x[0] = torch.nan
    learner.train()
    learner.loss(batch)
    assert bool(torch.isfinite(learner.norms.running).all())


def test_norm_layers_that_run_in_another_order_are_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.last = nn.BatchNorm1d(8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.norm(self.norm(x)))

    learner = MAML(Twice(), statistics="per-step").double().train()
    with pytest.raises(UserError, match=r"widths \[8\], run \[8, 8\]"):
        learner.loss(tasks())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": "step-rate"}, "Did you mean 'step-rates'"),
        ({"gradient": "checkpoint"}, "Did you mean 'checkpointed'"),
        ({"statistics": "per-stp"}, "Did you mean 'per-step'"),
        ({"gradient": "truncated"}, "horizon=None"),
        ({"horizon": 2}, "'truncated' alone has one"),
        ({"gradient": "truncated", "horizon": -1}, "horizon=-1"),
        ({"gradient": "implicit"}, "give proximal"),
        ({"gradient": "implicit", "proximal": 1.0, "rule": "meta-sgd"}, "would learn nothing"),
        ({"gradient": "implicit", "proximal": 1.0, "multi_step": True}, "multi_step=True needs the weights after each"),
        ({"gradient": "checkpointed", "statistics": "per-step", "norm": True}, "'per-step' needs the weights"),
        ({"multi_step": True, "steps": 0}, "over 0 steps"),
        ({"rule": "lstm", "lr": 1.5}, "lr = 1.5, which must lie between 0 and 1"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        maml(**options)


def test_other_misuses_say_so() -> None:
    dropping = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 3))
    for options in ({"gradient": "checkpointed"}, {"gradient": "implicit", "proximal": 1.0}):
        with pytest.raises(UserError, match="dropout would differ"):
            MAML(dropping, **options)
    weights, captured = start()
    with pytest.raises(UnknownName, match="Did you mean 'exact'"):
        inner_loop(bowl(captured), weights, SGD(0.1), steps=1, gradient="exat")


class Signs:
    """A rule of one's own, without parameters or memory."""

    def start(self, weights: Weights) -> None:
        return None

    def step(self, weights: Weights, gradients: Weights, memory: Any, loss: Tensor) -> tuple[Weights, None]:
        return {n: w - 0.01 * gradients[n].sign() for n, w in weights.items()}, None


def test_a_rule_of_ones_own_is_handed_over() -> None:
    learner = maml(rule=Signs())
    table = registry.describe(learner)
    assert table["rule"] == {"name": "custom", "class": f"{__name__}.Signs"}
    net_table = {"name": "mlp", "inputs": 8, "outputs": 3}
    again = registry.build("learner", {**table, "net": net_table}, rule=Signs())
    assert isinstance(again.rule, Signs)
    module = maml(rule=LearnedRates({n: p for n, p in net().named_parameters()}, 0.1, each="weight"))
    assert sorted(module.state_dict()) == sorted(maml(rule="meta-sgd").state_dict())
    task = made_up_tasks("classification")[0]
    weights = maml(rule=Signs(), steps=1).float().adapt(task.support).weights
    first = dict(maml().float().net.named_parameters())
    assert all(float((weights[n] - first[n]).detach().abs().max()) <= 0.0101 for n in weights)


@pytest.mark.parametrize("name", ["lstm", "implicit", "maml++"])
def test_meta_training_lowers_the_loss(name: str) -> None:
    learner, batch = maml(**VARIANTS[name]), tasks()
    learner.train()
    optimizer = torch.optim.Adam(learner.parameters(), 0.02)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(learner.loss(batch).objective.mean())
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
