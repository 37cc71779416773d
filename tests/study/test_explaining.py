"""What single answers rest on: planted causes are found, and what cannot be found out stops nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quickstudy.errors import BadExamples
from quickstudy.learner import Learner
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.report.shown.examples import Pictured, pictured
from quickstudy.report.shown.inputs import Inputs, inputs_of
from quickstudy.report.shown.reasons import reasons_figures
from quickstudy.report.shown.texts import marked
from quickstudy.study.diagnosis import influence
from quickstudy.study.explaining import Explainer
from quickstudy.study.own import Own, own_tasks
from quickstudy.task import Examples, Task, take, trim
from quickstudy.tasks.groups import Groups
from quickstudy.tasks.own.arrays import rows_from_arrays
from quickstudy.tasks.own.rows import Columns, Rows

RNG = np.random.default_rng(0)
TASKS, EACH = 9, 12


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTUDY_CACHE", str(tmp_path / "cache"))


def labels() -> np.ndarray:
    return np.array(["bad", "good"])[np.arange(TASKS * EACH) % 2]


def homes() -> np.ndarray:
    return np.array([f"shop {i // EACH}" for i in range(TASKS * EACH)])


def table() -> Own:
    """Rows whose class is the sign of 'age', and nothing else."""
    n = TASKS * EACH
    numbers = np.stack([RNG.normal(size=n), np.where(labels() == "good", 2.0, -2.0)], 1).astype(np.float32)
    codes = RNG.integers(0, 2, (n, 1)).astype(np.int32)
    columns = Columns(numbers, ("size", "age"), codes, ("colour",), (("red", "blue"),))
    return own_tasks(Rows("shops", "features", columns, labels(), "classification", homes()), shots=3)


def texts() -> Own:
    """Texts that hold one word of their class."""
    made = [" ".join([*RNG.permutation(list("abcdefgh")), "nice" if y == "good" else "awful"]) for y in labels()]
    rows = Rows("reviews", "text", made, labels(), "classification", homes())
    return own_tasks(rows, encoder="hashed-n-grams", width=256, shots=3)


class LeftHalf:
    """An encoder of images as vectors: how dark the left half is, and how light."""

    modality, identity, feature = "image", "left half", (2,)

    def __call__(self, inputs: Any) -> Tensor:
        images = [torch.as_tensor(np.asarray(x)).float() for x in inputs]
        scaled = [x / 255 if x.max() > 1 else x for x in images]
        mean = torch.stack([x[:, :, : x.shape[2] // 2].mean() for x in scaled])
        return torch.stack([mean, 1 - mean], 1)


def images() -> Own:
    """Dark or light on the left, anything on the right."""
    x = RNG.integers(0, 255, (TASKS * EACH, 1, 8, 8)).astype(np.uint8)
    x[:, :, :, :4] = np.where(labels() == "good", 250, 5)[:, None, None, None]
    x[:, :, :2, :4] = 127  # so that grey is not the half's own mean
    own = own_tasks(rows_from_arrays(x, labels(), homes()), encoder="pixels", size=8, shots=3)
    made = LeftHalf()
    features = made([*x])
    return dataclasses.replace(own, encoder=made, x=features, source=own.source.replaced(x=features))


def first(own: Own) -> Task:
    return trim(take(own.source.test.sample(0, 1), 0))


def test_the_column_that_decides_counts_most() -> None:
    own = table()
    parts = dict(Explainer(Prototypical(nn.Identity()), own)(first(own), 0).parts)
    assert set(parts) == {"size", "age", "colour"}
    assert max(parts, key=lambda name: abs(parts[name])) == "age" and parts["age"] > 0.1


def test_the_word_that_decides_counts_most() -> None:
    own = texts()
    task = first(own)
    for query in range(2):
        parts = Explainer(Prototypical(nn.Identity()), own)(task, query).parts
        assert isinstance(parts, list) and len(parts) == 9
        assert max(parts, key=lambda part: part[1])[0] in ("nice", "awful")


@pytest.mark.parametrize("encoded", [True, False])
def test_the_half_that_decides_is_warm(encoded: bool) -> None:
    own = images()
    learner: Learner = Prototypical(nn.Identity())
    if not encoded:  # the learner itself sees pixels, of the left half alone
        pixels = torch.stack([torch.from_numpy(x) for x in own.rows.inputs])
        own = dataclasses.replace(own, x=pixels, source=own.source.replaced(x=pixels))

        class Left(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x[:, :, :, :4].flatten(1) / 4

        learner = Prototypical(Left())
    loss = Explainer(learner, own)(first(own), 0).parts
    assert isinstance(loss, Tensor) and loss.dim() == 2
    width = loss.shape[1]
    assert float(loss[:, : width // 4].mean()) > 0.003 and float(loss[:, -width // 8 :].abs().max()) < 1e-4


def test_without_an_example_it_is_asked_again() -> None:
    own = table()
    task, learner = first(own), Prototypical(nn.Identity())
    found = Explainer(learner, own)(task, 1)
    keep = torch.tensor([i for i in range(len(task.support)) if i != 2])
    state = learner.adapt(task.support.select(keep))
    whole = learner.predict(learner.adapt(task.support), task.query.x[1:2]).softmax(1)
    without = learner.predict(state, task.query.x[1:2]).softmax(1)
    assert found.answer == pytest.approx(float(whole.max()))
    assert found.without is not None
    assert float(found.without[2]) == pytest.approx(float(without[0, whole.argmax()]), abs=1e-5)
    far = (task.support.x - task.query.x[1]).square().sum(1)
    assert found.near == tuple(far.argsort()[:3].tolist()) and not found.unknown


def test_a_regression_moves_in_its_own_unit() -> None:
    x = torch.linspace(0, 1, 60).unsqueeze(1)
    source = Groups("sensors", x, 100 * x, torch.arange(60) // 10, ("train",) * 3 + ("test",) * 3, shots=4, queries=3)
    task, learner = trim(take(source.test.sample(0, 1), 0)), NearestNeighbour()
    found = Explainer(learner)(task, 0)
    assert found.without is not None and found.parts is None
    wanted = found.answer - influence(learner, task.support, task.query.x[:1])[0]
    assert torch.allclose(found.without, wanted) and "alone" in found.unknown[0]
    two = Task(Examples(task.support.x, task.support.y.repeat(1, 2)), Examples(task.query.x, task.query.y.repeat(1, 2)))
    assert any("answers of one number" in why for why in Explainer(learner)(two, 0).unknown)


class Transductive(Prototypical):
    """Answers relative to the other questions."""

    transductive = True

    def predict(self, state: Any, x: Tensor) -> Tensor:
        return super().predict(state, x - x.mean(0))


def test_answers_that_depend_on_others_are_asked_with_them() -> None:
    own = table()
    task, learner = first(own), Transductive(nn.Identity())
    found = Explainer(learner, own)(task, 3)
    given = learner.predict(learner.adapt(task.support), task.query.x).softmax(1)[3]
    assert found.answer == pytest.approx(float(given.max())) and found.parts is None
    assert found.without is not None and "depend on what else is asked" in found.unknown[0]


class Fussy(Prototypical):
    """Takes no fewer examples than six."""

    def adapt(self, support: Examples, *rest: Any, **options: Any) -> Any:
        if len(support) < 6:
            raise BadExamples("It needs six.\nAnd more.")
        return super().adapt(support, *rest, **options)


def test_what_cannot_be_found_out_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    own = table()
    found = Explainer(Fussy(nn.Identity()), own)(first(own), 0)
    assert found.without is None and found.unknown == ("It needs six.",) and found.parts is not None
    monkeypatch.setattr("quickstudy.study.explaining.MOST_TAUGHT", 5)
    found = Explainer(Prototypical(nn.Identity()), own)(first(own), 0)
    assert found.unknown == ("6 examples are too many to learn again without each of them.",) and len(found.near) == 3
    broken = dataclasses.replace(first(own), query=Examples(torch.full((1, 4), torch.nan), torch.tensor([0]), ways=2))
    assert Explainer(Prototypical(nn.Identity()), own)(broken, 0).unknown == ("The answer is no number.",)


def shown(own: Own, learner: Learner) -> tuple[list[Pictured], Inputs]:
    tasks = pictured(learner, own.source, own.rows)
    inputs = inputs_of(own.rows, tuple(own.x.shape[1:]))
    assert inputs is not None
    return tasks, inputs


class Always(Prototypical):
    """Says the first class, more or less."""

    def answer(self, state: Any, z: Tensor) -> Tensor:
        return super().answer(state, z) * 0.01 + torch.tensor([0.5, 0.0])


@pytest.mark.parametrize("made", [table, texts, images])
def test_right_and_wrong_answers_are_shown(made: Any) -> None:
    own, learner = made(), Always(nn.Identity())
    figures = reasons_figures(*shown(own, learner), Explainer(learner, own))
    assert len(figures) == 4
    assert [("✓" in figure, "✗" in figure) for figure in figures] == [(True, False), (False, True)] * 2
    for figure in figures:
        assert "without it" in figure and "3rd nearest" in figure
        assert {table: "<mark", texts: "<mark", images: 'class="heat"'}[made] in figure


def test_long_texts_are_shown_around_what_counts() -> None:
    parts = [(f"word{i}", 0.0) for i in range(400)]
    parts[200], parts[390] = ("<here>", 0.5), ("there", -0.4)
    html = marked(parts)
    assert '<mark style="--w:100%">&lt;here&gt;</mark>' in html and '<mark class="against"' in html
    assert html.count("…") == 3 and html.count("word") < 100 and "word198 word199 <mark" in html
    assert marked([]) == ""
