"""Meta networks (Munkhdalai and Yu 2017, arXiv:1703.00837): weights for a task, written by nets that read gradients."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...engine.joint import embed_together
from ...engine.mapping import map_tasks
from ...engine.plan import Plan
from ...errors import UserError
from ...functional.batch_norm import call
from ...functional.recurrent.lstm_cell import lstm_cell
from ...learner import Learner, Loss, criterion, metric
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task

Layers = tuple[Tensor, ...]  # the weights of one net, first layer first

WRITTEN_AT_ONCE = 200_000  # fast weights; more leave the caches: 8 tasks of 110,000 run twice as fast one by one


@pytree
class WeightMemory:
    """Weights that were written for one task.

    Args:
        fast: fast weights of the representation learner.
        keys: (n, hidden) representations of the support examples.
        values: for each layer of the base learner, (n, *weight) fast weights, one for every example.
    """

    fast: Layers
    keys: Tensor
    values: Layers


class MetaNetworks(Learner):
    """Turns the loss gradient of every support example into fast weights, which queries read by attention.

    Unlike gradient learners it takes no step: nets shared by all coordinates write fast weights from gradients. Those
    of the representation learner come from an LSTM over its gradients on parts of the support set; those of the base
    learner are kept in a memory, one set for every example, under the representation of that example. A query mixes
    them by the cosine of its own representation. Every layer applies slow and fast weights to its input and adds what
    comes out of both. Gradients that are read are constants to the meta-gradient, as in the authors' code.

    In training the examples of all tasks of a meta-batch are embedded together; in evaluation batch norm uses running
    statistics, so it is inductive.

    Args:
        encoder: (n, *feature) -> (n, width), or `width` maps of any size where there are `convs`: layers without fast
            weights that both learners stand on. The paper's net for Omniglot has none: nn.Identity(), width=1, convs=5.
        width: length of an embedding, or number of maps.
        outputs: classes a task may have, or length of a target. The head is fixed, so classes cannot be renamed.
        hidden: filters of each convolution with fast weights, units of each dense layer.
        convs: 3x3 convolutions with fast weights, each halving the map, in both learners; averaged over what is left.
        parts: of the support set, whose gradients the LSTM reads in turn; as many as examples where these are fewer.
        generator: units of the nets that read gradients.
        threshold: gradients below exp(-threshold) are told apart on a linear scale, those above on a logarithmic one.

    Raises:
        UserError: a task of more classes than `outputs`, or fewer than one part.

    >>> learner = MetaNetworks(nn.Flatten(), width=2, outputs=3, hidden=4)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 2]), ways=3))
    >>> [tuple(v.shape) for v in state.values], learner.predict(state, torch.zeros(5, 2)).shape
    ([(2, 4, 2), (2, 3, 4)], torch.Size([5, 3]))
    """

    State = WeightMemory
    kinds = ("classification", "regression")
    order_sensitive = True
    meta_gradient = "surrogate"
    joint = True
    label_head: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        outputs: int,
        hidden: int = 64,
        convs: int = 0,
        parts: int = 5,
        generator: int = 20,
        threshold: float = 7.0,
    ):
        super().__init__()
        if parts < 1:
            raise UserError(f"parts is {parts}; the support set has at least one.")
        self.encoder, self.width, self.outputs, self.hidden = encoder, width, outputs, hidden
        self.convs, self.parts, self.generator, self.threshold = convs, parts, generator, threshold
        trunk: list[tuple[int, ...]] = [(hidden, hidden if i else width, 3, 3) for i in range(convs)]
        trunk.append((hidden, hidden if convs else width))
        self.representation, self.base = _slow(trunk), _slow([*trunk, (outputs, hidden)])
        # It labels representations, for gradients alone; as these are constants, it stays as it was drawn.
        self.register_buffer("label_head", _slow([(outputs, hidden)])[0].detach())
        kinds = ("conv", "dense") if convs else ("dense",)
        self.task_writers = nn.ModuleDict({kind: _SequenceWriter(generator) for kind in kinds})
        self.example_writers = nn.ModuleDict({kind: _writer(generator) for kind in kinds})

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> WeightMemory:
        del description, rng
        if support.ways is not None and support.ways > self.outputs:
            raise UserError(
                f"The task has {support.ways} classes, but the head {self.outputs}; give outputs={support.ways}."
            )
        return self.remember(call(self.encoder, {}, support.x, policy="running"), support)

    def remember(self, embedded: Float[Tensor, "n ..."], support: Examples) -> WeightMemory:
        """The state for a support set that is embedded already."""
        count = min(self.parts, len(support))
        parts = zip(embedded.tensor_split(count), support.y.tensor_split(count), strict=True)
        with torch.no_grad():
            parted = [self._representation_gradient(Examples(x, y, ways=support.ways)) for x, y in parts]
            gradients = torch.func.vmap(
                lambda x, y: self._base_gradient(Examples(x.unsqueeze(0), y.unsqueeze(0), ways=support.ways))
            )(embedded, support.y)
        fast = tuple(
            self.task_writers[_kind(slow)](self._seen(torch.stack(each).flatten(1))).view_as(slow)
            for slow, each in zip(self.representation, zip(*parted, strict=True), strict=True)
        )
        values = tuple(
            self.example_writers[_kind(slow)](self._seen(each.flatten(1))).view_as(each)
            for slow, each in zip(self.base, gradients, strict=True)
        )
        return WeightMemory(fast, _run(embedded, tuple(self.representation), fast), values)

    def predict(self, state: WeightMemory, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q outputs"]:
        return self.answer(state, call(self.encoder, {}, x, policy="running"))

    def answer(self, state: WeightMemory, embedded: Float[Tensor, "q ..."]) -> Float[Tensor, "q outputs"]:
        """The answers to queries that are embedded already."""
        found = _run(embedded, tuple(self.representation), state.fast)
        share = (F.normalize(found, dim=-1) @ F.normalize(state.keys, dim=-1).mT).softmax(-1)
        mixed = tuple(torch.tensordot(share, each, 1) for each in state.values)
        # Every query has fast weights of its own.
        return torch.func.vmap(lambda x, fast: _run(x.unsqueeze(0), tuple(self.base), fast)[0])(embedded, mixed)

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        written = tasks.support.y.shape[1] * sum(slow.numel() for slow in self.base)
        plan = Plan("vmap", max(1, WRITTEN_AT_ONCE // written), f"{written:,} fast weights a task are written")
        return Loss(*map_tasks(self._embedded_loss, embed_together(self.encoder, tasks), plan, rng=rng))

    def _embedded_loss(self, task: Task, rng: Rng | None) -> tuple[Tensor, Tensor]:
        del rng
        output = self.answer(self.remember(task.support.x, task.support), task.query.x)
        return criterion(output, task.query), metric(output, task.query).detach()

    def _representation_gradient(self, part: Examples) -> Layers:
        """Of the loss with which slow weights alone, and a head, tell the labels of a part of the support set."""
        return torch.func.grad(
            lambda slow: criterion(F.linear(_run(part.x, slow).relu(), self.label_head), part),
        )(tuple(self.representation))

    def _base_gradient(self, one: Examples) -> Layers:
        """Of the loss of the base learner's slow weights on one example."""
        return torch.func.grad(lambda slow: criterion(_run(one.x, slow), one))(tuple(self.base))

    def _seen(self, gradients: Float[Tensor, "n coordinates"]) -> Float[Tensor, "n coordinates 2"]:
        """Logarithm of the size, and the sign, of each number (Andrychowicz et al. 2016, arXiv:1606.04474)."""
        least = math.exp(-self.threshold)
        size = gradients.abs().clamp(min=least).log() / self.threshold
        return torch.stack([size, (gradients / least).clamp(-1, 1)], -1)


class _SequenceWriter(nn.Module):
    """An LSTM that every coordinate runs through by itself: its gradients on parts of a task -> its fast weight."""

    def __init__(self, width: int):
        super().__init__()
        self.w_ih, self.w_hh = _slow([(4 * width, 2), (4 * width, width)])
        self.b = nn.Parameter((torch.arange(4 * width) // width == 1).float())  # forget little at first
        self.out = _dense(width, 1)

    def forward(self, gradients: Float[Tensor, "parts coordinates 2"]) -> Float[Tensor, " coordinates"]:
        h = c = gradients.new_zeros(gradients.shape[1], self.w_hh.shape[1])
        for each in gradients:
            h, c = lstm_cell(each, h, c, self.w_ih, self.w_hh, self.b)
        return self.out(h).squeeze(-1)


def _writer(width: int) -> nn.Module:
    """A net that every coordinate runs through by itself: (..., 2) of a gradient -> (..., 1) fast weight."""
    return nn.Sequential(_dense(2, width), nn.ReLU(), _dense(width, width), nn.ReLU(), _dense(width, 1))


def _dense(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    nn.init.zeros_(layer.bias)  # or all fast weights would be about equal at first
    return layer


def _slow(shapes: list[tuple[int, ...]]) -> nn.ParameterList:
    """Weights whose deviation is one over the root of their inputs, as the authors' code draws them."""
    return nn.ParameterList(nn.init.kaiming_normal_(torch.empty(shape), nonlinearity="linear") for shape in shapes)


def _kind(weight: Tensor) -> str:
    return "conv" if weight.dim() > 2 else "dense"


def _run(x: Tensor, slow: Layers, fast: Layers | None = None) -> Float[Tensor, "n outputs"]:
    """Convolutions and then dense layers; each adds what slow weights and what fast weights make of its input."""
    for i, own in enumerate(slow):
        dense, last = own.dim() == 2, i == len(slow) - 1
        if dense and x.dim() > 2:
            x = x.mean((2, 3))
        made = [F.linear(x, w) if dense else F.conv2d(x, w, padding=1) for w in ((own, fast[i]) if fast else (own,))]
        x = torch.stack(made if last else [m.relu() for m in made]).sum(0)
        if not dense:
            x = F.max_pool2d(x, 2, ceil_mode=True)
    return x
