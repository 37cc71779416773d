"""Predicting how good an architecture is from what it looks like, by what past data sets said of others."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ....errors import UserError
from ....functional.solvers.forest import Forest, tree_answers
from ....functional.solvers.gp import matern52
from ....learner import Learner
from ....outputs import Gaussian
from ....pytree import pytree
from ....rng import Rng
from ....task import Examples
from ....tasks.scores.table import ScoreTable
from ..algorithms.forest import grown

MOST = 500  # architectures whose distances to each other are looked at
TOP = 0.02  # share of the candidates at the top within which ranks count alike
NOISE = 1e-4  # of a score, as a share of the variance that looks do not explain
BROAD = 4.0  # how much more a new data set may differ from the past ones than these do among themselves


@pytree
class Tried:
    """What was tried on one data set, and what it says of everything else.

    Args:
        x: (n, 1 + e) candidates tried.
        y: (n, 1) their scores.
        pull: (n,) K^-1 (y - prior mean).
        inverse: (n, n) K^-1.
    """

    x: Tensor
    y: Tensor
    pull: Tensor
    inverse: Tensor


class ArchitecturePredictor(Learner):
    """A forest from the encoding of an architecture to its rank on past data sets, bent to the data set at hand.

    Unlike learners that know candidates by number, it answers for architectures that nobody ever trained. The rank
    counts by -log of the share that is better, so that telling the best apart matters most. On a new data set scores
    are a line in what the forest says plus what it does not explain: in part a Gaussian process in the encoding, as far
    as past neighbours erred alike, in part each candidate's own. All in closed form, with nothing tried as with many.
    What is worth trying next is the expected improvement.

    Args:
        trees: in the forest.
        leaf: architectures that a leaf holds at least.
        share: of the encoding that a split looks at.

    Raises:
        UserError: (in adapt) nothing was learned yet; (in meta_fit) the candidates have no encoding.

    Source: predictors of performance, BANANAS (White et al. 2021, arXiv:1910.11858); here learned over data sets.
    """

    State = Tried
    kinds = ("regression",)
    meta_gradient = "none"
    zero_shot = True
    one_by_one = "a forest is asked, by the values of its inputs"
    roots: Tensor
    line: Tensor
    doubt: Tensor
    scale: Tensor
    smooth: Tensor
    unexplained: Tensor

    def __init__(self, *, trees: int = 100, leaf: int = 2, share: float = 0.5):
        super().__init__()
        self.trees, self.leaf, self.share = trees, leaf, share
        for name in Forest._fields:
            self.register_buffer(name, torch.zeros(0))
        for name, shape in (("line", (2,)), ("doubt", (2, 2)), ("scale", ()), ("smooth", ()), ("unexplained", ())):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    @torch.no_grad()
    def meta_fit(self, table: ScoreTable) -> None:
        """Learn from architectures that were trained on past data sets."""
        encoding, scores = table.candidates.encoding.double(), table.final.double()
        if not encoding.shape[1]:
            raise UserError("These candidates are names alone; an architecture predictor needs an encoding of each.")
        rank = (scores.argsort(1).argsort(1).double() + 0.5) / scores.shape[1]
        target = -(1 + TOP - rank).log().mean(0, keepdim=True).T
        halves = torch.arange(len(encoding)) % 2
        looks = torch.empty(len(encoding), dtype=torch.float64)
        for half in (0, 1):  # each answered for by the other, since a forest knows its own examples too well
            forest = grown(encoding[halves != half], target[halves != half], self.trees, self.leaf, self.share)
            looks[halves == half] = tree_answers(forest, encoding[halves == half]).mean(1)[:, 0]
        basis = torch.stack([torch.ones_like(looks), looks], 1)
        lines = torch.linalg.lstsq(basis, scores.T).solution.T  # (D, 2)
        self.line = lines.mean(0)
        differ = lines - self.line
        self.doubt = BROAD * (differ.T @ differ / len(lines) + torch.diag(self.line.square() / 100))
        rest = scores - lines @ basis.T
        self.unexplained = rest.square().mean()
        some = slice(0, MOST)
        apart = _distances(encoding[some], encoding[some])
        self.scale = apart.median().clamp(min=1e-6)
        nearest = (apart + torch.diag(torch.full((len(apart),), torch.inf))).argmin(1)
        alike = (rest[:, some] * rest[:, some][:, nearest]).mean() / self.unexplained.clamp(min=1e-12)
        self.smooth = alike.clamp(0, 1)
        for name, part in grown(encoding, target, self.trees, self.leaf, self.share)._asdict().items():
            setattr(self, name, part)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Tried:
        del description, rng
        if not len(self.roots):
            raise UserError("The architecture predictor has seen no past data set yet; call meta_fit(table) first.")
        x, y = support.x.double(), support.y.double()
        noise = NOISE * self.unexplained * torch.eye(len(x), dtype=x.dtype, device=x.device)
        basis = self._basis(x)
        inverse = torch.linalg.inv(self._covariance(x, basis, x, basis) + noise) if len(x) else noise
        return Tried(x, y, inverse @ (y[:, 0] - basis @ self.line), inverse)

    def update(self, state: Tried, examples: Examples) -> Tried:
        return self.adapt(Examples(state.x, state.y).followed_by(Examples(examples.x.double(), examples.y.double())))

    def predict(self, state: Tried, x: Float[Tensor, "q e"]) -> Gaussian:
        x = x.double()
        basis = self._basis(x)
        across = self._covariance(x, basis, state.x, self._basis(state.x))
        prior = ((basis @ self.doubt) * basis).sum(1) + self.unexplained
        variance = prior - ((across @ state.inverse) * across).sum(1)
        mean = basis @ self.line + across @ state.pull
        return Gaussian(mean.unsqueeze(1), variance.clamp(min=1e-3 * self.unexplained + 1e-12).unsqueeze(1))

    def acquire(self, state: Tried, x: Float[Tensor, "q e"], *, kind: str = "regression") -> Float[Tensor, " q"]:
        """Expected improvement on the best that was tried; the expected score where nothing was."""
        del kind
        answer = self.predict(state, x)
        mean, deviation = answer.mean[:, 0], answer.variance[:, 0].sqrt()
        if not len(state.y):
            return mean
        gain = (mean - state.y.max()) / deviation
        density = torch.exp(-gain.square() / 2) / (2 * torch.pi) ** 0.5
        return deviation * (gain * torch.special.ndtr(gain) + density)

    def _basis(self, x: Float[Tensor, "q e"]) -> Float[Tensor, "q 2"]:
        forest = Forest(*(getattr(self, name) for name in Forest._fields))
        looks = tree_answers(forest, x[:, 1:]).mean(1)[:, 0]
        return torch.stack([torch.ones_like(looks), looks], 1)

    def _covariance(self, a: Tensor, a_basis: Tensor, b: Tensor, b_basis: Tensor) -> Float[Tensor, "q n"]:
        a, b = a[:, 1:], b[:, 1:]
        own = (_distances(a, b) == 0).to(a.dtype)
        rest = self.smooth * matern52(a, b, self.scale) + (1 - self.smooth) * own
        return a_basis @ self.doubt @ b_basis.T + self.unexplained * rest


def _distances(a: Float[Tensor, "q e"], b: Float[Tensor, "n e"]) -> Float[Tensor, "q n"]:
    """Exactly zero between equal rows, which distances by matrix products are not."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
