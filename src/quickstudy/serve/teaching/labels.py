"""Labels of a task: names of classes, or numbers; and whether there are enough of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...bundle import Bundle
from ...errors import BadExamples
from ..model.batched import Labels, Support
from ..store.kept import Example, Task


class Labelling:
    """What labels are to a bundle.

    Args:
        bundle: that learns from them.

    Attributes:
        fixed: the classes of all tasks, where the learner knows no others.
    """

    def __init__(self, bundle: Bundle):
        self.bundle, self.fixed = bundle, bundle.fixed

    def why_not(self, task: Task) -> str | None:
        """What is missing for the task to be answered; None when nothing is."""
        return self.lacking([label for label, count in task.counts.items() if count])

    def support(self, examples: Sequence[Example]) -> Support:
        """What the learner adapts to."""
        x = np.stack([np.frombuffer(e.encoded, dtype=np.float32) for e in examples]).reshape(-1, *self.bundle.feature)
        # Kept as float32; a learner of another type takes the same numbers in its own.
        return Support(self.bundle.encode(torch.from_numpy(x)), self.read([e.label for e in examples]))

    def lacking(self, labels: Sequence[str]) -> str | None:
        few = sorted(set(labels))
        if not few:
            return "Give it examples: it has none."
        if self.bundle.kind == "classification" and len(few) == 1 and not self.fixed:
            return f"Give it examples of a second class: all are of '{few[0]}'."
        return None

    def named(self, examples: Sequence[Example]) -> list[str]:
        return [e.label for e in examples] if self.bundle.kind == "classification" else []

    def kept(self, y: Any) -> str:
        if self.bundle.kind == "classification":
            if isinstance(y, list):
                raise BadExamples("The label of a classification is the name of a class.")
            label = str(y)
            if self.fixed and label not in self.fixed:
                raise BadExamples(f"There is no class '{label}': this learner knows {', '.join(self.fixed)} alone.")
            return label
        try:
            return json.dumps([float(number) for number in (y if isinstance(y, list) else [y])], allow_nan=False)
        except ValueError as error:
            raise BadExamples(f"'{str(y)[:40]}' is no number, and the target of a regression is.") from error

    def read(self, labels: Sequence[str]) -> Labels:
        if self.bundle.kind == "classification":
            return tuple(labels)
        targets = [json.loads(label) for label in labels]
        if len({len(t) for t in targets}) > 1:
            raise BadExamples("The targets of these examples are of different lengths.")
        return torch.tensor(targets, dtype=self.bundle.encode(np.zeros((0, *self.bundle.feature), np.float32)).dtype)
