"""A transformer that reads the trials as its context (PFNs4BO, Müller et al. 2023, arXiv:2305.17535)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...functional.solvers import gp
from ...outputs import Gaussian
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task
from ...tasks.scores.table import ScoreTable
from ..past.scores import Past
from ..process.in_context import Context, InContext
from ..search.mixture import Mixture
from ..search.surrogate import Surrogate, trials

TASKS = 16  # a step
QUERIES = 32
MOST = 40  # trials in a context


@pytree
class Read:
    """The trials, and what each layer lets a query read of them.

    Args:
        x: (n, 1 + e) candidates.
        y: (n,) their scores.
        keys: (layers, 1 + n, width).
        values: (layers, 1 + n, width).
    """

    x: Tensor
    y: Tensor
    keys: Tensor
    values: Tensor


class InContextSurrogate(Surrogate):
    """One pass of `InContext` over encodings and scores, trained on past data sets and on draws from a prior.

    The prior is a Gaussian process over the encodings of the past, with its locations and scales and lengthscales of
    all sizes; without it a net trained on a few dozen data sets would know them by heart. Like `DeepKernelSurrogate` it
    knows candidates by their encoding alone.

    Args:
        inputs: columns of an encoding.
        width, layers, heads, hidden: of the transformer.
        steps: of training.
        lr: of Adam, falling to 0.
        synthetic: share of the training tasks that are drawn from the prior.

    Raises:
        UserError: numbers that make no sense; (in meta_fit or adapt) candidates with other columns.
    """

    State = Read
    centre: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        inputs: int,
        width: int = 64,
        layers: int = 4,
        heads: int = 4,
        hidden: int = 128,
        steps: int = 2_000,
        lr: float = 1e-3,
        synthetic: float = 0.5,
    ):
        super().__init__()
        if steps < 0 or not lr > 0 or not 0 <= synthetic <= 1:
            raise UserError(f"steps is {steps}, lr {lr} and synthetic {synthetic}; the last is a share, 0 to 1.")
        self.inputs, self.width, self.layers, self.heads, self.hidden = inputs, width, layers, heads, hidden
        self.steps, self.lr, self.synthetic = steps, lr, synthetic
        self.net = InContext(inputs=inputs, outputs=1, width=width, layers=layers, heads=heads, hidden=hidden)
        self.register_buffer("centre", torch.zeros((), dtype=torch.float64))
        self.register_buffer("deviation", torch.ones((), dtype=torch.float64))

    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Train the net."""
        past, rng = Past.of(table), rng or Rng(0)
        self._check(past.encoding.shape[1])
        self.set_buffer("centre", past.raw.mean())
        self.set_buffer("deviation", past.raw.std().clamp(min=1e-9))
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(self.steps, 1))
        for step in range(self.steps):
            optimizer.zero_grad()
            loss = self.net.loss(self._tasks(past, rng.at("step", step))).objective.mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            optimizer.step()
            schedule.step()

    def _tasks(self, past: Past, rng: Rng) -> Task:
        """A batch: rows of the past, and draws that have the location and scale of one."""
        generator = rng.generator()
        count = int(torch.randint(MOST + 1, (), generator=generator))
        count = min(count, past.scores.shape[1] - 1)
        rows = torch.randint(len(past), (TASKS,), generator=generator)
        weight = past.known[rows].double() + 1e-9  # cells that were measured come first
        size = min(count + QUERIES, weight.shape[1])
        cells = torch.multinomial(weight, size, generator=generator)
        x, raw = past.encoding[cells], past.raw[rows]
        drawn = round(self.synthetic * TASKS)
        length = 10 ** (torch.rand(drawn, 1, 1, generator=generator, dtype=torch.float64) * 1.5 - 1)
        noise = 10 ** (-4 * torch.rand(drawn, 1, generator=generator, dtype=torch.float64))
        factor = gp.cholesky(gp.noisy(gp.matern52(x[:drawn], x[:drawn], length), noise.expand(-1, size)))
        made = (factor @ torch.randn(drawn, size, 1, generator=generator, dtype=torch.float64)).squeeze(2)
        location, scale = raw.mean(1, keepdim=True)[:drawn], raw.std(1, keepdim=True)[:drawn]
        y = torch.cat([location + scale * made, raw.gather(1, cells)[drawn:]])
        y = ((y - self.centre) / self.deviation).unsqueeze(2)
        x, y = x.to(self._kind), y.to(self._kind)
        support = Examples(*_preceded(x[:, :count], y[:, :count]))
        return Task(support, Examples(x[:, count:], y[:, count:]))

    @property
    def _kind(self) -> torch.dtype:
        return next(self.net.parameters()).dtype

    def _check(self, columns: int) -> None:
        if columns != self.inputs:
            raise UserError(f"The net was made for {self.inputs} columns, and these candidates have {columns}.")

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Read:
        del description, rng
        self._check(support.x.shape[1] - 1)
        x, y = trials(support)
        scores = ((y - self.centre) / self.deviation).unsqueeze(1)
        context = self.net.adapt(Examples(*_preceded(x[:, 1:].to(self._kind), scores.to(self._kind))))
        return Read(x, y, context.keys, context.values)

    def tried(self, state: Read) -> Examples:
        return Examples(state.x, state.y.unsqueeze(1))

    def mixture(self, state: Read, x: Float[Tensor, "q numbers"]) -> Mixture:
        answer = self.net.predict(Context(state.keys, state.values), x[:, 1:].to(self._kind))
        assert isinstance(answer, Gaussian)
        mean, variance = gp.widened(answer.mean).T, gp.widened(answer.variance).T
        variance = self.deviation.square() * variance
        return Mixture(mean.new_zeros(1), self.centre + self.deviation * mean, variance, 0 * variance)


def _preceded(x: Float[Tensor, "*t n e"], y: Float[Tensor, "*t n 1"]) -> tuple[Tensor, Tensor]:
    """The trials after one that is always there and always the same, so that there is something to read before any."""
    first = x.new_zeros(*x.shape[:-2], 1, x.shape[-1]), y.new_zeros(*y.shape[:-2], 1, 1)
    return torch.cat([first[0], x], -2), torch.cat([first[1], y], -2)
