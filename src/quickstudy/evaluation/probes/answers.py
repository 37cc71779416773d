"""Probes of a learner: what its answers may depend on.

All take a learner in evaluation mode and single tasks without padding. A difference between answers is relative to the
largest of them; rounding stays below 1e-3 in float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...learner import Learner, metric
from ...outputs import Gaussian
from ...rng import Rng, forked
from ...state import fingerprint
from ...task import Examples, Origin, Task, pad, stack
from ..intervals import mean_interval
from .finding import Finding, inapplicable

SHARED = "declared: a class means the same in every task, so it may be known beforehand"
KEY = Rng(0, ("audit",))
ALONE = 8  # queries of a task that are asked one by one
ADAPTATIONS = 200  # about as many as one probe may ask for


def answer(learner: Learner, task: Task) -> Tensor:
    """Adapt to the support set and answer the queries."""
    return ask(learner, learner.adapt(task.support, task.description, rng=KEY), task.query.x)


def ask(learner: Learner, state: Any, x: Tensor) -> Tensor:
    """The answers of a state as one tensor, means and variances side by side."""
    output = learner.predict(state, x)
    return torch.cat([output.mean, output.variance], -1) if isinstance(output, Gaussian) else output


def difference(a: Tensor, b: Tensor) -> float:
    """The largest |a - b| over the largest finite |a|; infinite where one of them has no number."""
    apart = torch.where(a == b, 0.0, (a - b).abs()).nan_to_num(nan=torch.inf)
    size = torch.where(torch.isfinite(a), a.abs(), 0.0).max()
    return float(apart.max() / size.clamp(min=1e-12)) if apart.numel() else 0.0


def one_by_one(learner: Learner, tasks: Sequence[Task], limit: float = 1e-3) -> Finding:
    """Whether a query is answered alone as it is among others."""
    name, worst = "queries one by one", 0.0
    for task in tasks:
        state = learner.adapt(task.support, task.description, rng=KEY)
        together = ask(learner, state, task.query.x)[:ALONE]
        try:
            alone = [ask(learner, state, task.query.x[i : i + 1]) for i in range(len(together))]
        except (RuntimeError, ValueError) as error:
            if not learner.transductive:
                return Finding(name, False, f"a query alone has no answer: {error}")
            return inapplicable(name, f"declared transductive; a query alone has no answer ({error})")
        worst = max(worst, difference(together, torch.cat(alone)))
    return _independent(learner, name, worst, limit, "asked alone and together")


def permuted_queries(learner: Learner, tasks: Sequence[Task], limit: float = 1e-3) -> Finding:
    """Whether answers follow their queries into another order."""
    worst = 0.0
    for i, task in enumerate(tasks):
        order = _order(len(task.query), "queries", i)
        state = learner.adapt(task.support, task.description, rng=KEY)
        worst = max(
            worst, difference(ask(learner, state, task.query.x)[order], ask(learner, state, task.query.x[order]))
        )
    return _independent(learner, "queries permuted", worst, limit, "in another order")


def _independent(learner: Learner, name: str, worst: float, limit: float, how: str) -> Finding:
    if learner.transductive:
        return Finding(name, None, f"declared transductive: answers differ by up to {worst:.2g} {how}", worst, limit)
    return Finding(name, worst <= limit, f"answers differ by up to {worst:.2g} {how}, limit {limit:.0e}", worst, limit)


def renamed(task: Task, names: Tensor) -> Task:
    """The same task with class c called names[c]; the queries keep their labels."""
    support = Examples(task.support.x, names[task.support.y], task.support.mask, ways=task.ways)
    description = task.description
    if description is not None and description.dim() > 1:
        description = description[names.argsort()]
    return dataclasses.replace(task, support=support, description=description)


def renamed_classes(learner: Learner, tasks: Sequence[Task], limit: float = 1e-3, *, shared: bool = False) -> Finding:
    """Whether answers follow their classes to other names; for a fixed head, whether accuracy stays on average."""
    name = "classes renamed"
    if tasks[0].ways is None:
        return inapplicable(name, "a regression has no classes")
    if shared and not learner.class_equivariant:
        return inapplicable(name, SHARED)
    worst, changes = 0.0, []
    for i, task in enumerate(tasks):
        names = _order(task.ways or 0, "names", i)
        before, after = answer(learner, task), answer(learner, renamed(task, names))
        if learner.class_equivariant:
            worst = max(worst, difference(before, after[:, names]))
        else:
            query = Examples(task.query.x, names[task.query.y], ways=task.ways)
            changes.append(float(metric(after, query) - metric(before, task.query)))
    if learner.class_equivariant:
        return Finding(
            name, worst <= limit, f"renamed answers differ by up to {worst:.2g}, limit {limit:.0e}", worst, limit
        )
    if len(changes) < 2:
        return inapplicable(name, "one task cannot show an average; give more")
    mean, half = mean_interval(changes, 0.999)
    says = f"{100 * mean:+.1f} points ± {100 * half:.1f} (99.9% over {len(changes)} tasks)"
    return Finding(
        name, abs(mean) <= half + 0.01, f"labels dealt anew change accuracy by {says}", abs(mean), half + 0.01
    )


def reordered_support(learner: Learner, tasks: Sequence[Task], limit: float = 1e-3) -> Finding:
    """Whether the order of the support set changes an answer."""
    name, worst = "support reordered", 0.0
    if learner.order_sensitive:
        return inapplicable(name, "declared: the order of the support set is part of the algorithm")
    for i, task in enumerate(tasks):
        support = task.support.select(_order(len(task.support), "support", i))
        worst = max(
            worst, difference(answer(learner, task), answer(learner, dataclasses.replace(task, support=support)))
        )
    says = f"answers differ by up to {worst:.2g} after the same examples in another order, limit {limit:.0e}"
    return Finding(name, worst <= limit, says, worst, limit)


def uninformed(learner: Learner, tasks: Sequence[Task], *, shared: bool = False) -> Finding:
    """Accuracy when the support labels say nothing of the queries': anything above chance comes from elsewhere.

    Each task is met under every rotation of randomly dealt class names, over which an honest answer is right exactly
    once in `ways`. What a learner knows of fixed labels, of the order of the queries or of memorised classes is left.
    """
    name = "labels without information"
    if tasks[0].ways is None:
        return inapplicable(name, "a regression has no chance level")
    if shared:
        return inapplicable(name, SHARED)
    some = tasks[: max(8, ADAPTATIONS // tasks[0].ways)]
    excess = []
    for i, task in enumerate(some):
        ways = task.ways or 1
        names = _order(ways, "uninformed", i)
        right = [float(metric(answer(learner, renamed(task, (names + k) % ways)), task.query)) for k in range(ways)]
        excess.append(sum(right) / ways - 1 / ways)
    if len(excess) < 2:
        return inapplicable(name, "one task cannot show an average; give more")
    mean, half = mean_interval(excess, 0.999)
    says = f"{100 * mean:+.1f} points ± {100 * half:.1f} from chance (99.9% over {len(some)} tasks)"
    return Finding(name, mean <= half + 0.01, f"accuracy is {says}", mean, half + 0.01)


def padded(learner: Learner, tasks: Sequence[Task], limit: float = 1e-3) -> Finding:
    """Whether padding is counted: what `learner.loss` gives for padded tasks against the tasks themselves."""
    name, worst, objective, score = "padding", 0.0, 0.0, 0.0
    for task in tasks:
        alone, among = learner.loss(stack([task]), rng=KEY), learner.loss(_with_padding(task), rng=KEY)
        objective = max(objective, difference(alone.objective, among.objective[:1]))
        score = max(score, difference(alone.metric, among.metric[:1]))
    worst = max(objective, score)
    says = (
        f"with padding the objective differs by up to {objective:.2g} and the metric by {score:.2g}, limit {limit:.0e}"
    )
    return Finding(name, worst <= limit, says, worst, limit)


def _with_padding(task: Task) -> Task:
    """The task padded to the size of one twice as long, with one class more, beside which it stands in a batch."""
    more = task.ways if task.ways is None or task.description is not None else task.ways + 1
    sides = [dataclasses.replace(e.followed_by(e), ways=more) for e in (task.support, task.query)]
    origin = task.origin
    if origin is not None:
        classes = (
            None if origin.classes is None or more is None else origin.classes[torch.arange(more) % (task.ways or 1)]
        )
        origin = Origin(origin.support.repeat(2), origin.query.repeat(2), classes, origin.group)
    return pad([task, Task(sides[0], sides[1], task.description, origin)])


def left_in_training(learner: Learner, tasks: Sequence[Task]) -> Finding:
    """Whether anything still behaves as in training: modules in training mode, statistics that move, dropout."""
    name = "evaluation mode"
    before = fingerprint(learner)
    with forked(KEY):
        first, second = answer(learner, tasks[0]), answer(learner, tasks[0])
    still = [n or type(learner).__name__ for n, module in learner.named_modules() if module.training]
    if still:
        return Finding(
            name,
            False,
            f"still in training mode after eval(): {', '.join(still[:3])} ({len(still)} in all)",
            len(still),
            0,
        )
    if fingerprint(learner) != before:
        return Finding(name, False, "adapting or answering wrote into the learner's parameters or buffers", 1, 0)
    apart = difference(first, second)
    return Finding(name, apart <= 1e-3, f"the same question twice: answers differ by {apart:.2g}", apart, 1e-3)


def _order(n: int, *path: str | int) -> Tensor:
    return torch.randperm(n, generator=KEY.at(*path).generator())
