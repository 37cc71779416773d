"""What takes part in a study, and what a study is of."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..tasks.class_groups import ClassGroups
from ..tasks.episodes import Episodes
from ..tasks.groups import Groups

Tasks = Episodes | ClassGroups | Groups  # what a study can be made of
Table = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A learner that takes part.

    Args:
        name: as in the registry, or of one's own.
        role: 'candidate' or 'baseline'.
        learner: table for the registry; '$NAME' stands for the encoder, or the net, of the entry of that name, which
            has to come first.
        share: of the time for training; 0 for what needs none.
        options: how its training episodes differ from those it is judged on; those that its tasks do not have are left
            out.
        tasks: tasks a step.
        lr: rate of Adam.
        says: what it does, in a layman's words.
    """

    name: str
    role: str
    learner: Table
    share: float = 0.0
    options: Table = dataclasses.field(default_factory=dict)
    tasks: int = 1
    lr: float = 1e-3
    says: str = ""
