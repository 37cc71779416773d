"""Ensembles of meta-learners: several initialisations, each adapted on its own, answer together."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...learner import Learner, Loss, declare_as
from ...outputs import Gaussian, Output, central
from ...pytree import tree_map
from ...rng import Rng, forked
from ...task import Examples, Task

MOMENTUM = 0.01  # of the running average of the noise: about the last hundred steps


def _of_each(name: str) -> Any:
    """An attribute that the members have in common: read from the first, written to all."""

    def write(self: Ensemble, value: Any) -> None:
        for member in self.each:
            setattr(member, name, value)

    return property(lambda self: getattr(self.each[0], name), write)


class Ensemble(Learner):
    """Copies of a learner, begun at other weights, that are trained and adapted on their own and answer as a mixture.

    Unlike one member it knows what it does not know: where a task leaves a question open the members disagree. It is
    probabilistic MAML by particles without the force that keeps them apart (BMAML without SVGD); different beginnings
    do that, as in deep ensembles. The objective is the sum of the members' objectives, so each is trained as it would
    be alone; the metric recorded beside it is their mean, and evaluation judges the mixture.

    Classes get the logarithm of the members' mean probability. A regression is answered with the mean and variance of
    the mixture of the members' normal distributions. For a member that answers with a point that is its answer and one
    variance, `noise`: the members' mean squared error on the queries in training, of which a running average is kept.

    Args:
        learner: the first member, left as it is; it declares what the ensemble declares.
        members: how many.
        kind: of the tasks, for a learner that serves both, since their answers are mixed in different ways.
        seed: of the others' weights: every module of theirs that has `reset_parameters` is drawn anew; what else a
            constructor may have drawn is as in the first.

    Raises:
        UserError: fewer than two members, a kind that is missing or not served, or a learner without a module that can
            be drawn anew.

    Source: Yoon et al. 2018 (arXiv:1806.03836), whose ensembles of MAML this is; Lakshminarayanan et al. 2017
    (arXiv:1612.01474) for the mixture.

    >>> from quickstudy.learners.metric.prototypical import Prototypical
    >>> learner = Ensemble(Prototypical(nn.Linear(2, 2)), members=3)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([0, 1]), ways=2))
    >>> state.sums.shape, learner.predict(state, torch.eye(2)).argmax(1)
    (torch.Size([3, 2, 2]), tensor([0, 1]))
    """

    noise: Tensor
    test_steps: Any = _of_each("test_steps")
    outer_step: Any = _of_each("outer_step")
    plan: Any = _of_each("plan")

    def __init__(
        self,
        learner: Learner,
        *,
        members: int = 5,
        kind: str | None = None,
        seed: int = 0,
    ):
        super().__init__()
        if members < 2:
            raise UserError(f"members is {members}; an ensemble needs at least 2.")
        if (kind is None and len(learner.kinds) > 1) or (kind is not None and kind not in learner.kinds):
            served = " and ".join(learner.kinds)
            raise UserError(f"kind is {kind}, but {type(learner).__name__} serves {served}; say which is meant.")
        self.members, self.kind, self.seed = members, kind or learner.kinds[0], seed
        self.each = nn.ModuleList([learner, *(_redrawn(learner, Rng(seed).at("member", i)) for i in range(1, members))])
        self.register_buffer("noise", torch.ones(()))
        self.kinds = (self.kind,)
        declare_as(self, learner)

    @property
    def learner(self) -> Learner:
        """The first member."""
        return self._list[0]

    @property
    def transductive(self) -> bool:
        return self.learner.transductive

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Any:
        """The members' states as one: every tensor has a first dimension of members."""
        keys = self._keys(rng)
        return _together([m.adapt(support, description, rng=key) for m, key in zip(self._list, keys, strict=True)])

    def update(self, state: Any, examples: Examples) -> Any:
        return _together([member.update(own, examples) for member, own in self._with(state)])

    def predict(self, state: Any, x: Float[Tensor, "q ..."]) -> Output:
        answers = self._answers(state, x)
        if isinstance(answers, Gaussian):
            return _mixture(answers)
        return answers.log_softmax(-1).logsumexp(0) - math.log(self.members)

    def acquire(self, state: Any, x: Float[Tensor, "n ..."], *, kind: str = "classification") -> Float[Tensor, " n"]:
        """How much a label would tell of which member is right, in nats: entropy of the mixture less that of a member.

        What is noise to every member has no worth, unlike in the entropy of the answer. That of a mixture of normal
        distributions is taken as if it were one, which is an upper bound.

        Source: Houlsby et al. 2011 (arXiv:1112.5745).
        """
        del kind
        answers = self._answers(state, x)
        if isinstance(answers, Gaussian):
            return 0.5 * (_mixture(answers).variance.log() - answers.variance.log().mean(0)).sum(-1)
        shares = answers.softmax(-1)
        return torch.special.entr(shares.mean(0)).sum(-1) - torch.special.entr(shares).sum(-1).mean(0)

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        each = [member.loss(tasks, rng=key) for member, key in zip(self._list, self._keys(rng), strict=True)]
        objective, metric = (torch.stack(column) for column in zip(*each, strict=True))
        if self.training and self.kind == "regression":
            self.noise.lerp_(metric.mean().to(self.noise.dtype), MOMENTUM)
        return Loss(objective.sum(0), metric.mean(0))

    def _answers(self, state: Any, x: Tensor) -> Gaussian | Tensor:
        """(members, q, d) Gaussians of a regression, or (members, q, ways) logits."""
        outputs = [member.predict(own, x) for member, own in self._with(state)]
        points = torch.stack([central(output) for output in outputs])
        if self.kind == "classification":
            return points
        noise = self.noise.to(points.dtype).expand(points.shape[1:])
        return Gaussian(points, torch.stack([o.variance if isinstance(o, Gaussian) else noise for o in outputs]))

    @property
    def _list(self) -> list[Learner]:
        return list(self.each)  # type: ignore[arg-type]

    def _with(self, state: Any) -> list[tuple[Learner, Any]]:
        """Every member with its own part of the state."""
        return [(member, tree_map(lambda leaf, i=i: leaf[i], state)) for i, member in enumerate(self._list)]

    def _keys(self, rng: Rng | None) -> list[Rng | None]:
        return [None if rng is None else rng.at("member", i) for i in range(self.members)]


def _together(states: list[Any]) -> Any:
    return tree_map(lambda *leaves: torch.stack(leaves), *states)


def _mixture(answers: Gaussian) -> Gaussian:
    """The Gaussian with mean and variance of a mixture, over the first dimension."""
    spread = answers.mean.var(0, correction=0)
    return Gaussian(answers.mean.mean(0), answers.variance.mean(0) + spread)


def _redrawn(learner: Learner, rng: Rng) -> Learner:
    """A copy whose modules have drawn their parameters anew."""
    made = copy.deepcopy(learner)
    able = [module for module in made.modules() if callable(getattr(module, "reset_parameters", None))]
    if not able:
        raise UserError(
            f"No module of this {type(learner).__name__} has reset_parameters, so its copies would all be the same;"
            " give its net layers of torch, or train the members one by one."
        )
    with forked(rng):
        for module in able:
            module.reset_parameters()  # type: ignore[operator]
    return made
