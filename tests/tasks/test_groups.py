"""Tasks that exist already: whole groups on one side of the split, their rows dealt anew in every episode."""

from __future__ import annotations

import pytest
import torch

from quickstudy.errors import BadExamples, MissingData, NotEnoughExamples, UnknownName, UserError
from quickstudy.evaluation.audit import audit
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.tasks.datasets.fs_mol import fs_mol
from quickstudy.tasks.datasets.movielens import movielens
from quickstudy.tasks.groups import Groups

SIDES = ("train", "train", "validation", "test", "test", "")


def source(shots: int = 3, queries: int = 2) -> Groups:
    """Six groups of 4 to 14 rows; the input of a row is its number, the target says its group."""
    group = torch.cat([torch.full((4 + 2 * g,), g) for g in range(6)])[torch.randperm(54, generator=_generator())]
    x = torch.arange(54.0).unsqueeze(1)
    return Groups("made up", x, group.float().unsqueeze(1), group, SIDES, shots=shots, queries=queries)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_task_is_one_group_and_its_sides_share_no_row() -> None:
    made = source()
    for split, groups in (("train", {1.0}), ("test", {3.0, 4.0})):
        drawn = made.of(split).sample(0, 40)
        assert drawn.origin is not None and drawn.origin.group is not None
        values = torch.cat([drawn.support.y, drawn.query.y], 1).squeeze(2)
        assert bool((values == drawn.origin.group.unsqueeze(1)).all())
        assert set(drawn.origin.group.tolist()) == groups
        rows = torch.cat([drawn.origin.support, drawn.origin.query], 1)
        assert all(len(set(row)) == 5 for row in rows.tolist())
        assert torch.equal(drawn.support.x.squeeze(2), drawn.origin.support.float())
    assert made.train.left_out == 1 and made.train.protocol["groups_left_out"] == 1  # one has 4 rows, and 5 are needed


def test_episodes_depend_on_their_numbers_alone_and_differ() -> None:
    made = source().test
    many, one = made.sample(0, 8), made.sample(5, 1)
    assert torch.equal(many.support.x[5], one.support.x[0]) and torch.equal(many.query.y[5], one.query.y[0])
    assert len({tuple(row) for row in many.origin.support.tolist()}) > 4  # type: ignore[union-attr]
    assert made.replaced(seed=1).manifest(8) != made.manifest(8) == source().test.manifest(8)


def test_inputs_may_be_a_function_of_rows() -> None:
    plain = source()
    lazy = Groups("made up", lambda rows: plain.x[rows], plain.y, plain.group, SIDES, shots=3, queries=2)  # type: ignore[index]
    assert torch.equal(lazy.sample(0, 4).query.x, plain.sample(0, 4).query.x)


def test_a_leak_is_not_found_where_there_is_none() -> None:
    group = torch.arange(30).repeat_interleave(20)
    slope = torch.randn(30, 1, generator=_generator())
    x = torch.randn(600, 3, generator=_generator())
    sides = ("train",) * 10 + ("validation",) * 10 + ("test",) * 10
    made = Groups("lines", x, x[:, :1] * slope[group], group, sides, shots=8, queries=4)
    learner = LinearProbe(penalty=1e-3)
    assert audit(learner, made.test, tasks=20).passed
    assert evaluate(learner, made.test, tasks=20).value < 0.05


def test_what_does_not_fit_is_refused_with_its_numbers() -> None:
    with pytest.raises(NotEnoughExamples, match=r"20 support \+ 2 query rows, but of the 2 groups of the train split"):
        source(shots=20)
    with pytest.raises(UserError, match="shots is 0"):
        source(shots=0)
    y, group = torch.zeros(6, 1), torch.zeros(6, dtype=torch.int64)
    with pytest.raises(BadExamples, match="Groups run from 0 to 0, but 0 have a side"):
        Groups("odd", y, y, group, ())
    with pytest.raises(BadExamples, match="6 targets, 5 inputs"):
        Groups("odd", y[:5], y, group, ("train",))
    with pytest.raises(BadExamples, match="floating"):
        Groups("odd", y, y.long(), group, ("train",))
    with pytest.raises(UnknownName, match="trian"):
        Groups("odd", y, y, group, ("trian",), shots=2, queries=2)
    with pytest.raises(BadExamples, match="1 groups need 1 descriptions, not 2"):
        Groups("odd", y, y, group, ("train",), description=torch.zeros(2, 3))


@pytest.mark.parametrize(("make", "width"), [(movielens, 22), (fs_mol, 2048)])
def test_real_tasks_are_whole(make: object, width: int) -> None:
    try:
        made: Groups = make()  # type: ignore[operator]
    except MissingData as missing:
        assert "QUICKSTUDY_DATA" in str(missing)
        pytest.skip(str(missing))
    drawn = made.test.sample(0, 5)
    assert drawn.support.x.shape == (5, made.shots, width) and bool(torch.isfinite(drawn.support.x).all())
    assert drawn.query.y.shape == (5, made.queries, 1) and bool(torch.isfinite(drawn.query.y).all())
    groups = [set(made.of(s).sample(0, 50).origin.group.tolist()) for s in ("train", "validation", "test")]  # type: ignore[union-attr]
    assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]
    if width == 2048:
        assert set(drawn.support.x.unique().tolist()) == {0.0, 1.0}
    else:
        assert drawn.support.y.min() >= 1 and drawn.support.y.max() <= 5 and drawn.description.shape == (5, 23)  # type: ignore[union-attr]
