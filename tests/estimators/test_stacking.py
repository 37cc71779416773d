"""Stacking: folds, weights, layers, several targets, and leaks that are found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris, make_friedman1
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier

from quickstudy.errors import NotEnoughExamples, UnknownName, UserError
from quickstudy.estimators import MultiTaskStack, StackedClassifier, StackedRegressor
from quickstudy.estimators.stacking.crossfit import metric_of, out_of_fold
from quickstudy.estimators.stacking.folds import splits_of
from quickstudy.estimators.stacking.leakage import leak_test
from quickstudy.estimators.stacking.weights import combination_weights, cross_fitted_weights

CLASSIFIERS = [("line", LogisticRegression(max_iter=500)), ("bayes", GaussianNB()), ("near", KNeighborsClassifier(5))]
REGRESSORS = [("line", Ridge()), ("near", KNeighborsRegressor(5))]


def clouds(n: int = 90, ways: int = 3, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % ways
    return np.random.default_rng(0).normal(size=(n, 4)) * spread + 2 * np.eye(4)[y], y


# Folds.


@pytest.mark.parametrize("classes", [True, False])
def test_every_row_is_held_out_once(classes: bool) -> None:
    y = np.arange(50) % 7
    splits = splits_of(y, 4, classes=classes)
    held = np.concatenate([h for _, h in splits])
    assert sorted(held.tolist()) == list(range(50)) and len(splits) == 4
    assert all(not set(learned) & set(h) and len(learned) + len(h) == 50 for learned, h in splits)


def test_classes_keep_their_proportions() -> None:
    y = np.array([0] * 80 + [1] * 20)
    assert all(y[held].mean() == 0.2 for _, held in splits_of(y, 5, classes=True))


def test_groups_are_held_out_as_a_whole() -> None:
    groups = np.array(["a", "b", "c", "d", "e", "f"]).repeat(5)
    for classes in (True, False):
        for learned, held in splits_of(np.arange(30) % 2, 3, classes=classes, groups=groups):
            assert not set(groups[learned]) & set(groups[held])


def test_in_time_only_the_past_teaches() -> None:
    time = np.random.default_rng(0).permutation(40) // 2  # two rows of each time
    splits = splits_of(np.zeros(40), 4, classes=False, time=time)
    assert all(time[learned].max() < time[held].min() for learned, held in splits)


def test_few_examples_make_fewer_folds_and_rare_classes_are_legal() -> None:
    assert len(splits_of(np.array([0, 0, 0, 1]), 5, classes=True)) == 3
    assert len(splits_of(np.array([0, 1, 2]), 5, classes=True)) == 2
    with pytest.raises(NotEnoughExamples, match="1 group"):
        splits_of(np.zeros(4), classes=False, groups=["a"] * 4)
    with pytest.raises(NotEnoughExamples, match="of one time"):
        splits_of(np.zeros(4), classes=False, time=[1] * 4)
    with pytest.raises(UserError, match="by groups or by time"):
        splits_of(np.zeros(4), classes=False, time=[1] * 4, groups=[1] * 4)
    with pytest.raises(UserError, match="4 examples, but 3 groups"):
        splits_of(np.zeros(4), classes=False, groups=[1] * 3)
    with pytest.raises(UserError, match="folds is 1"):
        splits_of(np.zeros(4), 1, classes=False)


# Held-out answers.


def test_out_of_fold_equals_scikit_learn() -> None:
    x, y = clouds()
    splits = splits_of(y, 5, classes=True)
    ours = out_of_fold(GaussianNB(), x, y, splits, np.unique(y))
    theirs = cross_val_predict(GaussianNB(), x, y, cv=splits, method="predict_proba")
    np.testing.assert_allclose(ours, theirs)


def test_a_class_that_a_fold_never_met_has_probability_zero() -> None:
    y = np.array(["a"] * 10 + ["b"] * 10 + ["rare"])
    x = np.random.default_rng(0).normal(size=(21, 2))
    found = out_of_fold(GaussianNB(), x, y, splits_of(y, 3, classes=True), np.unique(y))
    assert found[20, 2] == 0 and np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(1), 1)


def test_without_probabilities_it_says_what_to_do() -> None:
    from sklearn.svm import LinearSVC

    x, y = clouds()
    with pytest.raises(UserError, match="CalibratedClassifierCV"):
        out_of_fold(LinearSVC(), x, y, splits_of(y, classes=True), np.unique(y))


# Weights.


def test_mixture_weights_are_those_of_a_general_optimiser() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    answers = rng.dirichlet([0.4] * 3, size=(4, 200)) * 0.5 + 0.5 * np.eye(3)[y] * rng.random((4, 1, 1))
    answers /= answers.sum(2, keepdims=True)
    likelihood = answers[:, np.arange(200), y]

    def loss(w: np.ndarray) -> float:
        return float(-np.log(w @ likelihood).mean())

    about = {"bounds": [(0, 1)] * 4, "constraints": {"type": "eq", "fun": lambda w: w.sum() - 1}}
    best = minimize(loss, np.full(4, 0.25), **about)
    ours = combination_weights(answers, y)
    assert loss(ours) < best.fun + 1e-5 and ours.min() >= 0 and abs(ours.sum() - 1) < 1e-9


def test_weights_of_numbers_are_those_of_a_general_optimiser() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=100)
    answers = (y + rng.normal(size=(3, 100)) * np.array([[0.3], [0.6], [3.0]]) + [[0.0], [0.1], [0]])[..., None]

    def loss(w: np.ndarray) -> float:
        return float(((w @ answers[..., 0] - y) ** 2).mean())

    about = {"bounds": [(0, 1)] * 3, "constraints": {"type": "eq", "fun": lambda w: w.sum() - 1}}
    best = minimize(loss, np.full(3, 1 / 3), **about)
    np.testing.assert_allclose(combination_weights(answers, y), best.x, atol=2e-3)


def test_held_out_answers_are_combined_without_their_own_targets() -> None:
    x, y = clouds(60, 2)
    splits = splits_of(y, 3, classes=True)
    answers = np.stack([out_of_fold(e, x, y, splits, np.unique(y)) for _, e in CLASSIFIERS])
    _, combined = cross_fitted_weights(answers, y, splits)
    held = splits[0][1]
    changed = y.copy()
    changed[held] = 1 - y[held]
    _, again = cross_fitted_weights(answers, changed, splits)
    np.testing.assert_array_equal(combined[held], again[held])
    assert not np.array_equal(combined, again)


def test_noise_beside_one_good_model_is_left_out() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    good = np.eye(2)[y] * 0.8 + 0.1
    answers = np.stack([good, *rng.dirichlet([1, 1], size=(9, 300))])
    splits, metric = splits_of(y, classes=True), metric_of(None, classes=True)[1]
    assert cross_fitted_weights(answers, y, splits)[0][0] > 0.9
    weights, _ = cross_fitted_weights(answers, y, splits, metric)
    assert 0.55 < weights[0] < 0.61 and abs(weights.sum() - 1) < 1e-9


def test_unknown_metrics_name_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'accuracy'"):
        metric_of("acuracy", classes=True)


# Stacks.


def test_a_stack_is_as_good_as_its_best_part() -> None:
    x, y = load_iris(return_X_y=True)
    rows = np.random.default_rng(0).permutation(150)
    stack = StackedClassifier(CLASSIFIERS, seed=1).fit(x[rows[:100]], y[rows[:100]])
    alone = [e.fit(x[rows[:100]], y[rows[:100]]).score(x[rows[100:]], y[rows[100:]]) for _, e in CLASSIFIERS]
    assert stack.score(x[rows[100:]], y[rows[100:]]) >= max(alone) - 0.02
    assert stack.weights_.min() >= 0 and abs(stack.weights_.sum() - 1) < 1e-9
    np.testing.assert_allclose(stack.predict_proba(x).sum(1), 1)


def test_layers_and_names() -> None:
    x, y = clouds(spread=2.0)
    words = np.array(["ant", "bee", "cat"])[y]
    stack = StackedClassifier(CLASSIFIERS, layers=2, passthrough=True).fit(x, words)
    assert list(stack.scores_) == [f"{name}/{layer}" for layer in (1, 2) for name, _ in CLASSIFIERS]
    assert set(stack.predict(x)) <= {"ant", "bee", "cat"} and len(stack.weights_) == 6


def test_one_layer_answers_as_its_weights_say() -> None:
    x, y = clouds()
    stack = StackedClassifier(CLASSIFIERS).fit(x, y)
    parts = np.stack([e.fit(x, y).predict_proba(x) for _, e in CLASSIFIERS])
    np.testing.assert_allclose(stack.predict_proba(x), np.tensordot(stack.weights_, parts, 1))


def test_regression_in_time() -> None:
    x, y = make_friedman1(120, random_state=0)
    stack = StackedRegressor(REGRESSORS, layers=2).fit(x, y, time=np.arange(120))
    assert stack.predict(x).shape == (120,) and np.isfinite(stack.predict(x)).all() and stack.score_ > 0.5


def test_errors_of_stacks() -> None:
    x, y = clouds()
    with pytest.raises(UserError, match="0 estimators"):
        StackedClassifier([]).fit(x, y)
    with pytest.raises(UserError, match="of the class '1'"):
        StackedClassifier(CLASSIFIERS).fit(x, np.ones(len(x), dtype=int))


# Several targets.


def test_targets_help_each_other() -> None:
    """The second target is the first one plus little noise, and has few values; only the first tells what it is."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    first = np.sin(2 * x[:, 0]) + x[:, 1] ** 2
    second = first + 0.1 * rng.normal(size=300)
    both = np.stack([first, second], 1)
    both[60:, 1] = np.nan
    fresh = rng.normal(size=(200, 3))
    truth = np.sin(2 * fresh[:, 0]) + fresh[:, 1] ** 2
    stack = MultiTaskStack(KNeighborsRegressor(5)).fit(x, both)
    alone = KNeighborsRegressor(5).fit(x[:60], second[:60]).predict(fresh)
    assert np.mean((stack.predict(fresh)[:, 1] - truth) ** 2) < 0.8 * np.mean((alone - truth) ** 2)
    assert stack.weights_[1, 1] > 0.5 and stack.scores_[1, 1] > stack.scores_[1, 0]
    np.testing.assert_allclose(stack.weights_.sum(1), 1)


def test_targets_with_too_few_values() -> None:
    y = np.full((20, 2), np.nan)
    y[:, 0] = 1.0
    y[0, 1] = 1.0
    with pytest.raises(NotEnoughExamples, match="Target 1 has 1 values"):
        MultiTaskStack(Ridge()).fit(np.zeros((20, 1)), y)


# Leaks.


class Remembers(ClassifierMixin, BaseEstimator):
    """Judges itself by rows it has learned: the planted leak."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Remembers:
        self.model_ = DecisionTreeClassifier(random_state=0).fit(X, y)
        self.classes_, self.score_ = self.model_.classes_, self.model_.score(X, y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.model_.predict_proba(X)


def test_a_planted_leak_is_found_and_an_honest_stack_is_not_accused() -> None:
    x, y = clouds(150, 3, spread=2.0)
    found = leak_test(Remembers(), x, y)
    assert found.leaks and str(found).startswith("Leak: accuracy 1.000 by its own account")
    assert not leak_test(StackedClassifier(CLASSIFIERS), x, y).leaks


def test_groups_torn_apart_are_a_leak() -> None:
    """Ten rows of each of 15 people, almost the same, and labels that go by person: a row tells who it is, no more."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(15), 10)
    x, y = rng.normal(size=(15, 3))[people] + 0.01 * rng.normal(size=(150, 3)), rng.integers(0, 2, 15)[people]
    stack = StackedClassifier([("near", KNeighborsClassifier(1)), ("bayes", GaussianNB())])
    assert leak_test(stack, x, y, groups=people).leaks
    assert not leak_test(stack, x, y, groups=people, tell=True).leaks


def test_a_stack_without_a_score_cannot_be_tested() -> None:
    x, y = clouds()
    with pytest.raises(UserError, match="leaves no score_"):
        leak_test(GaussianNB(), x, y)
