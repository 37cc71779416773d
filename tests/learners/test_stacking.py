"""Stacks without labels: which detectors are trusted, and one clustering out of many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from quickstudy.contract import check_learner
from quickstudy.errors import BadExamples, UserError
from quickstudy.learners.stacking.anomalies import AnomalyStack, auroc, described
from quickstudy.learners.stacking.consensus import co_association, consensus
from quickstudy.learners.stacking.detectors import DETECTORS, detect
from quickstudy.rng import Rng
from quickstudy.task import Examples


def table(seed: int, *, good: int, detectors: int = 4, rows: int = 300) -> tuple[Tensor, Tensor]:
    """Scores of detectors of which one is any good: it is the one whose scores lean to the right."""
    generator = torch.Generator().manual_seed(seed)
    y = (torch.arange(rows) < rows // 10).long()
    scores = torch.rand(rows, detectors, generator=generator, dtype=torch.float64)
    scores[:, good] = scores[:, good] ** 4 + 0.8 * y
    return scores * torch.tensor([1.0, 10.0, 0.1, 5.0])[:detectors], y


def answered(stack: AnomalyStack, scores: Tensor, y: Tensor) -> float:
    state = stack.adapt(Examples(scores, torch.zeros_like(y), ways=2))
    return float(auroc(stack.predict(state, scores)[:, 1], y))


def test_it_learns_which_detector_to_trust() -> None:
    stack = AnomalyStack(4)
    new = table(99, good=2)
    blind = answered(stack, *new)
    stack.meta_fit([table(i, good=2) for i in range(8)])
    assert answered(stack, *new) > max(0.9, blind)


def test_it_learns_how_to_tell_a_good_detector_by_its_scores() -> None:
    stack = AnomalyStack(4)
    stack.meta_fit([table(i, good=i % 3) for i in range(12)])  # the last one was never good
    new = table(99, good=3)
    state = stack.adapt(Examples(new[0], torch.zeros_like(new[1]), ways=2))
    assert state.weights.argmax() == 3
    assert answered(stack, *new) > 0.9


def test_labels_of_the_new_table_are_not_read() -> None:
    stack = AnomalyStack(4)
    stack.meta_fit([table(i, good=i % 4) for i in range(8)])
    scores, y = table(99, good=1)
    one, other = (stack.adapt(Examples(scores, labels, ways=2)) for labels in (y, 1 - y))
    assert torch.equal(one.weights, other.weights)


def test_before_it_has_learned_it_is_a_plain_mean_of_scaled_scores() -> None:
    scores, y = table(0, good=1)
    stack = AnomalyStack(4)
    state = stack.adapt(Examples(scores, y, ways=2))
    z = (scores - scores.mean(0)) / scores.std(0, correction=0)
    torch.testing.assert_close(stack.predict(state, scores)[:, 1], z.clamp(-4, 4).mean(1))


def test_it_keeps_the_contract() -> None:
    stack = AnomalyStack(4)
    stack.meta_fit([table(i, good=i % 4) for i in range(5)])
    check_learner(stack, feature=(4,), outputs=2)


def test_auroc_is_scikit_learns() -> None:
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(0)
    scores, y = generator.integers(0, 9, 80).astype(float), generator.integers(0, 2, 80)
    assert float(auroc(torch.from_numpy(scores), torch.from_numpy(y))) == pytest.approx(roc_auc_score(y, scores))


def test_descriptors_are_finite_where_a_detector_says_nothing() -> None:
    z = torch.zeros(20, 3, dtype=torch.float64)
    z[:, 0] = torch.linspace(-1, 1, 20)
    assert bool(torch.isfinite(described(z)).all())


def test_every_detector_finds_what_is_far_from_all() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator) @ torch.randn(5, 5, generator=generator)
    x = torch.cat([x, 30 * torch.randn(5, 5, generator=generator)])
    y = (torch.arange(205) >= 200).long()
    scores = detect(x)
    assert scores.shape == (205, len(DETECTORS))
    for name, one in zip(DETECTORS, scores.T, strict=True):
        assert auroc(one, y) > 0.95, name
    assert torch.equal(scores, detect(x))
    assert not torch.equal(scores, detect(x, rng=Rng(1)))


def test_detectors_stand_odd_tables() -> None:
    generator = torch.Generator().manual_seed(0)
    few = torch.randn(3, 6, generator=generator)
    constant = torch.cat([torch.randn(30, 2, generator=generator), torch.ones(30, 1)], 1)
    for x in (few, constant, torch.ones(5, 2)):
        assert bool(torch.isfinite(detect(x)).all())
    with pytest.raises(BadExamples, match="three rows"):
        detect(torch.tensor([[0.0], [torch.nan], [1.0]]))


def test_consensus_finds_what_no_clustering_has() -> None:
    """Each clustering merges two of three groups; only together do they tell all three apart."""
    truth = torch.arange(3).repeat_interleave(10)
    merged = torch.stack([truth.clone().masked_fill(truth == a, b) for a, b in ((0, 1), (1, 2), (2, 0))])
    found = consensus(merged, 3)
    together = found.unsqueeze(0) == found.unsqueeze(1)
    assert torch.equal(together, truth.unsqueeze(0) == truth.unsqueeze(1))


def test_weights_and_noise_in_co_association() -> None:
    labels = torch.tensor([[0, 0, -1, -1], [0, 1, 1, 1]])
    found = co_association(labels, [3.0, 1.0])
    assert found[0, 1] == 0.75
    assert found[2, 3] == 0.25
    assert bool((found.diagonal() == 1).all())


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match="below two"):
        AnomalyStack(1)
    with pytest.raises(BadExamples, match="three are needed"):
        AnomalyStack(4).meta_fit([table(0, good=0)])
    with pytest.raises(BadExamples, match="there are 0 and 300"):
        scores, y = table(0, good=0)
        AnomalyStack(4).meta_fit([(scores, 0 * y)] * 3)
    with pytest.raises(UserError, match="cannot make 5"):
        consensus(torch.tensor([[0, 1, 0]]), 5)
    with pytest.raises(BadExamples, match="as many weights"):
        co_association(torch.tensor([[0, 1, 0]]), [1.0, 2.0])
