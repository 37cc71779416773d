"""Algorithm selectors: what they expect, how a seen score moves it, and when the guard lets them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quickstudy.contract import check_learner
from quickstudy.errors import UserError
from quickstudy.functional.solvers.forest import tree_answers
from quickstudy.learners.selection.algorithms.factors import CollaborativeFiltering
from quickstudy.learners.selection.algorithms.forest import PerAlgorithm, grown
from quickstudy.learners.selection.algorithms.guarded import Guarded, paying
from quickstudy.learners.selection.algorithms.nearest import NearestInstances, distances, ranks
from quickstudy.learners.selection.algorithms.pairwise import Pairwise
from quickstudy.learners.selection.algorithms.selector import Selector, parted
from quickstudy.learners.selection.algorithms.utility import completed, scored, units, utility
from quickstudy.task import Examples
from quickstudy.tasks.scores.candidates import Candidates
from quickstudy.tasks.scores.table import ScoreTable


def small_guard(**options: int) -> Guarded:
    return Guarded([PerAlgorithm(trees=5), CollaborativeFiltering(), NearestInstances()], **options)


SELECTORS = {
    "per-algorithm": lambda: PerAlgorithm(trees=10),
    "pairwise": lambda: Pairwise(trees=5),
    "nearest": NearestInstances,
    "factors": CollaborativeFiltering,
    "guarded": small_guard,
}


def table(count: int = 60, *, told: bool = True, costs: bool = False, seed: int = 0) -> ScoreTable:
    """Three candidates, each the best where the first feature is low, middling or high; of no use if not `told`."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(count, 4, generator=generator, dtype=torch.float64)
    place = features[:, :1] if told else torch.rand(count, 1, generator=generator, dtype=torch.float64)
    scores = -(place - torch.tensor([0.2, 0.45, 0.8], dtype=torch.float64)).abs()
    scores += 0.02 * torch.randn(scores.shape, generator=generator, dtype=torch.float64)
    if costs:
        scores = (-8 * scores).exp()
    return ScoreTable(
        tuple(f"set {i}" for i in range(count)),
        Candidates.named(("a", "b", "c")),
        scores.unsqueeze(-1),
        features=features,
        feature_names=("f", "g", "h", "i"),
        maximise=not costs,
    )


def asked(learner: Selector, past: ScoreTable, dataset: int) -> int:
    task = past.task(dataset)
    return int(learner.acquire(learner.adapt(task.support, task.description), past.candidates.x).argmax())


@pytest.mark.parametrize("costs", [False, True])
@pytest.mark.parametrize("name", SELECTORS)
def test_chooses_what_the_features_tell(name: str, costs: bool) -> None:
    learner, past, new = SELECTORS[name](), table(costs=costs), table(40, costs=costs, seed=1)
    learner.meta_fit(past)
    regret = new.final.amax(1) - torch.stack([new.final[i, asked(learner, new, i)] for i in range(40)])
    single = new.final.amax(1) - new.final[:, past.final.mean(0).argmax()]
    assert regret.mean() < 0.4 * single.mean()


@pytest.mark.parametrize("name", SELECTORS)
def test_keeps_the_contract(name: str) -> None:
    learner, past = SELECTORS[name](), table()
    learner.meta_fit(past)
    check_learner(learner, [past.task(i, [0]) for i in range(3)])


@pytest.mark.parametrize("name", SELECTORS)
def test_saved_and_loaded_it_answers_alike(name: str) -> None:
    learner, past = SELECTORS[name](), table()
    learner.meta_fit(past)
    again = SELECTORS[name]()
    again.load_state_dict(learner.state_dict())
    task = past.task(3)
    one, other = (x.predict(x.adapt(task.support, task.description), task.query.x) for x in (learner, again))
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.variance, other.variance)


def test_trees_answer_as_scikit_learn() -> None:
    from sklearn.ensemble import ExtraTreesRegressor

    generator = np.random.default_rng(0)
    x, y, weight = generator.random((50, 3)), generator.random((50, 2)), generator.random(50)
    model = ExtraTreesRegressor(7, min_samples_leaf=2, max_features=0.5, random_state=0).fit(x, y, weight)
    forest = grown(*map(torch.from_numpy, (x, y)), 7, 2, 0.5, torch.from_numpy(weight))
    fresh = generator.random((20, 3))
    found = tree_answers(forest, torch.from_numpy(fresh)).mean(1)
    np.testing.assert_allclose(found, model.predict(fresh), rtol=1e-12)


def test_a_score_that_is_seen_is_believed_and_moves_the_others_as_a_gaussian_does() -> None:
    learner, past = NearestInstances(), table()
    learner.meta_fit(past)
    x = past.candidates.x
    before = learner.adapt(Examples(x[:0], x[:0, :1]), past.features[0])  # type: ignore[index]
    after = learner.adapt(Examples(x[:1], torch.tensor([[0.3]])), past.features[0])  # type: ignore[index]
    prior, cov = before.mean.numpy(), before.covariance.numpy()
    by_hand = prior + cov[:, 0] / cov[0, 0] * (0.3 - prior[0])
    np.testing.assert_allclose(after.mean, by_hand, rtol=1e-4)
    answer = learner.predict(after, x)
    assert answer.mean[0].item() == pytest.approx(0.3, abs=1e-4)
    assert bool((answer.variance <= learner.predict(before, x).variance).all())


def test_candidates_that_the_past_never_had_are_like_any() -> None:
    learner, past = NearestInstances(), table()
    learner.meta_fit(past)
    state = learner.adapt(Examples(torch.tensor([[-1.0]]), torch.tensor([[9.0]])), past.features[0])  # type: ignore[index]
    known, unknown = (learner.predict(state, torch.tensor(x)) for x in ([[0.0], [1.0], [2.0]], [[-1.0], [7.0]]))
    assert unknown.mean.flatten().tolist() == pytest.approx([known.mean.mean().item()] * 2)
    assert bool((unknown.variance > known.variance.min()).all())


def test_intervals_cover() -> None:
    learner, new = PerAlgorithm(trees=20), table(80, seed=1)
    learner.meta_fit(table(120))
    inside = []
    for i in range(80):
        task = new.task(i)
        answer = learner.predict(learner.adapt(task.support, task.description), task.query.x)
        inside.append((answer.mean - task.query.y).abs() < 1.645 * answer.variance.sqrt())
    assert 0.82 < torch.stack(inside).double().mean() < 0.97


def test_without_use_the_guard_takes_the_single_best() -> None:
    learner, past = small_guard(), table(100, told=False)
    learner.meta_fit(past)
    assert learner.shares.tolist() == [0, 0, 0]
    assert not learner.procedure.featured
    best = int(past.final.mean(0).argmax())
    assert {asked(learner, past, i) for i in range(20)} == {best}


def test_the_guard_wants_more_than_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(100, generator=generator)
    noise = torch.randn(100, generator=generator)
    noise -= noise.mean()
    assert paying([base, base - 0.05 + noise, base + 1]) == 0
    assert paying([base, base - 0.5 + noise, base + 1]) == 1
    assert paying([base, base + 1, base - 0.5 + noise, base - 0.6 + noise]) == 3


def test_groups_are_never_answered_for_by_their_own() -> None:
    past = table(30)
    groups = tuple(f"g{i // 3}" for i in range(30))
    grouped = ScoreTable(past.datasets, past.candidates, past.scores, groups=groups)
    seen: list[int] = []
    for rest, fold in parted(grouped, 5):
        assert not {groups[i] for i in rest.tolist()} & {groups[i] for i in fold.tolist()}
        seen += fold.tolist()
    assert sorted(seen) == list(range(30))


def test_worth_rises_with_the_score_and_comes_back() -> None:
    costs = torch.tensor([0.0, 0.01, 3.0, 600.0, 6000.0], dtype=torch.float64)
    how = units(-costs[1:], maximise=False)
    worth = utility(-costs, how)
    assert bool((worth[1:].diff() < 0).all())
    torch.testing.assert_close(scored(worth, how)[1:], -costs[1:], rtol=1e-9, atol=1e-9)
    assert units(torch.tensor([0.5, 0.9]), maximise=True).tolist() == [1.0, 0.0, 0.0]


def test_ranks_and_distances_know_no_units() -> None:
    past = torch.tensor([[1.0, 5.0, 7.0], [2.0, 50.0, 7.0], [3.0, 500.0, 7.0]], dtype=torch.float64)
    assert torch.equal(ranks(past, past), ranks(past.exp().nan_to_num(), past.exp().nan_to_num()))
    apart = distances(past, past)
    assert torch.allclose(apart, distances(past * torch.tensor([1.0, 9.0, 1.0]), past * torch.tensor([1.0, 9.0, 1.0])))
    assert apart[0, 2] == pytest.approx(2 / 3)


def test_missing_scores_are_filled_by_row_and_column() -> None:
    full = torch.arange(4.0).unsqueeze(1) + torch.tensor([0.0, 10.0, 20.0])
    holed = full.clone()
    holed[1, 2] = torch.nan
    torch.testing.assert_close(completed(holed), full, atol=0.05, rtol=0)


@pytest.mark.parametrize("name", SELECTORS)
def test_holes_and_constant_columns_do_no_harm(name: str) -> None:
    learner, past = SELECTORS[name](), table()
    past.features[::4, 0] = torch.nan  # type: ignore[index]
    past.features[:, 1] = 1.0  # type: ignore[index]
    past.scores[::7, 2] = torch.nan
    learner.meta_fit(past)
    lost = torch.full((4,), torch.nan, dtype=torch.float64)
    for description in (lost, None, past.features[1]):  # type: ignore[index]
        task = past.task(1)
        answer = learner.predict(learner.adapt(task.support, description), task.query.x)
        assert bool(torch.isfinite(answer.mean).all()) and bool((answer.variance > 0).all())


def test_all_scores_equal_is_no_trouble() -> None:
    past = table()
    learner = small_guard()
    learner.meta_fit(ScoreTable(past.datasets, past.candidates, torch.ones_like(past.scores), features=past.features,
                                feature_names=past.feature_names))  # fmt: skip
    answer = learner.predict(learner.adapt(past.task(0, [1]).support, past.features[0]), past.candidates.x)  # type: ignore[index]
    torch.testing.assert_close(answer.mean, torch.ones(3, 1, dtype=torch.float64))


def test_what_cannot_be_is_said() -> None:
    past = table()
    bare = ScoreTable(past.datasets, past.candidates, past.scores)
    with pytest.raises(UserError, match="60 data sets have none"):
        NearestInstances().meta_fit(bare)
    with pytest.raises(UserError, match="3 groups of data sets for 5 folds"):
        NearestInstances().meta_fit(past.select(datasets=[0, 1, 2]))
    with pytest.raises(UserError, match="meta_fit"):
        NearestInstances().adapt(past.task(0).support, past.features[0])  # type: ignore[index]
    for wrong in (lambda: PerAlgorithm(trees=0), lambda: NearestInstances(neighbours=0), lambda: Pairwise(rivals=1),
                  lambda: CollaborativeFiltering(factors=0), lambda: small_guard(folds=1)):  # fmt: skip
        with pytest.raises(UserError):
            wrong()
