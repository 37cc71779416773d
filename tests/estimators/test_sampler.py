"""The past behind Optuna: what it recommends, how it fits any study, and what it does where it knows nothing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from quickstudy.errors import UserError
from quickstudy.estimators.advisor import Advisor
from quickstudy.estimators.sampler import MetaSampler, suggest
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.selection.portfolio import Portfolio
from quickstudy.learners.selection.safe_transfer import SafeTransfer
from quickstudy.rng import Rng
from quickstudy.tasks.scores.space import Space
from quickstudy.tasks.scores.table import ScoreTable

SPACE = Space.of(
    {
        "kernel": {"choices": ["rbf", "line"]},
        "C": {"low": 1e-2, "high": 1e2, "log": True},
        "gamma": {"low": 1e-3, "high": 1.0, "log": True, "when": {"kernel": ["rbf"]}},
        "steps": {"low": 1, "high": 5, "whole": True},
    }
)
TRIED = SPACE.sample(0, 25, rng=Rng(0))


def score(configuration: dict[str, Any], shift: float) -> float:
    """Best with an rbf kernel, C = 10 ** shift, gamma = 0.1."""
    far = 0.5 if configuration["kernel"] == "line" else (math.log10(configuration["gamma"]) + 1) ** 2
    return 1 - (math.log10(configuration["C"]) - shift) ** 2 - far


def past(sign: float = 1.0) -> ScoreTable:
    rows = [(f"set {d}", c, sign * score(c, 0.1 * d)) for d in range(6) for c in TRIED]
    names, configurations, scores = zip(*rows, strict=True)
    return ScoreTable.of_trials(names, configurations, scores, space=SPACE)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def objective(trial: optuna.Trial) -> float:
    """As a user writes it, ranges and all."""
    configuration = {
        "kernel": trial.suggest_categorical("kernel", ["rbf", "line"]),
        "C": trial.suggest_float("C", 1e-2, 1e2, log=True),
    }
    if configuration["kernel"] == "rbf":
        configuration["gamma"] = trial.suggest_float("gamma", 1e-3, 1.0, log=True)
    trial.suggest_int("steps", 1, 5)
    return score(configuration, 0.25)


def test_recommendations_come_before_any_trial() -> None:
    table = past()
    means = [sum(score(c, 0.1 * d) for d in range(6)) for c in TRIED]
    first = MetaSampler(table, SafeTransfer()).recommend(3)
    assert len({str(c) for c in first}) == 3 and means.index(max(means)) in [TRIED.index(c) for c in first]


@pytest.mark.parametrize("learner", [Portfolio, SafeTransfer])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_it_finds_the_best_candidate_in_a_few_trials(learner: Callable[[], Any], direction: str) -> None:
    sign = 1.0 if direction == "maximize" else -1.0
    study = optuna.create_study(sampler=MetaSampler(past(), learner()), direction=direction)
    study.optimize(lambda trial: sign * objective(trial), n_trials=5)
    best = max(score(c, 0.25) for c in TRIED)
    assert sign * study.best_value > best - 0.2
    assert len({str(trial.params) for trial in study.trials}) == 5
    assert all({name: t.params[name] for name in c} == c for t in study.trials for c in TRIED if c == t.params)


def test_ask_and_tell_with_trials_that_go_on() -> None:
    study = optuna.create_study(sampler=MetaSampler(past(), SafeTransfer()), direction="maximize")
    asked = [study.ask() for _ in range(3)]
    given = [suggest(trial, SPACE) for trial in asked]
    assert len({str(c) for c in given}) == 3 and all(c in TRIED for c in given)
    for trial, configuration in zip(asked, given, strict=True):
        study.tell(trial, score(configuration, 0.25))
    assert suggest(study.ask(), SPACE) not in given


def test_trials_in_a_storage_are_known_to_another_sampler(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'study.db'}"
    about = {"study_name": "s", "storage": address, "direction": "maximize", "load_if_exists": True}
    first = optuna.create_study(sampler=MetaSampler(past(), SafeTransfer()), **about)
    first.optimize(objective, n_trials=3)
    second = optuna.create_study(sampler=MetaSampler(past(), SafeTransfer()), **about)
    second.optimize(objective, n_trials=3)
    assert len({str(trial.params) for trial in second.trials}) == 6


def test_parallel_trials_differ() -> None:
    study = optuna.create_study(sampler=MetaSampler(past(), SafeTransfer()), direction="maximize")
    study.optimize(objective, n_trials=8, n_jobs=2)
    assert len({str(trial.params) for trial in study.trials}) == 8


def test_pruned_trials_count_by_what_they_reported() -> None:
    sampler = MetaSampler(past(), SafeTransfer())
    study = optuna.create_study(sampler=sampler, direction="maximize")

    def prune(trial: optuna.Trial) -> float:
        trial.report(objective(trial), 0)
        raise optuna.TrialPruned

    study.optimize(prune, n_trials=2)
    assert [s for _, s in sampler._after(study).tried] == [t.intermediate_values[0] for t in study.trials]


def test_a_space_that_the_past_never_had_is_drawn_cold_and_it_says_so() -> None:
    study = optuna.create_study(sampler=MetaSampler(past(), SafeTransfer()), direction="minimize")
    with pytest.warns(UserWarning, match="know no parameter"):
        study.optimize(lambda trial: trial.suggest_float("depth", -1, 1) ** 2, n_trials=12)
    assert len({trial.params["depth"] for trial in study.trials}) == 12
    assert "know no parameter of this study" in study.sampler.explain(study)  # type: ignore[attr-defined]


def test_a_parameter_beside_those_of_the_past_is_drawn_and_the_rest_transfers() -> None:
    study = optuna.create_study(sampler=MetaSampler(past(), SafeTransfer()), direction="maximize")

    def wider(trial: optuna.Trial) -> float:
        trial.suggest_float("momentum", 0, 1)
        return objective(trial)

    with pytest.warns(UserWarning, match="'momentum'"):
        study.optimize(wider, n_trials=2)
    assert all({n: v for n, v in trial.params.items() if n != "momentum"} in TRIED for trial in study.trials)


def test_values_outside_the_range_of_a_study_are_drawn_anew() -> None:
    study = optuna.create_study(sampler=MetaSampler(past(), SafeTransfer()), direction="maximize")

    def narrow(trial: optuna.Trial) -> float:
        trial.suggest_categorical("kernel", ["line"])
        return -trial.suggest_float("C", 1e-2, 1.0, log=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        study.optimize(narrow, n_trials=4)
    assert all(trial.params["C"] <= 1 for trial in study.trials)


def test_after_the_last_candidate_it_goes_on_cold() -> None:
    study = optuna.create_study(sampler=MetaSampler(past(), Portfolio()), direction="maximize")
    study.optimize(objective, n_trials=len(TRIED) + 3)
    assert len({str(trial.params) for trial in study.trials}) == len(TRIED) + 3
    assert "drawn cold" in study.sampler.explain(study)  # type: ignore[attr-defined]


def test_candidates_may_be_names_alone() -> None:
    table = ScoreTable.of_trials(["a", "a", "b", "b"], ["tree", "line"] * 2, [0.9, 0.1, 0.8, 0.3])
    study = optuna.create_study(sampler=MetaSampler(table, Portfolio()), direction="maximize")
    assert study.ask().suggest_categorical("candidate", ["line", "tree"]) == "tree"


def test_learners_of_other_things_are_refused() -> None:
    with pytest.raises(UserError, match="LinearProbe does not learn from tables of scores"):
        Advisor(past(), LinearProbe())


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(sampler=MetaSampler(past(), Portfolio()), directions=["maximize", "minimize"])
    with pytest.raises(UserError, match="2 objectives"):
        study.ask()


def test_advisor_learns_from_what_it_is_told() -> None:
    advisor = Advisor(past(), SafeTransfer())
    truth = torch.tensor([score(c, 0.25) for c in TRIED]).unsqueeze(-1)
    before = (advisor.predict(TRIED).mean - truth).square().mean()
    for configuration in advisor.recommend(4):
        advisor.tell(configuration, score(configuration, 0.25))
    assert (advisor.predict(TRIED).mean - truth).square().mean() < before
    assert "expected" in advisor.explain() and advisor.ask() not in [c for c, _ in advisor.tried]
    with pytest.raises(UserError, match="no 'C'"):
        advisor.tell({"kernel": "line"}, 1.0)


def test_new_configurations_are_weighed_beside_those_of_the_past() -> None:
    advisor = Advisor(past(), SafeTransfer(), fresh=5)
    fresh = [c for c in advisor.candidates() if c not in TRIED]
    assert len(fresh) == 5 and advisor.predict(fresh).mean.isfinite().all()
    advisor.tell(fresh[0], 0.5)
    assert fresh[0] not in advisor.candidates() and len(advisor.candidates()) == len(TRIED) + 5


def test_a_learner_of_encodings_is_made_for_those_of_the_table() -> None:
    advisor = Advisor(past(), "deep-kernel-surrogate")
    assert advisor.ask() in [dict(c) for c in TRIED]
    names = ScoreTable.of_trials(["a", "a", "b", "b"], ["x", "y", "x", "y"], [1.0, 2.0, 2.0, 3.0])
    with pytest.raises(UserError, match="reads the settings of candidates, and those of this table are names alone"):
        Advisor(names, "in-context-surrogate")
