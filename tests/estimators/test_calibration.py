"""Calibrated confidence: as sure as the evidence allows, and right as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from quickstudy.estimators.calibration import Calibration

ALL = np.array([True] * 3)


def made(right: int, wrong: int, *, sure: float = 0.99) -> Calibration:
    """From examples of class 0 among three, answered rightly and wrongly."""
    rest = (1 - sure) / 2
    p = np.array([[sure, rest, rest]] * right + [[rest, sure, rest]] * wrong).reshape(-1, 3)
    return Calibration.of(p, np.ones(p.shape, dtype=bool), np.zeros(len(p), dtype=np.int64))


def test_no_evidence_gives_little_confidence() -> None:
    p = made(0, 0)(np.array([[1.0, 0.0, 0.0]]), ALL)
    assert np.allclose(p, [[2 / 3, 1 / 6, 1 / 6]], atol=0.01)  # (1 + 1 / ways) / 2


@pytest.mark.parametrize("n", [1, 4, 16])
def test_rule_of_succession(n: int) -> None:
    confidence = made(n, 0, sure=1.0)(np.array([[1.0, 0.0, 0.0]]), ALL)[0, 0]
    # Of the share g that guesses, n right answers say (1 - 2 g / 3)^n; its mean has a closed form.
    a = 1 / 3
    expected = (1 - a ** (n + 2)) / (n + 2) / ((1 - a ** (n + 1)) / (n + 1))
    assert confidence == pytest.approx(expected, abs=0.005)
    assert confidence == pytest.approx((n + 1) / (n + 2), abs=0.06)


def test_more_right_answers_are_believed_more_and_wrong_ones_less() -> None:
    p = np.array([[0.99, 0.005, 0.005]])
    grades = [made(*counts)(p, ALL)[0, 0] for counts in ((0, 8), (4, 4), (8, 0), (80, 0))]
    assert grades == sorted(grades) and grades[0] < 0.45 and grades[-1] > 0.95


def test_order_and_absent_classes_stay() -> None:
    draw = np.random.default_rng(0)
    p = draw.dirichlet(np.ones(3), size=100)
    after = made(6, 2)(p, ALL)
    assert np.array_equal(p.argsort(1), after.argsort(1)) and np.allclose(after.sum(1), 1)
    absent = made(6, 2)(np.array([[0.7, 0.3, 0.0]]), np.array([True, True, False]))
    assert absent[0, 2] == 0 and absent.sum() == pytest.approx(1)


def test_an_example_whose_class_was_absent_says_nothing() -> None:
    present = np.array([[False, True, True]] * 5)
    nothing = Calibration.of(np.array([[0.0, 1.0, 0.0]] * 5), present, np.zeros(5, dtype=np.int64))
    p = np.array([[0.9, 0.05, 0.05]])
    assert np.allclose(nothing(p, ALL), made(0, 0)(p, ALL))


def test_right_as_often_as_it_says() -> None:
    """Learners of all degrees of overconfidence, each judged on 12 examples: what is answered at 0.8 and above."""
    draw = np.random.default_rng(1)
    said, right = [], []
    for _ in range(200):
        temperature, guesses = np.exp(draw.normal()), draw.uniform()
        logits = draw.normal(size=(32, 4)) * 3
        truth = np.exp(logits / temperature)
        truth = (1 - guesses) * truth / truth.sum(1, keepdims=True) + guesses / 4
        y = np.array([draw.choice(4, p=row) for row in truth])
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        after = Calibration.of(p[:12], np.ones((12, 4), dtype=bool), y[:12])(p[12:], np.array([True] * 4))
        said.append(after.max(1))
        right.append(after.argmax(1) == y[12:])
    confidence, hits = np.concatenate(said), np.concatenate(right)
    for low, high in ((0.25, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        among = (confidence >= low) & (confidence < high)
        assert among.sum() > 100
        assert abs(hits[among].mean() - confidence[among].mean()) < 0.06
    assert hits[confidence >= 0.8].mean() > 0.8
