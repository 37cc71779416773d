"""Recurrent learners: their memories are what the formulas say, of one size, and reading on is adapting to all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.engine.mapping import NotVectorised, map_tasks
from quickstudy.engine.plan import Plan
from quickstudy.errors import UnknownName, UserError
from quickstudy.learners.memory.cells import Cell, DeltaCell, FastWeightsCell, LSTMCell, Memory, corrected, recall
from quickstudy.learners.memory.recurrent import Recurrent
from quickstudy.loops.meta_train import meta_train
from quickstudy.pytree import tree_leaves
from quickstudy.rng import Rng, forked
from quickstudy.state import fingerprint
from quickstudy.task import Examples, Task, stack, take
from quickstudy.tasks.retrieval import Retrieval

CELLS: dict[str, Callable[[], Cell]] = {
    "lstm": lambda: LSTMCell(inputs=5, width=6),
    "fast weights": lambda: FastWeightsCell(inputs=5, width=6, inner=2),
    "delta": lambda: DeltaCell(inputs=5, width=6, keys=4),
}


def made(name: str, **options: object) -> Recurrent:
    with forked(Rng(0)):
        return Recurrent(CELLS[name](), **{"inputs": 8, "outputs": 3, "hidden": 7, **options})  # type: ignore[arg-type]


def short(task: Task) -> Task:
    """The task with a few examples of its support set, of regressions that is: a class must not get lost."""
    few = task.support if task.ways else task.support.select(torch.arange(4))
    return dataclasses.replace(task, support=few)


@pytest.mark.parametrize("tokens", ["apart", "together"])
@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("name", CELLS)
def test_it_keeps_its_promises(name: str, kind: str, tokens: str) -> None:
    tasks = [short(task) for task in made_up_tasks(kind, outputs=2)]
    found = {f.name: f for f in check_learner(made(name, outputs=2, tokens=tokens), tasks)}
    assert found["meta-gradient"].passed
    assert found["looped equals vectorised"].passed
    assert found["update equals adapting to all"].passed


def test_an_encoder_with_batch_norm_keeps_the_promises() -> None:
    with forked(Rng(0)):
        encoder = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
    learner = made("lstm", inputs=4, encoder=encoder)
    check_learner(learner)
    before = fingerprint(encoder)
    learner.loss(stack(made_up_tasks("classification")))
    assert fingerprint(encoder) != before, "in training its running statistics move, once a batch of tasks"


def test_the_lstm_is_that_of_torch() -> None:
    with forked(Rng(0)):
        cell, torchs = LSTMCell(inputs=5, width=6).double(), nn.LSTM(5, 6).double()
    with torch.no_grad():
        torchs.weight_ih_l0.copy_(cell.read.weight)
        torchs.weight_hh_l0.copy_(cell.recur.weight)
        torchs.bias_ih_l0.copy_(cell.read.bias)
        torchs.bias_hh_l0.zero_()
        stream = torch.randn(9, 5, generator=Rng(1).generator(), dtype=torch.float64)
        memory = read(cell, stream)
        torch.testing.assert_close(memory.hidden, torchs(stream)[0][-1:], atol=1e-10, rtol=0)
    assert (cell.read.bias[6:12] == 1).all()


def read(cell: Cell, stream: Tensor) -> Memory:
    memory = cell.start()
    for token in stream.split(1):
        memory = cell(memory, token)
    return memory


def test_fast_weights_attend_to_the_past_by_scalar_products() -> None:
    with forked(Rng(0)):
        cell = FastWeightsCell(inputs=5, width=6, decay=0.9, rate=0.3, inner=3).double()
    stream = torch.randn(8, 5, generator=Rng(1).generator(), dtype=torch.float64)
    with torch.no_grad():
        past = [torch.zeros(6, dtype=torch.float64)]
        for token in stream:
            sustained = cell.read(token) + cell.recur(past[-1])
            hidden = torch.relu(cell.norm(sustained))
            for _ in range(3):
                attended = sum(0.3 * 0.9 ** (len(past) - 1 - i) * h * (h @ hidden) for i, h in enumerate(past))
                hidden = torch.relu(cell.norm(sustained + attended))
            past.append(hidden)
        memory = read(cell, stream)
        torch.testing.assert_close(memory.hidden[0], past[-1], atol=1e-10, rtol=0)
        probe = torch.randn(1, 6, generator=Rng(2).generator(), dtype=torch.float64)
        attended = sum(0.3 * 0.9 ** (7 - i) * h * (h @ probe[0]) for i, h in enumerate(past[:-1]))
        torch.testing.assert_close(recall(memory.store, probe)[0], attended, atol=1e-10, rtol=0)


def test_without_a_rate_fast_weights_are_a_plain_recurrent_net() -> None:
    with forked(Rng(0)):
        cell = FastWeightsCell(inputs=5, width=6, rate=0.0)
    stream = torch.randn(4, 5, generator=Rng(1).generator())
    hidden = torch.zeros(1, 6)
    with torch.no_grad():
        assert torch.equal(cell.recur.weight, 0.05 * torch.eye(6))
        for token in stream.split(1):
            hidden = torch.relu(cell.norm(cell.read(token) + cell.recur(hidden)))
        torch.testing.assert_close(read(cell, stream).hidden, hidden)


def test_the_delta_memory_is_the_explicit_recurrence() -> None:
    with forked(Rng(0)):
        cell = DeltaCell(inputs=5, width=6, keys=4).double()
    stream = torch.randn(9, 5, generator=Rng(1).generator(), dtype=torch.float64)
    weights, hidden = torch.zeros(6, 4, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    with torch.no_grad():
        for token in stream:
            made = cell.read.weight @ token + cell.read.bias + cell.recur.weight @ hidden
            key, query = made[:4].exp() / made[:4].exp().sum(), made[4:8].exp() / made[4:8].exp().sum()
            value, strength = made[8:14], 1 / (1 + torch.exp(-made[14]))
            # W (I - b k k^T) + b v k^T, which is the same rule written as a projection.
            keep = torch.eye(4, dtype=torch.float64) - strength * torch.outer(key, key)
            weights = weights @ keep + strength * torch.outer(value, key)
            hidden = cell.norm(weights @ query)
        memory = read(cell, stream)
    torch.testing.assert_close(memory.store[0], weights, atol=1e-10, rtol=0)
    torch.testing.assert_close(memory.hidden[0], hidden, atol=1e-10, rtol=0)


def test_the_delta_rule_retrieves_what_orthonormal_keys_hold_and_writes_it_anew() -> None:
    generator = Rng(0).generator()
    keys = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))[0]
    values = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    store, whole = torch.zeros(1, 3, 6, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    for key, value in zip(keys, values, strict=True):
        store = corrected(store, key[None], value[None], whole)
    torch.testing.assert_close(recall(store.expand(6, 3, 6), keys), values, atol=1e-10, rtol=0)
    store = corrected(store, keys[:1], values[5:], whole)
    torch.testing.assert_close(recall(store, keys[:1]), values[5:], atol=1e-10, rtol=0)
    torch.testing.assert_close(recall(store, keys[1:2]), values[1:2], atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", CELLS)
def test_a_memory_has_one_size_and_reading_on_is_adapting_to_all(name: str) -> None:
    learner, source = made(name, inputs=26, outputs=10, tokens="apart"), Retrieval(pairs=20)
    support = take(source.sample(0, 1), 0).support
    first, more = support.select(torch.arange(3)), support.select(torch.arange(3, 20))
    state, all_at_once = learner.update(learner.adapt(first), more), learner.adapt(support)
    for a, b, short in zip(*map(tree_leaves, (state, all_at_once, learner.adapt(first))), strict=True):
        assert torch.equal(a, b)
        assert a.shape == short.shape


@pytest.mark.parametrize("name", CELLS)
def test_it_is_vectorised_over_tasks(name: str, recwarn: pytest.WarningsRecorder) -> None:
    learner = made(name, inputs=26, outputs=10, tokens="apart")
    objective, _ = map_tasks(learner.task_loss, Retrieval(queries=2).sample(0, 4), Plan("vmap", 4, "a test"))
    objective.sum().backward()
    assert not [w for w in recwarn if issubclass(w.category, NotVectorised)]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


def test_the_order_of_two_symbols_tells_whose_digit_it_is() -> None:
    """A question put apart is '?', '?' and the input; put together it is the input beside the blank."""
    learner = made("lstm", tokens="apart")
    x, y = torch.randn(2, 8, generator=Rng(1).generator()), torch.tensor([2, 0])
    with torch.no_grad():
        e, blank = learner.embed(x), learner.blank[None]
        stream = torch.cat([e[:1], learner.labels[2:], e[1:], learner.labels[:1], blank, blank, e[:1]])
        told = learner.predict(learner.adapt(Examples(x, y, ways=3)), x[:1])
        torch.testing.assert_close(told, learner.readout(read(learner.cell, stream).hidden))
        learner = made("lstm", tokens="together")
        stream = torch.cat([e + learner.labels[y], e[:1] + blank])
        told = learner.predict(learner.adapt(Examples(x, y, ways=3)), x[:1])
        torch.testing.assert_close(told, learner.readout(read(learner.cell, stream).hidden))


def test_fast_weights_learn_to_repeat_the_only_digit() -> None:
    with forked(Rng(0)):
        learner = Recurrent(FastWeightsCell(inputs=20, width=20), inputs=26, outputs=10, tokens="apart")
    learner.plan = Plan("vmap", 64, "a test")
    source = Retrieval(pairs=1)
    optimizer = lambda weights: torch.optim.Adam(weights, lr=1e-2)  # noqa: E731
    metrics = [r.metric for r in meta_train(learner, source, steps=40, tasks=32, optimizer=optimizer)]
    assert sum(metrics[-5:]) / 5 > 0.8


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: made("lstm", tokens="appart"), UnknownName, "Did you mean 'apart'"),
        (lambda: LSTMCell(inputs=0), UserError, "inputs is 0; a LSTMCell needs at least 1"),
        (lambda: DeltaCell(width=0), UserError, "width is 0"),
        (lambda: DeltaCell(keys=0), UserError, "keys is 0"),
        (lambda: FastWeightsCell(decay=1.5), UserError, r"decay is 1\.5"),
        (lambda: FastWeightsCell(inner=0), UserError, "inner 0"),
    ],
)
def test_options_that_make_no_sense(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
