"""Score tables: what is refused, what regret is, how tables are made of trials and grow."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from quickstudy.errors import BadExamples, UnknownName, UserError
from quickstudy.tasks.scores.candidates import Candidates
from quickstudy.tasks.scores.table import ScoreTable

NAN = math.nan
GRID = [{"kernel": "rbf", "gamma": g} for g in (0.1, 1.0)] + [{"kernel": "line"}]


def table(**options: Any) -> ScoreTable:
    scores = torch.tensor([[0.9, 0.8, NAN], [0.5, 0.7, 0.6]], dtype=torch.float64).unsqueeze(-1)
    made = ScoreTable(("iris", "wine"), Candidates.of(GRID), scores)
    return dataclasses.replace(made, **options)


def test_regret_and_direction() -> None:
    assert table().regret.tolist()[1] == pytest.approx([1.0, 0.0, 0.5])
    errors = table(maximise=False)
    assert errors.final[1].tolist() == [-0.5, -0.7, -0.6] and errors.regret[1].tolist() == pytest.approx(
        [0.0, 1.0, 0.5]
    )
    assert table(maximise=False).task(1, [2]).query.y.flatten().tolist() == [-0.5, -0.7]


def test_equal_or_missing_scores_of_one_data_set() -> None:
    scores = torch.tensor([[0.5, 0.5], [NAN, NAN], [0.1, 0.2]], dtype=torch.float64).unsqueeze(-1)
    made = ScoreTable(("same", "gone", "fine"), Candidates.named(("a", "b")), scores)
    assert made.regret[0].tolist() == [0.0, 0.0] and bool(made.regret[1].isnan().all())
    assert len(made.task(1).query) == 0 and len(made.task(0, [0]).query) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scores": torch.full((2, 3, 1), NAN, dtype=torch.float64)}, "one score"),
        ({"scores": torch.full((2, 3, 1), math.inf, dtype=torch.float64)}, "infinite"),
        ({"scores": torch.zeros(2, 2, 1)}, r"2 data sets, 3 candidates"),
        ({"cost": torch.zeros(2, 3)}, "cost"),
        ({"datasets": ("iris", "iris")}, "'iris' is there twice"),
        ({"groups": ("flowers",)}, "1 groups"),
        ({"features": torch.zeros(2, 1)}, "features"),
    ],
)
def test_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadExamples, match=said):
        table(**options)


def test_what_was_not_measured_cannot_have_been_tried() -> None:
    with pytest.raises(BadExamples, match="'kernel=line' has no score on 'iris'"):
        table().task(0, [2])
    with pytest.raises(UnknownName, match="Did you mean 'wine'"):
        table().index("vine")


def test_without_leaves_out_the_group() -> None:
    three = ScoreTable.of_trials(["a", "b", "c"], ["x"] * 3, [1.0, 2.0, 3.0])
    grouped = dataclasses.replace(three, groups=("one", "one", "two"))
    assert grouped.without(0).datasets == ("c",) and three.without(0).datasets == ("b", "c")
    with pytest.raises(BadExamples, match="one score"):
        grouped.select(datasets=[2]).without(0)


def test_trials_are_averaged_and_budgets_sorted() -> None:
    made = ScoreTable.of_trials(
        ["d", "d", "d", "e"],
        ["x", "x", "x", "y"],
        [1.0, 3.0, NAN, 5.0],
        budgets=[9, 9, 9, 1],
        cost=[1.0, 2.0, NAN, 4.0],
    )
    assert made.budgets == (1, 9) and made.scores.shape == (2, 2, 2)
    assert made.scores[0, 0, 1] == 2.0 and made.cost is not None and made.cost[0, 0, 1] == 1.5
    assert made.scores[1, 1].tolist()[0] == 5.0 and int(made.scores.isfinite().sum()) == 2


@pytest.mark.parametrize("columns", [([], [], []), (["a"], ["x"], [NAN]), (["a"], ["x", "y"], [1.0])])
def test_trials_refused(columns: tuple[list[str], list[str], list[float]]) -> None:
    with pytest.raises(BadExamples):
        ScoreTable.of_trials(*columns)


def test_a_live_run_is_the_table_growing() -> None:
    past, live = table(), table().select(datasets=[0])
    space = past.candidates.space
    for configuration, score in ((GRID[2], 0.4), ({"kernel": "rbf", "gamma": 10.0}, 0.95), (GRID[0], 0.91)):
        live = live.joined(ScoreTable.of_trials(["iris"], [configuration], [score], maximise=True))
    assert live.final.tolist() == [[0.91, 0.8, 0.4, 0.95]]
    grown = past.joined(live)
    assert grown.datasets == ("iris", "wine") and grown.final[0].tolist() == [0.91, 0.8, 0.4, 0.95]
    assert grown.final[1].nan_to_num(nan=-1).tolist() == [0.5, 0.7, 0.6, -1]
    made = grown.candidates.space
    assert space is not None and made is not None and made.settings["gamma"].high == 10.0  # type: ignore[union-attr]
    assert torch.equal(grown.candidates.encoding, made.encode(grown.candidates.configurations))


def test_joining_keeps_everything_known() -> None:
    one = dataclasses.replace(table(), groups=("flowers", "drinks")).described({"iris": {"rows": 150.0}})
    two = ScoreTable.of_trials(["beer"], [GRID[0]], [0.3], budgets=[5], cost=[7.0]).described({"beer": {"ways": 2.0}})
    both = one.joined(two)
    assert both.budgets == (1.0, 5) and both.groups == ("flowers", "drinks", "beer")
    assert both.cost is not None and both.cost[2, 0, 1] == 7.0 and bool(both.cost[:2].isnan().all())
    assert both.feature_names == ("rows", "ways") and both.features is not None
    assert both.features.nan_to_num(nan=-1).tolist() == [[150, -1], [-1, -1], [-1, 2]]


def test_what_cannot_be_joined() -> None:
    with pytest.raises(BadExamples, match="more is better"):
        table().joined(table(maximise=False))
    with pytest.raises(BadExamples, match="cannot be compared"):
        table().joined(ScoreTable.of_trials(["iris"], ["a name"], [1.0]))
    with pytest.raises(UserError, match="'gamma' is a number in one space and a choice in the other"):
        table().joined(ScoreTable.of_trials(["iris"], [{"kernel": "rbf", "gamma": "auto"}], [1.0]))


def test_described() -> None:
    made = table().described({"wine": {"rows": 178.0}}).described({"iris": {"rows": 150.0, "ways": 3.0}})
    assert made.features is not None and made.features.nan_to_num(nan=-1).tolist() == [[150, 3], [178, -1]]
    assert torch.equal(made.task(0).description.nan_to_num(), made.features[0])  # type: ignore[union-attr]
    with pytest.raises(UnknownName):
        table().described({"whine": {"rows": 1.0}})


def test_candidates_refused() -> None:
    with pytest.raises(BadExamples, match="twice"):
        Candidates.of([{"C": 1}, {"C": 1.0}])
    with pytest.raises(BadExamples, match="2 candidates, 1 encodings"):
        Candidates(("a", "b"), torch.zeros(1, 0))
