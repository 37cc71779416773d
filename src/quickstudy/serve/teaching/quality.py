"""How good a task is by its own examples: each is asked about while the others teach."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import NotEnoughExamples, UserError
from ...evaluation.intervals import mean_interval, wilson
from ...rng import Rng
from ..model.batched import Question, Support
from ..model.worker import Worker

MOST = 200  # examples that are asked about, at random
SECONDS = 5.0  # after which no more of them are; less than a request's deadline
TOGETHER = 16  # of them that wait at a time, so that others get their turn


async def leave_one_out(worker: Worker, support: Support) -> dict[str, Any]:
    """Accuracy with its 95 % interval (Wilson), or the mean squared error of a regression with Student's.

    An example whose class has no other is not asked about, since nothing could be right.

    Raises:
        NotEnoughExamples: no example could be asked about.
    """
    labels = support.labels
    rows = list(range(len(support.x)))
    if not isinstance(labels, Tensor):
        counts = Counter(labels)
        rows = [i for i, label in enumerate(labels) if counts[label] > 1 and len(counts) > 1]
    if not rows or len(support.x) < 2:
        raise NotEnoughExamples("Quality is known once a class has two examples, and another class one.")
    order = torch.randperm(len(rows), generator=Rng(0).at("leave one out").generator())[:MOST].tolist()
    rows, until = [rows[i] for i in order], time.monotonic() + SECONDS
    found: list[float] = []
    for start in range(0, len(rows), TOGETHER):
        if time.monotonic() > until:
            break
        found += await asyncio.gather(*(_without(worker, support, i) for i in rows[start : start + TOGETHER]))
    asked = {"examples": len(found), "method": "leave-one-out"}
    if isinstance(labels, Tensor):
        error, half = mean_interval(found)
        known = math.isfinite(half)
        return {"mse": error, "low": max(0.0, error - half) if known else None,
                "high": error + half if known else None, "accuracy": None} | asked  # fmt: skip
    right = round(sum(found))
    low, high = (end / 100 for end in wilson(right, len(found)))
    return {"accuracy": right / len(found), "low": low, "high": high} | asked


async def _without(worker: Worker, support: Support, row: int) -> float:
    """1 or 0 for a right or wrong answer, or the squared error, of one example that the others teach."""
    labels, others = support.labels, [i for i in range(len(support.x)) if i != row]
    rest = labels[torch.tensor(others)] if isinstance(labels, Tensor) else tuple(labels[i] for i in others)
    learned = await worker.adapt(Support(support.x[torch.tensor(others)], rest))
    answers = await worker.predict(Question(learned, support.x[row : row + 1]))
    if isinstance(labels, Tensor):
        assert answers.values is not None
        return float((answers.values[0] - labels[row]).square().mean())
    return float(answers.names[0] == labels[row])


def next_example(counts: Mapping[str, int], curve: Mapping[int, float]) -> dict[str, Any]:
    """What one more example is likely to be worth, as points of percent: from the curve of the bundle on other tasks.

    Args:
        counts: class -> examples of the task.
        curve: shots -> accuracy in percent, as the bundle was judged.

    >>> next_example({"owl": 1, "lynx": 1}, {1: 90.0, 5: 98.0})["worth"]
    1.0
    """
    least = min(counts, key=lambda name: counts[name])
    shots = statistics.fmean(counts.values())
    known = sorted(curve)
    if len(known) < 2 or shots < known[0]:
        return {"sentence": "Not known: this learner was not judged by the number of examples.", "worth": None}
    if shots >= known[-1]:
        words = f"Not known: this learner was judged with up to {known[-1]} examples of each class."
        return {"sentence": words, "worth": None}
    worth = _at(curve, shots + 1 / len(counts)) - _at(curve, shots)
    gain = "next to nothing" if worth < 0.05 else f"about {worth:.1f} points of accuracy"
    words = f"One more example, best of '{least}', is worth {gain}, going by tasks that this learner was judged on."
    return {"sentence": words, "worth": worth}


def _at(curve: Mapping[int, float], shots: float) -> float:
    """The curve between its points, on a straight line."""
    known = sorted(curve)
    right = next((k for k in known if k >= shots), known[-1])
    left = max((k for k in known if k <= shots), default=right)
    if left == right:
        return curve[right]
    return curve[left] + (curve[right] - curve[left]) * (shots - left) / (right - left)


def curve_of(result: Mapping[str, Any] | None) -> dict[int, float]:
    """Shots -> accuracy in percent, of the result that a bundle was judged by; empty where that is not known."""
    try:
        if result is None or result.get("metric") != "accuracy":
            return {}
        return {int(k): float(v[0]) for k, v in result.get("by_shots", {}).items() if v[0] is not None}
    except (TypeError, ValueError, IndexError) as error:
        raise UserError("The result of this bundle is damaged.") from error
