"""Tasks drawn from score tables: episodes by number, sides by group, queries apart from what was tried."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from quickstudy.errors import NotEnoughExamples, UnknownName, UserError
from quickstudy.task import take, trim
from quickstudy.tasks.pool import SPLITS
from quickstudy.tasks.scores.candidates import Candidates
from quickstudy.tasks.scores.drawn import ScoreTasks, dealt
from quickstudy.tasks.scores.table import ScoreTable

D, C = 12, 9


def table() -> ScoreTable:
    scores = torch.rand(D, C, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores[3, 2:] = math.nan
    scores[5, 0] = math.nan
    features = torch.arange(D, dtype=torch.float64).unsqueeze(1)
    groups = tuple(str(d // 2) for d in range(D))
    candidates = Candidates.of([{"C": 10.0**i} for i in range(C)])
    return ScoreTable(tuple("abcdefghijkl"), candidates, scores, None, (1.0,), features, ("number",), groups)


def test_episodes_are_what_the_table_says() -> None:
    made = table()
    source = ScoreTasks(made, shots=(0, 4), queries=3, sides=["train"] * D)
    drawn = source.sample(0, 200)
    assert drawn.support.x.shape == (200, 4, 2) and drawn.query.y.shape == (200, 3, 1)
    assert drawn.support.mask is not None and set(drawn.support.mask.sum(1).tolist()) == {0, 1, 2, 3, 4}
    assert drawn.origin is not None and drawn.origin.group is not None
    groups = drawn.origin.group.tolist()
    assert set(groups) == set(range(D)) - {3}  # which has too few scores
    assert drawn.description is not None and drawn.description.flatten().tolist() == groups
    for i in range(200):
        task = trim(take(drawn, i))
        rows = task.origin.support.tolist() + task.origin.query.tolist()  # type: ignore[union-attr]
        assert len(set(rows)) == len(rows)
        whole = made.task(groups[i])
        known = {int(x[0]): float(y) for x, y in zip(whole.query.x, whole.query.y, strict=True)}
        for side in (task.support, task.query):
            for x, y in zip(side.x, side.y, strict=True):
                assert float(y) == pytest.approx(known[int(x[0])])
                assert torch.equal(x, made.candidates.x[int(x[0])].float())


def test_an_episode_is_its_number() -> None:
    source = ScoreTasks(table(), shots=(0, 4), queries=3, sides=["train"] * D, seed=7)
    whole, part = source.sample(0, 9), source.sample(5, 2)
    assert torch.equal(take(whole, slice(5, 7)).query.x, part.query.x)
    assert torch.equal(take(whole, slice(5, 7)).support.mask, part.support.mask)  # type: ignore[arg-type]
    assert source.manifest(9) != source.replaced(seed=8).manifest(9)


def test_sides_share_no_group() -> None:
    made = table()
    sides = dealt(made)
    assert set(sides) == set(SPLITS) and sides[::2] == sides[1::2]
    source = ScoreTasks(made, shots=2, queries=2)
    for split in SPLITS:
        drawn = source.of(split).sample(0, 60).origin.group.tolist()  # type: ignore[union-attr]
        assert {sides[d] for d in drawn} == {split}
    assert source.sample(0, 3).support.mask is None and source.protocol["shots"] == 2


def test_refused() -> None:
    with pytest.raises(NotEnoughExamples, match="9 tried \\+ 1 other"):
        ScoreTasks(table(), shots=9, queries=1)
    with pytest.raises(UserError, match="at least one query"):
        ScoreTasks(table(), shots=(3, 1))
    with pytest.raises(UserError, match="1 sides and 12"):
        ScoreTasks(table(), sides=["train"])
    with pytest.raises(UnknownName):
        ScoreTasks(table(), sides=["trian"] * D)
    alone = dataclasses.replace(table().select(datasets=[0]), groups=())
    with pytest.raises(NotEnoughExamples, match="0 data sets of the test split"):
        ScoreTasks(alone, shots=1, queries=1, split="test")
