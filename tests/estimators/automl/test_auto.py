"""AutoClassifier and AutoRegressor: what they find, what they keep, and what they say to bad input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.utils.estimator_checks import (
    check_dict_unchanged,
    check_estimators_overwrite_params,
    check_estimators_unfitted,
)

from quickstudy.errors import BadExamples, BadFile, NotEnoughExamples, TrainingStopped, UnknownName, UserError
from quickstudy.estimators import AutoClassifier, AutoRegressor
from quickstudy.estimators.automl import combining, experience, search
from quickstudy.estimators.automl.saving import load_auto
from quickstudy.learners.selection.portfolio import Portfolio

TRIALS: dict[str, Any] = {"time_limit": None, "trials": 4, "folds": 3, "learner": Portfolio()}


@pytest.fixture(scope="module")
def iris() -> AutoClassifier:
    x, y = load_iris(return_X_y=True)
    return AutoClassifier(**TRIALS).fit(x, np.array(["a", "b", "c"])[y])


def test_a_search_ends_with_a_mixture_of_the_best(iris: AutoClassifier) -> None:
    x, y = load_iris(return_X_y=True)
    board = iris.leaderboard()
    assert len(board) == 4 and iris.score(x, np.array(["a", "b", "c"])[y]) > 0.93
    assert len(iris.members_) == sum(row["share"] > 0 for row in board)
    assert abs(sum(row["share"] for row in board) - 1) < 1e-9 and iris.score_ > 0.9
    p = iris.predict_proba(x)
    parts = [share * model.predict_proba(iris.reader_.transform(x)) for share, model in iris.members_]
    np.testing.assert_allclose(p, np.sum(parts, 0))
    np.testing.assert_allclose(p.sum(1), 1)


def test_what_is_saved_answers_the_same_without_being_executed(iris: AutoClassifier, tmp_path: Path) -> None:
    x, _ = load_iris(return_X_y=True)
    loaded = load_auto(iris.save(tmp_path / "iris.skops"))
    np.testing.assert_array_equal(loaded.predict_proba(x), iris.predict_proba(x))
    assert loaded.predict(x)[0] == "a" and loaded.leaderboard()[0]["trial"] == iris.leaderboard()[0]["trial"]


def test_files_with_something_strange_in_them_are_not_opened(tmp_path: Path) -> None:
    import skops.io

    strange = {"format": 1, "kind": "AutoClassifier", "fitted": {"x": subprocess.CompletedProcess([], 0)}}
    skops.io.dump(strange, tmp_path / "bad")
    with pytest.raises(BadFile, match=r"holds subprocess.CompletedProcess"):
        load_auto(tmp_path / "bad")
    (tmp_path / "text").write_text("no predictor")
    with pytest.raises(BadFile, match="cannot be read"):
        load_auto(tmp_path / "text")


def test_numbers_words_gaps_and_new_words(mixed: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = mixed
    model = AutoClassifier(**TRIALS | {"trials": 6}).fit(x.tolist(), y.tolist())
    assert model.score(x, y) > 0.7 and model.reader_.left_out_ == [3]
    strange = [[None, "mauve", 0.0, "same"], [99.0, None, None, "other"]]
    assert set(model.predict(strange)) <= {"yes", "no"}


def test_a_search_goes_on_where_the_last_one_ended_and_the_next_data_set_profits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = load_diabetes(return_X_y=True)
    about = TRIALS | {"trials": 3, "store": tmp_path}
    first = AutoRegressor(**about).fit(x, y)
    asked: list[int] = []
    kept = search.Search._attempt
    monkeypatch.setattr(search.Search, "_attempt", lambda self, t: asked.append(t.number) or kept(self, t))
    again = AutoRegressor(**about | {"trials": 4}).fit(x, y)
    assert asked == [3] and len(again.leaderboard()) == 4
    assert {r["trial"]: r["score"] for r in first.leaderboard()}.items() <= {
        r["trial"]: r["score"] for r in again.leaderboard()
    }.items()
    storage = f"sqlite:///{tmp_path / 'trials.db'}"
    table = experience.own(False, "r2", storage)
    assert table is not None and len(table) == 1 and len(table.candidates) == 4 and table.features is not None
    assert experience.own(True, "accuracy", storage) is None
    asked.clear()
    AutoRegressor(**about).fit(x[:200], y[:200])
    assert len(experience.own(False, "r2", storage).datasets) == 2 and asked == [0, 1, 2]  # type: ignore[union-attr]


def test_a_search_that_is_killed_leaves_no_trial_running_and_goes_on(tmp_path: Path) -> None:
    code = (
        "from sklearn.datasets import load_iris\n"
        "from quickstudy.estimators import AutoClassifier\n"
        "from quickstudy.learners.selection.portfolio import Portfolio\n"
        "tell = lambda progress: print(progress.trials, flush=True)\n"
        f"model = AutoClassifier(600, folds=3, learner=Portfolio(), store={str(tmp_path)!r}, tell=tell)\n"
        "model.fit(*load_iris(return_X_y=True))\n"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    while running.stdout.readline().strip() != "2":
        assert running.poll() is None
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    time.sleep(4.5)  # two heartbeats
    model = AutoClassifier(**TRIALS | {"trials": 5, "store": tmp_path}).fit(*load_iris(return_X_y=True))
    (name,) = optuna.get_all_study_names(f"sqlite:///{tmp_path / 'trials.db'}")
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path / 'trials.db'}")
    assert all(trial.state.is_finished() for trial in study.trials)
    assert len(model.leaderboard()) >= 5 and model.score_ > 0.9


def test_trials_that_fail_are_on_the_board_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    real = search.Worker.ask

    def ask(self: Any, method: str, configuration: Any, *rest: Any, seconds: float) -> Any:
        if method == "fold" and configuration["family"] in ("forest", "boosting", "svm", "neighbours"):
            raise search.TrialFailed("out of luck")
        return real(self, method, configuration, *rest, seconds=seconds)

    monkeypatch.setattr(search.Worker, "ask", ask)
    x, y = load_iris(return_X_y=True)
    model = AutoClassifier(**TRIALS | {"trials": 8}).fit(x, y)
    failed = [row for row in model.leaderboard() if row["note"]]
    assert failed and all(row["note"] == "out of luck" and row["share"] == 0 for row in failed)
    assert model.leaderboard()[-len(failed) :] == failed


def test_the_time_limit_is_kept_and_a_table_too_large_for_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(self: Any, method: str, *rest: Any, seconds: float) -> Any:
        time.sleep(max(0.0, min(seconds, 60.0)))
        raise search.TrialFailed(f"not ready after {seconds:.1f} s")

    monkeypatch.setattr(search.Worker, "ask", ask)
    monkeypatch.setattr(search.Worker, "start", lambda self: None)
    x, y = load_iris(return_X_y=True)
    began = time.monotonic()
    with pytest.raises(TrainingStopped, match=r"3 folds of 150 rows within 4 s.*not ready"):
        AutoClassifier(4, folds=3, learner=Portfolio()).fit(x, y)
    assert time.monotonic() - began < 6


def test_a_plain_pipeline_is_tried_before_there_would_be_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    real = search.Worker.ask

    def ask(self: Any, method: str, configuration: Any, *rest: Any, seconds: float) -> Any:
        if configuration["family"] != "gaussian":
            raise search.TrialFailed("not ready")
        return real(self, method, configuration, *rest, seconds=seconds)

    monkeypatch.setattr(search.Worker, "ask", ask)
    model = AutoClassifier(**TRIALS | {"trials": 2}).fit(*load_iris(return_X_y=True))
    assert [row["note"] for row in sorted(model.leaderboard(), key=lambda row: row["trial"])] == ["not ready", ""]
    assert [share for share, _ in model.members_] == [1.0]


def test_groups_and_times_reach_the_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(search.Search, "run", lambda self: seen.append(self.work.splits))
    x, y = load_iris(return_X_y=True)
    groups = np.arange(150) // 10
    with pytest.raises(TrainingStopped):
        AutoClassifier(**TRIALS).fit(x, y, groups=groups)
    assert all(not set(groups[a]) & set(groups[b]) for a, b in seen[0])
    with pytest.raises(TrainingStopped):
        AutoClassifier(**TRIALS).fit(x, y, time=np.arange(150))
    assert all(a.max() < b.min() for a, b in seen[1])


def test_bad_input_is_told_before_anything_is_fitted() -> None:
    x, y = load_iris(return_X_y=True)
    with pytest.raises(NotEnoughExamples, match="of one class, '1'"):
        AutoClassifier(**TRIALS).fit(x[:5], np.ones(5, dtype=int))
    with pytest.raises(BadExamples, match="2 of 150 labels are missing"):
        AutoClassifier(**TRIALS).fit(x, np.array([None, None, *y[2:]], dtype=object))
    with pytest.raises(ValueError, match="NaN"):
        AutoRegressor(**TRIALS).fit(x, np.where(y == 1, np.nan, 1.0))
    with pytest.raises(BadExamples, match="needs numbers"):
        AutoRegressor(**TRIALS).fit(x, np.array(["a", "b"] * 75))
    with pytest.raises(BadExamples, match="None of the 1 columns"):
        AutoClassifier(**TRIALS).fit(np.ones((150, 1)), y)
    with pytest.raises(UserError, match="Neither time_limit nor trials"):
        AutoClassifier(None).fit(x, y)
    with pytest.raises(UserError, match="jobs is 0"):
        AutoClassifier(**TRIALS | {"jobs": 0}).fit(x, y)
    with pytest.raises(UnknownName, match="'accuracy'"):
        AutoClassifier(**TRIALS, scoring="accurcy").fit(x, y)


def test_it_is_an_estimator_like_any_other(iris: AutoClassifier) -> None:
    assert clone(iris).get_params()["trials"] == 4
    assert iris.n_features_in_ == 4 and iris.classes_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="features"):
        iris.predict(np.zeros((2, 3)))


@pytest.mark.parametrize("check", [check_estimators_unfitted, check_estimators_overwrite_params, check_dict_unchanged])
@pytest.mark.parametrize("kind", [AutoClassifier, AutoRegressor])
def test_it_keeps_scikit_learns_conventions(check: Any, kind: Any) -> None:
    """Those of its checks that are over soon: all of them fit some hundred times, which takes minutes here."""
    check(kind.__name__, kind(None, trials=1, folds=2, learner="portfolio"))


def test_the_shortlist_has_every_family() -> None:
    made = [
        search.Tried(i, {"family": "forest" if i < 40 else "linear"}, 1 - i / 100, (), 0.0, "", np.zeros((1, 1)))
        for i in range(45)
    ]
    found = combining._shortlist(made)
    assert [t.number for t in found] == [*range(combining.WEIGHED - 2), 40, 41]


def test_experience_is_read_as_it_was_written(tmp_path: Path) -> None:
    line = {"family": "linear", "scale": "standard", "penalty": 1.0}
    configurations = [line, {"family": "gaussian", "shape": "naive"}]
    part = {
        "datasets": ["a", "b"],
        "configurations": configurations,
        "feature_names": ["rows"],
        "scores": {"accuracy": [[0.5, 0.75], [0.25, np.nan]]},
        "seconds": [[1.0, 2.0], [3.0, np.nan]],
        "features": [[10.0], [20.0]],
    }
    experience.write(tmp_path / "e.npz", {True: part}, "a command")
    table = experience.shipped(True, "accuracy", tmp_path / "e.npz")
    assert table is not None and table.candidates.configurations == tuple(configurations)
    np.testing.assert_array_equal(table.final.numpy(), [[0.5, 0.75], [0.25, np.nan]])
    assert experience.shipped(True, "d2_log_loss", tmp_path / "e.npz") is None
    assert experience.shipped(True, "accuracy", tmp_path / "nowhere.npz") is None
