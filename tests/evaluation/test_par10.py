"""What instances cost under a procedure, worked out by hand, and the share of the gap that a selector closes."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from quickstudy.errors import UserError
from quickstudy.evaluation.search.par10 import Selection, choices, judge_selection
from quickstudy.learners.selection.algorithms.guarded import Guarded
from quickstudy.learners.selection.algorithms.nearest import NearestInstances
from quickstudy.rng import Rng
from quickstudy.tasks.scores.reading.aslib import scenario as known_scenario
from quickstudy.tasks.scores.reading.scenario import Scenario
from quickstudy.tasks.scores.running.procedure import Procedure, paid, scheduled


def scenario(
    seconds: Tensor, *, solved: Tensor | None = None, cost: float = 0.0, features: Tensor | None = None
) -> Scenario:
    """Instances x algorithms, with a cut-off of 100 s; what takes 100 s was not solved."""
    count, algorithms = seconds.shape
    return Scenario(
        "made up",
        tuple(f"instance {i}" for i in range(count)),
        tuple(f"algorithm {a}" for a in range(algorithms)),
        seconds.double(),
        seconds < 100 if solved is None else solved,
        torch.zeros(count, 1, dtype=torch.float64) if features is None else features,
        tuple(f"feature {i}" for i in range(1 if features is None else features.shape[1])),
        torch.full((count,), cost, dtype=torch.float64),
        torch.arange(count) % 10 + 1,
        100.0,
        False,
        {},
    )


def test_costs_by_hand() -> None:
    one = scenario(torch.tensor([[5.0, 50.0], [100.0, 95.0], [100.0, 100.0], [30.0, 3.0]]), cost=6.0)
    second = torch.ones(4, dtype=torch.int64)
    assert paid(one, second, Procedure(featured=False)).tolist() == [50, 95, 1000, 3]
    assert paid(one, second, Procedure()).tolist() == [56, 1000, 1000, 9]  # 95 + 6 is past the cut-off
    before = Procedure(schedule=((0, 10.0), (1, 2.0)))
    assert paid(one, second, before).tolist() == [5, 1000, 1000, 21]
    assert paid(one, second, Procedure(schedule=((0, 10.0), (1, 4.0)))).tolist() == [5, 1000, 1000, 13]
    assert paid(one, second, Procedure(schedule=((0, 99.0),))).tolist() == [5, 1000, 1000, 30]


def test_what_ended_without_an_answer_is_not_solved_however_soon() -> None:
    seconds = torch.tensor([[2.0, 50.0]])
    one = scenario(seconds, solved=torch.tensor([[False, True]]))
    assert paid(one, torch.tensor([0]), Procedure()).tolist() == [1000]
    assert paid(one, torch.tensor([1]), Procedure(schedule=((0, 3.0),))).tolist() == [53]


def test_a_schedule_is_found_where_it_pays_and_only_there() -> None:
    fast = torch.tensor([[0.5, 100.0, 40.0]] * 6 + [[100.0, 1.5, 100.0]] * 6 + [[100.0, 100.0, 40.0]])
    third = torch.full((13,), 2)
    found = scheduled(scenario(fast, cost=20.0), third, Procedure(), steps=3)
    assert {algorithm for algorithm, _ in found.schedule} == {0, 1}
    assert sum(seconds for _, seconds in found.schedule) < 5
    assert scheduled(scenario(fast, cost=20.0), third, Procedure(), steps=0).schedule == ()
    slow = torch.full((13, 3), 80.0)
    assert scheduled(scenario(slow), third, Procedure()).schedule == ()


def test_the_gap_is_that_between_the_yardsticks() -> None:
    def selection(paid: float, single: float) -> Selection:
        values = [torch.tensor([value, value + 1.0]) for value in (paid, single, 10.0)]
        return Selection("one", *values, torch.zeros(2), ())

    assert selection(10, 30).gap_closed == 1
    assert selection(30, 30).gap_closed == 0
    assert selection(20, 30).gap_closed == pytest.approx(0.5)
    assert selection(40, 30).gap_closed == pytest.approx(-0.5)
    assert selection(10, 10).gap_closed == 0


def made_up(count: int = 80) -> Scenario:
    """The first feature says which of two algorithms is fast."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    first = features[:, :1] < 0.4
    noise = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    seconds = torch.where(torch.cat([first, ~first], 1), 5 + 20 * noise, 100.0)
    return scenario(seconds, features=features)


def test_a_selector_is_judged_on_folds_that_it_never_saw() -> None:
    seen: list[set[str]] = []

    class Spy(NearestInstances):
        def meta_fit(self, past: Scenario) -> None:  # type: ignore[override]
            seen.append(set(past.instances))
            super().meta_fit(past)

    found = judge_selection(lambda: Spy(neighbours=5), made_up())
    assert len(seen) == 10
    assert all(len(past) == 72 for past in seen)
    assert found.gap_closed > 0.8
    assert len(found.paid) == 80
    low, high = found.interval(Rng(0))
    assert low < found.gap_closed < high
    assert found.interval(Rng(0)) == (low, high)


def test_the_single_best_is_the_best_of_the_other_folds() -> None:
    found = judge_selection(lambda: NearestInstances(neighbours=5), made_up())
    everything = made_up()
    by_hand = []
    for fold in range(1, 11):
        best = int(everything.par10[everything.folds != fold].mean(0).argmin())
        by_hand.append(everything.par10[everything.folds == fold, best])
    assert found.single.mean().item() == pytest.approx(torch.cat(by_hand).mean().item())
    assert found.virtual.mean().item() == pytest.approx(everything.par10.amin(1).mean().item())


def test_the_guard_does_not_pay_for_features_that_are_not_worth_it() -> None:
    good = made_up()
    features = torch.rand(80, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    useless = scenario(good.performance, features=features, cost=50.0)
    found = judge_selection(lambda: Guarded([NearestInstances()], steps=0), useless)
    assert not any(procedure.featured for procedure in found.procedures)
    assert found.gap_closed == 0


def test_quality_has_no_clock() -> None:

    quality = dataclasses.replace(made_up(), cutoff=None, maximise=True)
    quality = dataclasses.replace(quality, performance=1 / quality.performance)
    learner = Guarded([NearestInstances()])
    learner.meta_fit(quality)
    assert learner.procedure.schedule == ()
    assert choices(learner, quality).shape == (80,)
    best = quality.performance.argmax(1)
    assert paid(quality, best, Procedure()).abs().max() == 0


def test_one_fold_is_not_enough() -> None:

    one = made_up()
    with pytest.raises(UserError, match="one fold"):
        judge_selection(NearestInstances, dataclasses.replace(one, folds=torch.ones_like(one.folds)))


@pytest.mark.data
def test_yardsticks_of_a_published_scenario() -> None:
    """SAT11-INDU: mean PAR10 of the best algorithm and of a perfect choice, as ASlib's own files give them."""
    real = known_scenario("SAT11-INDU")
    everything = [paid(real, torch.full((300,), a), Procedure(featured=False)) for a in range(len(real.algorithms))]
    costs = torch.stack(everything)
    assert costs.mean(1).min().item() == pytest.approx(14605, rel=0.01)
    assert costs.amin(0).mean().item() == pytest.approx(8188, rel=0.01)
    assert not math.isnan(costs.sum().item())
