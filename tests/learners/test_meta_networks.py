"""Meta networks against plain loops written by hand, in float64, and their promises."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import UserError
from quickstudy.learners.memory import meta_networks
from quickstudy.learners.memory.meta_networks import MetaNetworks
from quickstudy.loops.meta_train import meta_train
from quickstudy.pytree import tree_map
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, stack
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool

LIMIT = 1e-10


def dense(**options: int) -> MetaNetworks:
    with forked(Rng(0)):
        encoder = nn.Sequential(nn.Linear(8, 6), nn.Tanh())
        return MetaNetworks(encoder, width=6, **{"outputs": 3, "hidden": 5, "generator": 4} | options)


def convolutional() -> MetaNetworks:
    with forked(Rng(0)):
        return MetaNetworks(nn.Identity(), width=1, outputs=3, hidden=4, generator=6, convs=2)


def tasks(kind: str = "classification", feature: tuple[int, ...] = (8,)) -> list[Task]:
    made = made_up_tasks(kind, feature=feature, count=2)
    return [tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, task) for task in made]


CASES = {
    "dense": (dense, tasks),
    "dense, regression": (dense, partial(tasks, "regression")),
    "dense, one part": (partial(dense, parts=1), tasks),
    "dense, more parts than examples": (partial(dense, parts=100), tasks),
    "convolutional": (convolutional, partial(tasks, "classification", (1, 7, 5))),
}


def error(output: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(output, y) if y.is_floating_point() else F.cross_entropy(output, y)


def layer(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1) if weight.dim() == 4 else x @ weight.T


def forward(x: Tensor, slow: list[Tensor], fast: list[Tensor] | None = None) -> Tensor:
    for i, weight in enumerate(slow):
        if weight.dim() == 2 and x.dim() == 4:
            x = x.mean((2, 3))
        last = i == len(slow) - 1
        own = layer(x, weight) if last else F.relu(layer(x, weight))
        if fast is not None:
            own = own + (layer(x, fast[i]) if last else F.relu(layer(x, fast[i])))
        x = F.max_pool2d(own, 2, ceil_mode=True) if weight.dim() == 4 else own
    return x


def seen(gradient: Tensor, threshold: float) -> Tensor:
    """Number by number, as Andrychowicz et al. write it: two branches."""
    rows = []
    for g in gradient.flatten().tolist():
        if abs(g) >= math.exp(-threshold):
            rows.append([math.log(abs(g)) / threshold, math.copysign(1.0, g)])
        else:
            rows.append([-1.0, math.exp(threshold) * g])
    return torch.tensor(rows, dtype=torch.float64)


def by_hand(learner: MetaNetworks, task: Task) -> tuple[Tensor, list[Tensor], Tensor, list[list[Tensor]], Tensor]:
    """Objective, fast weights, keys, fast weights of each example, answers."""
    u, b, head = list(learner.representation), list(learner.base), learner.label_head
    x, y = learner.encoder(task.support.x), task.support.y
    kind = ["conv" if w.dim() == 4 else "dense" for w in b]

    count = min(learner.parts, len(y))
    sizes = [len(y) // count + (i < len(y) % count) for i in range(count)]
    cells, states = {}, [None] * len(u)
    for name, writer in learner.task_writers.items():
        cells[name] = nn.LSTMCell(2, learner.generator).double()
        parameters = {"weight_ih": writer.w_ih, "weight_hh": writer.w_hh, "bias_ih": writer.b}
        cells[name] = partial(
            torch.func.functional_call,
            cells[name],
            {**parameters, "bias_hh": torch.zeros_like(writer.b)},
        )
    for part_x, part_y in zip(x.split(sizes), y.split(sizes), strict=True):
        loss = error(F.relu(forward(part_x, u)) @ head.T, part_y)
        for i, g in enumerate(torch.autograd.grad(loss, u, retain_graph=True)):
            states[i] = cells[kind[i]]((seen(g, learner.threshold), states[i]))
    fast = [
        learner.task_writers[k].out(state[0]).reshape(w.shape) for k, state, w in zip(kind[:-1], states, u, strict=True)
    ]
    keys = torch.stack([forward(one.unsqueeze(0), u, fast)[0] for one in x])

    values = []
    for one, label in zip(x, y, strict=True):
        loss = error(forward(one.unsqueeze(0), b), label.unsqueeze(0))
        found = torch.autograd.grad(loss, b, retain_graph=True)
        written = [learner.example_writers[k](seen(g, learner.threshold)) for k, g in zip(kind, found, strict=True)]
        values.append([w.reshape(slow.shape) for w, slow in zip(written, b, strict=True)])

    answers = []
    for one in learner.encoder(task.query.x):
        asked = forward(one.unsqueeze(0), u, fast)[0]
        share = torch.stack([asked @ key / (asked.norm() * key.norm()) for key in keys]).softmax(0)
        mixed = [sum(s * v[i] for s, v in zip(share, values, strict=True)) for i in range(len(b))]
        answers.append(forward(one.unsqueeze(0), b, mixed)[0])
    output = torch.stack(answers)
    return error(output, task.query.y), fast, keys, values, output


@pytest.mark.parametrize("case", CASES)
def test_state_and_answers_are_those_of_a_plain_loop(case: str) -> None:
    make, some = CASES[case]
    learner, task = make().double(), some()[0]
    state = learner.adapt(task.support)
    _, fast, keys, values, output = by_hand(learner, task)
    for mine, theirs in zip(state.fast, fast, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=LIMIT)
    torch.testing.assert_close(state.keys, keys, rtol=0, atol=LIMIT)
    for i, mine in enumerate(state.values):
        torch.testing.assert_close(mine, torch.stack([v[i] for v in values]), rtol=0, atol=LIMIT)
    torch.testing.assert_close(learner.predict(state, task.query.x), output, rtol=0, atol=LIMIT)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("together", [True, False])
def test_the_meta_gradient_takes_what_the_writers_read_as_constant(
    case: str, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta_networks, "WRITTEN_AT_ONCE", 10**9 if together else 0)
    make, some = CASES[case]
    learner, batch = make().double().train(), some()
    parameters = list(learner.parameters())
    objective = sum(by_hand(learner, task)[0] for task in batch) / len(batch)
    expected = torch.autograd.grad(objective, parameters)
    found = learner.loss(stack(batch)).objective.mean()
    torch.testing.assert_close(found, objective, rtol=LIMIT, atol=0)
    largest = max(float(g.abs().max()) for g in expected)
    for mine, theirs in zip(torch.autograd.grad(found, parameters), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=LIMIT * largest)


def test_every_parameter_is_trained_and_the_label_head_is_none() -> None:
    learner = dense().double().train()
    learner.loss(stack(tasks())).objective.mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in learner.parameters())
    assert "label_head" in dict(learner.named_buffers())


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_meta_networks_keep_their_promises(kind: str) -> None:
    found = {f.name: f for f in check_learner(dense(), kind=kind)}
    assert found["queries one by one"].passed
    assert found["meta-gradient"].passed is None


def test_with_convolutions_they_keep_their_promises() -> None:
    check_learner(convolutional(), made_up_tasks("classification", feature=(1, 7, 5)))


def test_one_example_alone_is_what_every_query_reads() -> None:
    learner, task = dense().double(), tasks()[0]
    one = task.support.select(torch.arange(1))
    state = learner.adapt(one)
    z = learner.encoder(task.query.x)
    expected = forward(z, list(learner.base), [v[0] for v in state.values])
    torch.testing.assert_close(learner.predict(state, task.query.x), expected, rtol=0, atol=LIMIT)


def test_the_full_net_of_the_paper_ends_in_one_pixel() -> None:
    """Five blocks of 64 filters on 28 pixels, rounded up when halved: 28, 14, 7, 4, 2, 1."""
    learner = MetaNetworks(nn.Identity(), width=1, outputs=5, convs=5)
    assert [tuple(w.shape) for w in learner.base] == [(64, 1, 3, 3), *[(64, 64, 3, 3)] * 4, (64, 64), (5, 64)]
    with torch.no_grad():
        state = learner.adapt(Examples(torch.rand(2, 1, 28, 28), torch.tensor([0, 1]), ways=5))
    assert state.keys.shape == (2, 64)


def test_errors_say_what_to_change() -> None:
    with pytest.raises(UserError, match="has 3 classes, but the head 2; give outputs=3"):
        dense(outputs=2).adapt(made_up_tasks("classification")[0].support)
    with pytest.raises(UserError, match="parts is 0"):
        dense(parts=0)


def test_they_learn_to_look_up_a_label() -> None:
    """Two classes, one example each, in two dimensions: after training, new classes are told apart."""
    x = 3 * torch.randn(60, 2, generator=Rng(3).generator()).repeat_interleave(4, 0)
    pool = Pool.of(x + 0.1 * torch.randn(240, 2, generator=Rng(4).generator()), torch.arange(240) // 4, name="clouds")
    source = Episodes(pool.resplit((0.6, 0.2, 0.2), by="class"), ways=2, shots=1, queries=2)
    with forked(Rng(0)):
        learner = MetaNetworks(nn.Identity(), width=2, outputs=2, hidden=8)
    for _ in meta_train(learner, source.train, steps=40, tasks=16, optimizer=partial(torch.optim.Adam, lr=1e-2)):
        pass
    with torch.no_grad():
        assert learner.loss(source.test.sample(0, 200)).metric.mean().item() > 0.85
