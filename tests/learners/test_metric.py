"""Metric learners keep the promises of every learner, and do what their papers say, against plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import BadExamples, UnknownName, UserError
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.functional.recurrent.lstm_cell import lstm_cell
from quickstudy.learner import Learner
from quickstudy.learners.metric.matching import Matching
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.learners.metric.relation import Relation
from quickstudy.learners.metric.siamese import Siamese
from quickstudy.learners.metric.simpleshot import SimpleShot
from quickstudy.learners.metric.soft_prototypes import SoftPrototypes
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.relation_module import ConvMaps, RelationModule
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, stack, take
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool


def net(outputs: int = 4, *, norm: bool = True) -> nn.Module:
    layers = [nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.ReLU(), nn.Linear(6, outputs)]
    return nn.Sequential(*layers)


def scorer() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1))


LEARNERS: dict[str, Callable[[], Learner]] = {
    "siamese": lambda: Siamese(net(), features=4),
    "siamese, contrastive": lambda: Siamese(net(), objective="contrastive", margin=3.0),
    "matching": lambda: Matching(net()),
    "matching, full context": lambda: Matching(net(), full_context=True, steps=2, features=4),
    "relation": lambda: Relation(net(), scorer()),
    "simpleshot": lambda: SimpleShot(net(), 12, features=4),
    "simpleshot, frozen": lambda: SimpleShot(net(), features=4),
    "simpleshot, plain": lambda: SimpleShot(net(), centre=False, normalise=False, features=4),
    "soft prototypes": lambda: SoftPrototypes(net(), steps=2),
}


def made(name: str) -> Any:
    with forked(Rng(0)):
        return LEARNERS[name]()


def clouds(**options: Any) -> Episodes:
    """Episodes from 12 clouds of points, 8 of them for training."""
    generator = Rng(0).generator()
    centres = 2 * torch.randn(12, 8, generator=generator)
    y = torch.arange(12).repeat(20)
    x = centres[y] + 0.7 * torch.randn(240, 8, generator=generator)
    pool = Pool.of(x, y, split={c: "train" if c < 8 else "test" for c in range(12)})
    return Episodes(pool, **{"ways": 3, "shots": 4, "queries": 2, **options})


def a_task(seed: int = 0) -> Task:
    return made_up_tasks("classification")[seed]


@pytest.mark.parametrize("name", LEARNERS)
def test_contract(name: str) -> None:
    # SimpleShot has to know which classes of the pool a task has.
    found = {f.name: f for f in check_learner(made(name), clouds() if name == "simpleshot" else None)}
    assert all(f.passed is not False for f in found.values())
    assert found["queries one by one"].passed is (None if name == "soft prototypes" else True)
    assert found["support reordered"].passed is (None if "context" in name else True)
    assert found["meta-gradient"].passed is (None if "simpleshot" in name else True)
    assert found["classes renamed"].passed is True


@pytest.mark.parametrize("name", LEARNERS)
def test_a_class_without_examples_is_no_answer_and_gives_finite_gradients(name: str) -> None:
    learner = made(name)
    task = take(clouds(shots=2).sample(0, 1), 0)
    present = task.support.y != 2
    seen = Examples(task.support.x[present], task.support.y[present], ways=3)
    output = learner.predict(learner.adapt(seen), task.query.x)
    assert bool(output[:, 2].isneginf().all()) and bool(output[:, :2].isfinite().all())
    asked = Examples(task.query.x[task.query.y != 2], task.query.y[task.query.y != 2], ways=3)
    objective = learner.loss(
        stack(
            [
                Task(seen, asked, origin=_origin(task, present)),
            ]
        )
    ).objective.sum()
    if objective.requires_grad:
        objective.backward()
        assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in learner.parameters())


def _origin(task: Task, present: Tensor) -> Any:
    assert task.origin is not None
    return type(task.origin)(task.origin.support[present], task.origin.query[task.query.y != 2], task.origin.classes)


# Siamese networks.


@pytest.mark.parametrize("objective", ["logistic", "contrastive"])
def test_siamese_objective_pair_by_pair(objective: str) -> None:
    with forked(Rng(1)):
        learner = Siamese(nn.Linear(8, 4), objective=objective, margin=1.5, features=4)
    task = a_task()
    lost: dict[bool, list[Tensor]] = {True: [], False: []}
    for x, y in zip(task.query.x, task.query.y, strict=True):
        for other, label in zip(task.support.x, task.support.y, strict=True):
            apart = learner.encoder(x) - learner.encoder(other)
            if objective == "logistic":
                odds = (learner.weight * apart.abs()).sum() + learner.bias
                chance = odds.sigmoid()
                lost[bool(y == label)].append(-(chance if y == label else 1 - chance).log())
            else:
                far = apart.norm()
                lost[bool(y == label)].append(0.5 * (far**2 if y == label else (1.5 - far).clamp(min=0) ** 2))
    expected = sum(torch.stack(side).mean() for side in lost.values()) / 2
    assert torch.allclose(learner.loss(stack([task])).objective, expected, rtol=1e-4)


def test_siamese_answers_by_the_most_similar_example() -> None:
    learner, task = made("siamese").eval(), a_task()
    output = learner.predict(learner.adapt(task.support), task.query.x)
    n = len(task.support)
    for x, logits in zip(task.query.x, output, strict=True):
        alike = learner.similarity(x.expand(n, -1), task.support.x)
        best = torch.stack([alike[task.support.y == c].max() for c in range(3)])
        assert torch.allclose(logits, best, atol=1e-5)
    assert torch.allclose(
        learner.similarity(task.query.x[:4], task.support.x[:4]),
        learner.similarity(task.support.x[:4], task.query.x[:4]),
    )


def test_siamese_errors() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'contrastive'"):
        Siamese(nn.Flatten(), objective="contrast")
    with pytest.raises(UserError, match=r"margin is 0\.0"):
        Siamese(nn.Flatten(), objective="contrastive", margin=0.0)
    with pytest.raises(UserError, match="how long its features are"):
        Siamese(nn.Flatten())


# Matching networks.


def test_matching_by_hand() -> None:
    learner, task = Matching(nn.Flatten(), scale=3.0), a_task()
    output = learner.predict(learner.adapt(task.support), task.query.x)
    for x, logits in zip(task.query.x, output, strict=True):
        weights = [math.exp(3 * float(F.cosine_similarity(x, other, dim=0))) for other in task.support.x]
        for c in range(3):
            own = sum(w for w, y in zip(weights, task.support.y.tolist(), strict=True) if y == c)
            assert float(logits[c].exp()) == pytest.approx(own / sum(weights), rel=1e-4)


def test_matching_tells_small_shares_apart() -> None:
    learner = Matching(nn.Flatten(), scale=1000.0)
    state = learner.adapt(Examples(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), torch.arange(3), ways=3))
    assert torch.allclose(learner.predict(state, torch.tensor([[2.0, 0.0]])), torch.tensor([[0.0, -1000.0, -2000.0]]))


def test_lstm_cell_is_that_of_torch() -> None:
    with forked(Rng(0)):
        cell, (x, h, c) = nn.LSTMCell(3, 4), (torch.randn(2, n) for n in (3, 4, 4))
    ours = lstm_cell(x, h, c, cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh)
    for got, expected in zip(ours, cell(x, (h, c)), strict=True):
        assert torch.allclose(got, expected, atol=1e-6)


def test_full_context_of_the_support_is_a_bidirectional_lstm() -> None:
    learner, task = made("matching, full context").eval(), a_task()
    z = learner.embed(task.support.x)
    torchs = nn.LSTM(4, 4, bidirectional=True)
    with torch.no_grad():
        for suffix, cell in (("", learner.forth), ("_reverse", learner.back)):
            getattr(torchs, f"weight_ih_l0{suffix}").copy_(cell.w_ih)
            getattr(torchs, f"weight_hh_l0{suffix}").copy_(cell.w_hh)
            getattr(torchs, f"bias_ih_l0{suffix}").copy_(cell.b)
            getattr(torchs, f"bias_hh_l0{suffix}").zero_()
    forth, back = torchs(z)[0].chunk(2, -1)
    assert torch.allclose(learner.adapt(task.support).z, z + forth + back, atol=1e-5)


def test_full_context_of_a_query_by_hand() -> None:
    learner, task = made("matching, full context").eval(), a_task()
    state, x = learner.adapt(task.support), task.query.x[:1]
    f, g, cell = learner.embed(x)[0], state.z, learner.attending
    hidden, store = f, torch.zeros(4)
    for _ in range(2):
        attention = (g @ hidden).softmax(0)
        memory = torch.cat([hidden, sum(a * row for a, row in zip(attention, g, strict=True))])
        i, forget, new, o = (cell.w_ih @ f + cell.w_hh @ memory + cell.b).split(4)
        store = forget.sigmoid() * store + i.sigmoid() * new.tanh()
        hidden = o.sigmoid() * store.tanh() + f
    weights = (10 * F.cosine_similarity(hidden.expand_as(g), g, dim=1)).softmax(0)
    expected = torch.stack([weights[task.support.y == c].sum() for c in range(3)])
    assert torch.allclose(learner.predict(state, x)[0].exp(), expected, atol=1e-5)


def test_full_context_passes_over_padding() -> None:
    learner, support = made("matching, full context").eval(), a_task().support
    odd = torch.full((2, 8), 7.0)
    mask = torch.arange(len(support) + 2) < len(support)
    y = torch.cat([support.y, torch.zeros(2, dtype=torch.int64)])
    state = learner.adapt(Examples(torch.cat([support.x, odd]), y, mask, ways=3))
    x = torch.linspace(-1, 1, 16).view(2, 8)
    assert torch.allclose(learner.predict(state, x), learner.predict(learner.adapt(support), x), atol=1e-5)


def test_matching_errors() -> None:
    with pytest.raises(UserError, match=r"scale is 0\.0"):
        Matching(nn.Flatten(), scale=0.0)
    with pytest.raises(UserError, match="steps is 0"):
        Matching(nn.Flatten(), full_context=True, steps=0)
    with pytest.raises(UserError, match="how long its features are"):
        Matching(nn.Flatten(), full_context=True)
    learner = made("matching, full context")
    with pytest.raises(NotImplementedError, match="adapt again"):
        learner.update(learner.adapt(a_task().support), a_task().support)
    assert Matching(nn.Flatten()).order_sensitive is False


# Relation networks.


def test_relation_pair_by_pair() -> None:
    learner, task = made("relation").eval(), a_task()
    z, q = learner.encoder(task.support.x), learner.encoder(task.query.x)
    sums = torch.stack([z[task.support.y == c].sum(0) for c in range(3)])
    logits = torch.stack([torch.stack([learner.relation(torch.cat([s, one])[None])[0, 0] for s in sums]) for one in q])
    assert torch.allclose(learner.predict(learner.adapt(task.support), task.query.x), logits, atol=1e-5)
    wanted = torch.eye(3)[task.query.y]
    loss = learner.loss(stack([task]))
    assert torch.allclose(loss.objective, (logits.sigmoid() - wanted).square().mean(), atol=1e-6)
    assert torch.allclose(loss.metric, (logits.argmax(1) == task.query.y).float().mean())


def test_relation_compares_maps_and_keeps_statistics_of_each_task() -> None:
    with forked(Rng(0)):
        learner = Relation(ConvMaps(size=22, width=3), RelationModule(3, 4, width=2, hidden=2))
    assert learner.encoder.side == 4
    tasks = stack(made_up_tasks("classification", feature=(1, 22, 22), count=2))
    before = learner.relation.norms[0].running_mean.clone()
    learner.loss(tasks).objective.sum().backward()
    assert not torch.equal(before, learner.relation.norms[0].running_mean)
    assert learner.relation.norms[0].num_batches_tracked == 2  # one call a task
    assert learner.encoder.norms[0].num_batches_tracked == 1  # all tasks together
    assert all(f.passed is not False for f in check_learner(learner, feature=(1, 22, 22)))


def test_relation_nets() -> None:
    assert ConvMaps(3, size=84, width=2)(torch.zeros(1, 3, 84, 84)).shape == (1, 2, 19, 19)
    assert RelationModule(2, 19, width=2)(torch.zeros(4, 4, 19, 19)).shape == (4, 1)
    with pytest.raises(UserError, match="images of 9 pixels"):
        ConvMaps(size=9)
    with pytest.raises(UserError, match="Maps of 3 x 3"):
        RelationModule(4, 3)


# SimpleShot.


def test_simpleshot_by_hand() -> None:
    learner, task = SimpleShot(nn.Flatten(), features=8), a_task()
    learner.mean.copy_(torch.arange(8) / 8)
    output = learner.predict(learner.adapt(task.support), task.query.x)

    def seen(x: Tensor) -> Tensor:
        return (x - learner.mean) / (x - learner.mean).norm()

    for x, logits in zip(task.query.x, output, strict=True):
        for c in range(3):
            rows = [seen(other) for other in task.support.x[task.support.y == c]]
            assert float(logits[c]) == pytest.approx(-float((seen(x) - sum(rows) / len(rows)).square().sum()), abs=1e-5)
    plain = SimpleShot(nn.Flatten(), centre=False, normalise=False, features=8)
    usual = Prototypical(nn.Flatten())
    ours, theirs = (one.predict(one.adapt(task.support), task.query.x) for one in (plain, usual))
    assert torch.equal(ours, theirs)


def test_simpleshot_loss_and_running_centre_by_hand() -> None:
    with forked(Rng(0)):
        learner = SimpleShot(net(norm=False), 12, features=4)
    tasks = clouds().sample(0, 2)
    losses, hits, means = [], [], []
    for i in range(2):
        task = take(tasks, i)
        assert task.origin is not None and task.origin.classes is not None
        x = torch.cat([task.support.x, task.query.x])
        labels = task.origin.classes[torch.cat([task.support.y, task.query.y])]
        z = learner.encoder(x)
        losses.append(F.cross_entropy(learner.head(z), labels))
        hits.append((learner.head(z).argmax(1) == labels)[len(task.support) :].float().mean())
        means.append(z.mean(0))
    loss = learner.eval().loss(tasks)
    assert torch.allclose(loss.objective, torch.stack(losses)) and torch.allclose(loss.metric, torch.stack(hits))
    assert not learner.mean.any()
    learner.train().loss(tasks)
    assert torch.allclose(learner.mean, 0.1 * torch.stack(means).mean(0), atol=1e-6)


def test_simpleshot_takes_its_centre_from_meta_train() -> None:
    source = clouds(shots=(1, 4), split="test")  # of several sizes, so padding must not count
    learner = SimpleShot(nn.Flatten(), features=8)
    learner.fit_centre(source, tasks=3)
    drawn = source.train.sample(0, 3)
    rows = torch.cat([side.x[side.mask] for side in (drawn.support, drawn.query)])
    assert torch.allclose(learner.mean, rows.mean(0), atol=1e-5)
    with pytest.raises(UserError, match="mean feature of 0 tasks"):
        learner.fit_centre(source, tasks=0)


def test_simpleshot_learns_without_episodes() -> None:
    with forked(Rng(0)):
        learner = SimpleShot(net(8), 12, features=8)
    options: dict[str, Any] = {"tasks": 2, "optimizer": lambda p: torch.optim.Adam(p, 0.02)}
    records = list(meta_train(learner, clouds(ways=6), steps=40, **options))
    assert records[-1].loss < 0.5 * records[0].loss
    assert evaluate(learner, clouds().test, tasks=20).value > 80


def test_simpleshot_errors() -> None:
    with pytest.raises(BadExamples, match="SimpleShot is trained on the classes of a pool"):
        SimpleShot(nn.Flatten(), 3, features=8).loss(stack(made_up_tasks("classification")))
    with pytest.raises(BadExamples, match=r"classes 0\.\.2"):
        SimpleShot(nn.Flatten(), 3, features=8).loss(clouds().sample(0, 4))
    with pytest.raises(UserError, match="how long its features are"):
        SimpleShot(nn.Flatten())
    assert SimpleShot(nn.Flatten(), features=8).meta_gradient == "none"


# Soft prototypes.


def test_soft_prototypes_by_hand() -> None:
    learner, task = SoftPrototypes(nn.Flatten(), steps=2), a_task()
    support, x = task.support, task.query.x
    means = [support.x[support.y == c].mean(0) for c in range(3)]
    for _ in range(2):
        shares = [F.softmax(torch.stack([-(one - m).square().sum() for m in means]), 0) for one in x]
        moved = []
        for c in range(3):
            own = support.x[support.y == c]
            total = own.sum(0) + sum(share[c] * one for share, one in zip(shares, x, strict=True))
            moved.append(total / (len(own) + sum(share[c] for share in shares)))
        means = moved
    expected = torch.stack([torch.stack([-(one - m).square().sum() for m in means]) for one in x])
    assert torch.allclose(learner.predict(learner.adapt(support), x), expected, atol=1e-3)


def test_soft_prototypes_without_refinement_are_prototypical() -> None:
    soft, usual, task = SoftPrototypes(nn.Flatten(), test_steps=0).eval(), Prototypical(nn.Flatten()), a_task()
    ours, theirs = (one.predict(one.adapt(task.support), task.query.x) for one in (soft, usual))
    assert torch.equal(ours, theirs)
    assert not torch.equal(soft.train().predict(soft.adapt(task.support), task.query.x), theirs)
    with pytest.raises(UserError, match="steps is -1"):
        SoftPrototypes(nn.Flatten(), steps=-1)


def test_soft_prototypes_gain_from_queries() -> None:
    learner = SoftPrototypes(nn.Flatten(), steps=1)
    tests = clouds(shots=1, queries=15, ways=4).test
    by_steps = evaluate(learner, tests, tasks=60, steps=(0, 1)).by_steps
    assert by_steps[1][0] > by_steps[0][0]


@pytest.mark.parametrize("name", ["siamese", "siamese, contrastive", "matching", "relation", "soft prototypes"])
def test_training_lowers_the_objective(name: str) -> None:
    learner = made(name)
    optimizer = lambda p: torch.optim.Adam(p, 0.02)  # noqa: E731
    records = list(meta_train(learner, clouds(shots=1, queries=4), steps=40, tasks=4, optimizer=optimizer))
    first, last = (sum(r.loss for r in part) for part in (records[:5], records[-5:]))
    assert last < 0.7 * first
