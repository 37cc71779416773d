"""SNAIL: what it caches is exactly what the whole sequence would give, and it keeps its promises."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.engine.plan import Plan
from quickstudy.errors import UserError
from quickstudy.learner import criterion
from quickstudy.learners.memory import snail
from quickstudy.learners.memory.snail import SNAIL
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.temporal import AttentionBlock, DenseBlock, Temporal
from quickstudy.pytree import tree_leaves, tree_map
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, stack
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool

SMALL = {"attention": ((8, 4), (6, 5), (4, 3)), "filters": 4}


def made(*, length: int = 13, norm: bool = True, outputs: int = 3) -> SNAIL:
    with forked(Rng(0)):
        encoder = nn.Sequential(nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.ReLU())
        return SNAIL(encoder, width=6, outputs=outputs, length=length, **SMALL)


def double(task: Task) -> Task:
    return tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, task)


def whole_sequence(learner: SNAIL, support: Examples, x: Tensor) -> Tensor:
    """The answer at the last position of one sequence, all of it run through library convolutions and full matrices."""
    y = support.y if support.ways is None else F.one_hot(support.y, learner.outputs).double()
    z = learner.encoder(torch.cat([support.x, x.unsqueeze(0)]))
    h = torch.cat([z, F.pad(y, (0, 0, 0, 1))], 1)  # (n + 1, channels), the query unlabelled
    for block in learner.body.blocks:
        if isinstance(block, DenseBlock):
            kernel = torch.stack([block.before.weight, block.here.weight], -1)
            f, g = F.conv1d(
                F.pad(h.T, (block.dilation, 0)).unsqueeze(0), kernel, block.here.bias, dilation=block.dilation
            )[0].T.chunk(2, 1)
            h = torch.cat([h, f.tanh() * g.sigmoid()], 1)
        else:
            scores = block.to_question(h) @ block.to_key(h).T / math.sqrt(block.keys)
            visible = torch.ones(len(h), len(h)).tril().bool()
            h = torch.cat([h, torch.where(visible, scores, -torch.inf).softmax(1) @ block.to_value(h)], 1)
    return learner.head(h[-1])


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_snail_keeps_its_promises(kind: str) -> None:
    found = {f.name: f for f in check_learner(made(), kind=kind)}
    assert found["meta-gradient"].passed
    assert found["update equals adapting to all"].passed
    assert found["queries one by one"].passed


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("length", [2, 5, 13, 64])
def test_queries_from_the_cache_equal_the_whole_sequence_run_anew(kind: str, length: int) -> None:
    """Also where the support set is longer than the convolutions reach, and shorter than their dilation."""
    learner, task = made(length=length).double().eval(), double(made_up_tasks(kind)[0])
    cached = learner.predict(learner.adapt(task.support), task.query.x)
    anew = torch.stack([whole_sequence(learner, task.support, x) for x in task.query.x])
    torch.testing.assert_close(cached, anew, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cut", [1, 4, 11])
def test_reading_in_parts_leaves_the_same_state(cut: int) -> None:
    learner, support = made().double().eval(), double(made_up_tasks("classification")[0]).support
    rows = torch.arange(len(support))
    parts = learner.update(learner.adapt(support.select(rows[:cut])), support.select(rows[cut:]))
    for mine, whole in zip(tree_leaves(parts), tree_leaves(learner.adapt(support)), strict=True):
        torch.testing.assert_close(mine, whole, rtol=0, atol=1e-12)


def test_the_state_holds_only_what_later_positions_can_see() -> None:
    learner, support = made(length=5), made_up_tasks("classification")[0].support
    rows = [past[0].shape[0] for past in learner.adapt(support).pasts]
    assert rows == [12, 1, 2, 4, 12, 1, 2, 4, 12]


def test_a_query_costs_one_step_however_long_the_support_set() -> None:
    """No product of matrices has more rows than there are queries, but for those with keys and values."""
    learner, task = made(), made_up_tasks("classification")[0]
    state, rows = learner.adapt(task.support), []
    for module in learner.body.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _m, args, _out: rows.append(args[0].numel() // args[0].shape[-1]))
    learner.predict(state, task.query.x)
    assert max(rows) == len(task.query)


def test_nothing_looks_ahead_and_everything_behind_is_seen() -> None:
    """The derivative of each position's answer with respect to each input: lower triangular, and full below."""
    with forked(Rng(1)):
        net = Temporal(3, length=8, attention=((4, 2), (4, 2)), filters=3).double()
        dense = nn.ModuleList(DenseBlock(3 + 2 * i, 2, dilation=2**i) for i in range(3)).double()
    x = torch.randn(8, 3, dtype=torch.float64, generator=Rng(2).generator())

    def convolved(x: Tensor) -> Tensor:
        for block in dense:
            x, _ = block(x, block.start())
        return x

    for run in (lambda x: net(x, net.start())[0], convolved):
        reached = torch.func.jacrev(run)(x).abs().sum((1, 3)) > 0  # (position, input)
        assert torch.equal(reached, torch.ones(8, 8).tril().bool())


@pytest.mark.parametrize(("length", "levels"), [(2, 1), (5, 3), (6, 3), (8, 3), (9, 4), (101, 7)])
def test_convolutions_reach_the_whole_sequence_and_no_more_than_needed(length: int, levels: int) -> None:
    net = Temporal(4, length=length, attention=((4, 2), (4, 2)), filters=2)
    dilations = [b.dilation for b in net.blocks if isinstance(b, DenseBlock)]
    assert dilations == [2**i for i in range(levels)]
    assert levels == math.ceil(math.log2(length))


def test_the_net_of_the_paper_has_its_sizes() -> None:
    """5-way 1-shot: Attention(64, 32), TC(6, 128), Attention(256, 128), TC(6, 128), Attention(512, 256)."""
    body = SNAIL(nn.Identity(), width=64, outputs=5, length=6).body
    assert [type(b) for b in body.blocks].count(DenseBlock) == 2 * 3
    assert [(b.inputs, b.keys, b.values) for b in body.blocks if isinstance(b, AttentionBlock)] == [
        (69, 64, 32),
        (69 + 32 + 3 * 128, 256, 128),
        (69 + 32 + 3 * 128 + 128 + 3 * 128, 512, 256),
    ]


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_objective_is_that_of_the_last_position(kind: str) -> None:
    learner, tasks = made(norm=False).double(), [double(t) for t in made_up_tasks(kind)]
    expected = [
        criterion(torch.stack([whole_sequence(learner, t.support, x) for x in t.query.x]), t.query) for t in tasks
    ]
    torch.testing.assert_close(learner.loss(stack(tasks)).objective, torch.stack(expected), rtol=0, atol=1e-10)


def test_a_batch_is_embedded_together_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call of the encoder for all tasks, whose running statistics it moves; the rest mapped, in any way alike."""
    learner, batch = made().double(), double(stack(made_up_tasks("classification")))
    seen = []
    learner.encoder.register_forward_hook(lambda _m, args, _out: seen.append(len(args[0])))
    mapped = learner.loss(batch).objective
    monkeypatch.setattr(snail, "TOGETHER", Plan("loop", 1, "test"))
    torch.testing.assert_close(learner.loss(batch).objective, mapped, rtol=1e-10, atol=0)
    assert seen == [4 * 18, 4 * 18]
    assert float(learner.encoder[1].running_mean.abs().max()) > 0


def test_errors_say_what_to_change() -> None:
    task = made_up_tasks("classification")[0]
    with pytest.raises(UserError, match="has 3 classes, but the head 2; give outputs=3"):
        made(outputs=2).adapt(task.support)
    with pytest.raises(UserError, match="length is 1 and there are 3 attention blocks"):
        made(length=1)
    with pytest.raises(UserError, match="there are 0 attention blocks"):
        SNAIL(nn.Identity(), width=2, outputs=2, length=4, attention=())


def test_it_learns_to_look_up_a_label() -> None:
    """Two classes, one example each, in two dimensions: after training, new classes are told apart."""
    x = 3 * torch.randn(60, 2, generator=Rng(3).generator()).repeat_interleave(4, 0)
    pool = Pool.of(x + 0.1 * torch.randn(240, 2, generator=Rng(4).generator()), torch.arange(240) // 4, name="clouds")
    source = Episodes(pool.resplit((0.6, 0.2, 0.2), by="class"), ways=2, shots=1, queries=2)
    with forked(Rng(0)):
        learner = SNAIL(nn.Identity(), width=2, outputs=2, length=3, attention=((8, 8), (8, 8)), filters=8)
    for _ in meta_train(learner, source.train, steps=100, tasks=32, optimizer=partial(torch.optim.Adam, lr=1e-2)):
        pass
    with torch.no_grad():
        assert learner.loss(source.test.sample(0, 200)).metric.mean().item() > 0.9
