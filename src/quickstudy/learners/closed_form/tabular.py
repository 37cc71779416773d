"""Tables of any columns: simple judges in closed form, trusted as far as other tables taught (meta-learned stacking).

Stacking: Wolpert 1992 (doi:10.1016/S0893-6080(05)80023-1). Learning over data sets which of several simple methods to
trust is among the oldest ideas of meta-learning: Vilalta and Drissi 2002 (doi:10.1023/A:1019956318069).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...functional.solvers.kernel_ridge import kernel_ridge
from ...learner import Learner
from ...nets.mlp import MLP
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples

KERNELS = ("linear", "radial", "additive", "equal")
K = len(KERNELS)
USUAL = 3.0  # deviations beyond which numbers count by their logarithm
SAME = 1e-4  # deviations below which two numbers are one value: of a category, most likely
BATCH = 512  # queries at a time: an additive kernel holds queries x examples x columns numbers


@pytree
class Judges:
    """What the judges have learned from one table.

    Args:
        x: (n, columns) support rows, as they were given.
        centre, spread: (columns,) of the support rows.
        relevance: (columns,) weights with the mean one among columns that vary, zero for the others.
        width: (kernels,) of each kernel.
        weights: (kernels, n, ways) of the kernel ridge regressions.
        mean, variance, freedom: (ways, columns) of the class-wise distributions, and () their degrees of freedom.
        temper: () what a log-likelihood is divided by.
        trust: (kernels + 1,) factors on the answers of the judges.
        shares: (ways,) of the support rows.
    """

    x: Tensor
    centre: Tensor
    spread: Tensor
    relevance: Tensor
    width: Tensor
    weights: Tensor
    mean: Tensor
    variance: Tensor
    freedom: Tensor
    temper: Tensor
    trust: Tensor
    shares: Tensor


class Tabular(Learner):
    """Classifies rows of a table whatever its columns are, how many, and in which order.

    Five judges look at the support set: ridge regressions with a linear and a radial kernel, and with two that add up
    over columns (how near two numbers are; whether they are the same); and a distribution of every column in every
    class, a naive Bayes classifier with Student's t. Each also says what it would have answered for every support row
    without that row. Small nets, which see numbers about columns and tables but no names, set all that is left open:
    the relevance of a column, from how well it alone tells the classes apart; widths and penalties; and how far a judge
    is trusted, from how well it answered for rows left out (rosily, since the relevance of columns has seen their
    labels; by how much is learned too). They are meta-trained over tables, so that unlike an
    encoder of fixed inputs, one learner serves all tables.

    Columns are centred and scaled by the support set; categories come as numbers. A column that does not vary in it
    says nothing, so that tables may be padded with zeros.

    Args:
        hidden: width of the small nets.

    >>> learner = Tabular()
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([1, 0])
    """

    State = Judges
    class_equivariant = True

    def __init__(self, hidden: int = 32):
        super().__init__()
        self.hidden = hidden
        self.column = MLP(5, 1, hidden=(hidden,))
        self.table = MLP(3, 2 * K + 3, hidden=(hidden,))
        self.gate = MLP(3 + 2 * (K + 1), K + 1, hidden=(hidden,))
        self.ranks = nn.Parameter(torch.tensor(0.0))  # share of ranks in what a number is
        self.start = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 0.0, -1.5, -1.5, -1.5, -1.5, 1.0, 0.0, 0.0]))
        self.scale = nn.Parameter(torch.tensor([2.0, 2.0, 2.0, 1.0, 0.0]))
        for net in (self.column, self.table, self.gate):  # begins as if nothing were known of columns and tables
            for parameter in net.layers[-1].parameters():
                nn.init.zeros_(parameter)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Judges:
        del description, rng
        assert support.ways is not None
        x = support.x.flatten(1)
        centre, spread = x.mean(0), x.std(0, correction=0)
        numbers = self._numbers(x, x, centre, spread)
        member = F.one_hot(support.y, support.ways).to(x.dtype)
        # Logarithms of the numbers of rows a class, of columns that vary, and of classes.
        columns = (spread > 0).sum().clamp(min=1).to(x.dtype)
        about = torch.stack([member.sum(0).mean(), columns, torch.ones_like(member[0]).sum()]).log()
        relevance = self._relevance(numbers, member, about, spread)
        left_open = self.start + self.table(about.unsqueeze(0)).squeeze(0)
        width, penalty, (freedom, temper, shrink) = left_open[:K].exp(), left_open[K:-3].exp(), left_open[-3:].unbind()
        shares = member.mean(0)
        kernels = self._kernels(numbers, numbers, relevance, width)
        weights, answers = kernel_ridge(kernels, member - shares, penalty.view(-1, 1, 1))
        prior, share = freedom.exp(), about[1].exp() ** temper.sigmoid()
        mean, variance, alone = self._classes(numbers, member, prior, shrink.exp())
        likely = _likelihood(numbers.unsqueeze(1), *alone, prior, relevance) / share
        trust = self._trust(torch.cat([answers, likely.unsqueeze(0)]), support.y, about)
        return Judges(x, centre, spread, relevance, width, weights, mean, variance, prior, share, trust, shares)

    def predict(self, state: Judges, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q ways"]:
        own = self._numbers(state.x, state.x, state.centre, state.spread)
        return torch.cat([self._answer(state, own, part) for part in x.flatten(1).split(BATCH)])

    def _answer(
        self, state: Judges, own: Float[Tensor, "n columns"], x: Float[Tensor, "q columns"]
    ) -> Float[Tensor, "q ways"]:
        numbers = self._numbers(x, state.x, state.centre, state.spread)
        kernels = self._kernels(numbers, own, state.relevance, state.width)
        logits = (state.trust[:K].view(-1, 1, 1) * (kernels @ state.weights)).sum(0)
        likely = _likelihood(numbers.unsqueeze(1), state.mean, state.variance, state.freedom, state.relevance)
        return torch.where(state.shares > 0, logits + state.trust[-1] * likely / state.temper, -torch.inf)

    def _numbers(
        self,
        x: Float[Tensor, "q columns"],
        support: Float[Tensor, "n columns"],
        centre: Float[Tensor, " columns"],
        spread: Float[Tensor, " columns"],
    ) -> Float[Tensor, "q columns"]:
        """Deviations from the centre, mixed with ranks among the support rows."""
        z = torch.where(spread > 0, (x - centre) / torch.where(spread > 0, spread, 1), 0)
        z = z.sign() * (z.abs().clamp(max=USUAL) + torch.log1p((z.abs() - USUAL).clamp(min=0)))
        rank = (x.unsqueeze(1) - support).sign().mean(1) * 3**0.5
        share = self.ranks.sigmoid()
        return (1 - share) * z + share * torch.where(spread > 0, rank, 0)

    def _relevance(
        self,
        numbers: Float[Tensor, "n columns"],
        member: Float[Tensor, "n ways"],
        about: Float[Tensor, " 3"],
        spread: Float[Tensor, " columns"],
    ) -> Float[Tensor, " columns"]:
        """A weight of each column, from the share of its variance that lies between the classes."""
        count = member.sum(0).clamp(min=1).unsqueeze(-1)
        total = numbers.square().sum(0) - numbers.mean(0).square() * len(numbers)
        between = ((member.T @ numbers).square() / count).sum(0) - numbers.mean(0).square() * len(numbers)
        share = (between / total.clamp(min=1e-6)).clamp(0, 1)
        ratio = torch.log((share + 0.01) / (1.01 - share))
        seen = torch.cat([torch.stack([share, ratio], 1), about.expand(len(share), -1)], 1)
        weight = torch.where(spread > 0, F.softplus(self.column(seen).squeeze(-1)) + 1e-3, 0)
        return weight * (spread > 0).sum() / weight.sum().clamp(min=1e-6)

    def _kernels(
        self,
        a: Float[Tensor, "q columns"],
        b: Float[Tensor, "n columns"],
        relevance: Float[Tensor, " columns"],
        width: Float[Tensor, " kernels"],
    ) -> Float[Tensor, "kernels q n"]:
        """Means over the columns that vary, so that their number does not change the size."""
        share = relevance / relevance.sum().clamp(min=1e-6)
        inner = (a * share) @ b.T
        far = (a.square() @ share).unsqueeze(1) + b.square() @ share - 2 * inner
        gap = (a.unsqueeze(1) - b).abs()
        additive, equal = torch.exp(-width[2] * gap) @ share, (gap < SAME).to(a.dtype) @ share
        return torch.stack([width[0] * inner, torch.exp(-width[1] * far.clamp(min=0)), additive, width[3] * equal])

    def _classes(
        self,
        numbers: Float[Tensor, "n columns"],
        member: Float[Tensor, "n ways"],
        prior: Float[Tensor, ""],
        shrink: Float[Tensor, ""],
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Means and variances of every class, and for each row the same as they would be without it."""
        count, first = member.sum(0).unsqueeze(-1), member.T @ numbers
        second = member.T @ numbers.square()
        within = (second - first.square() / count.clamp(min=1)).sum(0) + shrink * numbers.var(0, correction=0)
        pooled = within / (len(numbers) - member.shape[1] + shrink).clamp(min=1)

        def moments(n: Tensor, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
            mean = one / (n + shrink)
            spread = (two - one.square() / n.clamp(min=1)).clamp(min=0)
            return mean, (spread + prior * pooled + 1e-3) / (n + prior) * (1 + 1 / (n + shrink))

        own = member.unsqueeze(-1)  # (n, ways, 1)
        alone = (count - own, first - own * numbers.unsqueeze(1), second - own * numbers.square().unsqueeze(1))
        return *moments(count, first, second), moments(*alone)

    def _trust(
        self, answers: Float[Tensor, "judges n ways"], y: Int[Tensor, " n"], about: Float[Tensor, " 3"]
    ) -> Float[Tensor, " judges"]:
        """A factor on the answers of every judge, from how well it answered for rows left out."""
        scale = self.scale.exp()
        logs = (scale.view(-1, 1, 1) * answers).log_softmax(-1)
        right = logs.gather(-1, y.expand(len(logs), -1).unsqueeze(-1)).squeeze(-1)
        seen = torch.cat([about, right.clamp(min=-8).mean(-1) / about[2].clamp(min=0.5), right.exp().mean(-1)])
        return scale * F.softplus(self.gate(seen.unsqueeze(0)).squeeze(0))


def _likelihood(
    x: Float[Tensor, "q 1 columns"], mean: Tensor, variance: Tensor, freedom: Tensor, relevance: Tensor
) -> Float[Tensor, "q ways"]:
    """Log-likelihood of rows in each class, up to a constant: Student's t in every column, by its relevance."""
    far = (x - mean).square() / variance
    each = -0.5 * (freedom + 1) * torch.log1p(far / freedom) - 0.5 * variance.log()
    return each @ relevance
