"""Every known leak, planted, is caught by the probe that looks for it; honest learners pass."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quickstudy.engine.joint import TOGETHER, embed_together
from quickstudy.engine.mapping import map_tasks
from quickstudy.errors import BadExamples, UserError
from quickstudy.evaluation.audit import Audit, audit
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.learner import Learner, Loss
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.gradient.reptile import Reptile
from quickstudy.learners.metric.prototypical import Prototypes, Prototypical
from quickstudy.rng import Rng, forked
from quickstudy.state import fingerprint
from quickstudy.task import Examples, Origin, Task, stack
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.source import TaskSource


def normed(outputs: int = 4) -> nn.Module:
    with forked(Rng(0)):
        return nn.Sequential(nn.Linear(20, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, outputs))


def leaks(found: Audit) -> list[str]:
    return [f.name for f in found.leaks]


def nearest() -> Prototypical:
    return Prototypical(nn.Flatten())


# Honest learners


@pytest.mark.parametrize(
    "make",
    [
        nearest,
        lambda: Prototypical(normed(8)),
        lambda: MAML(normed(), steps=3, lr=0.1),
        lambda: MAML(normed(), steps=3, lr=0.1, moves="head"),
        lambda: MAML(normed(), steps=3, lr=0.1, statistics="batch"),
        lambda: Reptile(normed(), steps=3, test_steps=5),
    ],
)
def test_honest_learners_pass(make: Callable[[], Learner], source: Episodes) -> None:
    learner = make().train()
    before = fingerprint(learner)
    found = audit(learner, source)
    assert leaks(found) == []
    assert found.passed
    assert "No leak found by" in found.sentence
    assert learner.training
    assert fingerprint(learner) == before


def test_a_convolution_on_pictures_passes(toys: Any) -> None:
    pool = toys.clouds()
    pool = dataclasses.replace(pool, x=torch.randn(len(pool.x), 1, 16, 16, generator=Rng(0).generator()))
    with forked(Rng(0)):
        encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    assert audit(Prototypical(encoder), Episodes(pool, ways=3, queries=2, split="test"), tasks=10).passed


def test_tasks_of_many_shapes_pass(toys: Any) -> None:
    source = Episodes(toys.clouds(), ways=(2, 5), shots=(1, 3), queries=2, split="test")
    assert leaks(audit(nearest(), source)) == []


@pytest.mark.parametrize("seed", range(12))
def test_honest_tasks_pass_whatever_the_seed(seed: int, toys: Any) -> None:
    source = Episodes(toys.clouds(seed=seed), ways=5, shots=3, queries=4, split="test", seed=seed)
    assert leaks(audit(None, source, tasks=60)) == []


def test_a_regression_passes(lines: Any) -> None:
    with forked(Rng(0)):
        found = audit(MAML(nn.Linear(1, 1), steps=2), lines)
    assert leaks(found) == []
    assert found.finding("labels without information").passed is None


def test_declared_transduction_is_reported_as_such(source: Episodes) -> None:
    found = audit(MAML(normed(), steps=1, statistics="batch"), source)
    for name in ("queries one by one", "queries permuted"):
        assert found.finding(name).passed is None
        assert "declared transductive" in found.finding(name).sentence
    assert found.passed


# Learners that leak


class QueriesNormalised(Prototypical):
    """Batch statistics over the queries, undeclared."""

    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return super().predict(state, (x - x.mean(0)) / (x.std(0, correction=0) + 1e-5))


class LeftInTraining(Prototypical):
    """eval() that does not reach the encoder: its batch norm goes on using, and moving, statistics of the batch."""

    def train(self, mode: bool = True) -> LeftInTraining:
        super().train(mode)
        self.encoder.train()
        return self


class MovingStatistics(Prototypical):
    """Adapting writes running statistics."""

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        with torch.no_grad():
            self.encoder[1].running_mean += 0.1
        return super().adapt(support, description, rng=rng)


class Dropping(Prototypical):
    """Dropout that does not know of evaluation."""

    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return super().predict(state, torch.nn.functional.dropout(x, 0.5, training=True))


class ReadingPlaces(Prototypical):
    """Knows that queries come class by class."""

    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        ways = len(state.counts)
        place = torch.arange(len(x)) * ways // len(x)
        return super().predict(state, x) + 1e3 * torch.eye(ways)[place]


class Memorised(Prototypical):
    """Knows which label each class has, whatever the support set says."""

    class_equivariant = False

    def __init__(self, encoder: nn.Module, centres: Tensor):
        super().__init__(encoder)
        self.register_buffer("centres", centres)

    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        known = torch.cdist(x, self.centres).argmin(1) % len(state.counts)
        return super().predict(state, x) + 1e3 * torch.eye(len(state.counts))[known]


class LastExamples(Prototypical):
    """Looks at the end of the support set only, and does not say so."""

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        return super().adapt(support.select(torch.arange(2, len(support))), description, rng=rng)


class PreferringFirst(Prototypical):
    """Says class_equivariant, and favours label 0."""

    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return super().predict(state, x) + torch.eye(len(state.counts))[0]


class PaddingIsRight(Prototypical):
    """Counts padded queries as answered rightly."""

    joint = False

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        found = super().loss(tasks, rng=rng)
        mask = tasks.query.mask
        if mask is None:
            return found
        return Loss(found.objective, (found.metric * mask.sum(1) + (~mask).sum(1)) / mask.shape[1])


class PaddingIsNormalised(Prototypical):
    """Embeds padding with the rest, so that it enters what the batch is centred by."""

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        x = torch.cat([tasks.support.x, tasks.query.x], 1)
        shift = self.encoder(x.flatten(0, 1)).mean(0)
        embedded = embed_together(self.encoder, tasks)
        sides = [dataclasses.replace(e, x=(e.x - shift).tanh()) for e in (embedded.support, embedded.query)]
        centred = dataclasses.replace(embedded, support=sides[0], query=sides[1])
        return Loss(*map_tasks(self.embedded_loss, centred, TOGETHER, rng=rng))


@pytest.mark.parametrize(
    ("learner", "probe"),
    [
        (QueriesNormalised, "queries one by one"),
        (LeftInTraining, "evaluation mode"),
        (MovingStatistics, "evaluation mode"),
        (Dropping, "evaluation mode"),
        (ReadingPlaces, "queries one by one"),
        (ReadingPlaces, "queries permuted"),
        (LastExamples, "support reordered"),
        (PreferringFirst, "classes renamed"),
        (PaddingIsRight, "padding"),
        (PaddingIsNormalised, "padding"),
    ],
)
def test_a_leaking_learner_is_caught(learner: type[Prototypical], probe: str, source: Episodes) -> None:
    spoiled = learner(normed(8))
    before = fingerprint(spoiled)
    found = audit(spoiled, source)
    assert found.finding(probe).passed is False, str(found)
    assert not found.passed
    assert probe in found.sentence
    assert fingerprint(spoiled) == before, "an audit leaves even a learner that writes into itself as it was"


def test_undeclared_batch_norm_over_the_queries_is_caught(source: Episodes) -> None:
    class Undeclared(MAML):
        @property
        def transductive(self) -> bool:
            return False

    found = audit(Undeclared(normed(), steps=1, statistics="batch"), source)
    assert leaks(found) == ["queries one by one"], "another order of the same queries has the same statistics"


def test_a_module_left_in_training_mode_is_named(source: Episodes) -> None:
    finding = audit(LeftInTraining(normed(8)), source).finding("evaluation mode")
    assert "encoder" in finding.sentence


# Tasks that leak


def sorted_queries(toys: Any) -> Callable[[Task, int], Task]:
    return lambda task, _: toys.reordered(task, query=task.query.y.argsort(stable=True))


def grouped_queries(toys: Any) -> Callable[[Task, int], Task]:
    """Class by class, but the classes in another order each time."""

    def change(task: Task, number: int) -> Task:
        rank = torch.randperm(task.ways or 0, generator=Rng(number).generator())
        return toys.reordered(task, query=rank[task.query.y].argsort(stable=True))

    return change


def interleaved_queries(toys: Any) -> Callable[[Task, int], Task]:
    """0, 1, 2, 3, 0, 1, 2, 3, ..."""

    def change(task: Task, _: int) -> Task:
        turn = torch.nn.functional.one_hot(task.query.y).cumsum(0).gather(1, task.query.y[:, None]).squeeze(1)
        return toys.reordered(task, query=(turn * 100 + task.query.y).argsort())

    return change


def sorted_support(toys: Any) -> Callable[[Task, int], Task]:
    return lambda task, _: toys.reordered(task, support=task.support.y.argsort(stable=True))


def labelled(rank: Callable[[Tensor], Tensor]) -> Callable[[Any], Callable[[Task, int], Task]]:
    """Tasks whose labels follow the numbers of the classes by a rule."""

    def change(task: Task, _: int) -> Task:
        assert task.origin is not None
        assert task.origin.classes is not None
        new = rank(task.origin.classes)
        origin = Origin(task.origin.support, task.origin.query, task.origin.classes[new.argsort()])
        sides = [dataclasses.replace(e, y=new[e.y]) for e in (task.support, task.query)]
        return Task(sides[0], sides[1], origin=origin)

    return lambda toys: change


ascending = labelled(lambda classes: classes.argsort().argsort())
# An order of its own, so that labels do not rise with the numbers; what gives it away is that classes come again.
scrambled = labelled(lambda classes: (classes * 37 % 101).argsort().argsort())


def support_among_queries(toys: Any) -> Callable[[Task, int], Task]:
    def change(task: Task, _: int) -> Task:
        assert task.origin is not None
        x, y, rows = task.query.x.clone(), task.query.y.clone(), task.origin.query.clone()
        x[1], y[1], rows[1] = task.support.x[0], task.support.y[0], task.origin.support[0]
        origin = Origin(task.origin.support, rows, task.origin.classes)
        return Task(task.support, Examples(x, y, ways=task.ways), origin=origin)

    return change


def copied_support(toys: Any) -> Callable[[Task, int], Task]:
    """The same, from tasks that do not say where their examples came from."""
    return lambda task, number: dataclasses.replace(support_among_queries(toys)(task, number), origin=None)


@pytest.mark.parametrize(
    ("change", "probe"),
    [
        (sorted_queries, "query order"),
        (grouped_queries, "query order"),
        (interleaved_queries, "query order"),
        (ascending, "labels in fixed order"),
        (scrambled, "labels in fixed order"),
        (support_among_queries, "support among queries"),
        (copied_support, "support among queries"),
    ],
)
def test_leaking_tasks_are_caught(change: Any, probe: str, source: Episodes, toys: Any) -> None:
    found = audit(nearest(), toys.Spoiled(source, change(toys)))
    assert leaks(found) == [probe], str(found)


def test_sorted_support_is_a_leak_for_a_learner_that_reads_the_order(source: Episodes, toys: Any) -> None:
    spoiled = toys.Spoiled(source, sorted_support(toys))
    assert leaks(audit(None, spoiled)) == ["support order"]
    assert leaks(audit(Reptile(normed(), steps=1, test_steps=2), spoiled)) == ["support order"]
    found = audit(nearest(), spoiled)
    assert leaks(found) == []
    assert "promises not to read the order" in found.finding("support order").sentence


def test_answering_by_place_is_above_chance_where_queries_are_sorted(source: Episodes, toys: Any) -> None:
    found = audit(ReadingPlaces(nn.Flatten()), toys.Spoiled(source, sorted_queries(toys)))
    finding = found.finding("labels without information")
    assert finding.passed is False
    assert finding.value == pytest.approx(0.75)


def test_memorised_labels_are_above_chance_where_labels_are_fixed(toys: Any) -> None:
    pool = toys.clouds(spread=0.3)
    source = Episodes(pool, ways=4, shots=2, queries=3, split="test")
    centres = torch.stack([pool.x[pool.y == c].mean(0) for c in range(len(pool.classes))])

    class FourFixed(TaskSource):
        """Always the same four classes under the same labels."""

        name, split = "fixed", "test"

        @property
        def protocol(self) -> dict[str, Any]:
            return {"source": self.name}

        def sample(self, first: int, count: int) -> Task:
            def one(number: int) -> Task:
                generator = Rng(number).generator()
                rows = torch.stack([40 * 12 + c * 12 + torch.randperm(12, generator=generator)[:5] for c in range(4)])
                support, query = rows[:, :2].flatten(), rows[:, 2:].flatten()
                support = support[torch.randperm(8, generator=generator)]
                query = query[torch.randperm(12, generator=generator)]
                sides = [Examples(pool.x[r], pool.y[r] - 40, ways=4) for r in (support, query)]
                return Task(sides[0], sides[1], origin=Origin(support, query, torch.arange(40, 44)))

            return stack([one(i) for i in range(first, first + count)])

    honest = audit(nearest(), FourFixed(), splits={"test": FourFixed()})
    assert leaks(honest) == ["labels in fixed order"]
    found = audit(Memorised(nn.Flatten(), centres), FourFixed(), splits={"test": FourFixed()})
    assert set(leaks(found)) == {"labels in fixed order", "labels without information", "classes renamed"}
    dealt = audit(Memorised(nn.Flatten(), centres), source)
    assert "labels without information" not in leaks(dealt), "nothing is gained where labels are dealt anew"


# Splits that leak


def test_a_class_on_both_sides_is_caught(toys: Any) -> None:
    pool = toys.clouds()
    other = dataclasses.replace(pool, split=("test", *pool.split[1:]), groups=("alone", *pool.groups[1:]))
    mine = dataclasses.replace(pool, groups=("alone", *pool.groups[1:]))
    splits = {"train": Episodes(mine, ways=4, queries=2), "test": Episodes(other, ways=4, queries=2, split="test")}
    found = audit(nearest(), splits["test"], splits=splits)
    assert "classes on two sides" in leaks(found)
    assert "alone/c00" in found.finding("classes on two sides").sentence
    assert "samples on two sides" in leaks(found)
    assert "groups on two sides" in leaks(found)


def test_a_source_that_draws_from_another_side_is_caught(toys: Any) -> None:
    class Careless(Episodes):
        def prepare(self) -> None:
            super().prepare()
            self._classes = torch.arange(len(self.pool.classes))

    found = audit(nearest(), Careless(toys.clouds(), ways=4, queries=2, split="test"))
    assert {"classes on two sides", "groups on two sides", "samples on two sides"} <= set(leaks(found))


def test_an_alphabet_on_both_sides_is_caught(toys: Any) -> None:
    pool = toys.clouds().resplit((0.5, 0.25, 0.25), by="class")
    found = audit(nearest(), Episodes(pool, ways=4, queries=2, split="test"))
    assert leaks(found) == ["groups on two sides"]
    assert "in train and test" in found.finding("groups on two sides").sentence


def test_rotating_before_splitting_is_caught(toys: Any) -> None:
    pool = toys.clouds()
    pool = dataclasses.replace(pool, x=torch.randn(len(pool.x), 1, 16, 16, generator=Rng(0).generator())).rotated()
    honest = Episodes(pool, ways=4, queries=2, split="test")
    assert leaks(audit(None, honest, tasks=10)) == []
    leaky = dataclasses.replace(pool, groups=pool.classes).resplit((0.5, 0.25, 0.25), seed=1)
    found = audit(None, Episodes(leaky, ways=4, queries=2, split="test"), tasks=10)
    assert leaks(found) == ["samples on two sides"]


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_near_duplicate_images_across_splits_are_caught(noise: float, toys: Any) -> None:
    pool = toys.clouds()
    x = torch.rand(len(pool.x), 1, 20, 20, generator=Rng(0).generator())
    x[40 * 12 + 5] = x[3] * 0.9 + 0.05 + noise * torch.randn(1, 20, 20, generator=Rng(1).generator()) if noise else x[3]
    found = audit(None, Episodes(dataclasses.replace(pool, x=x), ways=4, queries=2, split="test"), tasks=10)
    assert leaks(found) == ["near duplicates"]
    sentence = found.finding("near duplicates").sentence
    assert f"1 of 144 of test are {'nearly ' if noise else ''}equal to one of train" in sentence


def test_bytes_and_long_vectors_are_compared_too(toys: Any) -> None:
    pool = toys.clouds()
    for shape in ((3, 24, 24), (500,)):
        x = torch.randint(0, 256, (len(pool.x), *shape), generator=Rng(0).generator(), dtype=torch.uint8)
        source = Episodes(dataclasses.replace(pool, x=x), ways=4, queries=2, split="test")
        assert audit(None, source, tasks=4).finding("near duplicates").passed
        x[500] = (x[0].float() * 0.98 + 1).to(torch.uint8)
        assert audit(None, source, tasks=4).finding("near duplicates").passed is False


def test_one_split_alone_has_nothing_to_overlap_with(toys: Any) -> None:
    pool = dataclasses.replace(toys.clouds(), split=("test",) * 48)
    found = audit(None, Episodes(pool, ways=4, queries=2, split="test"))
    assert found.passed
    assert found.finding("classes on two sides").passed is None


# The verdict


def test_the_verdict_goes_into_the_result_as_json(source: Episodes) -> None:
    found = audit(LeftInTraining(normed(8)), source, tasks=10)
    result = dataclasses.replace(evaluate(nearest(), source, tasks=4), audit=found.to_json())
    told = json.loads(json.dumps(result.to_json(), allow_nan=False))["audit"]
    assert told["passed"] is False
    assert told["sentence"] == found.sentence
    assert {f["name"]: f["passed"] for f in told["findings"]}["evaluation mode"] is False
    assert "LEAK evaluation mode" in str(found)


def test_what_is_refused(source: Episodes, lines: Any, toys: Any) -> None:
    with pytest.raises(UserError, match="Asked to audit 0 tasks"):
        audit(nearest(), source, tasks=0)
    with pytest.raises(UserError, match="Prototypical serves classification"):
        audit(nearest(), lines)
    with pytest.raises(BadExamples, match="cannot take these tasks"):
        audit(Prototypical(nn.Linear(3, 3)), source)
