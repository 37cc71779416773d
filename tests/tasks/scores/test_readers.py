"""Score tables from what others keep: files of trials, matrices, searches of scikit-learn, studies of Optuna."""

from __future__ import annotations

import gzip
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickstudy.errors import BadExamples, BadFile, MissingData, UnknownName, UserError
from quickstudy.tasks.scores.reading.searches import read_searches, read_studies
from quickstudy.tasks.scores.reading.tables import read_matrix, read_trials
from quickstudy.tasks.scores.settings import Choice, Number

TRIALS = """data,family,model,C,depth,epochs,accuracy,seconds
iris,flowers,svm,0.1,,10,0.8,1.5
iris,flowers,svm,10,,10,0.9,2.5
iris,flowers,tree,,3,10,0.7,0.5
wine,drinks,svm,10,,10,0.6,3
wine,drinks,svm,10,,10,0.8,5
wine,drinks,tree,,7,20,,0.1
"""
NAMED: dict[str, Any] = {
    "dataset": "data",
    "score": "accuracy",
    "budget": "epochs",
    "cost": "seconds",
    "group": "family",
}


def test_trials_of_configurations(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "trials.csv"
    path.write_text(TRIALS)
    table = read_trials(path, **NAMED)
    assert table.datasets == ("iris", "wine") and table.groups == ("flowers", "drinks") and table.budgets == (10, 20)
    space = table.candidates.space
    assert space is not None
    assert space.settings == {
        "model": Choice(("svm", "tree")),
        "C": Number(0.1, 10.0, when={"model": ("svm",)}),
        "depth": Number(3, 7, whole=True, when={"model": ("tree",)}),
    }
    assert table.candidates.names == (
        "C=0.1, model=svm",
        "C=10, model=svm",
        "depth=3, model=tree",
        "depth=7, model=tree",
    )
    assert table.scores[1, 1, 0] == pytest.approx(0.7) and table.cost is not None and table.cost[1, 1, 0] == 4
    assert bool(table.scores[1, 3].isnan().all()) and table.cost[1, 3, 1] == 0.1  # it failed, and took its time


def test_trials_of_names_and_parquet(tmp_path: Path) -> None:
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    columns = {"dataset": ["a", "a", "b"], "who": ["x", "y", "x"], "score": [1.0, 2.0, 3.0], "note": ["", "", "!"]}
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    table = read_trials(tmp_path / "t.parquet", candidate="who", maximise=False)
    assert table.candidates.names == ("x", "y") and table.candidates.encoding.shape == (2, 0)
    assert table.final[0].tolist() == [-1.0, -2.0] and math.isnan(table.final[1, 1])


@pytest.mark.parametrize(
    ("text", "options", "error", "said"),
    [
        ("dataset,score\na,1\n", {}, BadExamples, "no column but dataset, score"),
        ("dataset,who,score\na,,1\nb,x,2\n", {"candidate": "who"}, BadExamples, "row 1 has no 'who'"),
        ("dataset,who,score\na,x,\n", {"candidate": "who"}, BadExamples, "one score"),
        ("dataset,who,score\na,x,1\n", {"score": "acuracy"}, UnknownName, "acuracy"),
        ("dataset,g,C,score\na,1,1,1\na,2,2,1\n", {"group": "g"}, BadExamples, "'a' is in two groups"),
        ("dataset,who,score\n", {"candidate": "who"}, BadFile, "row"),
    ],
)
def test_trials_refused(tmp_path: Path, text: str, options: Any, error: type[Exception], said: str) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(error, match=said):
        read_trials(tmp_path / "t.csv", **options)


def test_matrix(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("name,tree,line\niris,0.1,0.2\nwine,,0.4\n")
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("name,tree,line\niris,1,2\nwine,3,4\n")
    table = read_matrix(tmp_path / "m.csv", cost=tmp_path / "t.csv.gz", maximise=False)
    assert table.datasets == ("iris", "wine") and table.candidates.names == ("tree", "line")
    assert table.final[0].tolist() == [-0.1, -0.2] and math.isnan(table.final[1, 0])
    assert table.cost is not None and table.cost[1, 0, 0] == 3


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("name,tree\n", BadExamples, "0 data sets"),
        ("", BadFile, "cannot be read"),
        ("name,tree\niris,1,2\n", BadFile, "row 1 has 3 cells, and there are 2 columns"),
        ("name,tree\niris,1\niris,2\n", BadExamples, "'iris' is there twice"),
        ("name,tree\niris,?\n", BadExamples, "one score"),
    ],
)
def test_matrix_refused(tmp_path: Path, text: str, error: type[Exception], said: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(error, match=said):
        read_matrix(tmp_path / "m.csv")


def test_matrix_of_other_rows(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("name,tree\niris,1\n")
    (tmp_path / "t.csv").write_text("name,tree\nwine,1\n")
    with pytest.raises(BadFile, match="other rows"):
        read_matrix(tmp_path / "m.csv", cost=tmp_path / "t.csv")


def test_searches_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_iris, load_wine
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    grid = [{"max_depth": [1, 3]}, {"max_depth": [None], "criterion": ["gini", "entropy"]}]
    fitted = {
        name: GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3).fit(*load(return_X_y=True))
        for name, load in (("iris", load_iris), ("wine", load_wine))
    }
    table = read_searches(fitted)
    assert table.datasets == ("iris", "wine") and len(table.candidates) == 4
    for d, search in enumerate(fitted.values()):
        for config, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
            assert table.final[d, table.candidates.configurations.index(config)] == score
    assert table.cost is not None and bool((table.cost > 0).all())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        halving = HalvingGridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2, 3, 4]}, cv=3, min_resources=30)
        rungs = read_searches({"iris": halving.fit(*load_iris(return_X_y=True))})
    assert len(rungs.budgets) > 1 and int(rungs.final.isfinite().sum()) < 4


def test_searches_refused() -> None:
    with pytest.raises(BadExamples, match="'iris' has no cv_results_"):
        read_searches({"iris": object()})
    results = {"params": [{}], "mean_test_f1": [0.5]}
    with pytest.raises(UnknownName, match="Known: f1"):
        read_searches({"iris": results})
    assert read_searches({"iris": results}, metric="f1").candidates.names == ("default",)


@pytest.fixture
def optuna() -> Any:
    module = pytest.importorskip("optuna")
    module.logging.set_verbosity(module.logging.ERROR)
    return module


def objective(trial: Any) -> float:
    kernel = trial.suggest_categorical("kernel", ["rbf", "line"])
    if trial.number == 3:
        raise ValueError
    extra = trial.suggest_float("gamma", 0.01, 1.0, log=True) if kernel == "rbf" else 0.0
    return float(trial.suggest_int("n", 1, 9) + extra)


def studied(optuna: Any, name: str, direction: str = "maximize", storage: Any = None) -> Any:
    sampler = optuna.samplers.RandomSampler(seed=len(name))
    study = optuna.create_study(study_name=name, direction=direction, sampler=sampler, storage=storage)
    study.optimize(objective, n_trials=6, catch=(ValueError,))
    return study


def test_studies_of_optuna(optuna: Any, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'past.db'}"
    storage = optuna.storages.InMemoryStorage()
    studies = [studied(optuna, name, storage=storage) for name in ("iris", "the wine")]
    optuna.copy_study(from_study_name="iris", from_storage=storage, to_storage=address)
    studies[0].set_user_attr("meta_features", {"rows": 150.0})
    assert read_studies(address).datasets == ("iris",)
    table = read_studies(studies)
    space = table.candidates.space
    assert space is not None and space.settings["n"] == Number(1, 9, whole=True)
    assert space.settings["gamma"] == Number(0.01, 1.0, log=True, when={"kernel": ("rbf",)})
    assert int(table.scores.isfinite().sum()) == len(
        {(s.study_name, str(t.params)) for s in studies for t in s.trials if t.value}
    )
    for d, study in enumerate(studies):
        best = int(np.nanargmax(table.final[d]))
        assert table.candidates.configurations[best] == study.best_params
    assert table.feature_names == ("rows",) and table.features is not None and table.features[0, 0] == 150
    assert table.datasets == ("iris", "the wine")


def test_studies_refused(optuna: Any, tmp_path: Path) -> None:
    up, down = studied(optuna, "up"), studied(optuna, "down", "minimize")
    with pytest.raises(BadExamples, match="'down' is to minimize and 'up' to maximize"):
        read_studies([up, down])
    assert not read_studies([down]).maximise
    several = optuna.create_study(study_name="both", directions=["minimize", "maximize"])
    with pytest.raises(BadExamples, match="'both' has 2 objectives"):
        read_studies([several])
    for nothing in ([], [optuna.create_study(study_name="new")]):
        with pytest.raises(BadExamples, match="no finished trial"):
            read_studies(nothing)
    with pytest.raises(UserError, match="cannot be opened"):
        read_studies(f"sqlite:///{tmp_path / 'no' / 'such.db'}")


def test_pyarrow_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingData, match=r"quickstudy\[tables\]"):
        read_trials(tmp_path / "t.csv")
