"""Few-shot Bayesian optimisation (Wistuba and Grabocka 2021, arXiv:2101.07667): a deep kernel trained on the past."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...functional.solvers import gp
from ...nets.mlp import MLP
from ...rng import Rng
from ...tasks.scores.table import ScoreTable
from ..bayesian.deep_kernel import DeepKernel
from ..past.scores import Past
from ..search.process import ProcessSearch

CELLS = 48  # candidates of a data set that one step looks at
DATASETS = 8  # that one step looks at
HELD = 0.2  # share of the past data sets that say when to stop
EVERY = 50  # steps between two looks at them


class DeepKernelSurrogate(ProcessSearch):
    """A Gaussian process on learned features of the encoding, net and kernel trained by the past's marginal likelihood.

    It knows candidates by their encoding alone, so it says as much of one that the past never had as of any other, and
    needs no table that everything was tried on; `CandidateGaussian` knows more of those that the past had. Unlike the
    paper's it is not trained any further on the trials, and scales are averaged over instead of augmented with.

    Args:
        inputs: columns of an encoding.
        features: that the kernel sees.
        hidden: widths of the net.
        steps: of training; the best weights on held-out past data sets are kept.
        lr: of Adam, falling to 0.
        starts: how many first trials are drawn at random; the first always is.

    Raises:
        UserError: numbers that make no sense; (in meta_fit) candidates with other columns.
    """

    def __init__(
        self,
        *,
        inputs: int,
        features: int = 16,
        hidden: tuple[int, ...] = (64, 64),
        steps: int = 600,
        lr: float = 1e-3,
        starts: int = 0,
    ):
        super().__init__()
        if min(inputs, features) < 1 or steps < 0 or not lr > 0 or starts < 0:
            raise UserError(
                f"inputs is {inputs}, features {features}, steps {steps}, lr {lr} and starts {starts}; inputs and"
                " features are at least 1, steps and starts 0 or more, lr above 0."
            )
        self.inputs, self.features, self.hidden, self.steps, self.lr = inputs, features, hidden, steps, lr
        self.starts = starts
        self.process = DeepKernel(MLP(inputs, features, hidden=hidden))

    def covariance(self, a: Float[Tensor, "n numbers"], b: Float[Tensor, "m numbers"]) -> Float[Tensor, "k n m"]:
        if a.shape[1] - 1 != self.inputs:
            raise UserError(
                f"The kernel was made for {self.inputs} columns, and these candidates have {a.shape[1] - 1}."
            )
        return self._between(a[:, 1:], b[:, 1:]).unsqueeze(0)

    def _between(self, a: Float[Tensor, "*t n e"], b: Float[Tensor, "*t m e"]) -> Float[Tensor, "*t n m"]:
        net, kind = self.process.encoder, self.process.log_scale.dtype
        z, other = (net(part.to(kind).flatten(0, -2)).unflatten(0, part.shape[:-1]) for part in (a, b))
        return self.process.covariance(z, other) / gp.widened((2 * self.process.log_scale).exp())

    @property
    def noises(self) -> Float[Tensor, " v"]:
        # The kernel's scale is that of the data set, so its own is in the noise alone.
        return (self.process.variance_of_noise / gp.widened((2 * self.process.log_scale).exp())).unsqueeze(0)

    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Train net and kernel on past data sets."""
        past, rng = Past.of(table), rng or Rng(0)
        if past.encoding.shape[1] != self.inputs:
            raise UserError(
                f"inputs is {self.inputs}, but the candidates of the past have {past.encoding.shape[1]} columns."
            )
        raw = past.raw
        self.expect(raw.mean(1), raw.std(1))
        scores = (raw - raw.mean(1, keepdim=True)) / raw.std(1, keepdim=True).clamp(min=1e-9)
        order = torch.randperm(len(past), generator=rng.at("held").generator())
        held = order[: int(HELD * len(order))]
        best, kept = self._loss(past, scores, held, rng.at("judge")), copy.deepcopy(self.process.state_dict())
        optimizer = torch.optim.Adam(self.process.parameters(), lr=self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(self.steps, 1))
        train = order[len(held) :]
        for step in range(self.steps):
            key = rng.at("step", step)
            some = train[torch.randperm(len(train), generator=key.generator())[:DATASETS]]
            optimizer.zero_grad()
            self._loss(past, scores, some, key.at("cells")).backward()
            optimizer.step()
            schedule.step()
            if len(held) and (step + 1) % EVERY == 0:
                with torch.no_grad():
                    now = self._loss(past, scores, held, rng.at("judge"))
                if now < best:
                    best, kept = now, copy.deepcopy(self.process.state_dict())
        if len(held):
            self.process.load_state_dict(kept)

    def _loss(self, past: Past, scores: Tensor, rows: Tensor, rng: Rng) -> Float[Tensor, ""]:
        """Minus the log density of some cells of some past data sets, a cell each."""
        if not len(rows):
            return scores.new_zeros(())
        weight = past.known[rows].double() + 1e-9  # cells that were measured come first
        cells = torch.multinomial(weight, min(CELLS, scores.shape[1]), generator=rng.generator())
        x, y = past.encoding[cells], scores[rows].gather(1, cells).unsqueeze(2)
        noise = torch.where(past.known[rows].gather(1, cells), self.noises, 1e6)
        return -gp.log_marginal(self._between(x, x), y, noise).mean() / cells.shape[1]
