"""The in-context transformer: its layers against torch's own, its cache, and that it learns from its context."""

from __future__ import annotations

import torch
from torch import nn

from quickstudy.contract import made_up_tasks
from quickstudy.learners.process.in_context import InContext
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.attention import Block
from quickstudy.outputs import Gaussian
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task
from quickstudy.tasks.source import TaskSource


def made(**options: int) -> InContext:
    small = {"inputs": 8, "outputs": 3, "width": 8, "layers": 2, "heads": 2, "hidden": 12, "depth": 2}
    with forked(Rng(0)):
        return InContext(**small | options)


def layer_of_torch(block: Block) -> nn.TransformerEncoderLayer:
    """Torch's layer with the weights of ours."""
    layer = nn.TransformerEncoderLayer(
        block.width, block.heads, block.hidden, dropout=0.0, norm_first=True, batch_first=True, dtype=torch.float64
    )
    ours = block.state_dict()
    theirs = {f"self_attn.in_proj_{k}": torch.cat([ours[f"ask.{k}"], ours[f"give.{k}"]]) for k in ("weight", "bias")}
    names = {"self_attn.out_proj": "out", "linear1": "net.0", "linear2": "net.2", "norm1": "before", "norm2": "between"}
    theirs |= {f"{their}.{k}": ours[f"{our}.{k}"] for their, our in names.items() for k in ("weight", "bias")}
    layer.load_state_dict(theirs)
    return layer


def test_it_is_a_transformer_whose_mask_lets_all_attend_to_the_context_alone() -> None:
    learner = made().double()
    task = made_up_tasks("regression")[0]
    x, y, asked = task.support.x.double(), task.support.y.double(), task.query.x.double()
    seen = torch.cat([x, y, torch.ones(len(x), 1)], 1)
    unseen = torch.cat([asked, torch.zeros(len(asked), 4)], 1)
    tokens = learner.token(torch.cat([seen, unseen]))
    hidden = torch.zeros(len(tokens), len(tokens), dtype=torch.bool)
    hidden[:, len(x) :] = True
    for block in learner.blocks:
        tokens = layer_of_torch(block)(tokens.unsqueeze(0), src_mask=hidden)[0]
    mean, raw = learner.head(learner.norm(tokens[len(x) :])).chunk(2, -1)
    output = learner.predict(learner.adapt(Examples(x, y)), asked)
    assert isinstance(output, Gaussian)
    torch.testing.assert_close(output.mean, mean)
    torch.testing.assert_close(output.variance, (0.01 + nn.functional.softplus(raw)) ** 2)


def test_the_state_is_what_each_layer_lets_a_query_read() -> None:
    learner = made(layers=3)
    state = learner.adapt(made_up_tasks("classification")[0].support)
    assert state.keys.shape == state.values.shape == (3, 12, 8)
    assert (state.mask, state.ways) == (None, 3)


class Dealt(TaskSource):
    """Two clouds whose names are dealt anew in every episode, so that only the context can tell them."""

    name = "dealt"
    kind = "classification"

    def sample(self, first: int, count: int) -> Task:
        sides = []
        for side, n in (("support", 4), ("query", 6)):
            generator = [self.rng.at(first + i, side).generator() for i in range(count)]
            cloud = torch.stack([torch.randperm(n, generator=g) % 2 for g in generator])
            noise = torch.stack([torch.randn(n, 1, generator=g) for g in generator])
            swapped = torch.tensor([self.rng.at(first + i, "names").number % 2 for i in range(count)]).unsqueeze(1)
            sides.append(Examples(2.0 * cloud.unsqueeze(-1) - 1 + 0.2 * noise, cloud ^ swapped, ways=2))
        return Task(*sides)

    @property
    def protocol(self) -> dict[str, int]:
        return {"ways": 2, "shots": 2, "queries": 3}


def test_names_are_read_from_the_context() -> None:
    learner = made(inputs=1, outputs=2)
    records = meta_train(learner, Dealt(), steps=60, tasks=16, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
    right = [record.metric for record in records]
    assert sum(right[:3]) / 3 < 0.7
    assert sum(right[-10:]) / 10 > 0.9
