"""Deep kernels, the Bayesian last layer and ensembles: their mathematics, promises, and what uncertainty is for."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import UnknownName, UserError
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.functional.solvers import gp
from quickstudy.learner import Learner
from quickstudy.learners.bayesian.deep_kernel import KERNELS, LEAST_NOISE, DeepKernel
from quickstudy.learners.bayesian.ensemble import Ensemble
from quickstudy.learners.bayesian.last_layer import BayesianLastLayer
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.mlp import MLP
from quickstudy.outputs import Gaussian
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, stack, take
from quickstudy.tasks.functions import Sinusoids

Made = Callable[[], Learner]


def net(outputs: int = 4, *, norm: bool = False) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.Tanh(), nn.Linear(6, outputs))


def begun(make: Made, seed: int = 0) -> Learner:
    with forked(Rng(seed)):
        return make()


def double(kind: str = "regression") -> list[Task]:
    """The made-up tasks in float64."""
    made = []
    for task in made_up_tasks(kind):
        sides = [
            Examples(e.x.double(), e.y.double() if e.ways is None else e.y, ways=e.ways)
            for e in (task.support, task.query)
        ]
        made.append(Task(*sides))
    return made


BOTH = ("classification", "regression")
LEARNERS: dict[str, tuple[Made, tuple[str, ...]]] = {
    "rbf": (lambda: DeepKernel(net(norm=True)), BOTH),
    "linear": (lambda: DeepKernel(net(), kernel="linear"), ("regression",)),
    "cosine": (lambda: DeepKernel(net(), kernel="cosine"), ("classification",)),
    "spectral": (lambda: DeepKernel(net(), kernel="spectral", features=4), ("regression",)),
    "last layer": (lambda: BayesianLastLayer(net(norm=True), outputs=3, features=4), ("regression",)),
    "ensemble of prototypical networks": (lambda: Ensemble(Prototypical(net()), members=2), ("classification",)),
    "ensemble of MAML": (lambda: Ensemble(MAML(net(3), steps=1), members=2, kind="regression"), ("regression",)),
    "ensemble of classifying MAML": (
        lambda: Ensemble(MAML(net(3), steps=1), members=2, kind="classification"),
        ("classification",),
    ),
    "ensemble of last layers": (
        lambda: Ensemble(BayesianLastLayer(net(), outputs=3, features=4), members=2),
        ("regression",),
    ),
}


@pytest.mark.parametrize(("name", "kind"), [(n, kind) for n, (_, kinds) in LEARNERS.items() for kind in kinds])
def test_every_promise_is_kept(name: str, kind: str) -> None:
    learner = begun(LEARNERS[name][0])
    found = {f.name: f for f in check_learner(learner, kind=kind)}
    assert found["meta-gradient"].passed
    assert found["queries one by one"].passed
    assert all(hasattr(learner, argument) for argument in inspect.signature(type(learner)).parameters)


# Deep kernels


def test_a_deep_kernel_answers_with_the_conditional_normal_distribution_of_new_targets() -> None:
    task = double()[0]
    learner = begun(lambda: DeepKernel(net(), lengthscale=0.7, scale=1.3, noise=0.2)).double()
    with torch.no_grad():
        answer = learner.predict(learner.adapt(task.support), task.query.x)
        s, q = learner.encoder(task.support.x), learner.encoder(task.query.x)

    def k(a: Tensor, b: Tensor) -> Tensor:
        return 1.3**2 * torch.exp(-torch.cdist(a, b).square() / (2 * 0.7**2))

    inverse = torch.linalg.inv(k(s, s) + (0.2**2 + LEAST_NOISE) * torch.eye(len(s)))
    torch.testing.assert_close(answer.mean, k(q, s) @ inverse @ task.support.y, rtol=1e-6, atol=1e-6)
    variance = (k(q, q) - k(q, s) @ inverse @ k(s, q)).diagonal() + 0.2**2 + LEAST_NOISE
    torch.testing.assert_close(answer.variance, variance.unsqueeze(1).expand(-1, 3), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", BOTH)
def test_the_objective_is_the_joint_density_of_support_and_query(kind: str) -> None:
    tasks = double(kind)
    learner = begun(lambda: DeepKernel(net(), kernel="linear", noise=0.3)).double()
    objective = learner.loss(stack(tasks)).objective.detach()
    for task, found in zip(tasks, objective, strict=True):
        every = task.support.followed_by(task.query)
        z = learner.encoder(every.x).detach()
        covariance = z @ z.T + (0.3**2 + LEAST_NOISE) * torch.eye(len(every))
        y = every.y if kind == "regression" else torch.where(torch.eye(3)[every.y] == 1, 1.0, -1.0).double()
        normal = multivariate_normal(torch.zeros(len(every)).numpy(), covariance.numpy())
        truth = -sum(normal.logpdf(column.numpy()) for column in y.T) / len(every)
        assert found.item() == pytest.approx(truth, rel=1e-5)


def test_the_softmax_of_the_logits_is_the_probability_of_each_class_given_that_one_is_right() -> None:
    task = double("classification")[0]
    learner = begun(lambda: DeepKernel(net(), noise=0.3)).double()
    as_targets = Examples(task.support.x, 2.0 * torch.eye(3, dtype=torch.float64)[task.support.y] - 1)
    with torch.no_grad():
        logits = learner.predict(learner.adapt(task.support), task.query.x)
        answer = learner.predict(learner.adapt(as_targets), task.query.x)
    vectors = 2.0 * torch.eye(3, dtype=torch.float64) - 1  # what the targets are if class 0, 1 or 2 is right
    densities = torch.stack([answer.log_density(vector) for vector in vectors], 1)
    torch.testing.assert_close(logits.softmax(1), densities.softmax(1))
    assert bool((logits.argmax(1) == answer.mean.argmax(1)).all())


def test_a_class_without_examples_is_never_the_answer() -> None:
    task = made_up_tasks("classification")[0]
    learner = begun(lambda: DeepKernel(net()))
    state = learner.adapt(task.support.select(task.support.y != 1))
    assert bool((learner.predict(state, task.query.x)[:, 1] == -torch.inf).all())
    state = learner.update(state, task.support.select(task.support.y == 1))
    assert bool(torch.isfinite(learner.predict(state, task.query.x)).all())


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_covariance_is_without_a_factor(kernel: str) -> None:
    """200 tasks of 40 nearly equal points, with hardly any noise: in float32 most of them would fail."""
    learner = begun(lambda: DeepKernel(MLP(1, 8), kernel=kernel, lengthscale=30.0, scale=5.0, noise=1e-4))
    tasks = Sinusoids(shots=40, queries=5, x=(0.0, 0.5)).sample(0, 200)
    with torch.no_grad():
        z = learner.encoder(tasks.support.x.flatten(0, 1)).unflatten(0, (200, 40))
        k = gp.noisy(learner.covariance(z, z), learner.variance_of_noise)
        assert not bool(torch.linalg.cholesky_ex(k).info.any())
        found = learner.loss(tasks)
    assert bool(torch.isfinite(found.objective).all() & torch.isfinite(found.metric).all())


def test_covariances_are_float64_and_answers_as_the_net() -> None:
    task = made_up_tasks("regression")[0]
    for make in (lambda: DeepKernel(net()), lambda: BayesianLastLayer(net(), outputs=3, features=4)):
        learner = begun(make)
        state = learner.adapt(task.support)
        kept = state.factor if isinstance(learner, DeepKernel) else state.precision
        assert kept.dtype == torch.float64
        answer = learner.predict(state, task.query.x)
        assert answer.mean.dtype == answer.variance.dtype == torch.float32


def test_the_frequencies_of_spectral_begin_as_those_of_rbf() -> None:
    """A mixture of very many random frequencies without width is the rbf that they were drawn from (Bochner)."""
    learner = begun(lambda: DeepKernel(nn.Flatten(), kernel="spectral", lengthscale=0.5, mixtures=20_000, features=2))
    x = torch.linspace(-1, 1, 5).unsqueeze(1).repeat(1, 2)
    with torch.no_grad():
        learner.log_deviations.fill_(-20.0)
        torch.testing.assert_close(learner.covariance(x, x), gp.rbf(x, x, 0.5), atol=0.02, rtol=0)


def test_a_deep_kernel_learns_that_sines_repeat_themselves() -> None:
    source = Sinusoids(shots=5, queries=5, noise=0.1)
    learner = begun(lambda: DeepKernel(MLP(1, 40, hidden=(40,)), kernel="spectral"))
    tests = source.validation.replaced(queries=50)
    before = evaluate(learner, tests, tasks=60)
    for _ in meta_train(learner, source, steps=80, tasks=10, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2)):
        pass
    after = evaluate(learner, tests, tasks=60)
    assert after.value < 0.3 * before.value
    assert after.nll < before.nll - 0.8


# The last layer


def test_the_last_layer_is_a_gaussian_process_with_the_kernel_of_its_prior() -> None:
    task = double()[0]
    learner = begun(lambda: BayesianLastLayer(net(), outputs=3, features=4, precision=2.0)).double()
    with torch.no_grad():
        for i, parameter in enumerate((learner.prior_mean, learner.prior_root, learner.log_noise)):
            parameter += 0.2 * torch.randn(parameter.shape, generator=Rng(0).at(i).generator())
        answer = learner.predict(learner.adapt(task.support), task.query.x)
        s, q = (torch.cat([learner.encoder(e.x), torch.ones(len(e), 1)], 1) for e in (task.support, task.query))
        root = learner.prior_root.tril(-1) + learner.prior_root.diagonal().exp().diag()
        covariance, noise = torch.linalg.inv(root @ root.T), (2 * learner.log_noise).exp() + LEAST_NOISE
        for i in range(3):
            k = [noise[i] * a @ covariance @ b.T for a, b in ((s, s), (s, q), (q, q))]
            residual = task.support.y - s @ learner.prior_mean
            mean, variance = gp.posterior(k[0], k[1], k[2].diagonal(), residual[:, i : i + 1], noise[i])
            torch.testing.assert_close(answer.mean[:, i], mean[:, 0] + q @ learner.prior_mean[:, i])
            torch.testing.assert_close(answer.variance[:, i], variance + noise[i])


def test_examples_one_by_one_give_the_posterior_of_all() -> None:
    task = double()[0]
    learner = begun(lambda: BayesianLastLayer(net(), outputs=3, features=4)).double()
    whole, state = learner.adapt(task.support), learner.prior()
    for i in range(len(task.support)):
        state = learner.update(state, task.support.select(torch.tensor([i])))
    torch.testing.assert_close(state.precision, whole.precision, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(state.product, whole.product, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("kind", BOTH)
def test_padding_tells_a_deep_kernel_nothing(kind: str) -> None:
    task = double(kind)[0]
    learner = begun(lambda: DeepKernel(net())).double()
    half = torch.arange(len(task.support)) < 7
    masked = Examples(task.support.x, task.support.y, half, ways=task.ways)
    for state, other in (
        (learner.adapt(masked), learner.adapt(task.support.select(half))),
        (learner.update(learner.adapt(task.query), masked), learner.adapt(task.query.followed_by(masked))),
    ):
        torch.testing.assert_close(asked(learner, state, task.query.x), asked(learner, other, task.query.x))


def asked(learner: Learner, state: object, x: Tensor) -> Tensor:
    answer = learner.predict(state, x)
    return torch.cat([answer.mean, answer.variance], 1) if isinstance(answer, Gaussian) else answer


def test_padding_adds_nothing_to_the_last_layer() -> None:
    support = double()[0].support
    learner = begun(lambda: BayesianLastLayer(net(), outputs=3, features=4)).double()
    half = torch.arange(len(support)) < 5
    masked = learner.adapt(Examples(support.x, support.y, half))
    torch.testing.assert_close(masked.precision, learner.adapt(support.select(half)).precision)
    torch.testing.assert_close(masked.product, learner.adapt(support.select(half)).product)


# Ensembles


def test_members_begin_at_other_weights_and_the_first_is_the_learner_itself() -> None:
    learner = begun(lambda: Prototypical(net()))
    before = copy.deepcopy(learner.state_dict())
    ensemble = Ensemble(learner, members=3, seed=4)
    assert ensemble.learner is learner
    for name, value in learner.state_dict().items():
        assert torch.equal(value, before[name])
        assert not torch.equal(value, ensemble.each[1].state_dict()[name])
        assert not torch.equal(ensemble.each[1].state_dict()[name], ensemble.each[2].state_dict()[name])
    again = Ensemble(learner, members=3, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(ensemble.parameters(), again.parameters(), strict=True))


def test_every_member_is_trained_as_it_would_be_alone() -> None:
    tasks = stack(double())
    ensemble = begun(lambda: Ensemble(MAML(net(3), steps=2), members=3, kind="regression")).double()
    alone = [copy.deepcopy(member) for member in ensemble.each]
    found = ensemble.loss(tasks)
    found.objective.mean().backward()
    metrics = []
    for member, single in zip(ensemble.each, alone, strict=True):
        loss = single.loss(tasks)
        loss.objective.mean().backward()
        metrics.append(loss.metric)
        for p, q in zip(member.parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)
    torch.testing.assert_close(found.metric, torch.stack(metrics).mean(0))


def test_classes_get_the_mean_probability_of_the_members() -> None:
    task = double("classification")[0]
    ensemble = begun(lambda: Ensemble(Prototypical(net()), members=3)).double()
    logits = ensemble.predict(ensemble.adapt(task.support), task.query.x)
    each = [member.predict(member.adapt(task.support), task.query.x).softmax(1) for member in ensemble.each]
    torch.testing.assert_close(logits.exp(), sum(each) / 3)
    state = ensemble.adapt(task.support.select(task.support.y != 1))
    assert bool((ensemble.predict(state, task.query.x)[:, 1] == -torch.inf).all())
    state = ensemble.update(state, task.support.select(task.support.y == 1))
    torch.testing.assert_close(ensemble.predict(state, task.query.x), logits)


def test_a_regression_gets_the_mean_and_variance_of_the_mixture() -> None:
    task = double()[0]
    ensemble = begun(lambda: Ensemble(DeepKernel(net()), members=3, kind="regression")).double()
    answer = ensemble.predict(ensemble.adapt(task.support), task.query.x)
    each = [member.predict(member.adapt(task.support), task.query.x) for member in ensemble.each]
    mean = sum(e.mean for e in each) / 3
    second = sum(e.variance + e.mean.square() for e in each) / 3
    torch.testing.assert_close(answer.mean, mean)
    torch.testing.assert_close(answer.variance, second - mean.square())


def test_the_noise_of_points_is_their_error_in_training() -> None:
    tasks = stack(double())
    ensemble = begun(lambda: Ensemble(MAML(net(3), steps=1), members=2, kind="regression")).double()
    error = ensemble.eval().loss(tasks).metric.mean()
    assert ensemble.noise == 1.0
    ensemble.train()
    for _ in range(2_000):
        ensemble.noise.lerp_(error, 0.01)
    before = ensemble.noise.clone()
    torch.testing.assert_close(before, error)
    ensemble.loss(tasks)
    torch.testing.assert_close(ensemble.noise, before)
    answer = ensemble.predict(ensemble.adapt(take(tasks, 0).support), tasks.query.x[0])
    assert bool((answer.variance >= ensemble.noise).all())


def test_acquiring_asks_where_members_disagree_and_not_where_there_is_noise() -> None:
    class Told(Learner):
        """Answers with given logits."""

        State = Examples

        def __init__(self, logits: Tensor):
            super().__init__()
            self.logits = nn.Parameter(logits)
            self.layer = nn.Linear(1, 1)

        def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Examples:
            return support

        def predict(self, state: Examples, x: Tensor) -> Tensor:
            return self.logits

    ensemble = Ensemble(Told(torch.tensor([[9.0, -9.0], [0.0, 0.0]])), members=2)
    ensemble.each[1].logits.data = torch.tensor([[-9.0, 9.0], [0.0, 0.0]])  # disagree; agree that nothing is known
    state = ensemble.adapt(Examples(torch.zeros(2, 1), torch.tensor([0, 1]), ways=2))
    worth = ensemble.acquire(state, torch.zeros(2, 1))
    torch.testing.assert_close(worth.detach(), torch.tensor([math.log(2), 0.0]), atol=1e-4, rtol=0)
    entropy = Learner.acquire(ensemble, state, torch.zeros(2, 1))
    torch.testing.assert_close(entropy.detach(), torch.full((2,), math.log(2)), atol=1e-4, rtol=0)

    regression = begun(lambda: Ensemble(DeepKernel(net()), members=2, kind="regression"))
    task = made_up_tasks("regression")[0]
    worth = regression.acquire(regression.adapt(task.support), task.query.x, kind="regression")
    assert worth.shape == (len(task.query),)
    assert bool((worth >= 0).all())
    twins = copy.deepcopy(regression)
    twins.each[1].load_state_dict(twins.each[0].state_dict())
    worth = twins.acquire(twins.adapt(task.support), task.query.x, kind="regression")
    torch.testing.assert_close(worth, torch.zeros(len(task.query)), atol=1e-5, rtol=0)


def test_steps_are_those_of_all_members() -> None:
    ensemble = Ensemble(MAML(net(3), steps=1), members=2, kind="regression")
    ensemble.test_steps, ensemble.outer_step = 7, 11
    assert [(m.test_steps, m.outer_step) for m in ensemble.each] == [(7, 11)] * 2
    assert (ensemble.test_steps, ensemble.outer_step) == (7, 11)


# What uncertainty is for


@pytest.mark.parametrize("name", ["deep kernel", "last layer"])
@torch.no_grad()
def test_asking_where_it_is_unsure_needs_fewer_points_than_chance(name: str) -> None:
    if name == "deep kernel":
        learner: Learner = DeepKernel(nn.Flatten(), lengthscale=1.5, scale=3.0, noise=0.03)
    else:
        learner = BayesianLastLayer(Waves(), outputs=1, precision=0.01, noise=0.1)
    pool = Sinusoids(shots=100, queries=100, seed=3).test.sample(0, 12)
    errors = {how: torch.stack([curve(learner, take(pool, i), how, 14) for i in range(12)]).mean(0) for how in HOWS}
    needed = {how: int((errors[how] > 0.1).sum()) for how in HOWS}
    assert needed["acquire"] + 3 <= needed["random"], needed


class Waves(nn.Module):
    """Bumps all over the inputs, as features that were not learned."""

    features = 12

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-0.5 * (x - torch.linspace(-5.5, 5.5, 12)).square())


HOWS = ("acquire", "random")


def curve(learner: Learner, task: Task, how: str, points: int) -> Tensor:
    """(points,) mean squared error on the queries after each point; the candidates are the support set."""
    state = learner.adapt(task.support.select(torch.tensor([0])))
    errors = []
    for number in range(points):
        answer = learner.predict(state, task.query.x)
        assert isinstance(answer, Gaussian)
        errors.append((answer.mean - task.query.y).square().mean())
        worth = learner.acquire(state, task.support.x, kind="regression")
        best = worth.argmax() if how == "acquire" else torch.tensor(number + 1)
        state = learner.update(state, task.support.select(best.reshape(1)))
    return torch.stack(errors)


# What is refused


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: DeepKernel(net(), kernel="rfb"), UnknownName, "no kernel 'rfb'. Did you mean 'rbf'"),
        (lambda: DeepKernel(net(), noise=0.0), UserError, "noise is 0.0; it must be above zero"),
        (lambda: DeepKernel(net(), mixtures=0), UserError, "mixtures is 0"),
        (lambda: DeepKernel(net(), kernel="spectral"), UserError, "give features=..."),
        (lambda: BayesianLastLayer(net(), outputs=1), UserError, "give features=..."),
        (lambda: BayesianLastLayer(net(), outputs=0, features=4), UserError, "outputs is 0"),
        (lambda: BayesianLastLayer(net(), outputs=1, features=4, precision=-1.0), UserError, "precision is -1.0"),
        (lambda: Ensemble(MAML(net()), members=1), UserError, "members is 1; an ensemble needs at least 2"),
        (lambda: Ensemble(MAML(net())), UserError, "MAML serves classification and regression; say which"),
        (lambda: Ensemble(Prototypical(net()), kind="regression"), UserError, "kind is regression, but Prototypical"),
        (lambda: Ensemble(Prototypical(nn.Flatten())), UserError, "No module of this Prototypical"),
    ],
)
def test_nonsense_is_refused_with_cause_and_remedy(make: Made, error: type[UserError], says: str) -> None:
    with pytest.raises(error, match=says.replace(".", r"\.").replace("?", r"\?")):
        make()
