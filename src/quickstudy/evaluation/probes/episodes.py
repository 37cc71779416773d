"""Probes of how tasks are drawn: nothing but the support labels may tell which answer is right."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ...task import Task
from ..intervals import chi_square_tail
from .finding import Finding, inapplicable

CHANCE = 1e-4  # a pattern is called one when chance would show it less often than this

Side = Literal["support", "query"]


def fixed_labels(tasks: Sequence[Task]) -> Finding:
    """Whether a class tends to be given the same label: then labels can be memorised, and nothing need be learned.

    Two signs: a class that comes again has its old label too often (chi-square over classes and labels), and labels
    follow the numbers of the classes (pairs in ascending order, as in Kendall's tau).
    """
    name = "labels in fixed order"
    origins = [t.origin for t in tasks if t.origin is not None and bool((t.origin.support >= 0).any())]
    rows = [o.classes[o.classes >= 0].tolist() for o in origins if o.classes is not None]
    rows = [row for row in rows if len(row) > 1]
    if not rows:
        return inapplicable(name, "the tasks do not say which classes they are made of")
    p_again, recurring = _same_label_again(rows)
    ascending, p_order = _ascending(rows)
    p = min(p_again, p_order)
    says = f"{recurring:,} classes came more than once (p = {p_again:.2g} that their labels were dealt by chance)"
    says += f", {100 * ascending:.0f}% of label pairs ascend with their classes (p = {p_order:.2g})"
    return Finding(name, p >= CHANCE, says, p, CHANCE)


def _same_label_again(rows: list[list[int]]) -> tuple[float, int]:
    seen: dict[int, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    expected: dict[int, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for row in rows:
        for label, number in enumerate(row):
            seen[number][label] += 1
            for other in range(len(row)):
                expected[number][other] += 1 / len(row)  # type: ignore[assignment]
    again = [number for number, labels in seen.items() if labels.total() > 1]
    value = sum((seen[c][label] - e) ** 2 / e for c in again for label, e in expected[c].items())
    freedom = sum(len(expected[c]) - 1 for c in again)
    return (chi_square_tail(value, freedom) if freedom else 1.0), len(again)


def _ascending(rows: list[list[int]]) -> tuple[float, float]:
    score = pairs = variance = 0.0
    for row in rows:
        w = len(row)
        values = torch.tensor(row)
        score += float((values[None, :] - values[:, None]).sign().triu(1).sum())
        pairs += w * (w - 1) / 2
        variance += w * (w - 1) * (2 * w + 5) / 18
    return (1 + score / pairs) / 2, _two_sided(score / math.sqrt(variance))


def label_order(tasks: Sequence[Task], side: Side, *, read: bool = True) -> Finding:
    """Whether the place of an example in its set tells its label.

    Two signs: places have labels of their own (chi-square over places and labels, as for a random permutation), and
    neighbours share a label too often or too seldom (exact mean and variance under random order).

    Args:
        read: False when the learner promises not to look at this order; then a pattern is harmless.
    """
    name = f"{side} order"
    labels = [getattr(task, side).y for task in tasks if task.ways is not None]
    labels = [y for y in labels if len(y) > 2 and len(y.unique()) > 1]
    if not labels:
        return inapplicable(name, "no classes, or too few examples to have an order")
    p_place, p_next = _places(labels), _neighbours(labels)
    p = min(p_place, p_next)
    says = f"labels against places p = {p_place:.2g}, against neighbours p = {p_next:.2g} that the order is random"
    if not read and p < CHANCE:
        return Finding(name, None, f"{says}; sorted, but the learner promises not to read the order", p, CHANCE)
    return Finding(name, p >= CHANCE, says, p, CHANCE)


def _places(labels: list[Tensor]) -> float:
    """p of the table of places and labels, over the episodes of the commonest length."""
    length = collections.Counter(len(y) for y in labels).most_common(1)[0][0]
    table = torch.stack(
        [torch.bincount(y, minlength=max(int(y.max()) for y in labels) + 1) for y in labels if len(y) == length]
    )
    ways = table.shape[1]
    hot = torch.stack([torch.nn.functional.one_hot(y, ways) for y in labels if len(y) == length]).double()
    expected = (table.double() / length).sum(0)
    used = expected > 0
    value = ((hot.sum(0) - expected)[:, used].square() / expected[used]).sum().item()
    freedom = (length - 1) * (int(used.sum()) - 1)
    # Labels are dealt without putting back, which spreads them a little more than independent draws would.
    return chi_square_tail(value * (length - 1) / length, freedom) if freedom else 1.0


def _neighbours(labels: list[Tensor]) -> float:
    observed = mean = variance = 0.0
    for y in labels:
        n, c = len(y), torch.bincount(y).double()
        observed += float((y[1:] == y[:-1]).sum())
        two, three, four = c * (c - 1), c * (c - 1) * (c - 2), c * (c - 1) * (c - 2) * (c - 3)
        p2 = float(two.sum()) / (n * (n - 1))
        p3 = float(three.sum()) / (n * (n - 1) * (n - 2))
        apart = float(two.sum() ** 2 - two.square().sum() + four.sum())
        p22 = apart / (n * (n - 1) * (n - 2) * (n - 3)) if n > 3 else 0.0
        mean += (n - 1) * p2
        variance += (n - 1) * p2 * (1 - p2) + 2 * (n - 2) * (p3 - p2**2) + (n - 2) * (n - 3) * (p22 - p2**2)
    return _two_sided((observed - mean) / math.sqrt(variance)) if variance > 1e-9 else 1.0


def shared_examples(tasks: Sequence[Task]) -> Finding:
    """Whether a query is one of the support examples, by number or bit for bit."""
    numbered = same = queries = 0
    for task in tasks:
        queries += len(task.query)
        if task.origin is not None:
            numbered += int(torch.isin(task.origin.query[task.origin.query >= 0], task.origin.support).sum())
        same += int((task.query.x.flatten(1)[:, None] == task.support.x.flatten(1)[None]).all(-1).any(1).sum())
    worst = max(numbered, same)
    says = f"of {queries:,} queries {numbered:,} have the number of a support example, {same:,} are equal bit for bit"
    return Finding("support among queries", worst == 0, says, worst, 0)


def _two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))
