"""The estimators: scikit-learn's own contract, learners from wherever they are, any shape of input, more examples."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from quickstudy.bundle import load_bundle, save_bundle
from quickstudy.errors import BadExamples, BadFile, UserError
from quickstudy.estimators import FewShotClassifier, FewShotRegressor
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.baseline.pooled import Pooled
from quickstudy.learners.bayesian.deep_kernel import DeepKernel
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples

random = np.random.default_rng
NAMES = np.array(["crow", "lynx", "owl"])


def spots(n: int, *, seed: int = 0, ways: int = 3, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) around the corners of a square, and the corner's number."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % ways
    corners = np.array([[0.0, 0], [3, 0], [0, 3], [3, 3]])
    return corners[y] + spread * draw.normal(size=(n, 2)), y


def pictures(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 16, 16) of bytes with a bright upper or lower half."""
    y = np.arange(n) % 2
    x = np.random.default_rng(0).integers(0, 60, size=(n, 16, 16))
    x[y == 0, :8] += 150
    x[y == 1, 8:] += 150
    return x.astype(np.uint8), y


# scikit-learn's contract.


@pytest.mark.parametrize(
    "estimator",
    [FewShotClassifier(), FewShotRegressor(), FewShotClassifier(NearestNeighbour())],
    ids=str,
)
def test_scikit_learns_own_checks(estimator: Any) -> None:
    done = 0
    for one, check in estimator_checks_generator(estimator, mark="skip"):
        try:
            check(one)
            done += 1
        except Exception as error:
            if type(error).__name__ != "SkipTest":
                raise
    assert done > 45


def test_clones_and_copies_answer_alike() -> None:
    x, y = spots(9)
    model = FewShotClassifier(Prototypical(MLP(2, 3)), threshold=0.4, folds=7)
    other = clone(model)
    assert other.get_params().keys() == model.get_params().keys() and (other.threshold, other.folds) == (0.4, 7)
    assert not other.__sklearn_is_fitted__()
    model.fit(x, y)
    for copied in (other.fit(x, y), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(copied.predict_proba(x), model.predict_proba(x))


def test_wherever_a_classifier_goes() -> None:
    x, y = spots(30)
    prototypes = FewShotClassifier(Prototypical(nn.Flatten()))
    assert cross_val_score(prototypes, x, NAMES[y], cv=3).mean() > 0.95
    wild = x * [1, 1e-3]
    assert cross_val_score(make_pipeline(StandardScaler(), FewShotClassifier()), wild, y, cv=3).mean() > 0.95
    stack = StackingClassifier([("few", prototypes), ("linear", LogisticRegression())], cv=3)
    assert stack.fit(x, NAMES[y]).score(x, NAMES[y]) > 0.95
    grid = {"bundle": [NearestNeighbour(), NearestNeighbour(k=30)], "threshold": [None, 0.1]}
    found = GridSearchCV(FewShotClassifier(folds=3), grid, cv=3).fit(x, y)
    assert found.best_params_["bundle"].k == 1


def test_wherever_a_regressor_goes() -> None:
    x = random(0).normal(size=(30, 2))
    y = x @ [1.0, -2.0]
    assert cross_val_score(make_pipeline(StandardScaler(), FewShotRegressor()), x, y, cv=3).mean() > 0.9
    stack = StackingRegressor([("few", FewShotRegressor(NearestNeighbour())), ("ridge", Ridge())], cv=3)
    assert stack.fit(x, y).score(x, y) > 0.9


def test_images_are_cross_validated_and_stacked_too() -> None:
    x, y = pictures(12)
    model = FewShotClassifier(Prototypical(nn.Flatten()))
    assert cross_val_score(model, x[:, None], y, cv=3).mean() == 1
    stack = StackingClassifier([("few", model)], cv=2)
    assert stack.fit(x[:, None], y).score(x[:, None], y) == 1


def test_the_default_is_logistic_and_ridge_regression() -> None:
    x, y = spots(30, spread=2.0)
    ours = FewShotClassifier().fit(x, y).predict_proba(x)
    assert np.allclose(ours, LogisticRegression(tol=1e-8).fit(x, y).predict_proba(x), atol=1e-4)
    targets = x @ [1.0, -2.0] + random(0).normal(size=30)
    assert np.allclose(FewShotRegressor().fit(x, targets).predict(x), Ridge().fit(x, targets).predict(x), atol=1e-4)


# Where the learner comes from.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with forked(Rng(0)):
        learner = Prototypical(Conv4(1, size=16, width=4).eval())
    return save_bundle(tmp_path_factory.mktemp("bundles") / "tiny", learner, feature=(1, 16, 16))


def test_a_folder_a_bundle_and_its_learner_are_one(folder: Path) -> None:
    x, y = pictures(8)
    bundle = load_bundle(folder)
    asked = [bundle.learner, bundle, folder, str(folder)]
    given = [FewShotClassifier(b).fit(x[:, None], y).predict_proba(x[:, None]) for b in asked]
    direct = bundle.predict(*bundle.adapt(torch.as_tensor(x[:, None]), y), torch.as_tensor(x[:, None])).probabilities
    assert all(np.array_equal(given[0], p) for p in given[1:])
    assert np.allclose(given[0], direct.numpy())


def test_a_learner_is_left_as_it_was() -> None:
    learner = Prototypical(Conv4(1, size=16, width=4))
    before = {k: v.clone() for k, v in learner.state_dict().items()}
    x, y = pictures(8)
    FewShotClassifier(learner).fit(x[:, None], y).predict(x[:, None])
    assert learner.training
    assert all(torch.equal(v, before[k]) for k, v in learner.state_dict().items())


def test_what_is_no_learner(folder: Path, tmp_path: Path) -> None:
    x, y = spots(6)
    with pytest.raises(UserError, match="use the other estimator"):
        FewShotRegressor(folder).fit(x, y)
    with pytest.raises(UserError, match="give the folder"):
        FewShotClassifier(nn.Linear(2, 2)).fit(x, y)
    with pytest.raises(UserError, match="Prototypical serves classification, not regression"):
        FewShotRegressor(Prototypical(MLP(2, 2))).fit(x, y)
    with pytest.raises(BadFile, match="no such folder"):
        FewShotClassifier(tmp_path / "nowhere").fit(x, y)


def test_without_scikit_learn_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = sys.modules['sklearn.utils.validation'] = None\n"
        "from quickstudy.errors import UserError\n"
        "try:\n    import quickstudy.estimators\nexcept UserError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'quickstudy[sklearn]'" in done.stdout


# Shapes.


def test_inputs_in_any_equal_shape(folder: Path) -> None:
    x, y = pictures(8)
    real = x / 255.0
    forms = [x, x[:, None], x.reshape(8, -1), torch.as_tensor(x), real, real.tolist(), torch.as_tensor(real)]
    model = FewShotClassifier(folder).fit(x, y)
    assert model.n_features_in_ == 256
    for form in forms:
        assert np.allclose(model.predict_proba(form), model.predict_proba(x), atol=1e-6)
    weights = torch.as_tensor(x / 255.0).requires_grad_()
    assert np.allclose(model.predict_proba(weights), model.predict_proba(x), atol=1e-6)


def test_inputs_of_another_shape(folder: Path) -> None:
    x, y = pictures(8)
    with pytest.raises(BadExamples, match=r"shaped \(16, 16, 3\), but this learner takes \(1, 16, 16\)"):
        FewShotClassifier(folder).fit(np.stack([x] * 3, -1), y)
    model = FewShotClassifier(folder).fit(x, y)
    with pytest.raises(ValueError, match="features"):
        model.predict(x[:, :8])
    with pytest.raises(BadExamples, match=r"\(8, 32\)"):
        model.predict(x.reshape(8, 8, 32))


# More examples, and new classes.


class Batchwise(NearestNeighbour):
    """Says that queries depend on each other."""

    @property
    def transductive(self) -> bool:
        return True


class Remembering(NearestNeighbour):
    """Counts how often it started again."""

    started = 0

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Any = None) -> Any:
        type(self).started += 1
        return super().adapt(support, description, rng=rng)

    def update(self, state: Any, examples: Examples) -> Any:
        type(self).started -= 1  # for it calls adapt
        return super().update(state, examples)


@pytest.mark.parametrize(
    "learner", [None, Prototypical(MLP(2, 3)), NearestNeighbour()], ids=["adapts", "updates", "keeps"]
)
def test_a_little_at_a_time_is_all_at_once(learner: Any) -> None:
    x, y = spots(18, spread=1.0)
    names = NAMES[y]
    model = FewShotClassifier(learner).partial_fit(x[:6], names[:6])
    model.partial_fit(x[6:7], names[6:7]).partial_fit(x[7:], names[7:])
    whole = FewShotClassifier(learner).fit(x, names)
    assert np.array_equal(model.classes_, NAMES)
    assert np.allclose(model.predict_proba(x), whole.predict_proba(x), atol=1e-5)


def test_a_learner_goes_on_where_it_can() -> None:
    Remembering.started = 0
    x, y = spots(16, ways=4)
    model = FewShotClassifier(Remembering()).fit(x[y < 2], y[y < 2] * 2)
    assert Remembering.started == 1
    model.partial_fit(x[y == 1][:1], [2])
    assert Remembering.started == 1
    model.partial_fit(x[y == 2], [1] * 4)  # between the two that are there
    assert Remembering.started == 2 and model.classes_.tolist() == [0, 1, 2]
    assert (model.predict(x[y == 2]) == 1).all() and (model.predict(x[y == 1]) == 2).all()


def test_classes_announced_have_no_chance_until_they_come() -> None:
    x, y = spots(12)
    old = y < 2
    model = FewShotClassifier(threshold=0.2).partial_fit(x[old], NAMES[y[old]], classes=NAMES)
    assert model.classes_.tolist() == NAMES.tolist()
    assert (model.predict_proba(x)[:, 2] == 0).all()
    assert not model.predict_set(x[old], level=0.5)[:, 2].any()
    model.partial_fit(x[~old], NAMES[y[~old]])
    assert (model.predict(x) == NAMES[y]).all()


def test_a_failure_leaves_nothing_half_learned() -> None:
    x, y = spots(9)
    model = FewShotClassifier(MAML(MLP(2, 3), steps=1)).fit(x, y)
    before = model.predict_proba(x)
    with pytest.raises(BadExamples, match="of 4 classes"):
        model.partial_fit(x[:1], [7])
    with pytest.raises(BadExamples, match="were numbers until now, but these are texts"):
        model.partial_fit(x[:1], ["owl"])
    assert np.array_equal(model.predict_proba(x), before) and model.classes_.tolist() == [0, 1, 2]
    with pytest.raises(BadExamples):
        model.fit(x, np.arange(9))
    with pytest.raises(NotFittedError):
        model.predict(x)


# "I don't know".


def test_unknown_where_it_is_not_sure() -> None:
    x, y = spots(30)
    model = FewShotClassifier(threshold=0.7, folds=10).fit(x, NAMES[y])
    between = [[1.5, 1.5]]
    assert model.predict(between).tolist() == ["unknown"]
    assert np.mean(model.predict(x) == NAMES[y]) > 0.9
    assert clone(model).set_params(unknown="?").fit(x, NAMES[y]).predict(between).tolist() == ["?"]
    assert model.set_params(threshold=None).predict(between)[0] in NAMES  # after fit, too
    numbers = FewShotClassifier(threshold=0.7, folds=10).fit(x, y)
    assert numbers.predict(between).tolist() == [-1] and numbers.predict(x).dtype == y.dtype
    mixed = FewShotClassifier(threshold=np.float32(0.7), unknown="?", folds=10).fit(x, y)
    assert mixed.predict(np.vstack([between, x[:1]])).tolist() == ["?", 0]


def test_labels_that_mean_nothing_are_not_believed() -> None:
    x, _ = spots(60, spread=2.0)
    y = random(0).integers(2, size=60)
    sure = FewShotClassifier(NearestNeighbour()).fit(x, y).predict_proba(x).max(1)
    assert sure.mean() > 0.5
    assert (FewShotClassifier(NearestNeighbour(), threshold=0.75).fit(x, y).predict(x) == -1).all()
    again = FewShotClassifier(NearestNeighbour(), threshold=0.75).fit(x[:30], y[:30]).calibrate(x[30:], y[30:])
    assert (again.predict(x) == -1).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"threshold": "high"}, "between 0 and 1"),
        ({"threshold": 0.5, "unknown": 1}, "is a class too"),
        ({"threshold": 0.5, "folds": 1}, "2 parts or more"),
        ({"threshold": 0.5, "bundle": Batchwise()}, "inductive"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        FewShotClassifier(**options).fit(*spots(9))


# Sets and intervals; their mathematics is in test_conformal.


def test_sets_are_made_of_states_without_the_example() -> None:
    x, y = spots(12, spread=1.5)
    model = FewShotClassifier(LinearProbe(normalise=False)).fit(x, y)
    asked = random(0).normal(size=(5, 2)) * 2 + 1
    better = np.zeros((5, 3))
    for i in range(12):
        other = FewShotClassifier().fit(np.delete(x, i, 0), np.delete(y, i))
        better += other.predict_proba(asked) < other.predict_proba(x[i : i + 1])[0, y[i]]
    expected = better < 9  # ceil(0.65 * 13)
    expected[np.arange(5), model.predict_proba(asked).argmax(1)] = True
    assert np.array_equal(model.predict_set(asked, level=0.65), expected)


def test_what_is_set_aside_counts_until_more_is_learned() -> None:
    x, y = spots(40, spread=2.0)
    model = FewShotClassifier(Prototypical(nn.Flatten())).fit(x[:20], y[:20])
    alone = model.predict_set(x, level=0.8)
    model.calibrate(x[20:], y[20:])
    scores = model.predict_proba(x[20:])[np.arange(20), y[20:]]
    expected = model.predict_proba(x) >= np.sort(scores)[20 - 17]  # the ceil(0.8 * 21) = 17th best fit
    expected[np.arange(40), model.predict(x)] = True
    assert np.array_equal(model.predict_set(x, level=0.8), expected)
    assert not np.array_equal(alone, expected)
    model.partial_fit(x[20:21], y[20:21])
    assert np.array_equal(model.predict_set(x, 0.8), clone(model).fit(x[:21], y[:21]).predict_set(x, 0.8))
    with pytest.raises(BadExamples, match="'7', a class that was never learned"):
        model.calibrate(x[:2], [0, 7])
    with pytest.raises(NotFittedError):
        FewShotClassifier().calibrate(x, y)


def test_intervals_are_made_of_states_without_the_example() -> None:
    draw = random(0)
    x = draw.normal(size=(20, 2))
    y = x @ [1.0, -2.0] + draw.normal(size=20)
    asked = draw.normal(size=(4, 2))
    lows, highs = [], []
    for i in range(20):
        other = Ridge().fit(np.delete(x, i, 0), np.delete(y, i))
        radius = abs(y[i] - other.predict(x[i : i + 1])[0])
        lows.append(other.predict(asked) - radius)
        highs.append(other.predict(asked) + radius)
    ends = FewShotRegressor().fit(x, y).predict_interval(asked, level=0.8)  # the 17th of 20
    assert np.allclose(ends, np.stack([np.sort(lows, 0)[3], np.sort(highs, 0)[16]], -1), atol=1e-4)


# Regressions.


def test_deviations_where_the_learner_has_them() -> None:
    x = np.linspace(-2, 2, 12)[:, None]
    y = np.sin(x[:, 0])
    model = FewShotRegressor(DeepKernel(nn.Flatten())).fit(x, y)
    mean, deviation = model.predict([[0.1], [30.0]], return_std=True)
    assert mean.shape == (2,) and deviation[1] > deviation[0] > 0
    wide = np.diff(model.predict_interval([[0.1], [30.0]], level=0.8))[:, 0]
    assert np.isfinite(wide).all() and wide[1] > wide[0]
    with pytest.raises(UserError, match="without deviations"):
        FewShotRegressor().fit(x, y).predict(x, return_std=True)


def test_several_targets(tmp_path: Path) -> None:
    x = random(0).normal(size=(15, 2))
    y = np.stack([x[:, 0], x[:, 1] * 100, x.sum(1)], 1)
    model = FewShotRegressor().partial_fit(x[:7], y[:7]).partial_fit(x[7:], y[7:])
    assert model.predict(x).shape == (15, 3) and model.score(x, y) > 0.95
    ends = model.predict_interval(x, level=0.8)
    assert ends.shape == (15, 3, 2)
    each = FewShotRegressor().fit(x, y[:, 1]).predict_interval(x, level=0.8)
    assert np.allclose(ends[:, 1], each, rtol=1e-3, atol=1e-3)
    with pytest.raises(BadExamples, match=r"shaped \(3,\) until now, but these are \(\)"):
        model.partial_fit(x, y[:, 0])


def test_a_bundle_of_regressions(tmp_path: Path) -> None:
    folder = save_bundle(tmp_path / "b", Pooled(MLP(1, 1), steps=2), feature=(1,), kind="regression")
    x = np.linspace(0, 1, 10)[:, None]
    model = FewShotRegressor(folder).fit(x, 3 * x[:, 0])
    bundle = load_bundle(folder)
    values = bundle.predict(*bundle.adapt(x, 3 * x[:, 0]), x).values
    assert np.allclose(model.predict(x), values[:, 0].numpy())
    with pytest.raises(UserError, match="use the other estimator"):
        FewShotClassifier(folder).fit(x, np.arange(10) % 2)
