"""Learning from descriptions: with no examples, with some, and with classes that come later."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from quickstudy.bundle import load_bundle, save_bundle
from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import BadExamples, UserError
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.learners.zero_shot.described import Described
from quickstudy.learners.zero_shot.eszsl import ESZSL
from quickstudy.loops.meta_train import meta_train
from quickstudy.pytree import tree_map
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, check_task, stack, take, trim
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool

NOTHING = Examples(torch.empty(0, 8), torch.empty(0, dtype=torch.int64), ways=3)


def encoder() -> nn.Module:
    with forked(Rng(0)):
        return nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4))


def described(classes: int = 80, each: int = 20, noise: float = 0.7) -> Pool:
    """Clouds of points; the description of a class is its centre, turned."""
    generator = Rng(3).generator()
    centres = torch.randn(classes, 8, generator=generator)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q
    y = torch.arange(classes).repeat_interleave(each)
    x = centres[y] + noise * torch.randn(len(y), 8, generator=generator)
    sides = tuple("train" if c < classes // 2 else "validation" if c < 3 * classes // 4 else "test" for c in y.unique())
    names = tuple(map(str, range(classes)))
    return Pool("clouds", x, y, names, names, sides, descriptions=centres @ turn)


@pytest.mark.parametrize(
    "learner",
    [
        lambda: Described(encoder()),
        lambda: Described(encoder(), describer=encoder(), strength=3.0),
        lambda: ESZSL(nn.Flatten(), width=8, attributes=8),
    ],
    ids=["one encoder", "a describer", "eszsl"],
)
def test_they_keep_their_promises(learner: object) -> None:
    found = {f.name: f for f in check_learner(learner())}  # type: ignore[operator]
    assert "descriptions alone learned from" in found["odd support sets"].sentence


def test_a_prototype_moves_from_its_description_to_the_mean_of_its_examples() -> None:
    task = made_up_tasks("classification", described=True)[0]
    learner = Described(nn.Flatten(), strength=2.0)
    state = learner.adapt(task.support, task.description)
    for c in range(3):
        mine = task.support.x[task.support.y == c]
        expected = (2 * task.description[c] + mine.sum(0)) / (2 + len(mine))
        torch.testing.assert_close(learner.means(state)[c], expected)
    torch.testing.assert_close(learner.means(learner.adapt(NOTHING, task.description)), task.description)
    without = learner.adapt(task.support)
    torch.testing.assert_close(learner.means(without), Prototypical(nn.Flatten()).adapt(task.support).means)


def test_a_class_that_is_added_is_as_if_it_had_been_there() -> None:
    task = made_up_tasks("classification", described=True)[0]
    learner = Described(encoder()).eval()
    everything = learner.adapt(task.support, task.description)
    two = task.support.select(task.support.y < 2)
    start = learner.adapt(Examples(two.x, two.y, ways=2), task.description[:2])
    grown = learner.add_class(start, description=task.description[2], examples=task.support.x[task.support.y == 2])
    torch.testing.assert_close(learner.predict(grown, task.query.x), learner.predict(everything, task.query.x))
    asked = learner.predict(learner.add_class(start, examples=task.support.x[:1]), task.query.x)
    assert bool(torch.isfinite(asked).all())
    with pytest.raises(UserError, match="needs a description, examples, or both"):
        learner.add_class(start)


def test_neither_examples_nor_descriptions_is_refused() -> None:
    with pytest.raises(UserError, match="neither an example nor a description"):
        Described(nn.Flatten()).adapt(NOTHING)
    with pytest.raises(UserError, match="learns from descriptions"):
        ESZSL(nn.Flatten(), width=8, attributes=8).adapt(made_up_tasks("classification")[0].support)
    with pytest.raises(UserError, match=r"strength is 0\.0"):
        Described(nn.Flatten(), strength=0.0)


def test_a_task_without_examples_is_legal_only_with_descriptions() -> None:
    task = made_up_tasks("classification", described=True)[0]
    check_task(Task(NOTHING, task.query, task.description))
    with pytest.raises(BadExamples, match="support set is empty"):
        check_task(Task(NOTHING, task.query))
    with pytest.raises(BadExamples, match="Prototypical learns from examples, and this task has none"):
        evaluate(Prototypical(nn.Flatten()), Episodes(described(), ways=3, shots=0, queries=2).test, tasks=2)


def test_shots_may_be_drawn_from_zero_and_training_on_them_pays() -> None:
    source = Episodes(described(), ways=3, shots=(0, 5), queries=5)
    drawn = source.sample(0, 30)
    assert drawn.support.mask is not None and drawn.description is not None
    assert 0 in drawn.support.mask.sum(1) and drawn.description.shape == (30, 3, 8)
    for i in (0, 1):
        rows = drawn.origin.classes[i]  # type: ignore[union-attr]
        torch.testing.assert_close(drawn.description[i], source.pool.descriptions[rows])  # type: ignore[index]
    with forked(Rng(1)):
        learner = Described(nn.Linear(8, 8), describer=nn.Linear(8, 8))
    validation = source.validation.replaced(shots=0, queries=10)
    before = evaluate(learner, validation, tasks=50)
    for _ in meta_train(learner, source, steps=60, tasks=8, optimizer=partial(torch.optim.Adam, lr=1e-2)):
        pass
    after = evaluate(learner, validation, tasks=50)
    assert before.value < 60 < 70 < after.value
    with pytest.raises(UserError, match="must be at least 1"):
        Episodes(Pool.of(torch.zeros(4, 2), list("aabb")), ways=2, shots=0, queries=1)


def test_eszsl_is_its_closed_form_and_knows_classes_it_never_saw() -> None:
    pool = described()
    learner = ESZSL(nn.Flatten(), width=8, attributes=8, gamma=0.3, lambda_=0.2, others=-1.0).double()
    rows = pool.y < 12
    x, y = pool.x[rows].double(), pool.y[rows]
    learner.solve(x, y, pool.descriptions[:12].double())  # type: ignore[index]
    s = nn.functional.normalize(pool.descriptions[:12].double(), dim=1)  # type: ignore[index]
    signs = torch.full((len(y), 12), -1.0, dtype=torch.float64)
    signs[torch.arange(len(y)), y] = 1
    n, z, eye = len(y), 12, torch.eye(8, dtype=torch.float64)
    # The paper's formula with its own penalties, which grow with the number of examples and of classes.
    paper = torch.linalg.inv(x.T @ x + 0.3 * n * eye) @ x.T @ signs @ s @ torch.linalg.inv(s.T @ s + 0.2 * z * eye)
    torch.testing.assert_close(learner.map, paper * z, rtol=1e-8, atol=1e-10)
    single = ESZSL(nn.Flatten(), width=8, attributes=8)
    source = Episodes(pool, ways=3, shots=1, queries=10)
    single.meta_fit(source, tasks=100)
    assert evaluate(single, source.test.replaced(shots=0), tasks=50).value > 65
    with pytest.raises(UserError, match="do not say which described class"):
        single.meta_fit(_Anonymous(source.pool, ways=3, shots=1, queries=2))


class _Anonymous(Episodes):
    """Episodes that forget where their parts came from."""

    def sample(self, first: int, count: int) -> Task:
        drawn = super().sample(first, count)
        return Task(drawn.support, drawn.query, drawn.description)


def test_a_bundle_is_taught_by_names_and_descriptions(tmp_path: Path) -> None:
    pool = described()
    source = Episodes(pool, ways=3, shots=(0, 5), queries=5)
    save_bundle(tmp_path / "bundle", Described(nn.Linear(8, 4)), source=source)
    bundle = load_bundle(tmp_path / "bundle", encoder=nn.Linear(8, 4))
    known = {"owl": pool.descriptions[0], "lynx": pool.descriptions[1].numpy()}  # type: ignore[index]
    state, envelope = bundle.adapt(None, [], descriptions=known)
    assert envelope.classes == ("owl", "lynx")
    first = bundle.predict(state, envelope, pool.x[:4])
    assert set(first.names) <= {"owl", "lynx"}
    more, _ = bundle.adapt(pool.x[:2], ["lynx", "owl"], descriptions=known)
    assert more.counts.tolist() == [1, 1]
    with pytest.raises(BadExamples, match="examples of 'wolf', which has no description"):
        bundle.adapt(pool.x[:1], ["wolf"], descriptions=known)
    with pytest.raises(BadExamples, match="must be of one shape"):
        bundle.adapt(None, [], descriptions=known | {"elk": torch.zeros(3)})
    save_bundle(tmp_path / "other", Prototypical(nn.Flatten()), source=source)
    with pytest.raises(BadExamples, match="does not read descriptions"):
        load_bundle(tmp_path / "other").adapt(None, [], descriptions=known)


def test_padding_of_classes_does_not_count() -> None:
    source = Episodes(described(), ways=(2, 4), shots=(0, 3), queries=4)
    batch = source.sample(0, 6)
    learner = Described(encoder().eval()).double()
    batch = _double(batch)
    together = learner.loss(batch)
    alone = [learner.loss(stack([trimmed])).objective[0] for trimmed in _each(batch)]
    torch.testing.assert_close(together.objective, torch.stack(alone), rtol=1e-10, atol=1e-12)


def _double(batch: Task) -> Task:
    def up(leaf: Tensor) -> Tensor:
        return leaf.double() if leaf.is_floating_point() else leaf

    return tree_map(up, batch)


def _each(batch: Task) -> list[Task]:
    return [trim(take(batch, i)) for i in range(len(batch.support.y))]
