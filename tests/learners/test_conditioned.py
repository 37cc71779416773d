"""Initialisations that depend on the task: Proto-MAML and generated ones, against hand-written loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import UnknownName, UserError
from quickstudy.learner import Learner
from quickstudy.learners.gradient.generated import Generated
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.gradient.proto_maml import ProtoMAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, stack
from quickstudy.tasks.functions import Sinusoids


def net(outputs: int = 4, *, norm: bool = False) -> nn.Module:
    with forked(Rng(0)):
        return nn.Sequential(nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.Tanh(), nn.Linear(6, outputs))


def generated(*, norm: bool = False, **options: object) -> Generated:
    """One whose generator does not begin at zero, so that it has something to say."""
    with forked(Rng(1)):
        reader = nn.Sequential(nn.Linear(8, 5), *([nn.BatchNorm1d(5)] if norm else []))
        learner = Generated(net(3, norm=norm), reader, outputs=3, width=5, **options)  # type: ignore[arg-type]
        nn.init.normal_(learner.generator[-1].weight, std=0.3)
    return learner


BOTH = ["classification", "regression"]
LEARNERS = {
    "proto-maml": (lambda: ProtoMAML(net(), steps=2), ["classification"]),
    "proto-maml, support statistics": (lambda: ProtoMAML(net(norm=True), steps=2), ["classification"]),
    "proto-maml, batch statistics": (
        lambda: ProtoMAML(net(norm=True), steps=2, statistics="batch"),
        ["classification"],
    ),
    "proto-maml, running statistics": (
        lambda: ProtoMAML(net(norm=True), steps=2, statistics="running"),
        ["classification"],
    ),
    "proto-maml, head": (lambda: ProtoMAML(net(norm=True), steps=2, moves="head"), ["classification"]),
    "generated": (lambda: generated(steps=2), BOTH),
    "generated, norm": (lambda: generated(norm=True, steps=1), BOTH),
    "generated, head": (lambda: generated(norm=True, steps=2, moves="head", statistics="running"), BOTH),
    "generated, no steps": (lambda: generated(steps=0), BOTH),
}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, (_, kinds) in LEARNERS.items() for kind in kinds])
def test_a_learner_keeps_its_promises(name: str, kind: str) -> None:
    learner = LEARNERS[name][0]()
    found = {f.name: f for f in check_learner(learner, kind=kind)}
    assert all(f.passed in (True, None) for f in found.values())
    assert found["meta-gradient"].passed
    assert found["looped equals vectorised"].passed
    assert learner.transductive is ("batch" in name)


def support() -> Examples:
    return made_up_tasks("classification")[0].support


def test_proto_maml_without_steps_is_a_prototypical_network() -> None:
    task = made_up_tasks("classification")[0]
    one, other = ProtoMAML(net(), steps=0), Prototypical(net())
    found = one.predict(one.adapt(task.support), task.query.x).log_softmax(-1)
    assert torch.allclose(found, other.predict(other.adapt(task.support), task.query.x).log_softmax(-1), atol=1e-5)


@pytest.mark.parametrize("moves", ["all", "head"])
def test_proto_maml_equals_a_hand_written_loop(moves: str) -> None:
    task = made_up_tasks("classification")[0]
    learner, encoder = ProtoMAML(net(), steps=3, lr=0.05, moves=moves), net()
    x, y = task.support.x, task.support.y
    means = torch.stack([encoder(x)[y == c].mean(0) for c in range(3)])
    head = [(2 * means).detach().requires_grad_(), (-means.square().sum(1)).detach().requires_grad_()]
    moving = [*(encoder.parameters() if moves == "all" else ()), *head]
    for _ in range(3):
        gradients = torch.autograd.grad(F.cross_entropy(encoder(x) @ head[0].T + head[1], y), moving)
        with torch.no_grad():
            for weight, gradient in zip(moving, gradients, strict=True):
                weight -= 0.05 * gradient
    state = learner.adapt(task.support)
    assert torch.allclose(state.weights["head.weight"], head[0], atol=1e-5)
    found = learner.predict(state, task.query.x)
    assert torch.allclose(found, encoder(task.query.x) @ head[0].T + head[1], atol=1e-4)
    assert any(name.startswith("encoder.") for name in state.weights) is (moves == "all")


def test_the_meta_gradient_goes_through_the_prototypes() -> None:
    # Without steps everything that is learned is learned through the head that the prototypes make.
    learner = ProtoMAML(net(), steps=0, moves="head")
    head = learner.adapt(support()).weights["head.weight"]
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(head.square().sum(), learner.parameters()))


def test_one_proto_maml_serves_any_number_of_classes_and_trains_where_one_is_missing() -> None:
    learner = ProtoMAML(net(), steps=2)
    for ways in (2, 7):
        task = made_up_tasks("classification", outputs=ways)[0]
        assert learner.predict(learner.adapt(task.support), task.query.x).shape == (2 * ways, ways)
    task = made_up_tasks("classification")[0]
    learned = task.support.select(task.support.y != 1)
    state = learner.adapt(learned)
    logits = learner.predict(state, task.query.x)
    assert (logits[:, 1] == -torch.inf).all()
    F.cross_entropy(logits[task.query.y != 1], task.query.y[task.query.y != 1]).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


@pytest.mark.parametrize("kind", BOTH)
def test_a_generated_initialisation_begins_as_that_of_maml(kind: str) -> None:
    task = made_up_tasks(kind)[0]
    one = Generated(net(3), nn.Linear(8, 5), outputs=3, width=5, steps=2, lr=0.1)
    other = MAML(net(3), steps=2, lr=0.1)
    found, expected = (made.predict(made.adapt(task.support), task.query.x) for made in (one, other))
    assert torch.equal(found, expected)


def test_modulations_scale_the_rows_of_weights_and_move_biases() -> None:
    learner = generated(steps=0)
    by = learner.generator(learner.read(support())).split([6, 6, 3, 3])
    weights, before = learner.adapt(support()).weights, dict(learner.net.named_parameters())
    for i, name in enumerate(["0", "2"]):
        assert torch.allclose(weights[f"{name}.weight"], before[f"{name}.weight"] * (1 + by[2 * i].unsqueeze(1)))
        assert torch.allclose(weights[f"{name}.bias"], before[f"{name}.bias"] + by[2 * i + 1])
    assert all(part.abs().sum() > 0 for part in by)


def test_padding_says_nothing_to_a_generator() -> None:
    learner, real = generated(), support()
    longer = real.followed_by(real)
    masked = Examples(longer.x, longer.y, torch.arange(len(longer)) < len(real), ways=3)
    assert torch.allclose(learner.read(real), learner.read(masked), atol=1e-6)


def test_labels_are_read_too() -> None:
    learner, given = generated(), support()
    other = Examples(given.x, (given.y + 1) % 3, ways=3)
    assert not torch.allclose(learner.read(given), learner.read(other), atol=1e-3)


def scores(learner: Learner, steps: int) -> Tensor:
    source = Sinusoids(shots=10).train
    return torch.tensor([r.metric for r in meta_train(learner, source, steps=steps, tasks=10, rng=Rng(0))])


def test_reading_the_support_set_is_worth_more_than_a_step() -> None:
    with forked(Rng(0)):
        reading = Generated(MLP(1, 1), MLP(1, 32, hidden=(32,)), outputs=1, width=32, steps=0)
        stepping = MAML(MLP(1, 1), steps=1, lr=0.01)
    assert scores(reading, 400)[-50:].mean() < 0.7 * scores(stepping, 400)[-50:].mean()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ProtoMAML(net(), moves="body"), UnknownName, "There is no part to move 'body'"),
        (lambda: ProtoMAML(net(), statistics="suport"), UnknownName, "Did you mean 'support'"),
        (lambda: ProtoMAML(nn.Flatten()), UserError, "leaves no parameter of Flatten to move"),
        (lambda: Generated(net(), nn.Linear(8, 5), outputs=0), UserError, "outputs is 0 and width 64"),
        (lambda: Generated(net(), nn.Linear(8, 5), outputs=3, moves="tail"), UserError, "moves='tail' leaves no"),
        (
            lambda: Generated(net(3), nn.Linear(8, 5), outputs=3, width=6).adapt(support()),
            UserError,
            r"reader makes \(12, 5\) of 12 inputs, but width=6",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: type[Learner], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_nets_with_batch_norm_are_learned_from_in_batches() -> None:
    tasks = stack(made_up_tasks("classification"))
    for learner in (ProtoMAML(net(norm=True), steps=1), generated(norm=True, steps=1)):
        assert learner.loss(tasks).objective.isfinite().all()
