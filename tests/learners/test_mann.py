"""Memory-augmented networks: the memory's arithmetic, the stream, and that it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import UserError
from quickstudy.functional.recurrent.memory import FAINT, attend, least_used, write
from quickstudy.learners.memory.mann import MANN
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, stack

OPTIONS = {"width": 5, "outputs": 3, "controller": 7, "slots": 9, "word": 4, "reads": 2}


def small(**options: Any) -> MANN:
    with forked(Rng(0)):
        encoder = nn.Sequential(nn.Linear(8, 5), nn.Tanh())
        return MANN(**{"encoder": encoder, **OPTIONS, **options})


@pytest.mark.parametrize(
    ("kind", "sharpen"), [("classification", True), ("classification", False), ("regression", True)]
)
def test_a_mann_keeps_its_promises(kind: str, sharpen: bool) -> None:
    found = {f.name: f for f in check_learner(small(sharpen=sharpen), kind=kind)}
    assert found["meta-gradient"].passed and found["update equals adapting to all"].passed
    assert found["support reordered"].passed is None


@torch.no_grad()
def by_hand(learner: MANN, x: Tensor, labels: Tensor) -> Tensor:
    """The network spelled out on one stream, slot by slot: what it answers to each input."""
    size, heads, slots = learner.controller, learner.reads, learner.slots
    memory = torch.zeros(slots, learner.word, dtype=x.dtype)
    usage, h, c = x.new_zeros(slots), x.new_zeros(size), x.new_zeros(size)
    weights, vectors, label = x.new_zeros(heads, slots), x.new_zeros(heads * learner.word), torch.zeros_like(labels[0])
    answers = []
    for one, shown in zip(learner.encoder(x), labels, strict=True):
        if learner.standardise:
            one = (one - one.mean()) / (one.var(correction=0) + 1e-5).sqrt()
        gates = learner.inputs.weight @ torch.cat([one, label]) + learner.inputs.bias
        gates = gates + learner.w_read @ vectors + learner.w_hidden @ h
        i, f, g, o = gates[:size], gates[size : 2 * size], gates[2 * size : 3 * size], gates[3 * size :]
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        asked = learner.heads.weight @ h + learner.heads.bias
        words = asked[: heads * learner.word].view(heads, learner.word).tanh()
        alpha = asked[heads * learner.word : -heads].sigmoid()
        free = usage.argsort(stable=True)[:heads].tolist()
        rows = [memory[s] * (s not in free) for s in range(slots)]
        where = [
            [alpha[k] * weights[k, s] + (1 - alpha[k]) * (free[k] == s) for s in range(slots)] for k in range(heads)
        ]
        memory = torch.stack([rows[s] + sum(where[k][s] * words[k] for k in range(heads)) for s in range(slots)])
        strength = F.softplus(asked[-heads:]) if learner.sharpen else torch.ones(heads)
        weights = torch.stack([(strength[k] * cosines(words[k], memory)).softmax(0) for k in range(heads)])
        vectors = (weights @ memory).flatten()
        usage = learner.decay * usage + weights.sum(0) + torch.tensor(where, dtype=x.dtype).sum(0)
        answers.append(learner.head.weight @ torch.cat([h, vectors]) + learner.head.bias)
        label = shown
    return torch.stack(answers)


def cosines(word: Tensor, memory: Tensor) -> Tensor:
    """The cosine of a word and each slot; a slot that was never written has none."""
    return torch.stack([word @ slot / ((word @ word + FAINT) * (slot @ slot + FAINT)).sqrt() for slot in memory])


@pytest.mark.parametrize("options", [{}, {"sharpen": False, "standardise": True}])
@torch.no_grad()
def test_the_network_spelled_out(options: dict[str, Any]) -> None:
    learner, task = small(slots=5, **options).double(), made_up_tasks("classification")[0]
    stream = task.support.followed_by(task.query)
    x, labels = stream.x.double(), F.one_hot(stream.y, 3).double()
    expected = by_hand(learner, x, labels)
    state, answers = learner.read(learner.start(), learner.encoder(x), Examples(x, stream.y, ways=3))
    assert torch.allclose(answers, expected, atol=1e-10)
    assert torch.equal(state.label, labels[-1])
    # Each query goes on from the support on its own, so only the first is answered as the stream answers it.
    n = len(task.support)
    alone = learner.predict(learner.adapt(Examples(x[:n], stream.y[:n], ways=3)), x[n:])
    assert torch.allclose(alone[0], expected[n], atol=1e-10) and not torch.allclose(alone[1], expected[n + 1])
    later = by_hand(learner, torch.cat([x[:n], x[n + 1 : n + 2]]), labels[[*range(n), n + 1]])
    assert torch.allclose(alone[1], later[-1], atol=1e-10)


def test_the_objective_is_the_mean_over_the_stream_and_the_metric_that_of_the_queries() -> None:
    learner, tasks = small(), made_up_tasks("classification")
    loss = learner.loss(stack(tasks))
    for task, objective, right in zip(tasks, *loss, strict=True):
        stream = task.support.followed_by(task.query)
        answers = by_hand(learner, stream.x, F.one_hot(stream.y, 3).float())
        assert torch.allclose(objective, F.cross_entropy(answers, stream.y), atol=1e-5)
        share = (answers[len(task.support) :].argmax(1) == task.query.y).float().mean()
        assert torch.allclose(right, share) and not right.requires_grad
        assert torch.allclose(learner.task_loss(task)[0], objective)


def test_writing_and_reading() -> None:
    memory = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    least = least_used(torch.tensor([0.5, 0.0, 0.1]), 2)
    assert least.tolist() == [[0, 1, 0], [0, 0, 1]]
    words, where = torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.25]])
    assert write(memory, words, where, least).tolist() == [[2.0, 0.0], [1.0, 1.0], [0.5, 0.0]]
    weights = attend(memory, torch.tensor([[2.0, 0.0]]), torch.tensor([3.0]))
    assert torch.allclose(weights, torch.tensor([[3.0, 0.0, 3 / 2**0.5]]).softmax(1), atol=1e-4)
    # A slot that was never written, and a key of zeros, have a derivative.
    empty = torch.zeros(3, 2, requires_grad=True)
    attend(empty, torch.zeros(1, 2), torch.ones(1))[0, 0].backward()
    assert bool(empty.grad.isfinite().all())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="4 heads need a slot each to write to, but there are 3"):
        small(slots=3, reads=4)
    with pytest.raises(UserError, match="3 classes at most, but the task has 4"):
        small().adapt(made_up_tasks("classification", outputs=4)[0].support)


def test_fewer_classes_and_masked_examples_are_read() -> None:
    learner, support = small(), made_up_tasks("classification", outputs=2)[0].support
    assert learner.predict(learner.adapt(support), support.x).shape == (8, 3)
    mask = torch.arange(8) < 5
    masked = learner.adapt(Examples(support.x, support.y, mask, ways=2))
    assert torch.equal(masked.memory, learner.adapt(support.select(torch.arange(5))).memory)


def test_batch_norm_sees_all_tasks_in_training_and_none_in_evaluation() -> None:
    with forked(Rng(0)):
        encoder = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5))
    learner, tasks = small(encoder=encoder), made_up_tasks("classification")
    learner.loss(stack(tasks))
    x = torch.cat([torch.cat([t.support.x, t.query.x]) for t in tasks])
    assert torch.allclose(encoder[1].running_mean, 0.1 * encoder[0](x).mean(0), atol=1e-6)
    check_learner(learner)
