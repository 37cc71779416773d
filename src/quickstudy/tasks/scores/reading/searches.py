"""Past searches as score tables: those of scikit-learn and of Optuna, each search being a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import BadExamples, UnknownName, UserError
from ....extras import brought_in
from ..settings import Choice
from ..space import Space
from ..table import ScoreTable

if TYPE_CHECKING:
    import optuna


def read_searches(searches: Mapping[str, Any], *, metric: str = "score") -> ScoreTable:
    """Searches of scikit-learn: GridSearchCV, RandomizedSearchCV, the halving ones, or their `cv_results_`.

    Scores are means over folds, costs the seconds of all fits of a candidate; the rows that a halving search used are
    the budget.

    Args:
        searches: by the name of the data set that each was run on.
        metric: which, where several were measured: `mean_test_METRIC`.

    Raises:
        BadExamples: something that is no search, or has not been fitted.
        UnknownName: no such metric.

    >>> results = {"params": [{"C": 1}, {"C": 10}], "mean_test_score": [0.8, 0.9]}
    >>> read_searches({"iris": results, "wine": results}).final.tolist()
    [[0.8, 0.9], [0.8, 0.9]]
    """
    datasets: list[str] = []
    tried: list[Mapping[str, Any]] = []
    scores: list[float] = []
    cost: list[float] = []
    budgets: list[float] = []
    for name, search in searches.items():
        results = search if isinstance(search, Mapping) else getattr(search, "cv_results_", None)
        if results is None or "params" not in results:
            raise BadExamples(f"'{name}' has no cv_results_; give a fitted search of scikit-learn.")
        if f"mean_test_{metric}" not in results:
            measured = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
            raise UnknownName.among("metric", metric, measured)
        n = len(results["params"])
        unknown = np.full(n, math.nan)
        seconds = np.asarray(results.get("mean_fit_time", unknown)) + np.asarray(results.get("mean_score_time", 0.0))
        folds = sum(key.startswith("split") and key.endswith(f"_test_{metric}") for key in results)
        datasets += [name] * n
        tried += list(results["params"])
        scores += [float(score) for score in results[f"mean_test_{metric}"]]
        cost += (seconds * max(folds, 1)).tolist()
        budgets += [float(rows) for rows in results.get("n_resources", [1.0] * n)]
    return ScoreTable.of_trials(datasets, tried, scores, cost=cost, budgets=budgets)


def read_studies(studies: Sequence[optuna.Study] | str) -> ScoreTable:
    """Studies of Optuna, their finished trials; each study is a data set, called by the study's name.

    A study may carry the meta-features of its data set: `study.set_user_attr("meta_features", describe(X, y))`.

    Args:
        studies: some studies, or the address of a storage, all of whose studies are read.

    Raises:
        BadExamples: no study, none with a finished trial, one of several objectives, or directions that differ.
        UserError: Optuna is not installed, or one setting is a number in one study and a choice in another.
    """
    found = _stored(studies) if isinstance(studies, str) else list(studies)
    for study in found:
        _check(study, found[0])
    trials = [(s.study_name, t) for s in found for t in s.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    if not trials:
        raise BadExamples(f"{len(found)} studies hold no finished trial: there is nothing to learn from.")
    tried = [trial.params for _, trial in trials]
    space = Space({})
    for drawn_from in {repr(trial.distributions): trial.distributions for _, trial in trials}.values():
        space = space.united(Space.of(drawn_from))
    table = ScoreTable.of_trials(
        [name for name, _ in trials],
        tried,
        [math.nan if trial.value is None else trial.value for _, trial in trials],
        cost=[trial.duration.total_seconds() if trial.duration else math.nan for _, trial in trials],
        space=Space.seen(tried, space.settings),
        maximise=found[0].direction.name == "MAXIMIZE",
    )
    said = {study.study_name: study.user_attrs.get("meta_features") for study in found}
    known = {name: features for name, features in said.items() if features and name in table.datasets}
    return table.described(known) if known else table


def distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    """A space as Optuna has it, without the rules of what is there when."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    made: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, setting in space.settings.items():
        if isinstance(setting, Choice):
            made[name] = CategoricalDistribution(setting.choices)
        elif setting.whole:
            made[name] = IntDistribution(int(setting.low), int(setting.high), setting.log, int(setting.step or 1))
        else:
            made[name] = FloatDistribution(setting.low, setting.high, setting.log, setting.step)
    return made


def _check(study: optuna.Study, first: optuna.Study) -> None:
    if len(study.directions) > 1:
        raise BadExamples(f"The study '{study.study_name}' has {len(study.directions)} objectives; one is needed.")
    if study.direction != first.direction:
        raise BadExamples(
            f"The study '{study.study_name}' is to {study.direction.name.lower()} and '{first.study_name}' to"
            f" {first.direction.name.lower()}; run all in one direction, or read them apart."
        )


def _stored(storage: str) -> list[optuna.Study]:
    optuna = brought_in("optuna", "Reading a storage of Optuna", "automl")
    try:
        names = optuna.get_all_study_names(storage)
    except Exception as error:  # whatever the driver of the database raises
        raise UserError(f"{storage} cannot be opened as a storage of Optuna: {error}") from error
    return [optuna.load_study(study_name=name, storage=storage) for name in names]
