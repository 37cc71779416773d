"""Columns, models, and the process that fits them."""

from __future__ import annotations

import datetime
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from quickstudy.errors import BadExamples
from quickstudy.estimators.pipelines import models
from quickstudy.estimators.pipelines.columns import ColumnReader
from quickstudy.estimators.pipelines.worker import TrialFailed, Work, Worker
from quickstudy.estimators.stacking.crossfit import out_of_fold
from quickstudy.estimators.stacking.folds import splits_of
from quickstudy.rng import Rng
from quickstudy.tasks.scores.settings import holds
from quickstudy.tasks.scores.space import Space

LINE = models.defaults(True)[3]


# Columns.


def read(*columns: list[Any]) -> np.ndarray:
    table = np.array(columns, dtype=object).T
    return ColumnReader().fit(table).transform(table)


def test_numbers_words_and_gaps() -> None:
    table = np.array([[1, "b", True, "x"], [None, "a", False, "x"], [2.5, None, True, "x"]], dtype=object)
    reader = ColumnReader().fit(table)
    np.testing.assert_array_equal(reader.transform(table), [[1, 1, 1], [np.nan, 0, 0], [2.5, 1, np.nan]])
    assert reader.columns_ == [0, 2, 1] and reader.left_out_ == [3] and reader.categories_.tolist() == [0, 0, 2]


def test_written_numbers_are_numbers_and_a_few_odd_cells_are_gaps() -> None:
    numbers = [str(i / 4) for i in range(40)]
    np.testing.assert_array_equal(read(numbers)[:, 0], np.arange(40) / 4)
    odd = read([*numbers[:39], "oops"])
    assert np.isnan(odd[39, 0]) and np.isfinite(odd[:39]).all()


def test_missing_values_of_every_kind() -> None:
    found = read([1.0, np.nan, None, "", "NA", "n/a", 2.0, 3.0])[:, 0]
    assert np.isnan(found).tolist() == [False, True, True, True, True, True, False, False]


def test_new_words_are_gaps() -> None:
    reader = ColumnReader().fit(np.array([["a"], ["b"], ["a"]], dtype=object))
    np.testing.assert_array_equal(reader.transform(np.array([["b"], ["c"]], dtype=object)), [[1], [np.nan]])


def test_dates_are_numbers() -> None:
    days = np.array([["2020-01-01"], ["2020-01-03"]], dtype="datetime64[D]")
    found = ColumnReader().fit(days).transform(days)
    assert found[1, 0] - found[0, 0] == 2


def test_cells_of_other_libraries() -> None:
    """As pandas hands them on: its own kind of gap, which is neither true nor false, and times as objects."""

    class Gap:
        def __str__(self) -> str:
            return "<NA>"

        def __bool__(self) -> bool:
            raise TypeError

        __eq__ = __ne__ = lambda self, other: self  # type: ignore[assignment]
        __hash__ = None  # type: ignore[assignment]

    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    found = read([1, Gap(), 2], ["a", Gap(), "b"], [day, None, day + datetime.timedelta(days=2)])
    assert np.isnan(found[1]).all() and found[2, 0] == 2 and found[2, 1] - found[0, 1] == 2 * 86400
    np.testing.assert_array_equal(found[[0, 2], 2], [0, 1])


def test_columns_that_tell_nothing() -> None:
    with pytest.raises(BadExamples, match="None of the 3 columns tells anything"):
        read(["id1", "id2", "id3", "id4"], [1, 1, 1, 1], [None] * 4)


# Models.


@pytest.mark.parametrize("classification", [True, False])
def test_every_configuration_of_the_space_can_be_fitted(classification: bool) -> None:
    rng = np.random.default_rng(0)
    x = np.c_[rng.normal(size=(40, 3)), rng.integers(0, 3, 40)]
    x[::7, 0] = np.nan
    x[3, 3] = np.nan
    y = rng.integers(0, 3, 40) if classification else rng.normal(size=40)
    settings = models.settings_of(classification)
    drawn = Space(settings).sample(0, 200, rng=Rng(0))
    some = {c["family"] + str(c.get("shape", "")): c for c in drawn}.values()
    tried = [*models.defaults(classification), *some]
    assert {c["family"] for c in tried} == set(models.FAMILIES) - (set() if classification else {"gaussian"})
    for c in tried:
        assert all((s.when is None or holds(s.when, c)) == (name in c) for name, s in settings.items())
        quick = c | {"rounds": 3} if c["family"] == "boosting" else c
        about = {"categories": np.array([0, 0, 0, 3]), "rows": 40, "least": 8, "seed": 0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = models.build(quick, classification=classification, **about).fit(x, y)
            answers = made.predict_proba(x) if classification else made.predict(x)
        assert np.isfinite(answers).all()


def test_defaults_are_scikit_learns() -> None:
    """What goes by the name of defaults builds what scikit-learn's constructors build, where it has an opinion."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.neighbors import KNeighborsClassifier

    about: dict[str, Any] = {"categories": np.array([0]), "rows": 100, "least": 50, "seed": 0}
    ours = models.build(models.defaults(True)[0], classification=True, **about)[-1].get_params()
    theirs = HistGradientBoostingClassifier().get_params()
    same = ("max_iter", "learning_rate", "max_leaf_nodes", "min_samples_leaf", "max_bins")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    near = models.build(models.defaults(True)[5], classification=True, **about)[-1]
    assert near.get_params() == KNeighborsClassifier().get_params()


# The process.


@pytest.fixture
def work() -> Work:
    y = np.arange(40) % 2
    x = np.random.default_rng(0).normal(size=(40, 2)) + 2 * y[:, None]
    return Work(x, y, np.zeros(2, dtype=np.int64), 2, splits_of(y, 4, classes=True), 0)


@pytest.fixture
def worker(work: Work) -> Iterator[Worker]:
    made = Worker(work)
    yield made
    made.close()


def test_folds_are_fitted_as_they_would_be_here(work: Work, worker: Worker) -> None:
    about = {"categories": work.categories, "rows": 30, "least": 15, "seed": 0}
    here = out_of_fold(models.build(LINE, classification=True, **about), work.x, work.y, work.splits, np.arange(2))
    for number, (_, held) in enumerate(work.splits):
        np.testing.assert_allclose(worker.ask("fold", LINE, number, seconds=60), here[held])
    assert worker.ask("whole", LINE, seconds=60).predict(work.x).shape == (40,)


def test_failing_hanging_and_dying_trials_are_told_and_the_next_one_works(worker: Worker) -> None:
    with pytest.raises(TrialFailed, match="KeyError"):
        worker.ask("fold", {"family": "no such"}, 0, seconds=60)
    slow = {"family": "boosting", "rounds": 100_000, "step": 0.1, "leaves": 64, "least_rows": 1, "shrinkage": 1e-3}
    began = time.monotonic()
    with pytest.raises(TrialFailed, match=r"not ready after 0\.5 s"):
        worker.ask("fold", slow, 0, seconds=0.5)
    assert time.monotonic() - began < 20
    assert worker._process is None
    assert worker.ask("fold", LINE, 0, seconds=60).shape == (10, 2)
    assert worker._process is not None
    os.kill(worker._process.pid, signal.SIGKILL)
    with pytest.raises(TrialFailed, match="its process ended"):
        worker.ask("fold", LINE, 0, seconds=60)


def test_a_worker_ends_in_the_middle_of_a_message() -> None:
    line = [sys.executable, "-m", "quickstudy.estimators.pipelines.worker"]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.communicate(pickle.dumps(np.arange(1000))[:100], timeout=120)
    assert process.returncode == 0


def test_a_worker_ends_with_whoever_started_it() -> None:
    """Also in the middle of a fit, and when that one was killed."""
    code = (
        "import numpy as np, sys\n"
        "from quickstudy.estimators.pipelines.worker import Work, Worker\n"
        "y = np.arange(2000) % 2\n"
        "x = np.random.default_rng(0).normal(size=(2000, 20))\n"
        "worker = Worker(Work(x, y, np.zeros(20, dtype=int), 2, [(np.arange(2000), np.arange(10))], 0))\n"
        "print(worker.start().pid, flush=True)\n"
        "worker.ask('fold', {'family': 'boosting', 'rounds': 100000, 'step': 0.1, 'leaves': 64, 'least_rows': 1,"
        " 'shrinkage': 0.1}, 0, seconds=300)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(1)
    parent.kill()
    parent.communicate()
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the worker outlived whoever started it")
