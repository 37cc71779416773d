"""What reads a support set as a set: its promises, and its numbers against loops over one task, one head, one example.

More of the in-context transformer is in test_in_context.py.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.engine.mapping import map_tasks
from quickstudy.engine.plan import Plan
from quickstudy.errors import UserError
from quickstudy.functional.padding import closed_up, on_real
from quickstudy.learner import Learner
from quickstudy.learners.process.attentive import AttentiveProcess
from quickstudy.learners.process.conditional import ConditionalProcess
from quickstudy.learners.process.in_context import InContext
from quickstudy.learners.process.reading import ReadsSet
from quickstudy.nets.attention import attend
from quickstudy.outputs import Gaussian, central
from quickstudy.pytree import tree_map
from quickstudy.registry import describe
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, pad, stack, take

MAKERS: dict[str, Callable[[], ReadsSet]] = {
    "cnp": lambda: ConditionalProcess(inputs=8, outputs=3, width=8, depth=3),
    "cnp, encoder": lambda: ConditionalProcess(nn.Linear(8, 4), inputs=4, outputs=3, width=8, depth=2),
    "attentive": lambda: AttentiveProcess(inputs=8, outputs=3, width=8, depth=3, heads=2),
    "attentive, plain": lambda: AttentiveProcess(inputs=8, outputs=3, width=8, depth=2, heads=4, layers=0),
    "in-context": lambda: InContext(inputs=8, outputs=3, width=8, layers=2, heads=2, hidden=12, depth=2),
}


def made(maker: Callable[[], ReadsSet]) -> ReadsSet:
    with forked(Rng(0)):
        return maker()


def double(task: Task) -> Task:
    return tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, task)


def ragged(kind: str) -> list[Task]:
    """Tasks of several sizes, the first of them the longest on neither side."""
    tasks = []
    for task, n, q in zip(made_up_tasks(kind, count=4), (5, 9, 2, 7), (4, 1, 6, 3), strict=True):
        cut = dataclasses.replace(task, support=task.support.select(torch.arange(n)))
        tasks.append(double(dataclasses.replace(cut, query=task.query.select(torch.arange(q)))))
    return tasks


def scattered(tasks: Task) -> Task:
    """The same batch with padding among the real rows, as episodes of classes have it."""
    order = torch.tensor([3, 8, 0, 5, 1, 7, 2, 6, 4])
    support = tasks.support
    moved = Examples(support.x[:, order], support.y[:, order], support.mask[:, order], ways=support.ways)
    return dataclasses.replace(tasks, support=moved)


def agree(learner: Learner, kind: str) -> None:
    """The batch in one pass against each task by itself: objective, metric and gradient."""
    learner.double()
    tasks = ragged(kind)
    found = []
    for batch in (pad(tasks), scattered(pad(tasks))):
        learner.zero_grad()
        loss = learner.loss(batch)
        loss.objective.sum().backward()
        found.append([loss.objective.detach(), loss.metric, *(p.grad for p in learner.parameters())])
    learner.zero_grad()
    pairs = [learner.task_loss(task) for task in tasks]
    torch.stack([objective for objective, _ in pairs]).sum().backward()
    columns = [torch.stack(column).detach() for column in zip(*pairs, strict=True)]
    for each in found:
        for a, b in zip(each, [*columns, *(p.grad for p in learner.parameters())], strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("name", MAKERS)
def test_promises_are_kept(name: str, kind: str) -> None:
    found = {f.name: f.passed for f in check_learner(made(MAKERS[name]), kind=kind)}
    assert found["meta-gradient"]
    assert found["padding"]
    assert found["update equals adapting to all"] is (None if name in ("attentive", "in-context") else True)


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("name", MAKERS)
def test_a_ragged_batch_in_one_pass_is_its_tasks_one_by_one(name: str, kind: str) -> None:
    agree(made(MAKERS[name]), kind)


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("name", MAKERS)
def test_adapting_and_answering_map_over_tasks(name: str, kind: str) -> None:
    learner, batch = made(MAKERS[name]).double(), double(stack(made_up_tasks(kind)))

    def answered(task: Task, rng: Rng | None = None) -> Tensor:
        return central(learner.predict(learner.adapt(task.support), task.query.x))

    mapped, looped = (map_tasks(answered, batch, Plan(how, 4, "test")) for how in ("vmap", "loop"))
    torch.testing.assert_close(mapped, looped, atol=1e-10, rtol=1e-10)


def layered(net: nn.Module, x: Tensor) -> Tensor:
    layers = list(net.layers)  # type: ignore[arg-type]
    for layer in layers[:-1]:
        x = torch.relu(x @ layer.weight.T + layer.bias)
    return x @ layers[-1].weight.T + layers[-1].bias


def by_hand(numbers: Tensor, least: float) -> tuple[Tensor, Tensor]:
    mean, raw = numbers[:3], numbers[3:]
    return mean, (least + torch.log1p(raw.exp())) ** 2


def test_a_conditional_process_is_an_encoder_a_mean_and_a_decoder() -> None:
    learner = made(MAKERS["cnp"]).double()
    task = ragged("regression")[0]
    codes = [layered(learner.coder, torch.cat([x, y])) for x, y in zip(task.support.x, task.support.y, strict=True)]
    code = sum(codes[1:], codes[0]) / 5
    output = learner.predict(learner.adapt(task.support), task.query.x)
    for i, x in enumerate(task.query.x):
        mean, variance = by_hand(layered(learner.decoder, torch.cat([code, x])), 0.01)
        torch.testing.assert_close(output.mean[i], mean)
        torch.testing.assert_close(output.variance[i], variance)


def test_an_attentive_process_reads_each_head_by_itself() -> None:
    learner = made(MAKERS["attentive, plain"]).double()
    task = ragged("regression")[1]
    values = [layered(learner.coder, torch.cat([x, y])) for x, y in zip(task.support.x, task.support.y, strict=True)]
    keys = [layered(learner.place, x) for x in task.support.x]
    query = layered(learner.place, task.query.x[0]).detach()
    parts = []
    for head in range(4):
        own = slice(2 * head, 2 * head + 2)
        weights = [math.exp(float(query[own] @ key[own].detach()) / math.sqrt(2)) for key in keys]
        parts.append(sum(w / sum(weights) * v[own] for w, v in zip(weights, values, strict=True)))
    beside = torch.cat([*parts, torch.stack(values).mean(0), task.query.x[0]])
    mean, variance = by_hand(layered(learner.decoder, beside), 0.01)
    output = learner.predict(learner.adapt(task.support), task.query.x)
    torch.testing.assert_close(output.mean[0], mean)
    torch.testing.assert_close(output.variance[0], variance)


def test_attention_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, n, 6, generator=generator, dtype=torch.float64) for n in (3, 5, 5))
    mask = torch.tensor([[True] * 5, [True, False, True, False, True]])
    apart = [part.unflatten(-1, (3, 2)).transpose(1, 2) for part in (q, k, v)]
    expected = nn.functional.scaled_dot_product_attention(*apart, attn_mask=mask[:, None, None])
    torch.testing.assert_close(attend(q, k, v, heads=3, mask=mask), expected.transpose(1, 2).flatten(2))


def test_padding_is_left_out_and_closed_up() -> None:
    mask = torch.tensor([[False, True, True], [True, False, False]])
    x = torch.arange(6.0).reshape(2, 3, 1)
    seen: list[Tensor] = []
    made_of = on_real(lambda rows: seen.append(rows) or -rows, x, mask)  # type: ignore[func-returns-value]
    assert seen[0].flatten().tolist() == [1, 2, 3]
    assert made_of.flatten().tolist() == [0, -1, -2, -3, 0, 0]
    order, real = closed_up(mask)
    assert order.tolist() == [[1, 2], [0, 1]]
    assert real.tolist() == [[True, True], [True, False]]


def test_batch_norm_of_an_encoder_moves_in_training_alone() -> None:
    learner = made(
        lambda: ConditionalProcess(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)), inputs=4, outputs=3, width=8)
    )
    task = made_up_tasks("regression")[0]
    before = learner.encoder[1].running_mean.clone()
    learner.adapt(task.support)
    assert torch.equal(learner.encoder[1].running_mean, before)
    learner.loss(pad([task, task]))
    assert not torch.equal(learner.encoder[1].running_mean, before)


def test_images_are_embedded_by_an_encoder() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    learner = made(lambda: AttentiveProcess(encoder, inputs=32, outputs=2, width=8, heads=2))
    tasks = made_up_tasks("classification", feature=(1, 6, 6), outputs=2)
    assert all(f.passed is not False for f in check_learner(learner, tasks))


def test_a_deviation_is_never_below_the_least() -> None:
    learner = made(lambda: ConditionalProcess(inputs=1, outputs=1, width=8, least=0.5))
    with torch.no_grad():
        learner.decoder.layers[-1].bias.fill_(-200.0)
    answer = learner.predict(learner.adapt(Examples(torch.zeros(2, 1), torch.zeros(2, 1))), torch.zeros(3, 1))
    assert isinstance(answer, Gaussian)
    torch.testing.assert_close(answer.variance, torch.full((3, 1), 0.25))


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (lambda: ConditionalProcess(inputs=0, outputs=1), "inputs is 0"),
        (lambda: ConditionalProcess(inputs=1, outputs=1, least=0.0), "least 0.0"),
        (
            lambda: AttentiveProcess(inputs=1, outputs=1, width=10, heads=4),
            "A width of 10 cannot be shared out among 4",
        ),
        (lambda: InContext(inputs=1, outputs=1, width=10, heads=4), "A width of 10 cannot be"),
        (lambda: InContext(inputs=1, outputs=1, layers=0), "layers is 0"),
    ],
)
def test_numbers_that_make_no_sense(maker: Callable[[], Learner], message: str) -> None:
    with pytest.raises(UserError, match=message):
        maker()


def test_more_classes_than_outputs_are_refused_with_both_numbers() -> None:
    learner = made(MAKERS["cnp"])
    with pytest.raises(UserError, match="The task has 5 classes, but ConditionalProcess answers for 3"):
        learner.adapt(take(pad(made_up_tasks("classification", outputs=5)), 0).support)


@pytest.mark.parametrize("maker", [ConditionalProcess, AttentiveProcess, InContext])
def test_options_are_kept_as_attributes(maker: type[ReadsSet]) -> None:
    learner = maker(inputs=2, outputs=3, width=8, depth=2, least=0.2)
    assert (learner.inputs, learner.outputs, learner.least, learner.width, learner.depth) == (2, 3, 0.2, 8, 2)
    assert describe(learner)["name"]
