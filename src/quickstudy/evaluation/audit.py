"""The audit: whether a number could be too good, probe by probe."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from ..errors import UserError
from ..learner import Learner
from ..task import Task, check_task
from ..tasks.source import TaskSource
from .evaluate import evaluating
from .measure import check_fit, singles
from .probes.answers import (
    KEY,
    left_in_training,
    one_by_one,
    padded,
    permuted_queries,
    renamed_classes,
    reordered_support,
    uninformed,
)
from .probes.episodes import fixed_labels, label_order, shared_examples
from .probes.finding import Finding
from .probes.splits import Side, copies, overlaps, sides_of
from .result import plain

FEW = 4  # tasks for the probes that compare answers with answers


@dataclasses.dataclass(frozen=True)
class Audit:
    """What all probes found.

    Attributes:
        learner: name of its class; None when only the tasks were audited.
        source: name of the source.
        split: whose tasks were looked at.
        tasks: how many of them.
        findings: one a probe.
    """

    learner: str | None
    source: str
    split: str
    tasks: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no probe found a leak."""
        return not self.leaks

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that say why a number could be too good."""
        return tuple(f for f in self.findings if f.passed is False)

    @property
    def sentence(self) -> str:
        """The verdict."""
        asked = [f for f in self.findings if f.passed is not None]
        over = f"over {self.tasks:,} tasks of {self.source} ({self.split})"
        skipped = f", {len(self.findings) - len(asked)} do not apply" if len(asked) < len(self.findings) else ""
        if self.passed:
            return f"No leak found by {len(asked)} probes {over}{skipped}."
        names = ", ".join(f.name for f in self.leaks)
        return f"{len(self.leaks)} of {len(asked)} probes found a leak {over}{skipped}: {names}."

    def finding(self, name: str) -> Finding:
        """What the probe of that name found."""
        return {f.name: f for f in self.findings}[name]

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it, for `dataclasses.replace(result, audit=audit.to_json())`."""
        about = {"passed": self.passed, "sentence": self.sentence} | dataclasses.asdict(self)
        return plain(about)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), self.sentence])


def audit(
    learner: Learner | None,
    source: TaskSource,
    *,
    tasks: int = 40,
    splits: Mapping[str, TaskSource] | None = None,
) -> Audit:
    """Look for every known way in which a few-shot number comes out too good.

    The learner is asked in evaluation mode, as a copy, so that even one that writes into itself is left as it was. What
    it declares (`transductive`, `order_sensitive`, `class_equivariant`) decides what counts as a leak.

    Args:
        learner: None to look at the tasks alone.
        source: the tasks that it is judged by: `source.test`.
        tasks: episodes to look at.
        splits: name -> source of each side of the split; `source.train`, `.validation` and `.test` when None.

    Raises:
        UserError: no tasks, or tasks that the learner cannot serve.
    """
    if tasks < 1:
        raise UserError(f"Asked to audit {tasks} tasks; ask for at least one.")
    episodes = singles(source.sample(0, tasks))
    for task in episodes:
        check_task(task)
    read = learner is None or learner.order_sensitive
    findings = [
        fixed_labels(episodes),
        label_order(episodes, "query"),
        label_order(episodes, "support", read=read),
        shared_examples(episodes),
        *_split(source, splits, tasks),
    ]
    if learner is not None:
        shared = source.protocol.get("labels") == "shared"
        findings = _answers(copy.deepcopy(learner), episodes, shared) + findings
    name = None if learner is None else type(learner).__name__
    return Audit(name, source.name, source.split, tasks, tuple(findings))


def _answers(learner: Learner, tasks: list[Task], shared: bool) -> list[Finding]:
    """Args: shared: classes mean the same in every task, so that they may be known before the first example."""
    few = tasks[:FEW]
    with evaluating(learner):
        check_fit(learner, tasks[0], KEY)
        return [
            left_in_training(learner, tasks),
            one_by_one(learner, few),
            permuted_queries(learner, few),
            renamed_classes(learner, few if learner.class_equivariant else tasks, shared=shared),
            reordered_support(learner, few),
            uninformed(learner, tasks, shared=shared),
            padded(learner, few),
        ]


def _split(source: TaskSource, splits: Mapping[str, TaskSource] | None, tasks: int) -> list[Finding]:
    sides = {name: Side.of(side, singles(drawn)) for name, (side, drawn) in sides_of(source, splits, tasks).items()}
    return [*overlaps(sides), copies(sides)]
