"""Every learner keeps every promise, and a broken promise of any kind is caught."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.engine.plan import Plan
from quickstudy.errors import BadExamples, ContractBroken
from quickstudy.functional.batch_norm import call
from quickstudy.learner import Learner, Loss
from quickstudy.learners.bayesian.deep_kernel import DeepKernel
from quickstudy.learners.bayesian.ensemble import Ensemble
from quickstudy.learners.bayesian.last_layer import BayesianLastLayer
from quickstudy.learners.closed_form.logistic_head import LogisticHead
from quickstudy.learners.closed_form.ridge_head import RidgeHead
from quickstudy.learners.closed_form.tabular import Tabular
from quickstudy.learners.gradient.generated import Generated
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.gradient.proto_maml import ProtoMAML
from quickstudy.learners.gradient.reptile import Reptile
from quickstudy.learners.memory.cells import DeltaCell, FastWeightsCell, LSTMCell
from quickstudy.learners.memory.mann import MANN
from quickstudy.learners.memory.meta_networks import MetaNetworks
from quickstudy.learners.memory.recurrent import Recurrent
from quickstudy.learners.memory.snail import SNAIL
from quickstudy.learners.metric.matching import Matching
from quickstudy.learners.metric.prototypical import Prototypes, Prototypical
from quickstudy.learners.metric.relation import Relation
from quickstudy.learners.metric.siamese import Siamese
from quickstudy.learners.metric.simpleshot import SimpleShot
from quickstudy.learners.metric.soft_prototypes import SoftPrototypes
from quickstudy.learners.process.attentive import AttentiveProcess
from quickstudy.learners.process.conditional import ConditionalProcess
from quickstudy.learners.process.in_context import InContext
from quickstudy.learners.zero_shot.described import Described
from quickstudy.learners.zero_shot.eszsl import ESZSL
from quickstudy.pytree import pytree
from quickstudy.rng import Rng, forked
from quickstudy.state import fingerprint
from quickstudy.task import Examples, Task


def net(outputs: int = 3, *, norm: bool = False) -> nn.Module:
    layers = [nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.ReLU(), nn.Linear(6, outputs)]
    return nn.Sequential(*layers)


CLASSES, BOTH = ["classification"], ["classification", "regression"]

# A new learner is one line here.
LEARNERS = {
    "prototypical": (lambda: Prototypical(net(4, norm=True)), CLASSES),
    "maml": (lambda: MAML(net(), steps=2), BOTH),
    "maml, support statistics": (lambda: MAML(net(norm=True), steps=2), BOTH),
    "maml, batch statistics": (
        lambda: MAML(net(norm=True), steps=2, statistics="batch"),
        BOTH,
    ),
    "maml, learned rates": (lambda: MAML(net(), steps=2, rule="layer-rates"), BOTH),
    "fomaml": (lambda: MAML(net(), steps=2, gradient="first-order"), BOTH),
    "anil": (lambda: MAML(net(), steps=2, moves="head"), BOTH),
    "reptile": (lambda: Reptile(net(), steps=3), BOTH),
    "meta-sgd": (lambda: MAML(net(), steps=2, rule="meta-sgd"), BOTH),
    "lstm-meta-learner": (lambda: MAML(net(), steps=2, rule="lstm", gradient="first-order"), BOTH),
    "maml++": (
        lambda: MAML(net(norm=True), steps=2, rule="step-rates", multi_step=True, statistics="per-step"),
        BOTH,
    ),
    "imaml": (lambda: MAML(net(), steps=2, gradient="implicit", proximal=2.0), BOTH),
    "mann": (lambda: MANN(nn.Linear(8, 5), width=5, outputs=3, controller=7, slots=9, word=4, reads=2), BOTH),
    "proto-maml": (lambda: ProtoMAML(net(4, norm=True), steps=2), CLASSES),
    "generated": (lambda: Generated(net(), nn.Linear(8, 5), outputs=3, width=5, steps=2), BOTH),
    "siamese": (lambda: Siamese(net(4, norm=True), features=4), CLASSES),
    "siamese, contrastive": (lambda: Siamese(net(4, norm=True), objective="contrastive"), CLASSES),
    "matching": (lambda: Matching(net(4, norm=True)), CLASSES),
    "matching-fce": (lambda: Matching(net(4, norm=True), full_context=True, steps=2, features=4), CLASSES),
    "relation": (
        lambda: Relation(net(4, norm=True), nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1))),
        CLASSES,
    ),
    "simpleshot": (lambda: SimpleShot(net(4, norm=True), features=4), CLASSES),
    "soft-prototypes": (lambda: SoftPrototypes(net(4, norm=True), steps=2), CLASSES),
    "tabular": (lambda: Tabular(hidden=8), CLASSES),
    "r2d2": (lambda: RidgeHead(net(4, norm=True)), BOTH),
    "lr-d2": (lambda: LogisticHead(net(4, norm=True)), CLASSES),
    "snail": (
        lambda: SNAIL(net(4, norm=True), width=4, outputs=3, length=13, attention=((8, 4), (8, 4)), filters=4),
        BOTH,
    ),
    "meta-networks": (lambda: MetaNetworks(net(4, norm=True), width=4, outputs=3, hidden=5, generator=4), BOTH),
    "recurrent, lstm": (lambda: Recurrent(LSTMCell(5, 6), inputs=8, outputs=3, hidden=7), BOTH),
    "recurrent, fast weights": (lambda: Recurrent(FastWeightsCell(5, 6), inputs=8, outputs=3, hidden=7), BOTH),
    "recurrent, delta": (lambda: Recurrent(DeltaCell(5, 6), inputs=8, outputs=3, hidden=7), BOTH),
    "cnp": (lambda: ConditionalProcess(inputs=8, outputs=3, width=8, depth=3), BOTH),
    "attentive": (lambda: AttentiveProcess(inputs=8, outputs=3, width=8, depth=3, heads=2), BOTH),
    "attentive, without layers": (
        lambda: AttentiveProcess(inputs=8, outputs=3, width=8, depth=2, heads=4, layers=0),
        BOTH,
    ),
    "in-context": (lambda: InContext(inputs=8, outputs=3, width=8, layers=2, heads=2, hidden=12, depth=2), BOTH),
    "deep-kernel": (lambda: DeepKernel(net(4, norm=True)), BOTH),
    "deep-kernel, spectral": (lambda: DeepKernel(net(4), kernel="spectral", features=4), BOTH),
    "last-layer": (lambda: BayesianLastLayer(net(4, norm=True), outputs=3, features=4), ["regression"]),
    "ensemble": (lambda: Ensemble(Prototypical(net(4)), members=2), CLASSES),
    "ensemble, points": (lambda: Ensemble(MAML(net(), steps=1), members=2, kind="regression"), ["regression"]),
    "described": (lambda: Described(net(4, norm=True)), CLASSES),
    "eszsl": (lambda: ESZSL(nn.Flatten(), width=8, attributes=8), CLASSES),
}
CASES = [(name, kind) for name, (_, kinds) in LEARNERS.items() for kind in kinds]


def made(name: str) -> Learner:
    with forked(Rng(0)):
        return LEARNERS[name][0]()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_learner_keeps_its_promises(name: str, kind: str) -> None:
    learner = made(name)
    before = fingerprint(learner)
    found = {f.name: f for f in check_learner(learner, kind=kind)}
    assert len(found) == 12
    assert all(f.passed in (True, None) and f.sentence for f in found.values())
    assert found["meta-gradient"].passed is (True if learner.meta_gradient == "exact" else None)
    assert found["queries one by one"].passed is (None if learner.transductive else True)
    assert fingerprint(learner) == before
    assert learner.plan is None
    assert all(p.dtype == torch.float32 for p in learner.parameters())


class Honest(Prototypical):
    """Prototypical networks without their own batching, for spoiling."""

    joint = False

    def __init__(self) -> None:
        super().__init__(nn.Linear(8, 4))
        self.register_buffer("count", torch.zeros(()))

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        return Learner.loss(self, tasks, rng=rng)


class Counting(Honest):
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        self.count += 1
        return super().adapt(support, description, rng=rng)


class Rolling(Honest):
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        state = super().adapt(support, description, rng=rng)
        return Prototypes(state.sums + 0.01 * torch.rand(()), state.counts)


class ModeChanging(Honest):
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        self.encoder.eval()
        return super().adapt(support, description, rng=rng)


class QueriesTogether(Honest):
    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return super().predict(state, x - x.mean(0))


class ByPlace(Honest):
    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return super().predict(state, x) + 0.1 * torch.arange(len(x)).unsqueeze(1) * torch.eye(3)[0]


class Renaming(Honest):
    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return super().predict(state, x) + torch.tensor([0.0, 0.1, 0.2])


class LeftBehind(Honest):
    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return super().predict(state, x) + torch.zeros(1)


class Recent(Honest):
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        return super().adapt(support.select(torch.arange(3, len(support))), description, rng=rng)


class CountingPadding(Honest):
    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        found = super().loss(tasks, rng=rng)
        mask = tasks.query.mask
        # The divisor is the padded length, as in parallel-metalearn 0.5.6.
        return found if mask is None else Loss(found.objective, found.metric * mask.float().mean(1))


class Detached(Honest):
    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return self.answer(Prototypes(state.sums.detach(), state.counts), call(self.encoder, {}, x, policy="running"))


class Secretive(Honest):
    def task_loss(self, task: Task, rng: Rng | None = None) -> tuple[Tensor, Tensor]:
        objective, metric = super().task_loss(task, rng)
        mapped = torch._C._functorch.peek_interpreter_stack() is not None
        return objective if mapped else 1.001 * objective - 0.001 * objective.detach(), metric


class Forgetful(Honest):
    def update(self, state: Prototypes, examples: Examples) -> Prototypes:
        more = self.adapt(examples)
        return Prototypes(more.sums, more.counts + state.counts)


@pytree
class Closure:
    prototypes: Prototypes
    ask: object = None


class Unsaveable(Honest):
    State = Closure

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Closure:
        return Closure(super().adapt(support, description, rng=rng), {1, 2})

    def predict(self, state: Closure, x: Tensor) -> Tensor:
        return super().predict(state.prototypes, x)

    update = Learner.update


class AllClasses(Honest):
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        state = super().adapt(support, description, rng=rng)
        return Prototypes(state.sums / state.counts.unsqueeze(1), torch.ones_like(state.counts))

    update = Learner.update


@pytest.mark.parametrize(
    ("learner", "promise"),
    [
        (Counting, "adapt is pure"),
        (Rolling, "adapt is pure"),
        (ModeChanging, "adapt is pure"),
        (QueriesTogether, "queries one by one"),
        (ByPlace, "queries one by one"),
        (Renaming, "classes renamed"),
        (Recent, "support reordered"),
        (CountingPadding, "padding"),
        (Detached, "meta-gradient"),
        (Secretive, "looped equals vectorised"),
        (Forgetful, "update equals adapting to all"),
        (Unsaveable, "a state can be saved"),
        (LeftBehind, "everything follows the weights' device"),
        (AllClasses, "odd support sets"),
    ],
)
def test_a_broken_promise_is_caught(learner: type[Learner], promise: str) -> None:
    with forked(Rng(0)):
        broken = learner()
    with pytest.raises(ContractBroken, match=f"{learner.__name__} breaks the promise '{promise}'"):
        check_learner(broken)


def test_the_learner_that_was_spoiled_is_sound() -> None:
    with forked(Rng(0)):
        found = check_learner(Honest())
    assert all(f.passed for f in found)


def test_undeclared_batch_statistics_are_caught_and_declared_ones_are_not() -> None:
    class Undeclared(MAML):
        @property
        def transductive(self) -> bool:
            return False

    with forked(Rng(0)):
        spoiled = Undeclared(net(norm=True), steps=1, statistics="batch")
    with pytest.raises(ContractBroken, match="queries one by one"):
        check_learner(spoiled)


def test_a_surrogate_gradient_that_is_called_exact_is_caught() -> None:
    learner = made("fomaml")
    learner.meta_gradient = "exact"
    with pytest.raises(ContractBroken, match="meta-gradient"):
        check_learner(learner)


def test_tasks_of_ones_own_and_images_are_taken() -> None:
    tasks = made_up_tasks("classification", feature=(1, 6, 6), outputs=2)
    with forked(Rng(0)):
        learner = Prototypical(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()))
        learner.plan = Plan("loop", 1, "mine")
    assert all(f.passed is not False for f in check_learner(learner, tasks))
    assert learner.plan == Plan("loop", 1, "mine")


def test_tasks_that_do_not_fit_are_refused_with_both_shapes() -> None:
    with pytest.raises(BadExamples, match=r"Prototypical cannot take these tasks \(inputs shaped \(5,\)"):
        check_learner(made("prototypical"), feature=(5,))
    wrong = [dataclasses.replace(t, query=t.query.select(torch.arange(0))) for t in made_up_tasks("classification")]
    with pytest.raises(BadExamples, match="query set is empty"):
        check_learner(made("prototypical"), wrong)
