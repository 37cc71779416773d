"""Which past tasks a task resembles and what its answers rest on, against plain loops and planted causes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quickstudy.errors import BadExamples, UserError
from quickstudy.learner import Learner
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.bayesian.deep_kernel import DeepKernel
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.matching import Matching
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.learners.metric.relation import Relation
from quickstudy.learners.standardised import Standardised
from quickstudy.learners.zero_shot.described import Described
from quickstudy.nets.mlp import MLP
from quickstudy.outputs import central
from quickstudy.rng import Rng, forked
from quickstudy.study.diagnosis import (
    TaskMap,
    columns,
    influence,
    nearest_support,
    occlusion,
    similar_tasks,
    words,
)
from quickstudy.task import Examples, take
from quickstudy.tasks.class_groups import ClassGroups
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.functions import Sinusoids
from quickstudy.tasks.groups import Groups
from quickstudy.tasks.own.rows import Columns
from quickstudy.tasks.pool import Pool

COPY = ("train", "train", "train", "train", "train", "validation", "test")  # 5 is a copy of 1, 6 one of 3


def reviews(**options: Any) -> ClassGroups:
    """Groups that differ in their inputs; 4 has those of 0 with the opposite labels; 5 and 6 are copies."""
    generator = torch.Generator().manual_seed(0)
    like = torch.tensor([0, 1, 2, 3, 0, 1, 3])
    group = torch.arange(7).repeat_interleave(60)
    y = torch.arange(60).repeat(7) % 2
    centres, way = 1.5 * torch.randn(4, 6, generator=generator), torch.randn(4, 6, generator=generator)
    sign = torch.where(group == 4, -1.0, 1.0) * (2.0 * y - 1)
    x = centres[like[group]] + sign.unsqueeze(1) * way[like[group]] + torch.randn(420, 6, generator=generator)
    options = {"shots": 5, "queries": 5} | options
    return ClassGroups("reviews", x, y, group, COPY, classes=("bad", "good"), **options)


# --- similar tasks


def test_a_copy_under_another_name_is_the_most_similar() -> None:
    names = ("books", "films", "games", "music", "books reversed", "films again", "music again")
    found = similar_tasks(None, reviews(), reviews().test.sample(0, 1).support.select(torch.tensor(0)), names=names)
    places = {point["name"]: point for point in found.figures["points"]}
    assert set(places) == set(names[:6])
    assert places["films"]["nearest"] == "films again" and places["films again"]["nearest"] == "films"
    assert found.figures["new"][0]["similar"][0]["name"] == "music"
    assert len(found.figures["new"][0]["similar"]) == 5
    assert "most like 'music'" in found.sentence and "recognised in" in found.sentence
    json.dumps(found.figures, allow_nan=False)


def test_other_labels_on_the_same_inputs_are_another_task() -> None:
    far = TaskMap(None, reviews()).distances()
    alone = TaskMap(None, reviews(labels="local")).distances()  # labels that mean nothing elsewhere do not count
    assert float(far[0, 4]) > 2 * float(far[1, 5]) and float(alone[0, 4]) < 1.5 * float(alone[1, 5])


def test_regressions_are_told_apart_by_what_they_do_with_the_same_inputs() -> None:
    generator = torch.Generator().manual_seed(0)
    group = torch.arange(6).repeat_interleave(80)
    x = torch.randn(480, 2, generator=generator)
    slope = torch.tensor([[1.0, 0], [0, 1.0], [-1.0, 0], [0, -1.0], [0, 1.0], [1.0, 0]])
    y = 50 * (x * slope[group]).sum(1, keepdim=True) + 7
    source = Groups("planes", x, y, group, ("train",) * 4 + ("validation", "test"), shots=20, queries=10)
    far = TaskMap(None, source).distances().fill_diagonal_(torch.inf)
    assert int(far[4].argmin()) == 1 and int(far[1].argmin()) == 4
    near = TaskMap(None, source).nearest(take(source.test.sample(0, 1), 0).support, 2)
    assert near[0][0].name == "0" and near[0][0].side == "train" and near[0][0].distance < near[0][1].distance


class Part(nn.Module):
    """Only the first inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :2]


def alphabet() -> Episodes:
    """Classes whose first two inputs say which of three kinds they are, and whose others say nothing, loudly."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(12).repeat_interleave(20)
    kind = torch.tensor([[0.0, 0], [5.0, 0], [0, 5.0]])
    x = torch.cat([kind[y % 3], 20 * torch.randn(12, 6, generator=generator)[y]], 1)
    x += 0.3 * torch.randn(240, 8, generator=generator)
    sides = ("train",) * 6 + ("validation",) * 3 + ("test",) * 3
    names = tuple("abcdefghijkl")
    return Episodes(Pool("alphabet", x, y, names, names, sides), ways=2, shots=3, queries=3)


@pytest.mark.parametrize("wrap", [lambda net: Prototypical(net), lambda net: Standardised(NearestNeighbour(net))])
def test_classes_are_alike_as_the_learner_sees_them(wrap: Any) -> None:
    places = TaskMap(wrap(Part()), alphabet())
    assert places.names == tuple("abcdefghi")
    task = take(alphabet().test.sample(0, 1), 0)
    for c, near in zip(task.origin.classes.tolist(), places.nearest(task.support, 3), strict=True):
        assert {"abcdefghi".index(s.name) % 3 for s in near} == {c % 3}
    raw = TaskMap(None, alphabet()).nearest(task.support, 3)
    assert raw != places.nearest(task.support, 3)


def test_how_well_a_class_is_recognised_is_measured() -> None:
    learner = Prototypical(Part())
    good = similar_tasks(None, alphabet()).figures["recognised"]
    poor = similar_tasks(learner, alphabet()).figures["recognised"]  # to the learner three classes of a kind are one
    assert good["value"] == 100 and poor["value"] < 80 and poor["ci95"] > 0


def test_the_map_is_that_of_principal_components() -> None:
    places = TaskMap(None, alphabet())
    figures = similar_tasks(None, alphabet()).figures
    centred = places.vectors.double() - places.vectors.double().mean(0)
    values, directions = torch.linalg.eigh(centred.T @ centred)
    wanted = centred @ directions[:, -2:].flip(1)
    given = torch.tensor([[p["x"], p["y"]] for p in figures["points"]], dtype=torch.float64)
    assert torch.allclose(given.abs(), wanted.abs(), atol=1e-4)
    assert figures["explained"] == pytest.approx((values[-2:].flip(0) / values.sum()).tolist(), rel=1e-4)


def test_a_map_may_be_of_one_input_and_says_what_does_not_fit() -> None:
    y = torch.arange(3).repeat_interleave(2)
    pool = Pool("narrow", y.unsqueeze(1).float(), y, ("a", "b", "c"), ("a", "b", "c"), ("train",) * 3)
    points = similar_tasks(None, Episodes(pool, ways=2, shots=1, queries=1)).figures["points"]
    assert [p["y"] for p in points] == [0.0] * 3 and len({p["x"] for p in points}) == 3
    with pytest.raises(UserError, match="not drawn from classes or groups"):
        TaskMap(None, Sinusoids())
    with pytest.raises(UserError, match="2 names for the 7 groups"):
        TaskMap(None, reviews(), names=("a", "b"))
    with pytest.raises(UserError, match="3 classes, but those on the map share 2"):
        TaskMap(None, reviews()).nearest(Examples(torch.zeros(3, 6), torch.arange(3), ways=3))
    assert len(TaskMap(None, alphabet(), most=4).names) == 4


# --- influence


def blobs(ways: int = 3, shots: int = 4) -> tuple[Examples, Examples]:
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(ways).repeat(shots + 5)
    x = 2 * torch.randn(ways, 5, generator=generator)[y] + torch.randn(len(y), 5, generator=generator)
    cut = ways * shots
    return Examples(x[:cut], y[:cut], ways=ways), Examples(x[cut:], y[cut:], ways=ways)


def made(name: str) -> Learner:
    with forked(Rng(0)):
        net = MLP(5, 6, hidden=[8])
        return {
            "prototypical": lambda: Prototypical(net),
            "matching": lambda: Matching(net),
            "relation": lambda: Relation(net, MLP(12, 1, hidden=[8])),
            "linear": LinearProbe,
            "maml": lambda: MAML(MLP(5, 7, hidden=[8]), steps=3),
            "deep-kernel": lambda: DeepKernel(nn.Identity()),
        }[name]()


@pytest.mark.parametrize("name", ["prototypical", "matching", "linear", "maml"])
def test_influence_is_adapting_again_without_each_example(name: str) -> None:
    support, query = blobs(shots=3)
    learner = made(name).eval()
    found = influence(learner, support, query.x)

    def ask(rows: Tensor) -> Tensor:
        state = learner.adapt(Examples(support.x[rows], support.y[rows], ways=3))
        return learner.predict(state, query.x)[:, :3].log_softmax(-1).detach()

    whole = ask(torch.arange(9))
    for i in range(9):
        without = ask(torch.tensor([j for j in range(9) if j != i]))
        for q in range(len(query)):
            c = int(whole[q].argmax())
            assert float(found[q, i]) == pytest.approx(float(whole[q, c] - without[q, c]), abs=1e-4)


@pytest.mark.parametrize("name", ["prototypical", "matching", "linear", "maml"])
def test_a_wrong_label_does_the_most_harm(name: str) -> None:
    support, query = blobs(ways=3, shots=5)
    wrong = support.y.clone()
    wrong[4] = 2  # of class 1 in truth
    spoiled = dataclasses.replace(support, y=wrong)
    learner = made(name) if name != "maml" else MAML(nn.Linear(5, 3), steps=20, lr=0.3)
    if name in ("prototypical", "matching"):
        learner.encoder = nn.Identity()
    of_class = query.y == 1
    harm = -influence(learner, spoiled, query.x[of_class], answers=query.y[of_class]).mean(0)
    assert int(harm.argmax()) == 4 and float(harm[4]) > 0


def test_influence_on_a_regression_is_of_the_prediction() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 2, generator=generator)
    asked = torch.randn(3, 2, generator=generator)
    for y in (x[:, :1] * 3, x.flip(1)):
        support = Examples(x, y)
        found = influence(LinearProbe(), support, asked)
        learner = LinearProbe()
        whole = learner.predict(learner.adapt(support), asked)
        for i in range(7):
            rows = torch.tensor([j for j in range(7) if j != i])
            change = whole - learner.predict(learner.adapt(support.select(rows)), asked)
            wanted = change[:, 0] if y.shape[1] == 1 else change.norm(dim=1)
            assert torch.allclose(found[:, i], wanted, atol=1e-4)


def test_influence_of_a_gaussian_answer_is_of_its_mean() -> None:
    support = Examples(torch.arange(4.0).unsqueeze(1), torch.arange(4.0).unsqueeze(1))
    learner = made("deep-kernel")
    found = influence(learner, support, torch.tensor([[3.0]]))
    assert found.shape == (1, 4) and int(found.abs().argmax()) == 3
    without = learner.predict(learner.adapt(support.select(torch.arange(3))), torch.tensor([[3.0]]))
    whole = learner.predict(learner.adapt(support), torch.tensor([[3.0]]))
    assert float(found[0, 3]) == pytest.approx(float((central(whole) - central(without)).detach()), abs=1e-5)


def test_the_only_example_of_a_class_is_all_that_speaks_for_it() -> None:
    support = Examples(torch.eye(3), torch.arange(3), ways=3)
    found = influence(Prototypical(nn.Identity()), support, torch.eye(3))
    assert bool((found.diagonal() == torch.inf).all()) and bool((found[~torch.eye(3, dtype=torch.bool)] < 0).all())
    ruled_out = influence(
        Prototypical(nn.Identity()), dataclasses.replace(support, ways=4), torch.eye(3), answers=torch.tensor([3] * 3)
    )
    assert bool((ruled_out == 0).all())


def test_influence_leaves_padding_and_the_learner_alone() -> None:
    support, query = blobs()
    mask = torch.ones(12, dtype=torch.bool)
    mask[[2, 7]] = False
    learner = made("prototypical").train()
    found = influence(learner, dataclasses.replace(support, mask=mask), query.x)
    assert learner.training and not found.requires_grad
    assert torch.allclose(found[:, mask], influence(learner, support.select(mask.nonzero().flatten()), query.x))
    assert bool((found[:, ~mask] == 0).all())
    with pytest.raises(BadExamples, match="another to learn from"):
        influence(learner, support.select(torch.tensor([0])), query.x)


def test_a_class_that_is_described_may_lose_its_only_example() -> None:
    support = Examples(torch.tensor([[4.0, 0.0]]), torch.tensor([0]), ways=2)
    description, asked = torch.eye(2), torch.tensor([[3.0, 0.0]])
    learner = Described(nn.Identity())
    found = influence(learner, support, asked, description)
    states = (learner.adapt(s, description) for s in (support, support.select(torch.arange(0))))
    whole, without = (learner.predict(state, asked).detach().log_softmax(1)[0] for state in states)
    c = int(whole.argmax())
    assert found.shape == (1, 1) and float(found) == pytest.approx(float(whole[c] - without[c]), abs=1e-6)


def test_influence_does_not_depend_on_how_many_are_adapted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    support, query = blobs()
    whole = influence(made("maml"), support, query.x)
    monkeypatch.setattr("quickstudy.study.diagnosis.answers.NUMBERS_AT_ONCE", 400)
    assert torch.allclose(whole, influence(made("maml"), support, query.x), atol=1e-5)


def test_the_nearest_support_examples_are_near_as_the_learner_sees_them() -> None:
    support, query = blobs()
    learner = made("prototypical")
    rows, far = nearest_support(learner, support, query.x, k=2)
    a, b = learner.encoder(query.x).detach(), learner.encoder(support.x).detach()
    wanted = (a.unsqueeze(1) - b).square().sum(-1).sort(1)  # its own distance is the squared one
    assert torch.equal(rows, wanted.indices[:, :2]) and torch.allclose(far, wanted.values[:, :2], atol=1e-4)
    mask = torch.zeros(12, dtype=torch.bool).index_fill(0, rows[0], True)
    rows, _ = nearest_support(learner, dataclasses.replace(support, mask=mask), query.x, k=5)
    assert rows.shape == (len(query), 2) and set(rows.flatten().tolist()) == set(mask.nonzero().flatten().tolist())


# --- occlusion, words and columns


def asking(learner: Learner, state: Any) -> Any:
    return lambda images: learner.predict(state, images).detach().softmax(1)


class Corner(nn.Module):
    """Sees rows 2 to 4 and columns 5 to 7 alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 2:5, 5:8].flatten(1)


def test_only_patches_over_what_a_learner_looks_at_change_its_answer() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 12, 14, generator=generator)
    learner = Prototypical(Corner())
    state = learner.adapt(Examples(images, torch.tensor([0, 1]), ways=2))
    found = occlusion(asking(learner, state), images[1], patch=3, stride=1)
    assert found.shape == (12, 14) and divmod(int(found.argmax()), 14) == (3, 6)
    blind = torch.ones(12, 14, dtype=torch.bool)
    blind[:7, 3:10] = False  # what a patch can cover together with the corner
    assert bool((found[blind] == 0).all()) and bool((found[2:5, 5:8] > 0).all())


@pytest.mark.parametrize(("patch", "stride"), [(3, 2), (5, 4), (None, None)])
def test_a_pixel_has_the_mean_fall_of_the_patches_that_cover_it(patch: int | None, stride: int | None) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 1, 11, 13, generator=generator)
    learner = Prototypical(nn.Flatten())
    state = learner.adapt(Examples(images, torch.arange(3), ways=3))
    image = images[2]
    found = occlusion(asking(learner, state), image, patch=patch, stride=stride)
    side, step = patch or 2, stride or 1
    falls: dict[tuple[int, int], list[float]] = {}
    whole = learner.predict(state, image.unsqueeze(0)).softmax(1)[0, 2]
    for top in {*range(0, 11 - side + 1, step), 11 - side}:
        for left in {*range(0, 13 - side + 1, step), 13 - side}:
            hidden = image.clone()
            hidden[:, top : top + side, left : left + side] = image.mean()
            fall = float(whole - learner.predict(state, hidden.unsqueeze(0)).softmax(1)[0, 2])
            for row in range(top, top + side):
                for column in range(left, left + side):
                    falls.setdefault((row, column), []).append(fall)
    wanted = torch.tensor([[sum(f) / len(f) for f in (falls[r, c] for c in range(13))] for r in range(11)])
    assert torch.allclose(found, wanted, atol=1e-5)


def test_occlusion_of_a_regression_and_of_what_is_no_image() -> None:
    images = torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    learner = LinearProbe(penalty=0.01)
    state = learner.adapt(Examples(images, images[:, 0, :1, 0]))

    def answer(asked: Tensor) -> Tensor:
        return central(learner.predict(state, asked)).detach()

    found = occlusion(answer, images[0], patch=2, kind="regression")
    assert found.shape == (6, 6) and bool((found >= 0).all())
    with pytest.raises(UserError, match="channels, height, width"):
        occlusion(answer, images[0, 0])
    with pytest.raises(UserError, match="does not fit"):
        occlusion(answer, images[0], patch=7)


def test_every_word_is_left_out_once() -> None:
    asked: list[str] = []

    def answer(texts: list[str]) -> Tensor:
        asked.extend(texts)
        bad = torch.tensor([0.2 + 0.3 * t.count("not") - 0.1 * t.count("good,") for t in texts])
        return torch.stack([1 - bad, bad], 1)

    found = words(answer, " not good,  not\nbad ")
    assert asked[:3] == [" not good,  not\nbad ", " good,  not\nbad ", " not not\nbad "]
    assert asked[3:] == [" not good,  bad ", " not good,  not\n"]
    assert [word for word, _ in found] == ["not", "good,", "not", "bad"]
    assert [weight for _, weight in found] == pytest.approx([0.3, -0.1, 0.3, 0.0], abs=1e-6)
    assert words(answer, "  ") == []
    with pytest.raises(UserError, match="give \\(n, ways\\)"):
        words(lambda texts: torch.zeros(len(texts)), "a b")


def test_words_of_a_long_text_are_left_out_together() -> None:
    asked: list[str] = []

    def answer(texts: list[str]) -> Tensor:
        asked.extend(texts)
        return torch.tensor([[float(len(t))] for t in texts])

    found = words(answer, "a bb ccc dddd eeeee", most=2, kind="regression")
    assert [piece for piece, _ in found] == ["a bb ccc", "dddd eeeee"] and len(asked) == 3
    assert [moved for _, moved in found] == [9.0, 10.0]  # letters that went, of which it has no more


def test_every_column_is_missing_once() -> None:
    met: list[Columns] = []

    def answer(rows: Columns) -> Tensor:
        met.append(rows)
        yes = (
            0.2
            + 0.5 * (rows.numeric[:, 1] > 3)
            + 0.2 * (rows.categorical[:, 0] == 1)
            - 0.1 * np.isnan(rows.numeric[:, 0])
        )
        return torch.tensor(np.stack([yes, 1 - yes], 1))

    numeric, codes = np.array([[1.0, 4.0]]), np.array([[1, -1]], np.int32)
    row = Columns(numeric, ("age", "size"), codes, ("hue", "form"), (("red", "blue"), ("round",)))
    found = dict(columns(answer, row))
    assert found == pytest.approx({"age": 0.1, "size": 0.5, "hue": 0.2, "form": 0.0})
    assert len(met[0]) == 5 and numeric.tolist() == [[1.0, 4.0]] and codes.tolist() == [[1, -1]], (
        "the row is left alone"
    )
    assert np.isnan(met[0].numeric).sum() == 2 and (met[0].categorical[1:, 0] == -1).sum() == 1
